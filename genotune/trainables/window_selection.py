"""Which windows of the training contigs make the epochs of a fit: selected once, drawn from for each. numpy only."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from genotune.columns import TargetKind
from genotune.errors import Problem
from genotune.store import IntArray, SequenceOutline, SequenceStore
from genotune.trainables.peak_windows import Candidates, unknown_peaks, windows_at_peaks
from genotune.trainables.trainable import FitError, multiple_problems
from genotune.trainables.window_drawing import (
    N_STRATA,
    NO_STRATUM,
    EpochDraw,
    WindowGroup,
    WindowPool,
    draw_epoch,
    epoch_counts,
    n_kept,
)
from genotune.trainables.window_places import Places, places_on, places_with_values
from genotune.trainables.window_statistics import WindowSignal, gc_shares, window_signal
from genotune.trainables.windows import AboveThreshold, AtPeaks, Tiles, WindowSettings

__all__ = ["EpochDraw", "WindowPool", "draw_epoch", "epoch_counts", "n_windows", "select_windows", "window_problems"]

LEAST_WEIGHT: Final = 0.1
"""Of a window in the loss, under `weight: signal`, before weights are scaled to a mean of 1."""


def select_windows(settings: WindowSettings, store: SequenceStore, contigs: IntArray) -> WindowPool:
    """What the epochs of a fit are drawn from; windows without a value in any track aren't among it.

    Args:
        settings: which windows.
        store: the data.
        contigs: (contig,) indices of those to learn from.

    Raises:
        FitError: there is no window, no positive or no negative, where some are asked for.
    """
    places = _places(settings, store, contigs)
    candidates = _candidates(settings, store, contigs, places=places)
    signal = None
    is_kept = np.ones(len(candidates.starts), dtype=np.bool_)
    if _needs_signal(settings):
        signal = window_signal(store, candidates.starts, length_bp=settings.length_bp)
        is_positive, is_kept = _told_apart(settings, candidates, signal, kind=store.kind)
        candidates = candidates._replace(is_positive=is_positive)
    pool = _pool(settings, store, candidates, places=places, signal=signal, is_kept=is_kept)
    _check(pool)
    return pool


def n_windows(settings: WindowSettings, outline: SequenceOutline) -> int:
    """Windows of an epoch, as far as is known before anything is decoded; an upper bound.

    It is what an epoch has, unless windows are left out or repeated by their signal, or at the ends of contigs.
    """
    if isinstance(settings, AtPeaks):
        n_positives = outline.n_peaks.get(settings.peaks, 0) * (3 if settings.flanked else 1)
    else:
        lasts = [bp - settings.length_bp for bp in outline.contig_lengths]
        n_positives = sum(last // settings.stride_bp + 1 for last in lasts if last >= 0)
    if isinstance(settings, AboveThreshold) and settings.quantile is not None:
        n_positives = min(n_positives, int((1 - settings.quantile) * n_positives) + 1)
    if isinstance(settings, Tiles) or settings.negatives is None:
        # Which are positive is known by their signal only.
        return 2 * n_positives if settings.balance == "oversample" else n_positives
    n_negatives = max(1, round(settings.negatives.ratio * n_positives))
    if settings.balance == "none":
        return n_positives + n_negatives
    return 2 * (max if settings.balance == "oversample" else min)(n_positives, n_negatives)


def window_problems(settings: WindowSettings, outline: SequenceOutline) -> list[Problem]:
    """What doesn't fit the training split, with paths from `windows` on; empty when all fits."""
    length_bp, path = settings.length_bp, ("windows", "length_bp")
    found = multiple_problems(path, length_bp, of=outline.resolution_bp, name="data.resolution_bp")
    longest = max(outline.contig_lengths, default=0)
    if length_bp > longest:
        message = f"found {length_bp}; the longest training contig has {longest} bp. Use shorter windows."
        found.append(Problem(path, message))
    if isinstance(settings, AtPeaks):
        return found + _peak_problems(settings, outline)
    stride = settings.stride_bp
    return found + multiple_problems(
        ("windows", "stride_bp"), stride, of=outline.resolution_bp, name="data.resolution_bp"
    )


def _peak_problems(settings: AtPeaks, outline: SequenceOutline) -> list[Problem]:
    """A set of peaks that isn't there, or has none on the training contigs."""
    path, name = ("windows", "peaks"), settings.peaks
    if name not in outline.n_peaks:
        return [Problem(path, unknown_peaks(name, tuple(outline.n_peaks)))]
    if not outline.n_peaks[name]:
        return [Problem(path, f"found {name!r}; none of its peaks lies on a training contig. Split otherwise.")]
    return []


def _places(settings: WindowSettings, store: SequenceStore, contigs: IntArray) -> Places:
    """Where windows may begin: within a training contig, with a value."""
    length_bp = settings.length_bp
    places = places_on(store, contigs, length_bp=length_bp)
    if not len(places.lows):
        longest = max((int(store.lengths[contig]) for contig in contigs), default=0)
        raise FitError(
            f"found windows of {length_bp} bp; the longest training contig has {longest} bp. Set a smaller "
            "windows.length_bp, or train on other contigs."
        )
    places = places_with_values(places, store, contigs, length_bp=length_bp)
    if not len(places.lows):
        raise FitError(
            f"no window of {length_bp} bp on the training contigs holds a value of any track. Train on other contigs, "
            "or exclude less."
        )
    return places


