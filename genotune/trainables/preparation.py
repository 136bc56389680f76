"""How a family on genotypes may have them chosen and prepared; fitted on the training samples of each trial and fold.

All of it is searchable: nothing of it reads a file again.
"""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from genotune.errors import Problem
from genotune.genome.ld import Window
from genotune.settings import Settings, kind_of_text
from genotune.store import GenotypeOutline

Share = Annotated[float, Field(gt=0, le=1)]
_WindowBp = Annotated[int, Field(ge=1)]
_USUAL_WINDOW_BP = 250_000


class Clump(Settings):
    """Of variants in linkage disequilibrium only the one that is ranked highest stays.

    Attributes:
        r2: from this squared correlation of dosages on.
        window_bp: of variants that are no farther from it than this.
    """

    r2: Share = 0.2
    window_bp: _WindowBp = _USUAL_WINDOW_BP


class Prune(Settings):
    """Of variants in linkage disequilibrium those with the rarer alleles go, whatever their rank.

    Attributes:
        r2: above this squared correlation of dosages.
        window_bp: of two variants that are no farther apart than this; null: 250,000, if `window_variants` is null too.
        window_variants: or of two within so many in a row.
    """

    r2: Share = 0.5
    window_bp: _WindowBp | None = None
    window_variants: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _has_one_window(self) -> Self:
        if self.window_bp is not None and self.window_variants is not None:
            raise ValueError("window_bp and window_variants are two ways to say one thing. Remove one.")
        return self

    @property
    def window(self) -> Window:
        """How far two variants may lie apart to be compared."""
        if self.window_variants is not None:
            return Window(self.window_variants, "variants")
        return Window(self.window_bp or _USUAL_WINDOW_BP)


class ByAssociation(Settings):
    """By p-value of the association with the trait: linear, of a binary trait the logistic score test.

    Covariates and components are taken out of both; of several classes it is the least p of those of each class with
    the others.
    """

    kind: Literal["association"] = "association"


class BySummary(Settings):
    """By p-value in the study of `data.summary_statistics`; a variant that it lacks is left out."""

    kind: Literal["summary"] = "summary"


class ByTrees(Settings):
    """By how much they help boosted trees to tell the trait; a variant that no tree uses is left out.

    Covariates and components are offered to the trees too.

    Attributes:
        rounds: trees, one after the other.
        max_depth: of a tree; from 2 on, variants that matter together can be found.
        learning_rate: what a tree adds, of what it found.
    """

    kind: Literal["trees"] = "trees"
    rounds: Annotated[int, Field(ge=1, le=2000)] = 100
    max_depth: Annotated[int, Field(ge=1, le=8)] = 3
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1


RankBy = Annotated[
    Annotated[ByAssociation | BySummary | ByTrees, Field(discriminator="kind")],
    BeforeValidator(kind_of_text),
]


class TablePreparation(Settings):
    """What is done to the columns of further tables (`data.tables`).

    A category becomes one 0/1 column for each level of the training samples; other levels are 0 in all of them.

    Attributes:
        numbers: what an unknown number becomes: the 'median' or 'mean' of the training samples, or 'none': boosted
            trees take it as unknown.
        categories: what an unknown category becomes: the commonest level ('mode'), or a 'level' of its own.
        scale: to mean 0 and variance 1 on the training samples.
    """

    numbers: Literal["median", "mean", "none"] = "median"
    categories: Literal["mode", "level"] = "mode"
    scale: bool = True


