"""How k-mer ridge is solved: from moments of features and targets, added up over parts of the bins."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from genotune.store import SequenceStore, Splits, Values
from genotune.trainables.kmer_ridge import KmerRidge
from genotune.trainables.kmer_ridge_model import KmerRidgeModel, LinearOutputs
from genotune.trainables.kmers import Span, canonical_kmers, count_kmers, nested_spans
from genotune.trainables.model import Model
from genotune.trainables.trainable import Report, report_once
from genotune.trainables.training_bins import TrainingBins, surroundings, training_bins

_PART_VALUES: Final = 1 << 21


class _Moments(NamedTuple):
    """Sums over training bins: features (f,), targets (t,), and the products of both with features and targets."""

    x: Values
    y: Values
    xx: Values
    xy: Values
    yy: Values


class _Solution(NamedTuple):
    """Weights (feature, track), bias (track,), and the mean squared error on the training bins."""

    weights: Values
    bias: Values
    mse: float


def fit(settings: KmerRidge, store: SequenceStore, *, splits: Splits, report: Report, resume: Path | None) -> Model:
    """Solve once and report once; see `Trainable.fit`.

    Raises:
        FitError: the training contigs hold no bin with a value in every track.
    """
    if resume is not None:
        return KmerRidgeModel.load(resume)
    bin_bp = settings.resolved_bin_bp(store.resolution_bp)
    bins = training_bins(store, splits.train, bin_bp=bin_bp, max_bins=settings.max_bins)
    outputs = LinearOutputs.of(settings, store, bins.means, bin_bp=bin_bp)
    spans = nested_spans(bin_bp, flanks_bp=settings.flanks_bp)
    moments = _moments(settings, store, bins, outputs=outputs, spans=spans)
    solution = _solve(moments, n=len(bins.starts), penalty=settings.penalty)
    weights = solution.weights.reshape(len(spans), -1, len(store.tracks))
    model = KmerRidgeModel(settings, weights, solution.bias, outputs=outputs)
    return report_once(model, {"train_loss": solution.mse}, report=report)


def _moments(
    settings: KmerRidge, store: SequenceStore, bins: TrainingBins, *, outputs: LinearOutputs, spans: Sequence[Span]
) -> _Moments:
    """Moments of features and targets over the training bins; never more than a part of the features in memory."""
    index = canonical_kmers(settings.k)
    width, n_tracks = index.n_features * len(spans), len(store.tracks)
    x, y, yy = np.zeros(width), np.zeros(n_tracks), np.zeros(n_tracks)
    xx, xy = np.zeros((width, width)), np.zeros((width, n_tracks))
    widest_bp = spans[-1].end_bp - spans[-1].first_bp
    for part in bins.parts(max(1, _PART_VALUES // max(width, widest_bp))):
        codes, starts = surroundings(store, bins, part, bin_bp=outputs.bin_bp, flank_bp=settings.flank_bp)
        counts = count_kmers(codes, starts, spans=spans, index=index)[..., :-1]
        features = counts.reshape(len(starts), width).astype(np.float64)
        targets = outputs.targets(bins.means[part])
        x += features.sum(axis=0)
        y += targets.sum(axis=0)
        xx += features.T @ features
        xy += features.T @ targets
        yy += np.sum(targets**2, axis=0)
    return _Moments(x, y, xx, xy, yy)


def _solve(moments: _Moments, *, n: int, penalty: float) -> _Solution:
    """Ridge on standardised features and targets, turned back to weights per k-mer.

    A feature that never varies gets no weight.

    Args:
        moments: sums over the training bins.
        n: number of those.
        penalty: of the squared weights.
    """
    mean_x, mean_y = moments.x / n, moments.y / n
    cov_xx = moments.xx / n - np.outer(mean_x, mean_x)
    cov_xy = moments.xy / n - np.outer(mean_x, mean_y)
    scale = np.sqrt(np.maximum(np.diag(cov_xx), 0))
    varies = scale > 1e-9
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=varies)
    correlation = cov_xx * inverse[:, None] * inverse
    np.fill_diagonal(correlation, 1 + penalty)
    weights = np.asarray(np.linalg.solve(correlation, cov_xy * inverse[:, None]) * inverse[:, None], dtype=np.float64)
    bias = mean_y - mean_x @ weights
    residual = moments.yy / n - mean_y**2 - 2 * np.sum(weights * cov_xy, axis=0)
    mse = float(np.mean(residual + np.sum(weights * (cov_xx @ weights), axis=0)))
    return _Solution(weights, bias, mse)
