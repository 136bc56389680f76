"""Where windows may begin: stretches of first bases, in the coordinates of a store's sequence. numpy only."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.store import IntArray, SequenceStore

_CHUNK_VALUES: Final = 1 << 20
_BEFORE_ALL: Final = np.iinfo(np.int64).min
_AFTER_ALL: Final = np.iinfo(np.int64).max


class Places(NamedTuple):
    """Stretches of allowed first bases, in order, none touching another.

    Attributes:
        lows: (stretch,) first of them.
        highs: (stretch,) last of them, included.
    """

    lows: IntArray
    highs: IntArray

    def stretch_of(self, starts: IntArray) -> IntArray:
        """(example,) of the last stretch that begins no later than each start; -1: all begin later."""
        found: IntArray = np.searchsorted(self.lows, starts, side="right") - 1
        return found

    def hold(self, starts: IntArray) -> NDArray[np.bool_]:
        """(example,) whether a window may begin there."""
        at = self.stretch_of(starts)
        if not len(self.lows):
            return np.zeros(len(starts), dtype=np.bool_)
        return (at >= 0) & (starts <= self.highs[at])


def places_on(store: SequenceStore, contigs: IntArray, *, length_bp: int) -> Places:
    """Where a window lies wholly within one of the contigs, without their padding."""
    chosen = np.sort(np.asarray(contigs, dtype=np.int64))
    lows = store.offsets[chosen] * store.resolution_bp
    highs = lows + store.lengths[chosen] - length_bp
    fits = highs >= lows
    return Places(lows[fits], highs[fits])


def places_with_values(places: Places, store: SequenceStore, contigs: IntArray, *, length_bp: int) -> Places:
    """Those of the places whose window holds a bin with a value in at least one track."""
    resolution_bp, n_bins = store.resolution_bp, length_bp // store.resolution_bp
    firsts, ends = [], []
    for contig in contigs:
        first, end = _empty_runs(store, int(contig))
        firsts.append(first[end - first >= n_bins])
        ends.append(end[end - first >= n_bins])
    first_bins, last_bins = np.concatenate(firsts), np.concatenate(ends) - n_bins
    # A window is given the bins that begin nearest to it; see `SequenceStore.gather`.
    lows = first_bins * resolution_bp - resolution_bp // 2
    return without(places, lows, (last_bins + 1) * resolution_bp - resolution_bp // 2 - 1)


def without(places: Places, lows: IntArray, highs: IntArray) -> Places:
    """The places that lie in none of the stretches.

    Args:
        places: to begin with.
        lows: (stretch,) first bases to leave out; the stretches may overlap, in any order.
        highs: (stretch,) last bases to leave out, included.
    """
    if not len(lows) or not len(places.lows):
        return places
    order = np.argsort(lows, kind="stable")
    lows, reach = lows[order], np.maximum.accumulate(highs[order])
    is_new = np.concatenate([[True], lows[1:] > reach[:-1] + 1])
    is_last = np.concatenate([is_new[1:], [True]])
    between = Places(
        np.concatenate([[_BEFORE_ALL], reach[is_last] + 1]), np.concatenate([lows[is_new] - 1, [_AFTER_ALL]])
    )
    # What two sets of stretches share begins where a stretch of either does.
    begins = np.union1d(places.lows, between.lows)
    begins = begins[places.hold(begins) & between.hold(begins)]
    ends = np.minimum(places.highs[places.stretch_of(begins)], between.highs[between.stretch_of(begins)])
    return Places(begins, ends)


def _empty_runs(store: SequenceStore, contig: int) -> tuple[IntArray, IntArray]:
    """First bins of the runs of bins without a value in any track, and the bins after their last. Read in chunks."""
    signal = store.contig_signal(contig)
    step = max(1, _CHUNK_VALUES // max(1, len(store.tracks)))
    edges, was_empty = [], False
    for first in range(0, signal.shape[1], step):
        empty: NDArray[np.bool_] = np.all(np.isnan(signal[:, first : first + step]), axis=0, keepdims=True)[0]
        edges.append(first + np.flatnonzero(np.diff(empty, prepend=was_empty)))
        was_empty = bool(empty[-1])
    if was_empty:
        edges.append(np.array([signal.shape[1]]))
    together = np.concatenate([*edges, np.empty(0, dtype=np.int64)]) + store.offsets[contig]
    return together[0::2], together[1::2]
