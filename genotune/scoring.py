"""Metrics of whole contigs, and of samples.

Contigs are compared on one set of bins, the same for every model whatever the width of its own bins. Without it, a
search learns to choose wide bins: one smooth signal correlates better with coarser counts.

Predictions are kept once, in float32; targets are read from the store a track at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.columns import TargetKind
from genotune.metrics import METRICS, Metric
from genotune.store import LABEL_SHARE, FloatArray, IntArray, Peaks, SequenceStore, Values

BoolArray = NDArray[np.bool_]

_CHUNK_BINS: Final = 1 << 18


class _Compared(NamedTuple):
    """What a metric compares.

    Attributes:
        name: of the track; '' of all tracks together.
        target: (bin,) mean signal per base, label, or class; NaN where not known.
        predicted: (bin,), or (bin, class).
    """

    name: str
    target: FloatArray
    predicted: FloatArray


def score(
    predict_contig: Callable[[int], FloatArray],
    store: SequenceStore,
    contigs: IntArray,
    *,
    model_bin_bp: int,
    bin_bp: int,
    metrics: Sequence[str],
    tracks: IntArray | None = None,
    strata: Sequence[str] = (),
) -> dict[str, float]:
    """Metrics over all bins of the contigs, each bin counted once.

    Predictions are spread to the store's resolution, then predictions and targets are averaged to bins of `bin_bp`; the
    last bin of a contig is the mean of what it has. A bin that holds a NaN of the target's is left out for that track.

    Of a signal, a metric of counts (`Metric.of_counts`) is given the totals of the bins, every other their mean per
    base, so that an error means the same at any width. Of a binary store the target is whether peaks cover at least
    `LABEL_SHARE` of the bin. Of a multiclass store it is the track with the largest such share, or none of them
    (class 0), and all tracks are judged together.

    Args:
        predict_contig: (track, model bin), mean signal per base or probability, of a contig by its index.
        store: the targets.
        contigs: (c,) indices.
        model_bin_bp: width of the predicted bins, a whole multiple of the store's.
        bin_bp: width of the bins that are compared, a whole multiple of the store's.
        metrics: names in `METRICS`.
        tracks: indices of the tracks that are predicted, in that order; None: all.
        strata: names of sets of peaks in the store.

    Returns:
        By name, the mean over the tracks; NaN if it is not defined for one of them. With several tracks, each track's
        own as 'metric/track' too. For each stratum 'metric.inside.stratum', over the bins that share a base with one of
        its peaks, and 'metric.outside.stratum', over the others.
    """
    assert model_bin_bp % store.resolution_bp == 0, (model_bin_bp, store.resolution_bp)
    assert bin_bp % store.resolution_bp == 0, (bin_bp, store.resolution_bp)
    chosen = np.arange(len(store.tracks)) if tracks is None else tracks
    merged = bin_bp // store.resolution_bp
    predictions = _predictions(
        predict_contig, store, contigs, spread=model_bin_bp // store.resolution_bp, merged=merged
    )
    parts: dict[str, BoolArray | None] = {"": None}
    for stratum in strata:
        inside = _bins_inside(store.peaks[stratum], store, contigs, bin_bp=bin_bp)
        parts |= {f".inside.{stratum}": inside, f".outside.{stratum}": ~inside}
    values: dict[str, dict[str, float]] = {f"{name}{part}": {} for part in parts for name in metrics}
    for compared in _compared(predictions, store, contigs, tracks=chosen, merged=merged):
        known = ~np.isnan(compared.target)
        for part, within in parts.items():
            bins = known if within is None else known & within
            # Where no bin is left out, nothing is copied.
            target, predicted = compared[1:] if bins.all() else (compared.target[bins], compared.predicted[bins])
            for name in metrics:
                values[f"{name}{part}"][compared.name] = _compute(
                    METRICS[name], target, predicted, kind=store.kind, bin_bp=bin_bp
                )
    scores = {name: float(np.mean(list(of_track.values()))) for name, of_track in values.items()}
    if len(chosen) > 1 and store.kind != "multiclass":
        scores |= {f"{name}/{track}": value for name in metrics for track, value in values[name].items()}
    return scores


def score_samples(target: Values, predicted: FloatArray, *, metrics: Sequence[str]) -> dict[str, float]:
    """Metrics over samples, by name; NaN where one is not defined.

    Args:
        target: (sample,) the trait; of classes, their index.
        predicted: (sample,), or (sample, class) of a multiclass trait; see `GenotypeModel.predict`.
        metrics: names in `METRICS` that fit the trait's kind.
    """
    return {name: METRICS[name].compute(target, predicted) for name in metrics}


def _compute(metric: Metric, target: FloatArray, predicted: FloatArray, *, kind: TargetKind, bin_bp: int) -> float:
    if kind == "signal" and metric.of_counts:
        return metric.compute(target * np.float32(bin_bp), predicted * np.float32(bin_bp))
    return metric.compute(target, predicted)


def _predictions(
    predict_contig: Callable[[int], FloatArray], store: SequenceStore, contigs: IntArray, *, spread: int, merged: int
) -> FloatArray:
    """(track, bin) predictions in bins of `merged` of the store's, contigs end to end.

    Args:
        predict_contig: as in `score`.
        store: the store.
        contigs: (c,) indices.
        spread: bins of the store that the model's bins are wide.
        merged: bins of the store that the compared bins are wide.
    """
    n_bins = [store.n_bins(int(contig)) for contig in contigs]
    edges = np.concatenate([[0], np.cumsum([-(-count // merged) for count in n_bins])]).astype(np.int64)
    kept: FloatArray | None = None
    for contig, count, first, last in zip(contigs, n_bins, edges[:-1], edges[1:], strict=True):
        predicted = predict_contig(int(contig))
        assert predicted.shape[1] >= -(-count // spread), "a prediction must cover its contig"
        if kept is None:
            kept = np.empty((len(predicted), edges[-1]), dtype=np.float32)
        for row, into in zip(predicted, kept[:, first:last], strict=True):
            _rebin(row, into, n_bins=count, spread=spread, merged=merged)
    assert kept is not None, "there are contigs"
    return kept


def _rebin(row: FloatArray, into: FloatArray, *, n_bins: int, spread: int, merged: int) -> None:
    """Fill `into` (ceil(n_bins / merged),) with means of `merged` bins of the store, each that of its model bin.

    In chunks: at a resolution of one base a contig of the store's bins is large.
    """
    if spread == merged:
        into[:] = row[: len(into)]
        return
    step = max(1, _CHUNK_BINS // merged)
    for first in range(0, len(into), step):
        bins = np.arange(first * merged, min((first + step) * merged, n_bins))
        into[first : first + step] = _bin_means(row[bins // spread], merged)


def _compared(
    predictions: FloatArray, store: SequenceStore, contigs: IntArray, *, tracks: IntArray, merged: int
) -> Iterator[_Compared]:
    """Targets and predictions, a track at a time; of classes all at once."""
    if store.kind == "multiclass":
        yield _Compared("", _classes(store, contigs, tracks=tracks, merged=merged), _with_none(predictions))
        return
    for track, predicted in zip(tracks.tolist(), predictions, strict=True):
        target = _target(store, contigs, track=track, merged=merged)
        if store.kind == "binary":
            target = np.where(np.isnan(target), target, target >= LABEL_SHARE)
        yield _Compared(store.tracks[track], target, predicted)


def _target(store: SequenceStore, contigs: IntArray, *, track: int, merged: int) -> FloatArray:
    """(bin,) a track in bins of `merged` of the store's, contigs end to end."""
    return np.concatenate([_bin_means(store.contig_signal(int(contig))[track], merged) for contig in contigs])


