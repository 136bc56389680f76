"""Which variants a store keeps, and in which order: filters, then the most associated ones first, here or elsewhere."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from genotune.data.variant_statistics import Statistics
from genotune.errors import DataError
from genotune.genome.hardy_weinberg import hardy_weinberg_p
from genotune.settings import Settings
from genotune.store import IntArray, Values

Share = Annotated[float, Field(ge=0, le=1)]


class FilterSettings(Settings):
    """What a variant must have, on training samples alone.

    Attributes:
        min_maf: frequency of the rarer allele.
        min_call_rate: share of samples whose genotype is known.
        min_hwe_p: p-value of the exact test of Hardy-Weinberg proportions; 0: not tested.
    """

    min_maf: Annotated[float, Field(ge=0, le=0.5)] = 0.01
    min_call_rate: Share = 0.95
    min_hwe_p: Share = 0


class Selection(NamedTuple):
    """Variants that are kept.

    Attributes:
        variants: (variant,) indices in the fileset, the highest-ranked first; of equal ones the earlier first.
        notes: how many each filter took, for a person.
        counts: the same as numbers.
    """

    variants: IntArray
    notes: tuple[str, ...]
    counts: Mapping[str, int]


def select_variants(
    statistics: Statistics,
    *,
    filters: FilterSettings,
    keep: int | None,
    n_samples: int,
    trait: str,
    log10_p: Values | None = None,
) -> Selection:
    """Filter and rank the variants of a fileset.

    A variant that does not vary among the training samples is left out whatever the filters say.

    Args:
        statistics: of all variants, on training samples.
        filters: of the spec.
        keep: how many at most; None: all that pass.
        n_samples: training samples.
        trait: its name, for the notes.
        log10_p: (variant,) of another study, to rank by; a variant without (NaN) is left out. None: variants are ranked
            by their association with the trait.

    Raises:
        DataError: none is left.
    """
    # From the rarer allele's own count: 1 - 0.9 is less than 0.1 in floating point, and 0.55 * 100 more than 55.
    copies, n_known = statistics.copies, statistics.n_known
    maf = np.minimum(copies, 2 * n_known - copies) / np.maximum(2 * n_known, 1)
    varies = ~np.isnan(statistics.association) & (maf > 0)
    tests = {
        "without variation": ~varies,
        f"with a call rate below {filters.min_call_rate:g}": n_known / n_samples < filters.min_call_rate,
        f"with a minor allele frequency below {filters.min_maf:g}": maf < filters.min_maf,
    }
    if filters.min_hwe_p > 0:
        tests[f"with a Hardy-Weinberg p-value below {filters.min_hwe_p:g}"] = (
            hardy_weinberg_p(statistics.n_two, statistics.n_one, n_none=statistics.n_none) < filters.min_hwe_p
        )
    if log10_p is not None:
        tests["that the summary statistics lack"] = np.isnan(log10_p)
    passing, counts = np.ones(len(maf), dtype=np.bool_), {}
    for reason, fails in tests.items():
        counts[reason] = int(np.count_nonzero(passing & fails))
        passing &= ~fails
    reasons = [f"{n_new:,} {reason}" for reason, n_new in counts.items() if n_new]
    left = np.flatnonzero(passing)
    out = f" ({'; '.join(reasons)})" if reasons else ""
    if not len(left):
        advice = (
            "Loosen data.filters." if log10_p is None else "Loosen data.filters, or write data.keep_by: association."
        )
        message = f"none of the {len(maf):,} variants passes the filters in {n_samples:,} training samples{out}."
        raise DataError(f"{message} {advice}")
    ranking = -statistics.association if log10_p is None else log10_p
    ranked = left[np.argsort(ranking[left], kind="stable")][:keep]
    where = f"with {trait}" if log10_p is None else "in the summary statistics"
    if len(ranked) < len(left):
        kept = f"the {len(ranked):,} most associated {where} are kept"
    else:
        kept = f"all of them are kept, the most associated{'' if log10_p is None else f' {where}'} first"
    note = f"{len(left):,} of {len(maf):,} variants pass the filters in {n_samples:,} training samples{out}; {kept}."
    counts = {"in all": len(maf), **counts, "left": len(left), "kept": len(ranked)}
    return Selection(ranked.astype(np.int64), (note,), counts)