class Preparation(Settings):
    """What is done to genotypes, covariates and further tables before a family sees them.

    Attributes:
        min_maf: frequency of the rarer allele at least, beyond what `data.filters` asks for.
        min_call_rate: share of samples whose genotype is known at least, likewise.
        min_hwe_p: p-value of the exact test of Hardy-Weinberg proportions at least, likewise; fractions of a copy are
            taken to the nearest whole number.
        prune: before variants are ranked; null: those in linkage disequilibrium stay.
        rank_by: what puts variants in order for `n_variants` and `clump`.
        max_p: p-value at most, of what ranks them: of the association, or of the other study; before trees rank them,
            of the association.
        clump: after variants are ranked; null: those in linkage disequilibrium stay.
        impute: what a missing dosage becomes: 'mean' or 'mode' of the variant, or 'none': the family's own way.
        components: so many principal components of the genotypes are covariates too.
        adjust: what covariates are for: 'features' beside the variants, or 'residuals': a quantitative trait is
            regressed on them first, and its residuals are learned.
        tables: how columns of further tables are filled in, coded and scaled; null: as `TablePreparation` says.
    """

    min_maf: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    min_call_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    min_hwe_p: Annotated[float, Field(ge=0, lt=1)] = 0.0
    prune: Prune | None = None
    rank_by: RankBy = ByAssociation()
    max_p: Share | None = None
    clump: Clump | None = None
    impute: Literal["none", "mean", "mode"] = "none"
    components: Annotated[int, Field(ge=0, le=100)] = 0
    adjust: Literal["features", "residuals"] = "features"
    tables: TablePreparation | None = None

    @property
    def _tests(self) -> bool:
        """Whether variants are held against the trait one by one."""
        return self.rank_by.kind == "association" or (self.rank_by.kind == "trees" and self.max_p is not None)

    def problems(self, outline: GenotypeOutline) -> list[Problem]:
        """What doesn't fit the training samples, with paths relative to these settings; empty when all fits."""
        problems = []
        if self.components >= min(outline.n_samples, outline.n_variants):
            message = (
                f"found {self.components}; {outline.n_samples:,} training samples of {outline.n_variants:,} variants "
                "have fewer principal components. Ask for fewer."
            )
            problems.append(Problem(("components",), message))
        elif self.components and self._tests and outline.n_covariates + self.components + 2 >= outline.n_samples:
            message = (
                f"found {self.components}; with {outline.n_covariates} covariates and {outline.n_samples:,} training "
                "samples nothing is left to test an association with. Ask for fewer."
            )
            problems.append(Problem(("components",), message))
        if self.rank_by.kind == "summary" and not outline.has_summary:
            message = "found summary; there is no other study. Name its table in data.summary_statistics."
            problems.append(Problem(("rank_by",), message))
        if self.adjust == "residuals" and outline.kind != "quantitative":
            message = f"found 'residuals'; of a {outline.kind} trait there are none. Use adjust: features."
            problems.append(Problem(("adjust",), message))
        elif self.adjust == "residuals" and not outline.n_covariates + self.components:
            message = "found 'residuals'; there are no covariates (data.covariates, components). Remove it."
            problems.append(Problem(("adjust",), message))
        if self.tables is not None and not outline.n_features:
            message = "there are no further tables (data.tables), so it has no effect. Remove it."
            problems.append(Problem(("tables",), message))
        return problems


class Prepares(Settings):
    """What a family on genotypes has that can have them prepared.

    Attributes:
        n_variants: so many are used, those most associated with the trait on training samples, or first in the order
            of `prepare.rank_by`; null: all that are kept. Where filters left fewer, all of them.
        prepare: see `Preparation`; null: genotypes as the store holds them.
    """

    n_variants: Annotated[int, Field(ge=1)] | None = None
    prepare: Preparation | None = None

    @property
    def takes_unknown(self) -> bool:
        """Whether the family learns from columns of further tables in which numbers are unknown."""
        return False

    @property
    def table_preparation(self) -> TablePreparation:
        """What is done to columns of further tables."""
        asked = None if self.prepare is None else self.prepare.tables
        return TablePreparation() if asked is None else asked

    def variant_problems(self, outline: GenotypeOutline) -> list[Problem]:
        """More variants than are kept, and what of the preparation doesn't fit; paths are relative to the params."""
        found = [] if self.prepare is None else self.prepare.problems(outline)
        problems = [Problem(("prepare", *problem.path), problem.message) for problem in found]
        if self.n_variants is not None and self.n_variants > outline.n_variants:
            kept = f"at most {outline.n_variants} variants are kept (data.keep_variants)"
            problems.append(Problem(("n_variants",), f"found {self.n_variants}; {kept}. Use fewer."))
        if self.table_preparation.numbers == "none" and not self.takes_unknown:
            message = (
                "found none; only boosted trees without gblinear, smote and adasyn learn from unknown numbers. Write "
                "median or mean."
            )
            problems.append(Problem(("prepare", "tables", "numbers"), message))
        return problems
