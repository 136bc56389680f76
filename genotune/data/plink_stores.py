"""The stores of a fileset, one for each set of training samples: what each keeps is learned from its own set alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genotune.data.further_tables import unseen_levels
from genotune.data.plink_reading import Tables, read_dosages, read_statistics
from genotune.data.quality import Quality
from genotune.data.source import StoreRead
from genotune.data.summary_matching import VariantStatistics, match_statistics
from genotune.data.variant_quality import variant_quality
from genotune.data.variant_selection import select_variants
from genotune.data.variant_statistics import Statistics
from genotune.genome.allele_matching import VariantTable
from genotune.genome.contig_names import name_some
from genotune.genome.splits import Fold
from genotune.store import DosageArray, FloatArray, GenotypeStore, IntArray, TraitsStore, Values, Variants

if TYPE_CHECKING:
    from genotune.data.plink import PlinkPlan


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


def make_stores(plan: "PlinkPlan", folds: Sequence[Fold], tables: Tables) -> Iterator[StoreRead]:
    """The store of each fold, in their order; the quality of the data comes with the first.

    Args:
        plan: of the source.
        folds: filters and ranks of each store are learned from its training samples.
        tables: what decodes; it is asked twice, for statistics and for what they select.

    Raises:
        DataError: the file is damaged, or no variant passes the filters.
    """
    decoder, facts, n_variants = plan.genotypes.decoder, plan.samples, len(plan.variants.ids)
    trains = [fold.train for fold in folds]
    learned = read_statistics(decoder, facts, n_variants=n_variants, trains=trains, tables=tables)
    chosen = [_choose(plan, one, train) for one, train in zip(learned, trains, strict=True)]
    quality = variant_quality(learned[0], counts=chosen[0].counts, n_samples=len(trains[0]))
    del learned
    dosages = read_dosages(decoder, facts.rows, kept=[one.kept for one in chosen], tables=tables)
    for one in chosen:
        # Nothing here holds a store that has been given: who shares it can let its arrays go.
        yield StoreRead(_store(plan, dosages.pop(0), one), one.notes, quality if one is chosen[0] else Quality())


def _choose(plan: "PlinkPlan", statistics: Statistics, training: IntArray) -> _Chosen:
    """What a store keeps.

    Raises:
        DataError: no variant passes the filters.
    """
    found = _found_elsewhere(plan, statistics)
    selection = select_variants(
        statistics,
        filters=plan.settings.filters,
        keep=plan.settings.keep_variants,
        n_samples=len(training),
        trait=" or ".join(trait.name for trait in plan.samples.traits),
        log10_p=found.log10_p if found is not None and plan.settings.keep_by == "summary" else None,
    )
    kept = selection.variants
    return _Chosen(
        kept=kept,
        frequency=statistics.frequency[kept].astype(np.float32),
        summary_log10_p=None if found is None else found.log10_p[kept],
        notes=(*selection.notes, *(() if found is None else found.notes), *_unseen(plan, training)),
        counts=selection.counts,
    )


def _found_elsewhere(plan: "PlinkPlan", statistics: Statistics) -> VariantStatistics | None:
    """What the other study says of all variants; alleles are told by the frequency in training samples."""
    if plan.summary is None:
        return None
    return match_statistics(plan.summary, VariantTable(*plan.variants, statistics.frequency.astype(np.float32)))


def _unseen(plan: "PlinkPlan", training: IntArray) -> Iterator[str]:
    """Of each category of a table what no training sample has."""
    if plan.samples.features is None:
        return
    found = unseen_levels(plan.samples.features, plan.samples.table_columns, training=training)
    for name, levels in found.items():
        yield f"{name}: {name_some(levels)}: in no training sample, so taken as unknown where it stands."


def _store(plan: "PlinkPlan", dosage: DosageArray, chosen: _Chosen) -> GenotypeStore | TraitsStore:
    facts, all_variants, kept = plan.samples, plan.variants, chosen.kept
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
        fills_covariates=plan.settings.covariates_missing == "impute",
    )
    if not others:
        return store
    more = (replace(store, phenotype=one.values, trait=one.name, classes=one.classes) for one in others)
    return TraitsStore.of([store, *more])
