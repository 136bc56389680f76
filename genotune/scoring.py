"""Metrics of whole contigs, and of samples.

Contigs are compared on one set of bins, the same for every model whatever the width of its own bins. Without it, a
search learns to choose wide bins: one smooth signal correlates better with coarser counts.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from genotune.metrics import METRICS
from genotune.store import FloatArray, IntArray, SequenceStore, Values


def score(
    predict_contig: Callable[[int], FloatArray],
    store: SequenceStore,
    contigs: IntArray,
    *,
    model_bin_bp: int,
    bin_bp: int,
    metrics: Sequence[str],
) -> dict[str, float]:
    """Metrics over all bins of the contigs, each bin counted once.

    Predictions are spread to the store's resolution, then predictions and targets are averaged to bins of `bin_bp`; the
    last bin of a contig is the mean of what it has. A bin that holds a NaN of the target's is left out for that track.

    Args:
        predict_contig: (track, model bin), mean signal per base, of a contig by its index.
        store: the targets.
        contigs: (c,) indices.
        model_bin_bp: width of the predicted bins, a whole multiple of the store's.
        bin_bp: width of the bins that are compared, a whole multiple of the store's.
        metrics: names in `METRICS`.

    Returns:
        By name, the mean over the tracks; NaN if it is not defined for one of them. With several tracks, each track's
        own as 'metric/track' too.
    """
    assert model_bin_bp % store.resolution_bp == 0, (model_bin_bp, store.resolution_bp)
    assert bin_bp % store.resolution_bp == 0, (bin_bp, store.resolution_bp)
    spread, merged = model_bin_bp // store.resolution_bp, bin_bp // store.resolution_bp
    targets, predictions = [], []
    for contig in contigs:
        n_bins = store.n_bins(int(contig))
        fine = np.repeat(predict_contig(int(contig)), spread, axis=1)[:, :n_bins]
        assert fine.shape[1] == n_bins, "a prediction must cover its contig"
        predictions.append(_bin_means(fine, merged))
        targets.append(_bin_means(store.contig_signal(int(contig)), merged))
    target, predicted = np.concatenate(targets, axis=1), np.concatenate(predictions, axis=1)
    known = ~np.isnan(target)
    scores = {}
    for name in metrics:
        each = [
            METRICS[name].compute(target[track, known[track]], predicted[track, known[track]])
            for track in range(len(store.tracks))
        ]
        scores[name] = float(np.mean(each))
        if len(store.tracks) > 1:
            scores |= {f"{name}/{track}": value for track, value in zip(store.tracks, each, strict=True)}
    return scores


def score_samples(target: Values, predicted: FloatArray, *, metrics: Sequence[str]) -> dict[str, float]:
    """Metrics over samples, by name; NaN where one is not defined.

    Args:
        target: (sample,) the trait; of classes, their index.
        predicted: (sample,), or (sample, class) of a multiclass trait; see `GenotypeModel.predict`.
        metrics: names in `METRICS` that fit the trait's kind.
    """
    return {name: METRICS[name].compute(target, predicted) for name in metrics}


def _bin_means(signal: FloatArray, factor: int) -> NDArray[np.float64]:
    """(track, ceil(bin / factor)) mean of each `factor` bins in a row, of fewer at the end; NaN if one of them is."""
    firsts = np.arange(0, signal.shape[1], factor)
    sizes = np.diff(firsts, append=signal.shape[1])
    means: NDArray[np.float64] = np.add.reduceat(signal, firsts, axis=1, dtype=np.float64) / sizes
    return means
