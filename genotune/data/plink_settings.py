"""What a spec says of the source `plink`: genotypes, samples and a trait."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from genotune.columns import COVARIATE, DOSAGE, PHENOTYPE, VARIANT, TargetKind
from genotune.data.cells import DEFAULT_MISSING
from genotune.data.sample_quality import SampleFilterSettings
from genotune.data.source import SourcePlan, SourceSettings
from genotune.data.table_settings import Mark, TableName, TableSettings, listed
from genotune.data.variant_selection import FilterSettings

if TYPE_CHECKING:
    from genotune.data.plink import PlinkPlan

TraitKind = Literal["quantitative", "binary", "multiclass", "count"]
DosageField = Literal["GT", "DS"]


def _of_one_sweep(winners: str) -> str:
    """The word, once each sweep has its own trait."""
    if winners == "each":
        raise ValueError("found each, which wants several traits in data.trait, such as [CD8, MCH]. Remove it.")
    return winners


FileName = Annotated[str, Field(min_length=1)]


def _apart(names: tuple[str, ...]) -> tuple[str, ...]:
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise ValueError(f"{repeated!r} is named twice. Remove one.")
    return names


TraitNames = Annotated[tuple[FileName, ...], Field(min_length=1), BeforeValidator(listed), AfterValidator(_apart)]


class PlinkSettings(SourceSettings):
    """Genotypes and a trait, or several.

    Attributes:
        genotypes: relative to the spec's folder, a fileset of PLINK 1 (.bed, with its .bim and .fam beside it) or
            PLINK 2 (.pgen, with .pvar or .pvar.zst and .psam), a .vcf, .vcf.gz or .bcf; several files that hold parts
            of the genome of the same samples, as a list or a pattern such as chr*.pgen.
        dosage_field: of a VCF or BCF, what is read: the called genotypes (GT), or dosages in fractions of a copy (DS);
            null: GT.
        phenotypes: a table of samples (.tsv, .csv, .txt, .parquet); null: column 6 of the .fam, or the columns of the
            .psam.
        trait: the column to predict, or a list of several of one kind, which become tasks of one model: each draw is
            fitted to all of them and judged by the mean; not needed with a .fam, nor with a .psam that has but one.
        winners: 'each' of several traits makes a sweep of each, with a winner of its own; spec/members.py writes the
            settings of these sweeps.
        trait_kind: null: told from the values.
        covariates: columns of the table that are known of a sample beside its genotype.
        covariates_missing: what becomes of a sample that lacks a covariate: 'drop' leaves it out, 'impute' gives it
            the median, of text the commonest level, of the training samples of each fit.
        tables: further tables of the samples, by name, whose columns are offered to the models beside the variants.
        missing: what marks a missing value in the table.
        match_by: how samples are found in the table; null: by FID and IID where it has both, else by IID.
        keep_samples: a list of the samples that are used, as PLINK's --keep takes it: FID and IID, or IID, in a line;
            null: all.
        drop_samples: a list of samples that are left out, in the same form; null: none.
        filters: what a variant must have.
        keep_variants: so many at most, the first by `keep_by`; null: all that pass the filters.
        summary_statistics: a table of another study's associations, for `keep_by` and a family's `prepare.rank_by`:
            PLINK's own, the GWAS catalog's or a plain one, also as .gz; null: there is none.
        keep_by: what ranks the variants: 'association' with the trait in training samples, or 'summary': the p-value in
            the other study; those that it lacks are left out.
        sample_filters: what a sample must have.
        drop_duplicates: of samples that are one person twice (or twins) only the best called is kept; else they are
            refused where two splits hold them.
        n_autosomes: of the species, after which X, Y, XY and MT are numbered; null: 22, or all numbers where some are
            above 26. Where the fileset names X and Y, it needs no number.
    """

    yields: ClassVar[frozenset[str]] = frozenset({VARIANT, DOSAGE, PHENOTYPE, COVARIATE})
    splits_of: ClassVar[Literal["contigs", "samples"]] = "samples"

    kind: Literal["plink"]
    genotypes: Annotated[tuple[FileName, ...], Field(min_length=1), BeforeValidator(listed)]
    dosage_field: DosageField | None = None
    phenotypes: Annotated[str, Field(min_length=1)] | None = None
    trait: TraitNames | None = None
    winners: Annotated[Literal["one", "each"], AfterValidator(_of_one_sweep)] = "one"
    trait_kind: TraitKind | None = None
    covariates: tuple[str, ...] = ()
    covariates_missing: Literal["drop", "impute"] = "drop"
    tables: dict[TableName, TableSettings] = Field(default_factory=dict)
    missing: tuple[Mark, ...] = DEFAULT_MISSING
    match_by: Literal["iid", "fid_iid"] | None = None
    keep_samples: FileName | None = None
    drop_samples: FileName | None = None
    filters: FilterSettings = FilterSettings()
    keep_variants: Annotated[int, Field(ge=1)] | None = None
    summary_statistics: FileName | None = None
    keep_by: Literal["association", "summary"] = "association"
    sample_filters: SampleFilterSettings = SampleFilterSettings()
    drop_duplicates: bool = False
    n_autosomes: Annotated[int, Field(ge=1, le=200)] | None = None

    @model_validator(mode="after")
    def _has_study(self) -> Self:
        if self.keep_by == "summary" and self.summary_statistics is None:
            raise ValueError("keep_by: summary needs the table of another study; name it in summary_statistics.")
        return self

    @property
    def files(self) -> Mapping[tuple[str | int, ...], str]:
        """See `SourceSettings.files`."""
        named = {
            "phenotypes": self.phenotypes,
            "keep_samples": self.keep_samples,
            "drop_samples": self.drop_samples,
            "summary_statistics": self.summary_statistics,
        }
        return {
            **{("genotypes", index): path for index, path in enumerate(self.genotypes)},
            **{(name,): path for name, path in named.items() if path is not None},
            **{("tables", name, "path"): table.path for name, table in self.tables.items()},
        }

    @property
    def known_target(self) -> TargetKind | None:
        """As the spec says."""
        return self.trait_kind

    def objective_bin_bp(self, asked: int | None) -> int | None:
        """None: samples have no bins."""
        del asked
        return None

    def bin_fault(self, asked: int | None) -> str | None:
        """See `SourceSettings.bin_fault`."""
        return None if asked is None else f"found {asked}; samples are scored one by one, not in bins. Remove it."

    def plan(self, folder: Path) -> "PlinkPlan":
        """What is known from the tables of samples and variants, and the header or size of what holds the genotypes."""
        from genotune.data.plink_planning import make_plan

        return make_plan(self, folder)

    def plan_beside(self, folder: Path, other: SourcePlan) -> "PlinkPlan":
        """As `plan`; the same genotypes, for another trait, are opened once."""
        from genotune.data.plink import PlinkPlan
        from genotune.data.plink_planning import make_plan

        assert isinstance(other, PlinkPlan), type(other)
        is_same = (self.genotypes, self.dosage_field) == (other.settings.genotypes, other.settings.dosage_field)
        return make_plan(self, folder, genotypes=other.genotypes if is_same else None)
