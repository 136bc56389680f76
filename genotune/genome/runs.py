"""Runs of bases that share a value, and their mean in bins."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Missing = Literal["zero", "nan"]


class Runs(NamedTuple):
    """Neighbouring bases with one value, run after run: sorted, none empty, none overlapping.

    Attributes:
        starts: (run,) first base.
        ends: (run,) past the last base.
        values: (run,) never NaN: a base without a value lies in no run.
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    values: NDArray[np.float32]


def bin_mean(runs: Runs, resolution_bp: int, *, n_bases: int, missing: Missing) -> NDArray[np.float64]:
    """Mean value per bin; the last bin is the mean over the bases that it has.

    Args:
        runs: between 0 and n_bases.
        resolution_bp: width of a bin.
        n_bases: that the bins cover.
        missing: 'zero': a base in no run counts as zero; 'nan': it doesn't count, and a bin of nothing else is NaN.

    Returns:
        (bin,).
    """
    if resolution_bp == 1:
        return _value_of_each_base(runs, n_bases, gap=0.0 if missing == "zero" else np.nan)
    n_bins = -(-n_bases // resolution_bp)
    width = min(resolution_bp, n_bases)
    sums = _total(runs, runs.values.astype(np.float64), width, n_bins=n_bins)
    if missing == "zero":
        sums[:-1] /= resolution_bp
        sums[-1:] /= n_bases - (n_bins - 1) * resolution_bp
        return sums
    covered = _total(runs, np.ones(len(runs.values)), width, n_bins=n_bins)
    means = np.full(n_bins, np.nan)
    np.divide(sums, covered, out=means, where=covered > 0)
    return means


def _value_of_each_base(runs: Runs, n_bases: int, *, gap: float) -> NDArray[np.float64]:
    """(base,) the gap before each run, then the run; and the gap after all."""
    values = np.full(2 * len(runs.values) + 1, gap)
    values[1::2] = runs.values
    bounds = np.zeros(2 * len(runs.values) + 2, dtype=np.int64)
    bounds[1:-1:2], bounds[2:-1:2], bounds[-1] = runs.starts, runs.ends, n_bases
    return np.repeat(values, np.diff(bounds))


def _total(runs: Runs, values: NDArray[np.float64], width: int, *, n_bins: int) -> NDArray[np.float64]:
    """(bin,) sum of the values over all bases; none is a difference, which would cost digits beside a great value."""
    first, last = runs.starts // width, (runs.ends - 1) // width
    # What lies in a run's last bin; in its first, if that is another; and in the bins between, which hold nothing else.
    last_begins = last * width
    in_last = runs.ends - np.maximum(runs.starts, last_begins)
    totals = _sum_in_bins(last, values * in_last, n_bins=n_bins)
    n_more = last - first
    if n_more.any():
        in_first = np.maximum(np.minimum((first + 1) * width, last_begins) - runs.starts, 0)
        totals += _sum_in_bins(first, values * in_first, n_bins=n_bins)
    longer = np.flatnonzero(n_more > 1)
    if longer.size:
        n_between = n_more[longer] - 1
        totals[_counted_up(first[longer] + 1, n_between)] = np.repeat(values[longer] * width, n_between)
    return totals


def _sum_in_bins(bins: NDArray[np.int32], values: NDArray[np.float64], *, n_bins: int) -> NDArray[np.float64]:
    # Of no bins at all it makes whole numbers, and any index but intp it takes apart one by one.
    return np.bincount(bins.astype(np.intp), values, minlength=n_bins).astype(np.float64, copy=False)


def _counted_up(starts: NDArray[np.int32], counts: NDArray[np.int32]) -> NDArray[np.int64]:
    """start, start + 1, ... for each start, as many as its count."""
    before = np.cumsum(counts) - counts
    numbers: NDArray[np.int64] = np.arange(int(counts.sum())) + np.repeat(starts - before, counts)
    return numbers
