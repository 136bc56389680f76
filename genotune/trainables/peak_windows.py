"""Windows around peaks, and windows off them. numpy only."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.store import IntArray, SequenceStore
from genotune.trainables.trainable import FitError
from genotune.trainables.window_places import Places, without
from genotune.trainables.windows import AtPeaks


class Candidates(NamedTuple):
    """Windows of which epochs may be made.

    Attributes:
        starts: (window,) first bases in the store's sequence, in order.
        is_positive: (window,).
        negative_places: where a jittered negative may begin.
    """

    starts: IntArray
    is_positive: NDArray[np.bool_]
    negative_places: Places


def windows_at_peaks(settings: AtPeaks, store: SequenceStore, contigs: IntArray, *, places: Places) -> Candidates:
    """Windows around peaks, and windows that touch none of them, end to end between them.

    A window that would reach beyond its contig is moved inwards; a flank that would is left out. Peaks with the same
    window have it once. A window off the peaks touches no peak's window either.

    Args:
        settings: which windows.
        store: the data.
        contigs: (contig,) indices of those to learn from.
        places: where windows may begin.

    Raises:
        FitError: there is no such set of peaks, or none of its windows lies on the contigs.
    """
    length_bp = settings.length_bp
    if settings.peaks not in store.peaks:
        raise FitError(f"windows.peaks: {unknown_peaks(settings.peaks, tuple(store.peaks))}")
    peaks = store.peaks[settings.peaks]
    on_contigs = np.isin(peaks.contigs, contigs)
    if not on_contigs.any():
        raise FitError(
            f"windows.peaks: found {settings.peaks!r}; none of its peaks lies on a training contig. Split otherwise."
        )
    at, begins, ends, summits = (values[on_contigs] for values in peaks)
    firsts = store.offsets[at] * store.resolution_bp
    lasts = firsts + store.lengths[at] - length_bp
    centres = summits if settings.centre == "summit" else (begins + ends) // 2
    middles = np.clip(firsts + centres - length_bp // 2, firsts, lasts)
    shifts = np.array([-length_bp, 0, length_bp] if settings.flanked else [0])
    around = middles[:, None] + shifts
    around = around[(around >= firsts[:, None]) & (around <= lasts[:, None])]
    positives = np.unique(around[places.hold(around)])
    if not len(positives):
        raise FitError(
            f"no window of {length_bp} bp around a peak of {settings.peaks!r} lies within a training contig and holds "
            "a value. Set a smaller windows.length_bp."
        )
    if settings.negatives is None:
        return Candidates(positives, np.ones(len(positives), dtype=np.bool_), places)
    off_peaks = without(
        places,
        np.concatenate([firsts + begins, positives]) - length_bp + 1,
        np.concatenate([firsts + ends, positives + length_bp]) - 1,
    )
    negatives = _end_to_end(off_peaks, length_bp)
    starts = np.concatenate([positives, negatives])
    order = np.argsort(starts, kind="stable")
    return Candidates(starts[order], (np.arange(len(starts)) < len(positives))[order], off_peaks)


def _end_to_end(places: Places, length_bp: int) -> IntArray:
    """First bases of windows laid end to end from the start of each stretch."""
    counts = (places.highs - places.lows) // length_bp + 1
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts: IntArray = np.repeat(places.lows, counts) + within * length_bp
    return starts


def unknown_peaks(name: str, known: tuple[str, ...]) -> str:
    """What to say of a set of peaks that isn't there."""
    sets = f"data.peaks has {', '.join(map(repr, known))}" if known else "data.peaks names no set"
    return f"found {name!r}; {sets}. Name a set of peaks there, or use windows.select: tiles."