def _classes(store: SequenceStore, contigs: IntArray, *, tracks: IntArray, merged: int) -> FloatArray:
    """(bin,) 0 for none of the tracks, 1 for the first of them, and so on; NaN where one of them is."""
    best, largest = None, None
    for number, track in enumerate(tracks.tolist(), start=1):
        share = _target(store, contigs, track=track, merged=merged)
        if best is None or largest is None:
            largest, best = share, np.ones_like(share)
            continue
        best[share > largest] = number
        largest = np.maximum(largest, share)  # NaN if one of the two is
    assert best is not None
    assert largest is not None
    best[largest < LABEL_SHARE] = 0
    best[np.isnan(largest)] = np.nan
    return best


def _with_none(predictions: FloatArray) -> FloatArray:
    """(bin, class) probabilities from those of the tracks (track, bin): first that of none of them."""
    return np.stack([1 - predictions.sum(axis=0), *predictions], axis=1)


def _bins_inside(peaks: Peaks, store: SequenceStore, contigs: IntArray, *, bin_bp: int) -> BoolArray:
    """(bin,) which bins of the contigs, end to end, share a base with a peak."""
    parts = []
    for contig in contigs.tolist():
        n_bins = -(-store.n_bins(contig) * store.resolution_bp // bin_bp)
        here = peaks.contigs == contig
        changes = np.zeros(n_bins + 1, dtype=np.int32)
        np.add.at(changes, peaks.starts[here] // bin_bp, 1)
        np.add.at(changes, -(-peaks.ends[here] // bin_bp), -1)
        parts.append(np.cumsum(changes[:-1]) > 0)
    return np.concatenate(parts)


def _bin_means(signal: FloatArray, factor: int) -> FloatArray:
    """(ceil(bin / factor),) mean of each `factor` bins in a row, of fewer at the end; NaN if one of them is.

    Sums are taken in float64, and a part of the bins at a time.
    """
    if factor == 1:
        return signal
    n_bins = -(-len(signal) // factor)
    means = np.empty(n_bins, dtype=np.float32)
    step = max(1, _CHUNK_BINS // factor)
    for first in range(0, n_bins, step):
        part = signal[first * factor : (first + step) * factor]
        firsts = np.arange(0, len(part), factor)
        sizes = np.diff(firsts, append=len(part))
        means[first : first + step] = np.add.reduceat(part, firsts, dtype=np.float64) / sizes
    return means