def _candidates(settings: WindowSettings, store: SequenceStore, contigs: IntArray, *, places: Places) -> Candidates:
    """The windows, all of them positive until their signal says otherwise; those off the peaks aren't."""
    if isinstance(settings, AtPeaks):
        return windows_at_peaks(settings, store, contigs, places=places)
    starts = np.sort(store.tile_starts(contigs, length_bp=settings.length_bp, stride_bp=settings.stride_bp))
    starts = starts[places.hold(starts)]
    if not len(starts):
        raise FitError(
            f"no tile of {settings.length_bp} bp on the training contigs holds a value of any track. Set a smaller "
            "windows.stride_bp, or exclude less."
        )
    return Candidates(starts, np.ones(len(starts), dtype=np.bool_), places)


def _has_negatives(settings: WindowSettings) -> bool:
    """Whether `select` tells negatives from positives."""
    return not isinstance(settings, Tiles) and settings.negatives is not None


def _tells_apart(settings: WindowSettings) -> bool:
    """Whether positives and negatives are asked for."""
    return _has_negatives(settings) or settings.balance != "none" or settings.weight == "class"


def _needs_signal(settings: WindowSettings) -> bool:
    """Whether the signal of each window has to be known."""
    by_median = _tells_apart(settings) and not _has_negatives(settings)
    by_signal = settings.zero_signal != "keep" or settings.weight == "signal"
    return isinstance(settings, AboveThreshold) or by_median or by_signal


def _above(settings: AboveThreshold, highest: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(window,) which are above the threshold."""
    threshold = np.float32(settings.at) if settings.quantile is None else np.quantile(highest, settings.quantile)
    above: NDArray[np.bool_] = highest > threshold
    if above.any():
        return above
    if settings.quantile is None:
        raise FitError(
            f"windows.at: found {settings.at:g}; no training window has a mean signal above it, the highest has "
            f"{highest.max():.4g}. Lower it, or give a windows.quantile instead."
        )
    raise FitError(
        f"windows.quantile: found {settings.quantile:g}; no training window has a mean signal above that quantile, "
        f"{threshold:.4g}. Lower it, or use windows.select: tiles."
    )


def _told_apart(
    settings: WindowSettings, candidates: Candidates, signal: WindowSignal, *, kind: TargetKind
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(window,) which are positive, and which may be drawn at all."""
    is_positive, is_kept = candidates.is_positive, np.ones(len(candidates.starts), dtype=np.bool_)
    if isinstance(settings, AboveThreshold):
        is_positive = _above(settings, signal.highest)
        if not _has_negatives(settings):
            is_kept = is_positive
    if settings.zero_signal == "drop":
        is_kept = is_kept & ~signal.is_zero
    if not _tells_apart(settings):
        return np.ones_like(is_kept), is_kept
    if _has_negatives(settings):
        return is_positive, is_kept
    if kind != "signal":
        return signal.is_labelled, is_kept
    return signal.level > np.median(signal.level[is_kept]) if is_kept.any() else is_positive, is_kept


def _pool(
    settings: WindowSettings,
    store: SequenceStore,
    candidates: Candidates,
    *,
    places: Places,
    signal: WindowSignal | None,
    is_kept: NDArray[np.bool_],
) -> WindowPool:
    """The candidates that are kept, by group, with what a draw needs to know of them."""
    chosen = np.flatnonzero(is_kept)
    starts, is_positive = candidates.starts[chosen], candidates.is_positive[chosen]
    strata = np.empty(0, dtype=np.uint8)
    if not isinstance(settings, Tiles) and settings.negatives is not None and settings.negatives.match == "gc":
        strata = _strata(gc_shares(store, starts, length_bp=settings.length_bp), is_positive)
    groups = []
    for members, within in ((is_positive, places), (~is_positive, candidates.negative_places)):
        if len(strata):
            # Nothing can be said of windows of unknown bases; as negatives they would match no positive.
            members = members & (is_positive | (strata != NO_STRATUM))  # noqa: PLW2901
        weights, zeros = np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64)
        if signal is not None and settings.weight == "signal":
            weights = np.sqrt(np.maximum(signal.level[chosen[members]], LEAST_WEIGHT**2))
        if signal is not None and isinstance(settings.zero_signal, float):
            zeros = np.flatnonzero(signal.is_zero[chosen[members]])
        groups.append(WindowGroup(starts[members], zeros, weights, strata[members] if len(strata) else strata, within))
    return WindowPool(settings, *groups)


def _strata(shares: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(window,) which twentieth of the positives has as much G and C."""
    is_known = ~np.isnan(shares)
    positives = shares[is_known & is_positive]
    inner = np.quantile(positives, np.arange(1, N_STRATA) / N_STRATA) if len(positives) else np.empty(0)
    strata = np.searchsorted(inner, shares, side="right").astype(np.uint8)
    return np.where(is_known, strata, np.uint8(NO_STRATUM))


def _check(pool: WindowPool) -> None:
    """Raise if an epoch would be empty, or lack a side that is asked for."""
    settings = pool.settings
    positives, negatives = n_kept(pool.positives, settings), n_kept(pool.negatives, settings)
    zeros = "" if settings.zero_signal == "keep" else " with some signal, as windows.zero_signal asks for"
    if not positives + negatives:
        raise FitError(
            f"no training window of {settings.length_bp} bp is left{zeros}. Set windows.zero_signal: keep, or look "
            "whether the tracks hold anything on the training contigs."
        )
    if not _tells_apart(settings) or (positives and negatives):
        return
    if _has_negatives(settings):
        side, fix = (
            ("negative", "windows.negatives: null, or a smaller windows.length_bp")
            if positives
            else ("positive", "windows.zero_signal: keep")
        )
        raise FitError(f"no {side} window is left on the training contigs{zeros}. Set {fix}.")
    raise FitError(
        f"{'all' if positives else 'none'} of the {positives + negatives} training windows have more signal than the "
        "median one, or a labelled bin, so that the two can't be told apart. Set windows.balance: none, "
        "and another windows.weight than class."
    )
