"""Scores on one set of bins, held to a slow and obvious second way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.metrics import METRICS
from genotune.scoring import score, score_samples
from genotune.store import SequenceStore


def store_of(signals, *, resolution_bp=16, tracks=("a",)):
    """A store of contigs with these signals, each (track, bin)."""
    n_bins = [signal.shape[1] for signal in signals]
    return SequenceStore(
        sequence=np.zeros(sum(n_bins) * resolution_bp, dtype=np.uint8),
        signal=np.concatenate(signals, axis=1).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(n_bins)]),
        lengths=np.array(n_bins) * resolution_bp,
        contigs=tuple(f"chr{index}" for index in range(len(signals))),
        tracks=tracks,
        resolution_bp=resolution_bp,
    )


def oracle(predictions, store, contigs, *, model_bin_bp, bin_bp, metric):
    """Base by base, bin by bin, in plain Python."""
    values = []
    for track in range(len(store.tracks)):
        target, predicted = [], []
        for contig in contigs:
            n_bins = store.n_bins(contig)
            for first in range(0, n_bins, bin_bp // store.resolution_bp):
                last = min(first + bin_bp // store.resolution_bp, n_bins)
                truth = [float(store.contig_signal(contig)[track, bin_]) for bin_ in range(first, last)]
                guess = [
                    float(predictions[contig][track, bin_ * store.resolution_bp // model_bin_bp])
                    for bin_ in range(first, last)
                ]
                if not any(map(math.isnan, truth)):
                    target.append(sum(truth) / len(truth))
                    predicted.append(sum(guess) / len(guess))
        values.append(METRICS[metric].compute(target, predicted))
    return values


def test_a_bin_that_is_not_whole_is_the_mean_of_what_it_has():
    store = store_of([np.array([[1.0, 3.0, 5.0]])])
    scores = score(
        lambda contig: np.array([[2.0, 2.0, 6.0]], dtype=np.float32),
        store,
        np.array([0]),
        model_bin_bp=16,
        bin_bp=32,
        metrics=["mae", "mse"],
    )
    assert scores == {"mae": pytest.approx(0.5), "mse": pytest.approx(0.5)}


def test_a_bin_with_a_missing_value_is_left_out_for_that_track_only():
    store = store_of([np.array([[1.0, np.nan, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])], tracks=("a", "b"))
    scores = score(
        lambda contig: np.array([[9.0, 9.0, 2.0, 2.0], [4.0, 4.0, 0.0, 0.0]], dtype=np.float32),
        store,
        np.array([0]),
        model_bin_bp=16,
        bin_bp=32,
        metrics=["mae"],
    )
    assert scores == {"mae": 1.5, "mae/a": 1.0, "mae/b": 2.0}


def test_a_track_without_any_value_makes_the_mean_nan():
    store = store_of([np.array([[1.0, 2.0], [np.nan, np.nan]])], tracks=("a", "b"))
    scores = score(
        lambda contig: np.ones((2, 2), dtype=np.float32),
        store,
        np.array([0]),
        model_bin_bp=16,
        bin_bp=16,
        metrics=["mae"],
    )
    assert scores["mae/a"] == 0.5
    assert math.isnan(scores["mae"])


def test_only_the_contigs_that_are_scored_are_predicted():
    store = store_of([np.ones((1, 4)), np.arange(4.0)[None], np.ones((1, 4))])
    asked = []

    def predict(contig):
        asked.append(contig)
        return store.contig_signal(contig)

    assert score(predict, store, np.array([1]), model_bin_bp=16, bin_bp=16, metrics=["mse"]) == {"mse": 0}
    assert asked == [1]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    n_bins=st.lists(st.integers(1, 23), min_size=1, max_size=3),
    model_factor=st.sampled_from([1, 2, 4]),
    factor=st.sampled_from([1, 2, 3, 4]),
    metric=st.sampled_from(["pearson", "mse", "spearman", "poisson_deviance_explained"]),
)
def test_scores_are_those_of_the_oracle(seed, n_bins, model_factor, factor, metric):
    rng = np.random.default_rng(seed)
    signals = [rng.poisson(2, (2, n)).astype(float) for n in n_bins]
    for signal in signals:
        signal[rng.random(signal.shape) < 0.1] = np.nan
    store = store_of(signals, tracks=("a", "b"))
    predictions = [rng.random((2, -(-n // model_factor)), dtype=np.float32) for n in n_bins]
    widths = {"model_bin_bp": 16 * model_factor, "bin_bp": 16 * factor}
    contigs = np.arange(len(n_bins))
    scores = score(lambda contig: predictions[contig], store, contigs, metrics=[metric], **widths)
    expected = oracle(predictions, store, contigs, metric=metric, **widths)
    assert [scores[f"{metric}/a"], scores[f"{metric}/b"]] == pytest.approx(expected, rel=1e-4, abs=1e-6, nan_ok=True)
    assert scores[metric] == pytest.approx(np.mean(expected), rel=1e-4, abs=1e-6, nan_ok=True)


def test_one_smooth_signal_scores_the_same_at_any_width_of_the_models_bins():
    rng = np.random.default_rng(0)
    smooth = np.exp(np.sin(np.arange(8000) / 300))
    store = store_of([rng.poisson(smooth)[None]])
    values, naive = [], []
    for model_bin_bp in (16, 32, 64):
        factor = model_bin_bp // 16
        wide = smooth.reshape(1, -1, factor).mean(axis=-1).astype(np.float32)
        scores = score(
            lambda contig, wide=wide: wide,
            store,
            np.array([0]),
            model_bin_bp=model_bin_bp,
            bin_bp=16,
            metrics=["pearson"],
        )
        values.append(scores["pearson"])
        naive.append(np.corrcoef(wide[0], store.signal[0].reshape(-1, factor).mean(axis=-1))[0, 1])
    assert values == pytest.approx([values[0]] * 3, abs=2e-3)
    assert naive[2] - naive[0] > 0.1


def test_samples_are_scored_by_every_metric_that_is_asked_for():
    scores = score_samples(np.array([1.0, 2.0]), np.array([2, 4], dtype=np.float32), metrics=["mae", "mse"])
    assert scores == {"mae": 1.5, "mse": 2.5}


def test_classes_of_samples_are_scored_by_their_probabilities():
    predicted = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.1, 0.6, 0.3]], dtype=np.float32)
    scores = score_samples(np.array([0.0, 1.0, 2.0]), predicted, metrics=["accuracy", "recall_macro"])
    assert scores == {"accuracy": pytest.approx(2 / 3), "recall_macro": pytest.approx(2 / 3)}


def test_a_score_of_samples_that_is_not_defined_is_nan_beside_those_that_are():
    scores = score_samples(np.array([1.0, 1.0]), np.array([0.4, 0.6], dtype=np.float32), metrics=["auroc", "accuracy"])
    assert math.isnan(scores["auroc"])
    assert scores["accuracy"] == 0.5
