"""What a network is trained to give for each bin: the tracks' totals as it sees them, or the labels' shares.

Axes: e example, t track, b bin.
"""

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genotune.columns import TargetKind
from genotune.genome.track_transforms import FittedTransform, apply_transform, fit_transform, undo_transform
from genotune.settings import Settings
from genotune.store import FloatArray, IntArray, SequenceStore
from genotune.trainables.kept import Kept
from genotune.trainables.trainable import FitError

_CHUNK_BINS: Final = 1 << 18
_SAMPLED_BINS: Final = 1 << 22
"""Of more bins than this, evenly spaced ones stand for all where a quantile is asked for."""


class TrackStatistics(NamedTuple):
    """Of the targets of the training contigs' bins that hold a value, as the network sees them.

    Attributes:
        transforms: of each track, fitted; of labels none.
        mean: (track,).
        deviation: (track,) standard deviation.
        minimum: (track,).
        positive: (track,) share of the bins from LABEL_SHARE on.
    """

    transforms: tuple[FittedTransform, ...]
    mean: FloatArray
    deviation: FloatArray
    minimum: FloatArray
    positive: FloatArray


class Targets(NamedTuple):
    """How targets are made of the signal of windows, and predictions of what the network gives.

    Attributes:
        kind: of what the tracks hold.
        bin_bp: width of a predicted bin.
        transforms: of each track, fitted.
    """

    kind: TargetKind
    bin_bp: int
    transforms: tuple[FittedTransform, ...]

    def of_signal(self, signal_etb: Tensor, *, resolution_bp: int) -> Tensor:
        """(example, track, bin) targets of (example, track, stored bin) mean signal per base; NaN where one is NaN."""
        factor = self.bin_bp // resolution_bp
        means = signal_etb if factor == 1 else signal_etb.reshape(*signal_etb.shape[:-1], -1, factor).mean(-1)
        if self.kind != "signal":
            return means
        totals = means * self.bin_bp
        if not any(self.transforms):
            return totals
        rows = [apply_transform(transform, totals[:, track], torch) for track, transform in enumerate(self.transforms)]
        return torch.stack(rows, dim=1)

    def to_signal(self, values_etb: Tensor) -> Tensor:
        """Mean signal per base of what the network expects; of labels their probabilities."""
        if self.kind != "signal":
            return values_etb
        if any(self.transforms):
            rows = [undo_transform(one, values_etb[:, track], torch) for track, one in enumerate(self.transforms)]
            values_etb = torch.stack(rows, dim=1)
        return values_etb / self.bin_bp


def track_statistics(
    store: SequenceStore, contigs: IntArray, *, bin_bp: int, transform: Sequence[Settings] | None
) -> TrackStatistics:
    """What targets are like on the training contigs, read in chunks and kept for the next trial.

    Args:
        store: the data.
        contigs: of the training split.
        bin_bp: width of a target's bin.
        transform: of all tracks; None: each track's own.

    Raises:
        FitError: a track holds no value there.
    """
    key: Hashable = (bin_bp, None if transform is None else tuple(transform), contigs.tobytes())
    return _KEPT.get(
        store,
        key,
        make=lambda: _measure(store, contigs, bin_bp=bin_bp, transform=None if transform is None else transform),
    )


def _measure(
    store: SequenceStore, contigs: IntArray, *, bin_bp: int, transform: Sequence[Settings] | None
) -> TrackStatistics:
    per_track = [_moments(store, track, contigs, bin_bp=bin_bp, transform=()) for track in range(len(store.tracks))]
    for name, moments in zip(store.tracks, per_track, strict=True):
        if moments.n == 0:
            raise FitError(f"track {name!r} holds no value on the training contigs; leave it out, or split otherwise.")
    if store.kind != "signal":
        return _gathered((), per_track)
    own = store.transforms or ((),) * len(store.tracks)
    fitted = tuple(
        fit_transform(
            own[track] if transform is None else transform,
            mean=moments.mean / bin_bp,
            quantile=lambda share, track=track: _quantile(store, track, contigs, bin_bp=bin_bp, share=share),  # type: ignore[misc]
        )
        for track, moments in enumerate(per_track)
    )
    seen = [
        _moments(store, track, contigs, bin_bp=bin_bp, transform=one) if one else per_track[track]
        for track, one in enumerate(fitted)
    ]
    return _gathered(fitted, seen)


class _Moments(NamedTuple):
    n: int
    mean: float
    deviation: float
    minimum: float
    positive: float


def _gathered(transforms: tuple[FittedTransform, ...], moments: Sequence[_Moments]) -> TrackStatistics:
    columns = (
        np.array([getattr(one, name) for one in moments], dtype=np.float32)
        for name in ("mean", "deviation", "minimum", "positive")
    )
    return TrackStatistics(transforms, *columns)


def _moments(
    store: SequenceStore, track: int, contigs: IntArray, *, bin_bp: int, transform: FittedTransform
) -> _Moments:
    n, total, squares, minimum, positive = 0, 0.0, 0.0, math.inf, 0
    for chunk in _chunks(store, track, contigs, bin_bp=bin_bp):
        values = apply_transform(transform, chunk.astype(np.float64))
        n += values.size
        total += values.sum()
        squares += (values**2).sum()
        minimum = min(minimum, float(values.min()))
        positive += int((values >= 0.5).sum())
    if n == 0:
        return _Moments(0, math.nan, math.nan, math.nan, math.nan)
    mean = total / n
    return _Moments(n, mean, math.sqrt(max(0.0, squares / n - mean**2)), minimum, positive / n)


def _quantile(store: SequenceStore, track: int, contigs: IntArray, *, bin_bp: int, share: float) -> float:
    n_bins = sum(store.n_bins(int(contig)) for contig in contigs) * store.resolution_bp // bin_bp
    apart = max(1, -(-n_bins // _SAMPLED_BINS))
    values = np.concatenate([chunk[::apart] for chunk in _chunks(store, track, contigs, bin_bp=bin_bp)])
    return float(np.quantile(values, share))


def _chunks(store: SequenceStore, track: int, contigs: IntArray, *, bin_bp: int) -> Iterator[FloatArray]:
    """Targets of the contigs' whole bins that hold a value, in chunks that aren't empty."""
    factor = bin_bp // store.resolution_bp
    step = max(1, _CHUNK_BINS // factor) * factor
    for contig in contigs:
        signal = store.contig_signal(int(contig))[track]
        whole = len(signal) // factor * factor
        for first in range(0, whole, step):
            means = signal[first : min(first + step, whole)].reshape(-1, factor).mean(axis=1)
            means = means[~np.isnan(means)]
            if means.size:
                yield means if store.kind != "signal" else means * np.float32(bin_bp)


_KEPT: Final = Kept[TrackStatistics](most=8)
