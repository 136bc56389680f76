"""The source `plink`: what is known of genotypes and a trait before they are decoded, and the store made of them."""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from genotune.columns import VARIANT, TargetKind
from genotune.data.files import FileFacts, InputFile, fingerprint
from genotune.data.genotype_file import GenotypeFile
from genotune.data.plink_files import BimTable
from genotune.data.plink_samples import SampleFacts
from genotune.data.plink_settings import PlinkSettings
from genotune.data.relatedness import MOST_SAMPLES, find_relatives, find_same
from genotune.data.scorable_splits import covariate_notes, few_notes, fold_fault, split_faults
from genotune.data.source import Progress, SourcePlan, SplitTable, StoreRead, Vetted
from genotune.data.summary_matching import VariantStatistics, match_statistics
from genotune.data.summary_statistics import SummaryStatistics
from genotune.data.variant_quality import variant_quality
from genotune.data.variant_selection import select_variants
from genotune.data.variant_statistics import Statistics, join_statistics, trait_basis
from genotune.errors import DataError, Problem
from genotune.genome.allele_matching import VariantTable
from genotune.genome.chromosomes import ChromosomeKind, is_kind
from genotune.genome.folds import hold_out_in_turn
from genotune.genome.kinship import KinPairs
from genotune.genome.splits import Fold, SampleSplitSettings, SampleTable, SplitSettings
from genotune.genome.thinning import spread_order
from genotune.store import NO_POSITION, DosageArray, GenotypeOutline, GenotypeStore, IntArray, TextArray, Variants

if TYPE_CHECKING:
    from genotune.data.plink_datasource import BlockReader

_CLASSED: Final = ("binary", "multiclass")


