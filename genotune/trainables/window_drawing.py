"""The windows of an epoch, drawn: which, in what order, on which strand, with what weight. numpy only.

What is drawn is a pure function of the seed and the epoch, so a fit that goes on after an interruption sees what it
would have seen; all workers of a fit make the same draw and take their shares of it. How many windows an epoch has is
the same in all epochs.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from genotune.store import FloatArray, IntArray
from genotune.trainables.trainable import FitError
from genotune.trainables.window_places import Places
from genotune.trainables.windows import Tiles, WindowSettings

T = TypeVar("T", bound=np.generic)

N_STRATA: Final = 20
"""Strata of equally many positives in which negatives are matched for G and C."""

NO_STRATUM: Final = 255
"""Of a window whose bases are all unknown."""


class WindowGroup(NamedTuple):
    """Windows that are drawn from together.

    Attributes:
        starts: (window,) first bases in the store's sequence, in order.
        zeros: (zero,) indices of those without any signal, if only some of them make an epoch.
        weights: (window,) float32, of their signal; empty if it gives no weight.
        strata: (window,) uint8, of their share of G and C; empty if it isn't matched.
        places: where a jittered window may begin.
    """

    starts: IntArray
    zeros: IntArray
    weights: FloatArray
    strata: NDArray[np.uint8]
    places: Places


class WindowPool(NamedTuple):
    """What is selected once per fit.

    Attributes:
        settings: how epochs are drawn from it.
        positives: windows with a peak, above the threshold or the median; all windows, where none are told apart.
        negatives: the others; may be none.
    """

    settings: WindowSettings
    positives: WindowGroup
    negatives: WindowGroup


class EpochDraw(NamedTuple):
    """The windows of an epoch, in order; all arrays (example,).

    Attributes:
        starts: first bases in the store's sequence.
        reversed: which are turned round.
        weights: float32, in the loss; their mean over the epoch (of all workers) is 1.
    """

    starts: IntArray
    reversed: NDArray[np.bool_]
    weights: FloatArray


def epoch_counts(pool: WindowPool) -> tuple[int, int]:
    """Positive and negative windows of every epoch, before any is left out for the workers' sake."""
    settings = pool.settings
    n_positives, n_negatives = n_kept(pool.positives, settings), n_kept(pool.negatives, settings)
    if not isinstance(settings, Tiles) and settings.negatives is not None:
        n_negatives = max(1, round(settings.negatives.ratio * n_positives))
    if not n_negatives or settings.balance == "none":
        return n_positives, n_negatives
    both = max(n_positives, n_negatives) if settings.balance == "oversample" else min(n_positives, n_negatives)
    return both, both


def draw_epoch(
    pool: WindowPool,
    *,
    jitter_bp: int,
    both_strands: bool,
    seed: int,
    epoch: int,
    batch_size: int | None = None,
    rank: int = 0,
    n_workers: int = 1,
) -> EpochDraw:
    """Windows in random order, each moved by at most `jitter_bp`, and on a random strand; a worker's share of them.

    Global batch b is windows [b * batch_size, (b + 1) * batch_size) of the epoch; a worker's share of it is a run of
    windows as `np.array_split` deals them out, at index `rank`. So all workers have equally many batches, batch k of a
    worker is its windows [k * s, (k + 1) * s) with s the size of its share, and their shares together are what a single
    worker draws. A last batch with fewer windows than workers is left out.

    Args:
        pool: from `select_windows`.
        jitter_bp: in whole bases; a window stays within its contig, and a negative stays off the peaks.
        both_strands: whether half of the windows, at random, are turned round.
        seed: of the fit.
        epoch: from 1.
        batch_size: of all workers together, at least one window each; None: the whole epoch.
        rank: which worker.
        n_workers: how many there are.

    Raises:
        FitError: the epoch has fewer windows than there are workers.
    """
    rng = np.random.default_rng([seed, epoch])
    starts, weights, stretches, places = _chosen(pool, rng)
    order = rng.permutation(len(starts))
    if jitter_bp:
        # In place: of a large genome there are millions of windows.
        starts += rng.integers(-jitter_bp, jitter_bp, size=len(starts), endpoint=True)
        np.maximum(starts, places.lows[stretches], out=starts)
        np.minimum(starts, places.highs[stretches], out=starts)
    del stretches
    turned = rng.random(len(starts)) < 0.5 if both_strands else np.zeros(len(starts), dtype=np.bool_)
    if n_workers > 1:
        order = order[_share(len(order), batch_size or len(order), rank=rank, n_workers=n_workers)]
    return EpochDraw(starts[order], turned[order], weights[order])


class _Chosen(NamedTuple):
    """The windows of an epoch, in no order.

    Attributes:
        starts: (example,) a copy.
        weights: (example,) with a mean of 1.
        stretches: (example,) index in `places` of the stretch where each may begin.
        places: of positives, then of negatives.
    """

    starts: IntArray
    weights: FloatArray
    stretches: IntArray
    places: Places


