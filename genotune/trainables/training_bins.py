"""The bins of a store that a family learns from one by one, and the bases around them. numpy only."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from genotune.store import N_CODE, CodeArray, FloatArray, IntArray, SequenceStore
from genotune.trainables.bins import bin_means, bins_apart
from genotune.trainables.trainable import FitError

_PART_VALUES: Final = 1 << 21


class TrainingBins(NamedTuple):
    """The bins that are learned from, contig by contig.

    Attributes:
        contigs: (bin,) index of the bin's contig in the store, rising or falling together.
        starts: (bin,) first base in the store's sequence.
        means: (bin, track) float32, mean signal per base or share in peaks; no missing values.
    """

    contigs: IntArray
    starts: IntArray
    means: FloatArray

    def parts(self, most: int) -> Iterator[slice]:
        """Runs of at most so many bins, none of them of two contigs."""
        edges = np.flatnonzero(np.diff(self.contigs)) + 1
        for first, last in zip([0, *edges], [*edges, len(self.starts)], strict=True):
            for begin in range(first, last, most):
                yield slice(begin, min(begin + most, last))


def training_bins(store: SequenceStore, contigs: IntArray, *, bin_bp: int, max_bins: int) -> TrainingBins:
    """Evenly spaced bins of the contigs that hold a value in every track.

    A bin without a value in one track is left out for all of them: what learns several tracks at once has a target for
    each of them in each of its examples.

    Args:
        store: the data.
        contigs: (c,) indices.
        bin_bp: width of a bin, a whole multiple of the store's.
        max_bins: of more bins, evenly spaced ones are taken.

    Raises:
        FitError: there are none.
    """
    factor = bin_bp // store.resolution_bp
    n_bins = np.array([store.n_bins(int(contig)) // factor for contig in contigs], dtype=np.int64)
    apart = bins_apart(int(n_bins.sum()), max_bins=max_bins)
    found = []
    for contig, n, before in zip(contigs, n_bins, np.cumsum(n_bins) - n_bins, strict=True):
        bins = np.arange(-before % apart, n, apart)
        means = _means(store.contig_signal(int(contig)), bins, factor=factor)
        known = ~np.isnan(means).any(axis=1)
        starts = store.offsets[contig] * store.resolution_bp + bins[known] * bin_bp
        found.append(TrainingBins(np.full_like(starts, contig), starts, means[known]))
    together = TrainingBins(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))
    if not len(together.starts):
        raise FitError(
            f"the training contigs hold no bin of {bin_bp} bp with a value in every track; there is nothing to learn "
            "from. Leave out the tracks without values, exclude less, or split otherwise."
        )
    return together


def _means(signal: FloatArray, bins: IntArray, *, factor: int) -> FloatArray:
    """(bin, track) mean signal of these bins, each `factor` bins of the store's; NaN where one of them is."""
    n_tracks = len(signal)
    means = np.empty((len(bins), n_tracks), dtype=np.float32)
    step = max(1, _PART_VALUES // (factor * n_tracks))
    for first in range(0, len(bins), step):
        of_store = (bins[first : first + step, None] * factor + np.arange(factor)).ravel()
        means[first : first + step] = bin_means(signal[:, of_store], factor).T
    return means


class Surroundings(NamedTuple):
    """Bases of bins and of their flanks: codes (base,), and where among them each bin begins (bin,)."""

    codes: CodeArray
    starts: IntArray


def surroundings(store: SequenceStore, bins: TrainingBins, part: slice, *, bin_bp: int, flank_bp: int) -> Surroundings:
    """Bases of some bins of one contig with their flanks; beyond the ends of the contig lies N.

    Where bins are far apart only what lies around each is taken, else all from the first to the last.

    Args:
        store: the data.
        bins: the bins.
        part: those of one contig, one at least, in order.
        bin_bp: width of a bin.
        flank_bp: bases at each side of a bin.
    """
    contig, starts, width_bp = int(bins.contigs[part][0]), bins.starts[part], bin_bp + 2 * flank_bp
    first, end = store.offsets[contig : contig + 2] * store.resolution_bp
    left, right = int(starts[0]) - flank_bp, int(starts[-1]) + bin_bp + flank_bp
    codes = store.sequence[max(left, first) : min(right, end)]
    if left < first or right > end:
        codes = np.pad(codes, (max(0, first - left), max(0, right - end)), constant_values=N_CODE)
    if len(codes) <= width_bp * len(starts):
        return Surroundings(codes, starts - left)
    around = sliding_window_view(codes, width_bp)[starts - flank_bp - left]
    return Surroundings(around.ravel(), flank_bp + width_bp * np.arange(len(starts)))