@dataclass(frozen=True, eq=False)
class PlinkPlan(SourcePlan):
    """What will be read.

    Attributes:
        settings: of the source.
        genotypes: the file or files.
        files: each input file, by its role.
        samples: those that have the trait and all covariates, in the order of the genotypes.
        notes: what a person should know though nothing is wrong.
        summary: what another study found; None: there is none.
    """

    settings: PlinkSettings
    genotypes: GenotypeFile
    files: Mapping[str, InputFile]
    samples: SampleFacts
    notes: tuple[str, ...]
    summary: SummaryStatistics | None = None

    learns_from_training: ClassVar[bool] = True

    @property
    def variants(self) -> BimTable:
        """All that have two alleles."""
        return self.genotypes.variants

    @functools.cached_property
    def _table(self) -> SampleTable:
        """What splits are made of; genotypes are decoded if one asks who is related."""
        return self.samples.table._replace(kin=lambda: self.kin)

    @functools.cached_property
    def kin(self) -> KinPairs:
        """The pairs of samples that are related; some variants are decoded for it, once."""
        return find_relatives(self.decode, self.spread("autosome"), n_samples=len(self.samples.rows))

    @functools.cached_property
    def duplicates(self) -> KinPairs:
        """The pairs of samples that are one person; all kin where they are known or soon told."""
        n = len(self.samples.rows)
        if n <= MOST_SAMPLES or "kin" in vars(self):
            return self.kin
        return find_same(self.decode, self.spread("autosome"), n_samples=n)

    def spread(self, kind: ChromosomeKind) -> IntArray:
        """The variants of such contigs, in an order each beginning of which lies evenly over them."""
        contigs = self.variants.contigs
        among = np.flatnonzero(is_kind(contigs, kind, n_autosomes=self.settings.n_autosomes))
        return spread_order(contigs, self.variants.starts, among)

    def decode(self, blocks: Sequence[IntArray]) -> Iterator[DosageArray]:
        """(sample, variant) dosages of each block of variants, in this process.

        Raises:
            DataError: the file is damaged.
        """
        return self.genotypes.decoder.decode_in_turn(self.samples.rows, blocks)

    @property
    def n_variants(self) -> int:
        """That are kept, at most."""
        n = len(self.variants.ids)
        return n if self.settings.keep_variants is None else min(n, self.settings.keep_variants)

    @property
    def target(self) -> TargetKind:
        """The kind of the trait."""
        return self.samples.kind

    @property
    def store_nbytes(self) -> int:
        """Bytes that the store will take, at most."""
        n_samples = len(self.samples.rows)
        per_variant: int = sum(array.dtype.itemsize for array in self.variants) + 4
        per_variant += 0 if self.summary is None else 8
        per_sample: int = 8 + 4 * self.samples.covariates.shape[1] + 2 * self.samples.ids.dtype.itemsize
        per_dosage = self.genotypes.decoder.dtype.itemsize
        return self.n_variants * (n_samples * per_dosage + per_variant) + n_samples * per_sample

    @property
    def smaller(self) -> Problem:
        """See `SourcePlan.smaller`."""
        return Problem(("keep_variants",), f"A keep_variants of {max(1, self.n_variants // 4)} needs less.")

    def fingerprints(self) -> list[FileFacts]:
        """Size and checksum of each input file; reads them whole."""
        return [fingerprint(role, file) for role, file in self.files.items()]

    def split_problems(self, split: SplitSettings) -> list[Problem]:
        """See `SourcePlan.split_problems`; the trait must vary in each split, and each must hold all of its classes."""
        assert isinstance(split, SampleSplitSettings)
        return split.problems(self._table) or list(self._unscorable(split.resolve(self._table)))

    def resolve(self, split: SplitSettings) -> Fold:
        """See `SourcePlan.resolve`."""
        assert isinstance(split, SampleSplitSettings)
        return split.resolve(self._table)

    def folds(self, fold: Fold, split: SplitSettings, *, n_folds: int) -> list[Fold]:
        """See `SourcePlan.folds`."""
        assert isinstance(split, SampleSplitSettings)
        members = np.sort(np.concatenate([fold.train, fold.validation]))
        groups = split.groups(self._table)[members]
        weights = np.ones(len(members), dtype=np.int64)
        return hold_out_in_turn(members, groups, weights=weights, n_folds=n_folds, test=fold.test)

    def split_notes(self, split: SplitSettings) -> tuple[str, ...]:
        """See `SourcePlan.split_notes`."""
        assert isinstance(split, SampleSplitSettings)
        fold = split.resolve(self._table)
        return split.notes(self._table) + few_notes(self.samples, fold) + covariate_notes(self.samples, fold)

    def training_problems(self, fold: Fold) -> list[Problem]:
        """See `SourcePlan.training_problems`: covariates enough to explain any trait."""
        asked = {*self.settings.covariates}
        n_columns = sum(name.partition("=")[0] in asked for name in self.samples.covariate_names)
        if len(fold.train) > n_columns + 1:
            return []
        message = (
            f"found {n_columns:,} columns for {len(fold.train):,} training samples; they would explain any trait and "
            "leave nothing to genotypes. Remove most of them."
        )
        return [Problem(("covariates",), message)]

    def fold_fault(self, folds: Sequence[Fold]) -> str | None:
        """See `SourcePlan.fold_fault`; each part must hold all classes."""
        return fold_fault(self.samples, folds)

    def vet(self, fold: Fold, folds: Sequence[Fold]) -> Vetted:
        """See `SourcePlan.vet`: sample filters, duplicates, and the sex that X tells; see `vet_samples`."""
        from genotune.data.plink_vetting import vet_samples

        vetted = vet_samples(self, fold, folds)
        left = fold.without(vetted.left_out)
        faults = [problem.message for problem in self._unscorable(left)]
        of_folds = fold_fault(self.samples, [one.without(vetted.left_out) for one in folds])
        if of_folds is not None:
            faults.append(f"{of_folds}. Ask for fewer folds, or try another seed.")
        if faults:
            raise DataError("\n".join((*vetted.notes, *faults)))
        return vetted

    def outline(self, members: IntArray) -> GenotypeOutline:
        """See `SourcePlan.outline`."""
        return GenotypeOutline(
            n_samples=len(members),
            n_variants=self.n_variants,
            kind=self.samples.kind,
            n_classes=len(self.samples.classes),
            n_covariates=self.samples.covariates.shape[1],
            has_summary=self.summary is not None,
        )

    def name_split(self, members: IntArray, tracks: IntArray | None = None) -> str:
        """How many samples."""
        del tracks
        return f"{len(members):,} samples"

    def split_table(self, fold: Fold, split: SplitSettings) -> SplitTable:
        """Groups and samples of each split, and what the trait looks like in it."""
        assert isinstance(split, SampleSplitSettings)
        groups = split.groups(self._table)
        rows = {}
        for name, members in fold.members.items():
            known = groups[members][groups[members] >= 0]
            rows[name] = (self._trait_words(members), f"{len(np.unique(known)):,}", f"{len(members):,}")
        return SplitTable((self.samples.trait, "groups", "samples"), rows)

    def record(self, fold: Fold) -> Mapping[str, Any]:
        """See `SourcePlan.record`; of the samples' IDs only a checksum, since the record may be seen by many."""
        return {
            "kind": self.settings.kind,
            "trait": self.samples.trait,
            "trait_kind": self.samples.kind,
            "classes": list(self.samples.classes),
            "covariates": list(self.samples.covariate_names),
            "n_samples": len(self.samples.rows),
            "n_variants": len(self.variants.ids),
            "dosage": self.genotypes.decoder.dtype.name,
            "splits": {
                name: {"n_samples": len(members), "ids_sha256": _checksum(self.samples.ids[members])}
                for name, members in fold.members.items()
            },
        }

    def read_store(self, fold: Fold, progress: Progress | None = None) -> StoreRead:
        """Decode the genotypes twice as a Ray Dataset: for statistics, and what they select. Ray has been started.

        Args:
            fold: filters and ranks are learned from its training samples.
            progress: called with the variants that were decoded, and those of both passes.

        Raises:
            DataError: the file is damaged, or no variant passes the filters.
        """
        from genotune.data.plink_datasource import VariantDatasource
        from genotune.data.ray_reading import read_tables

        n_done = 0

        def tables(reader: "BlockReader", variants: IntArray) -> Iterator[Any]:
            nonlocal n_done
            # How many pass the filters is known from the second pass on.
            n_in_all = len(variants) + (n_done or self.n_variants)
            source = VariantDatasource(reader, variants)
            for table in read_tables(source, n_blocks=source.n_tasks):
                yield table
                n_done += table.num_rows
                if progress is not None:
                    progress(n_done, n_in_all)

        return self._read(fold, tables)

    def read_store_here(self, fold: Fold) -> StoreRead:
        """The same store, decoded in this process without Ray.

        Raises:
            DataError: as `read_store`.
        """

        def tables(reader: "BlockReader", variants: IntArray) -> Iterator[Any]:
            return reader.tables(reader.blocks(variants))

        return self._read(fold, tables)

    def _read(self, fold: Fold, tables: Any) -> StoreRead:
        from genotune.data.plink_datasource import DosageReader, StatisticsReader, fill_columns, rows_of

        everything = np.arange(len(self.variants.ids), dtype=np.int64)
        decoder, facts = self.genotypes.decoder, self.samples
        basis = trait_basis(facts.values[fold.train], facts.covariates[fold.train], kind=facts.kind)
        reader = StatisticsReader(decoder, facts.rows[fold.train], basis)
        statistics = _in_order(list(tables(reader, everything)))
        found = self._found_elsewhere(statistics)
        selection = select_variants(
            statistics,
            filters=self.settings.filters,
            keep=self.settings.keep_variants,
            n_samples=len(fold.train),
            trait=facts.trait,
            log10_p=found.log10_p if found is not None and self.settings.keep_by == "summary" else None,
        )
        kept = selection.variants
        dosage: DosageArray = np.empty((len(facts.rows), len(kept)), dtype=decoder.dtype)
        rank = np.empty(len(everything), dtype=np.int64)
        rank[kept] = np.arange(len(kept))
        for table in tables(DosageReader(decoder, facts.rows), np.sort(kept)):
            for variants, block in rows_of(table):
                fill_columns(dosage, rank[variants], block)
        quality = variant_quality(statistics, counts=selection.counts, n_samples=len(fold.train))
        store = self._store(dosage, kept, statistics=statistics, found=found)
        return StoreRead(store, selection.notes + (() if found is None else found.notes), quality)

    def _found_elsewhere(self, statistics: Statistics) -> VariantStatistics | None:
        """What the other study says of all variants; alleles are told by the frequency in training samples."""
        if self.summary is None:
            return None
        return match_statistics(self.summary, VariantTable(*self.variants, statistics.frequency.astype(np.float32)))

    def _store(
        self, dosage: DosageArray, kept: IntArray, *, statistics: Statistics, found: VariantStatistics | None
    ) -> GenotypeStore:
        facts, all_variants = self.samples, self.variants
        return GenotypeStore(
            dosage=dosage,
            phenotype=facts.values,
            covariates=facts.covariates,
            samples=facts.ids,
            variants=Variants(
                ids=all_variants.ids[kept],
                contigs=all_variants.contigs[kept],
                starts=all_variants.starts[kept],
                counted=all_variants.counted[kept],
                other=all_variants.other[kept],
                frequency=statistics.frequency[kept].astype(np.float32),
            ),
            trait=facts.trait,
            kind=facts.kind,
            classes=facts.classes,
            covariate_names=facts.covariate_names,
            summary_log10_p=None if found is None else found.log10_p[kept],
        )

    def _unscorable(self, fold: Fold) -> Iterator[Problem]:
        """Splits in which metrics are not defined; see `split_faults`."""
        for split, words in split_faults(self.samples, fold):
            n = len(fold.members[split])
            advice = "Give it more, or try another seed." if n else "Give it more, or loosen data.sample_filters."
            yield Problem((split,) if split != "train" or not n else (), f"{words}. {advice}")

    def _trait_words(self, members: IntArray) -> str:
        values = self.samples.values[members]
        if self.samples.kind in _CLASSED:
            counts = np.bincount(values.astype(np.int64), minlength=len(self.samples.classes))
            return ", ".join(f"{label}: {count:,}" for label, count in zip(self.samples.classes, counts, strict=True))
        return f"{values.mean():.3g} ± {values.std():.3g}"


def _checksum(ids: TextArray) -> str:
    """Of samples in any order: of their sorted lines 'FID tab IID'."""
    lines = sorted(f"{fid}\t{iid}" for fid, iid in ids.tolist())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def n_without_place(variants: BimTable) -> int:
    """Variants that lie nowhere on the genome, as far as their file says."""
    return int(np.count_nonzero(variants.starts == NO_POSITION))


def _in_order(tables: list[Any]) -> Statistics:
    """Statistics of all variants, whatever the order in which the tables came."""
    parts = [
        Statistics(*(table[name].to_numpy() for name in Statistics._fields))
        for table in sorted(tables, key=lambda table: table[VARIANT][0].as_py())
    ]
    return join_statistics(parts)