def _chosen(pool: WindowPool, rng: np.random.Generator) -> _Chosen:
    """Which windows make the epoch."""
    n_positives, n_negatives = epoch_counts(pool)
    candidates = _kept(pool.positives, pool.settings, rng)
    sides = [(pool.positives, _some(candidates, n_positives, rng))]
    if n_negatives:
        others = _kept(pool.negatives, pool.settings, rng)
        if len(pool.negatives.strata):
            like = pool.positives.strata[candidates]
            drawn = _matched(others, pool.negatives.strata[others], n_negatives, like=like, rng=rng)
        else:
            drawn = _some(others, n_negatives, rng)
        sides.append((pool.negatives, drawn))
    parts, n_stretches = [], 0
    for group, indices in sides:
        starts = group.starts[indices]
        stretches = group.places.stretch_of(starts)
        stretches += n_stretches
        n_stretches += len(group.places.lows)
        if pool.settings.weight == "signal":
            weights = group.weights[indices]
        else:
            # Each class has the same weight in sum, or each window.
            weights = np.full(len(indices), 1 / len(indices) if pool.settings.weight == "class" else 1, np.float32)
        parts.append((starts, weights, stretches))
    starts, weights, stretches = (_together(arrays) for arrays in zip(*parts, strict=True))
    places = Places(*(np.concatenate(ends) for ends in zip(*(group.places for group, _ in sides), strict=True)))
    return _Chosen(starts, (weights / weights.mean()).astype(np.float32), stretches, places)


def _together(arrays: Sequence[NDArray[T]]) -> NDArray[T]:
    """Arrays end to end; nothing is copied where there is one."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def n_kept(group: WindowGroup, settings: WindowSettings) -> int:
    """Windows of the group in an epoch; all of them but some of those without any signal."""
    if isinstance(settings.zero_signal, float):
        return len(group.starts) - len(group.zeros) + round(settings.zero_signal * len(group.zeros))
    return len(group.starts)


def _kept(group: WindowGroup, settings: WindowSettings, rng: np.random.Generator) -> IntArray:
    """Their indices, in order."""
    n_left_out = len(group.starts) - n_kept(group, settings)
    left_out = rng.choice(group.zeros, n_left_out, replace=False, shuffle=False)
    everything = np.arange(len(group.starts))
    return np.delete(everything, left_out) if n_left_out else everything


def _some(indices: IntArray, n: int, rng: np.random.Generator) -> IntArray:
    """As many of the indices as asked for: each once at most, or each equally often give or take one."""
    whole, rest = divmod(n, len(indices))
    some = [rng.choice(indices, rest, replace=False, shuffle=False)] if rest else []
    return _together([indices] * whole + some) if n else indices[:0]


def _matched(
    indices: IntArray, strata: NDArray[np.uint8], n: int, *, like: NDArray[np.uint8], rng: np.random.Generator
) -> IntArray:
    """As many of the indices, distributed over strata as others are.

    What a stratum without any lacks comes from the nearest that has some, of two as near the one with less G and C.

    Source: Ghandi et al. 2014 (gkm-SVM), Methods: negative sequences are drawn to match the positives' GC content.

    Args:
        indices: to draw from, at least one.
        strata: (index,) of each.
        n: how many to draw.
        like: (example,) strata of what is matched.
        rng: of this epoch.
    """
    by_stratum = np.argsort(strata, kind="stable")
    bounds = np.searchsorted(strata[by_stratum], np.arange(N_STRATA + 1))
    found = np.flatnonzero(np.diff(bounds))
    wanted = _shared_out(n, np.bincount(like[like != NO_STRATUM], minlength=N_STRATA))
    nearest = found[np.argmin(np.abs(np.arange(N_STRATA)[:, None] - found), axis=1)]
    wanted = np.bincount(nearest, weights=wanted, minlength=N_STRATA).astype(np.int64)
    drawn = [_some(indices[by_stratum[bounds[s] : bounds[s + 1]]], int(wanted[s]), rng) for s in found]
    return np.concatenate(drawn)


def _shared_out(n: int, shares: NDArray[np.int64]) -> IntArray:
    """Whole numbers in proportion to the shares (evenly, if all are zero) that sum to n, by largest remainders."""
    exact = n * (shares / shares.sum() if shares.any() else np.full(len(shares), 1 / len(shares)))
    whole: IntArray = np.floor(exact).astype(np.int64)
    whole[np.argsort(whole - exact, kind="stable")[: n - whole.sum()]] += 1
    return whole


def _share(n: int, batch_size: int, *, rank: int, n_workers: int) -> IntArray:
    """(example,) places in an epoch of n windows that a worker's batches take."""
    assert batch_size >= n_workers, "a batch has at least one window of each worker"
    if n < n_workers:
        raise FitError(
            f"an epoch has {n} windows, and {n_workers} workers share each batch. Use fewer workers, or settings of "
            "windows that give more."
        )
    whole, rest = divmod(n, batch_size)
    at = np.arange(whole * batch_size).reshape(whole, batch_size)
    first, end = _run(batch_size, rank=rank, n_workers=n_workers)
    last = np.arange(whole * batch_size, n)[slice(*_run(rest, rank=rank, n_workers=n_workers))]
    return np.concatenate([at[:, first:end].ravel(), last if rest >= n_workers else last[:0]])


def _run(n: int, *, rank: int, n_workers: int) -> tuple[int, int]:
    """First and past last of the things that a worker gets of n, as `np.array_split` deals them out."""
    size, extra = divmod(n, n_workers)
    first = rank * size + min(rank, extra)
    return first, first + size + (rank < extra)
