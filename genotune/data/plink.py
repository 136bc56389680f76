"""The source `plink`: what is known of genotypes and a trait before they are decoded, and the store made of them."""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.data.files import FileFacts, InputFile, fingerprint
from genotune.data.further_tables import unseen_levels
from genotune.data.genotype_file import GenotypeFile
from genotune.data.plink_files import BimTable
from genotune.data.plink_samples import SampleFacts
from genotune.data.plink_settings import PlinkSettings
from genotune.data.quality import Quality
from genotune.data.relatedness import MOST_SAMPLES, find_relatives, find_same
from genotune.data.scorable_splits import covariate_notes, few_notes, fold_fault, split_faults
from genotune.data.source import Progress, SourcePlan, SplitTable, StoreRead, Vetted
from genotune.data.summary_matching import VariantStatistics, match_statistics
from genotune.data.summary_statistics import SummaryStatistics
from genotune.data.variant_quality import variant_quality
from genotune.data.variant_selection import select_variants
from genotune.data.variant_statistics import Statistics
from genotune.errors import DataError, Problem
from genotune.genome.allele_matching import VariantTable
from genotune.genome.chromosomes import ChromosomeKind, is_kind
from genotune.genome.contig_names import name_some
from genotune.genome.folds import hold_out_in_turn
from genotune.genome.kinship import KinPairs
from genotune.genome.splits import Fold, SampleSplitSettings, SampleTable, SplitSettings
from genotune.genome.thinning import spread_order
from genotune.store import (
    NO_POSITION,
    DosageArray,
    FloatArray,
    GenotypeOutline,
    GenotypeStore,
    IntArray,
    TextArray,
    TraitsStore,
    Values,
    Variants,
)

if TYPE_CHECKING:
    from genotune.data.plink_datasource import BlockReader
    from genotune.data.plink_reading import Tables


