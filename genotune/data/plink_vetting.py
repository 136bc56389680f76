"""Which samples of a fileset are left out before anything is learned from it, and what is told of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from genotune.data.quality import Quality, even_edges, histogram
from genotune.data.relatedness import blocks_of, check_parted, kin_notes, repeated_samples
from genotune.data.sample_quality import SampleCounts, count_samples, judge_samples
from genotune.data.source import Vetted
from genotune.genome.fold import Fold
from genotune.store import IntArray

if TYPE_CHECKING:
    from genotune.data.plink import PlinkPlan

_MOST_AUTOSOMAL: Final = 10_000
"""The call rate of a sample has a standard error of 0.002 at 0.95 then; all variants would take a pass of the file."""
_MOST_X: Final = 2_000
_MISSING_EDGES: Final = even_edges(0, 0.1, 40)
_F_EDGES: Final = even_edges(-0.5, 0.5, 40)
_X_EDGES: Final = even_edges(-1, 1, 40)


def vet_samples(plan: "PlinkPlan", fold: Fold, folds: Sequence[Fold]) -> Vetted:
    """The samples that filters leave out, those of which there are two, and what is told of kin in two splits.

    Call rate and heterozygosity are those of autosomal variants that are chosen by place alone, so that no other
    sample has a say in which; they and the variants that tell kin are decoded here, once, whatever the file's size.

    Args:
        plan: of the source.
        fold: of the sweep.
        folds: of its evaluation.

    Raises:
        DataError: duplicates lie in two splits, or the file is damaged.
    """
    samples, settings = plan.samples, plan.settings
    n = len(samples.rows)
    autosomes = _counted(plan, plan.spread("autosome")[:_MOST_AUTOSOMAL], fold.train)
    x = _counted(plan, _x_variants(plan), fold.train)
    verdict = judge_samples(autosomes, x, sexes=samples.sexes, filters=settings.sample_filters, train=fold.train)
    left_out, counts, notes = verdict.left_out, dict(verdict.counts), list(verdict.notes)
    pairs = plan.duplicates
    pairs = pairs.where(~np.isin(pairs.first, left_out) & ~np.isin(pairs.second, left_out))
    if settings.drop_duplicates and pairs.told >= 0:
        repeated = repeated_samples(pairs, autosomes.call_rate)
        counts["that are another one again (drop_duplicates)"] = len(repeated)
        left_out = np.union1d(left_out, repeated)
    kept = [one.without(left_out) for one in (fold, *folds)]
    check_parted(pairs, kept, ids=samples.ids)
    notes += kin_notes(pairs, kept[0])
    if len(left_out):
        reasons = "; ".join(f"{n_left_out:,} {reason}" for reason, n_left_out in counts.items() if n_left_out)
        notes.insert(0, f"{len(left_out):,} of {n:,} samples are left out: {reasons}.")
    told = {"in all": n, **counts, "left": n - len(left_out)}
    told |= {f"left in {name}": len(members) for name, members in kept[0].members.items()}
    return Vetted(left_out, tuple(notes), _quality(autosomes, x, told))


def _x_variants(plan: "PlinkPlan") -> IntArray:
    is_asked = plan.settings.sample_filters.sex_check != "off"
    return plan.spread("x")[:_MOST_X] if is_asked else np.empty(0, dtype=np.int64)


def _counted(plan: "PlinkPlan", variants: IntArray, train: IntArray) -> SampleCounts:
    n = len(plan.samples.rows)
    return count_samples(plan.decode(blocks_of(variants, n_samples=n)), n_samples=n, train=train)


def _quality(autosomes: SampleCounts, x: SampleCounts, counts: dict[str, int]) -> Quality:
    histograms = {}
    if autosomes.n_variants:
        histograms["missing rate of samples"] = histogram(1 - autosomes.call_rate, _MISSING_EDGES)
        histograms["inbreeding of samples (F)"] = histogram(autosomes.inbreeding, _F_EDGES)
    if x.n_varying:
        histograms["inbreeding of samples on X (F)"] = histogram(x.inbreeding, _X_EDGES)
    return Quality({"samples": counts}, histograms)
