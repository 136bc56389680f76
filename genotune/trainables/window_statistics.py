"""What is known of each window before an epoch is drawn: its signal, and its share of G and C. numpy only.

Windows are looked at by running sums over stretches of the store, so that no array of a genome's size is made.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.store import LABEL_SHARE, N_CODE, FloatArray, IntArray, SequenceStore

_CHUNK_VALUES: Final = 1 << 20
_C, _G = 1, 2


class WindowSignal(NamedTuple):
    """Of windows, what their bins hold; bins without a value are left out.

    Attributes:
        highest: (window,) mean signal per base, that of the track where it is highest.
        level: (window,) mean signal over that of all windows (without its sign), and of that the mean over the tracks.
        is_zero: (window,) whether every value is zero.
        is_labelled: (window,) whether a bin of a track has a share in peaks of at least `LABEL_SHARE`.
    """

    highest: FloatArray
    level: FloatArray
    is_zero: NDArray[np.bool_]
    is_labelled: NDArray[np.bool_]


class _Part(NamedTuple):
    """Some windows: which, their means (track, window), NaN without a value, and the other statistics."""

    windows: slice
    means: NDArray[np.float64]
    is_zero: NDArray[np.bool_]
    is_labelled: NDArray[np.bool_]


def window_signal(store: SequenceStore, starts: IntArray, *, length_bp: int) -> WindowSignal:
    """The signal of windows, each of which holds a value.

    Args:
        store: the data.
        starts: (window,) first bases, in order.
        length_bp: a whole number of bins.
    """
    found = WindowSignal(
        np.empty(len(starts), dtype=np.float32),
        np.empty(len(starts), dtype=np.float32),
        np.empty(len(starts), dtype=np.bool_),
        np.empty(len(starts), dtype=np.bool_),
    )
    total, count = np.zeros(len(store.tracks)), np.zeros(len(store.tracks))
    for part in _parts(store, starts, length_bp=length_bp):
        found.highest[part.windows] = np.nanmax(part.means, axis=0)
        found.is_zero[part.windows] = part.is_zero
        found.is_labelled[part.windows] = part.is_labelled
        total += np.nansum(np.abs(part.means), axis=1)
        count += np.isfinite(part.means).sum(axis=1)
    usual = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    for part in _parts(store, starts, length_bp=length_bp):
        relative = np.divide(part.means, usual[:, None], out=np.zeros_like(part.means), where=usual[:, None] > 0)
        relative[np.isnan(part.means)] = np.nan
        found.level[part.windows] = np.nanmean(relative, axis=0)
    return found


def gc_shares(store: SequenceStore, starts: IntArray, *, length_bp: int) -> FloatArray:
    """(window,) share of G and C among the known bases; NaN without one.

    Args:
        store: the data.
        starts: (window,) first bases, in order.
        length_bp: of a window.
    """
    shares = np.empty(len(starts), dtype=np.float32)
    for windows in _stretches(starts, span=_CHUNK_VALUES):
        first, at = starts[windows][0], starts[windows] - starts[windows][0]
        codes = store.sequence[first : first + at[-1] + length_bp]
        n_gc = _sums((codes == _C) | (codes == _G), at, length=length_bp, dtype=np.int32)
        n_known = _sums(codes != N_CODE, at, length=length_bp, dtype=np.int32)
        nowhere = np.full(len(at), np.nan)
        shares[windows] = np.divide(n_gc, n_known, out=nowhere, where=n_known > 0)
    return shares


def _parts(store: SequenceStore, starts: IntArray, *, length_bp: int) -> Iterator[_Part]:
    """The windows, in parts that lie near each other."""
    n_bins = length_bp // store.resolution_bp
    bins = (starts + store.resolution_bp // 2) // store.resolution_bp
    for windows in _stretches(bins, span=max(1, _CHUNK_VALUES // max(1, len(store.tracks)))):
        first, at = bins[windows][0], bins[windows] - bins[windows][0]
        signal = store.signal[:, first : first + at[-1] + n_bins]
        is_known = ~np.isnan(signal)
        values = np.where(is_known, signal, np.float32(0))
        totals = _sums(values, at, length=n_bins, dtype=np.float64)
        n_known = _sums(is_known, at, length=n_bins, dtype=np.int32)
        means = np.divide(totals, n_known, out=np.full(totals.shape, np.nan), where=n_known > 0)
        n_signal = _sums(values != 0, at, length=n_bins, dtype=np.int32)
        n_labelled = _sums(values >= LABEL_SHARE, at, length=n_bins, dtype=np.int32)
        yield _Part(windows, means, np.max(n_signal, axis=0) == 0, np.max(n_labelled, axis=0) > 0)


def _stretches(firsts: IntArray, *, span: int) -> Iterator[slice]:
    """Slices of windows, in order, whose firsts lie within `span` of each other."""
    begin = 0
    while begin < len(firsts):
        end = int(np.searchsorted(firsts, firsts[begin] + span))
        yield slice(begin, end)
        begin = end


def _sums(values: NDArray[Any], at: IntArray, *, length: int, dtype: type) -> NDArray[Any]:
    """(..., window) sums of `length` values in a row, from each of `at` on; `values` is (..., place)."""
    running = np.zeros((*values.shape[:-1], values.shape[-1] + 1), dtype=dtype)
    np.cumsum(values, axis=-1, out=running[..., 1:])
    sums: NDArray[Any] = running[..., at + length] - running[..., at]
    return sums