class _Chosen(NamedTuple):
    """What a store keeps of a file, the variants in its order.

    Attributes:
        kept: (variant,) indices in the file.
        frequency: (variant,) of the counted allele in training samples.
        summary_log10_p: (variant,) of another study; None: there is none.
        notes: what a person should know of it.
        counts: what each filter took.
    """

    kept: IntArray
    frequency: FloatArray
    summary_log10_p: Values | None
    notes: tuple[str, ...]
    counts: Mapping[str, int]


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
        n_columns = self.samples.covariates.shape[1] + len(self.samples.table_columns)
        per_sample: int = 8 * len(self.samples.traits) + 4 * n_columns + 2 * self.samples.ids.dtype.itemsize
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
            n_classes=max(len(trait.classes) for trait in self.samples.traits),
            n_covariates=self.samples.covariates.shape[1],
            has_summary=self.summary is not None,
            n_features=sum(max(1, len(column.levels)) for column in self.samples.table_columns),
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
            rows[name] = (self._traits_words(members), f"{len(np.unique(known)):,}", f"{len(members):,}")
        header = self.samples.trait if len(self.samples.traits) == 1 else "traits"
        return SplitTable((header, "groups", "samples"), rows)

    def record(self, fold: Fold) -> Mapping[str, Any]:
        """See `SourcePlan.record`; of the samples' IDs only a checksum, since the record may be seen by many."""
        one, *others = self.samples.traits
        told = {trait.name: {"classes": list(trait.classes)} for trait in (one, *others)} if others else {}
        return {
            "kind": self.settings.kind,
            "trait": self.samples.trait,
            "trait_kind": self.samples.kind,
            **({"traits": told} if others else {"classes": list(one.classes)}),
            "covariates": list(self.samples.covariate_names),
            **(
                {"tables": {name: self._n_columns(name) for name in self.settings.tables}}
                if self.settings.tables
                else {}
            ),
            "n_samples": len(self.samples.rows),
            "n_variants": len(self.variants.ids),
            "dosage": self.genotypes.decoder.dtype.name,
            "splits": {
                name: {
                    "n_samples": len(members),
                    **({"n_by_trait": self._n_known(members)} if others else {}),
                    "ids_sha256": _checksum(self.samples.ids[members]),
                }
                for name, members in fold.members.items()
            },
        }

    def _n_known(self, members: IntArray) -> dict[str, int]:
        """Samples that have each trait."""
        return {trait.name: len(trait.known(members)) for trait in self.samples.traits}

    def read_store(self, fold: Fold, progress: Progress | None = None) -> StoreRead:
        """See `SourcePlan.read_store`; as `read_stores` of one fold."""
        return next(self.read_stores([fold], progress))

    def read_stores(self, folds: Sequence[Fold], progress: Progress | None = None) -> Iterator[StoreRead]:
        """Decode the genotypes twice as a Ray Dataset, whatever the number of folds; see `SourcePlan.read_stores`.

        Args:
            folds: filters and ranks of each store are learned from its training samples.
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

        return self._read(folds, tables)

    def read_store_here(self, fold: Fold) -> StoreRead:
        """The same store, decoded in this process without Ray.

        Raises:
            DataError: as `read_store`.
        """
        return next(self.read_stores_here([fold]))

    def read_stores_here(self, folds: Sequence[Fold]) -> Iterator[StoreRead]:
        """The same stores, decoded in this process without Ray.

        Raises:
            DataError: as `read_stores`.
        """

        def tables(reader: "BlockReader", variants: IntArray) -> Iterator[Any]:
            return reader.tables(reader.blocks(variants))

        return self._read(folds, tables)

    def _read(self, folds: Sequence[Fold], tables: "Tables") -> Iterator[StoreRead]:
        from genotune.data.plink_reading import read_dosages, read_statistics

        decoder, facts, n_variants = self.genotypes.decoder, self.samples, len(self.variants.ids)
        trains = [fold.train for fold in folds]
        learned = read_statistics(decoder, facts, n_variants=n_variants, trains=trains, tables=tables)
        chosen = [self._choose(one, train) for one, train in zip(learned, trains, strict=True)]
        quality = variant_quality(learned[0], counts=chosen[0].counts, n_samples=len(trains[0]))
        del learned
        dosages = read_dosages(decoder, facts.rows, kept=[one.kept for one in chosen], tables=tables)
        for one in chosen:
            # Nothing here holds a store that has been given: who shares it can let its arrays go.
            yield StoreRead(self._store(dosages.pop(0), one), one.notes, quality if one is chosen[0] else Quality())

    def _choose(self, statistics: Statistics, training: IntArray) -> "_Chosen":
        """What a store keeps.

        Raises:
            DataError: no variant passes the filters.
        """
        found = self._found_elsewhere(statistics)
        selection = select_variants(
            statistics,
            filters=self.settings.filters,
            keep=self.settings.keep_variants,
            n_samples=len(training),
            trait=" or ".join(trait.name for trait in self.samples.traits),
            log10_p=found.log10_p if found is not None and self.settings.keep_by == "summary" else None,
        )
        kept = selection.variants
        return _Chosen(
            kept=kept,
            frequency=statistics.frequency[kept].astype(np.float32),
            summary_log10_p=None if found is None else found.log10_p[kept],
            notes=(*selection.notes, *(() if found is None else found.notes), *self._unseen(training)),
            counts=selection.counts,
        )

    def _unseen(self, training: IntArray) -> Iterator[str]:
        """Of each category of a table what no training sample has."""
        if self.samples.features is None:
            return
        found = unseen_levels(self.samples.features, self.samples.table_columns, training=training)
        for name, levels in found.items():
            yield f"{name}: {name_some(levels)}: in no training sample, so taken as unknown where it stands."

    def _n_columns(self, table: str) -> int:
        return sum(1 for column in self.samples.table_columns if column.name.startswith(f"{table}:"))

    def _found_elsewhere(self, statistics: Statistics) -> VariantStatistics | None:
        """What the other study says of all variants; alleles are told by the frequency in training samples."""
        if self.summary is None:
            return None
        return match_statistics(self.summary, VariantTable(*self.variants, statistics.frequency.astype(np.float32)))

    def _store(self, dosage: DosageArray, chosen: "_Chosen") -> GenotypeStore | TraitsStore:
        facts, all_variants, kept = self.samples, self.variants, chosen.kept
        first, *others = facts.traits
        store = GenotypeStore(
            dosage=dosage,
            phenotype=first.values,
            covariates=facts.covariates,
            samples=facts.ids,
            variants=Variants(
                ids=all_variants.ids[kept],
                contigs=all_variants.contigs[kept],
                starts=all_variants.starts[kept],
                counted=all_variants.counted[kept],
                other=all_variants.other[kept],
                frequency=chosen.frequency,
            ),
            trait=first.name,
            kind=first.kind,
            classes=first.classes,
            covariate_names=facts.covariate_names,
            summary_log10_p=chosen.summary_log10_p,
            features=facts.features,
            table_columns=facts.table_columns,
            fills_covariates=self.settings.covariates_missing == "impute",
        )
        if not others:
            return store
        more = (replace(store, phenotype=one.values, trait=one.name, classes=one.classes) for one in others)
        return TraitsStore.of([store, *more])

    def _unscorable(self, fold: Fold) -> Iterator[Problem]:
        """Splits in which metrics are not defined; see `split_faults`."""
        for split, words in split_faults(self.samples, fold):
            n = len(fold.members[split])
            advice = "Give it more, or try another seed." if n else "Give it more, or loosen data.sample_filters."
            yield Problem((split,) if split != "train" or not n else (), f"{words}. {advice}")

    def _traits_words(self, members: IntArray) -> str:
        """What the trait looks like in a split; of several a line each."""
        traits = self.samples.traits
        if len(traits) == 1:
            return traits[0].words(members)
        return "\n".join(
            f"{trait.name} {trait.words(members)} ({len(trait.known(members)):,} samples)" for trait in traits
        )


def _checksum(ids: TextArray) -> str:
    """Of samples in any order: of their sorted lines 'FID tab IID'."""
    lines = sorted(f"{fid}\t{iid}" for fid, iid in ids.tolist())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def n_without_place(variants: BimTable) -> int:
    """Variants that lie nowhere on the genome, as far as their file says."""
    return int(np.count_nonzero(variants.starts == NO_POSITION))
