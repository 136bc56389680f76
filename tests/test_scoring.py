"""Scores on one set of bins, held to a slow and obvious second way."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.metrics import METRICS, RECORDED
from genotune.scoring import score, score_samples
from genotune.store import Peaks, SequenceStore


def store_of(signals, *, resolution_bp=16, tracks=("a",), **more):
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
        **more,
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
        factor = bin_bp if METRICS[metric].of_counts else 1
        values.append(METRICS[metric].compute(np.array(target) * factor, np.array(predicted) * factor))
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


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n_bins=st.lists(st.integers(1, 23), min_size=1, max_size=3),
    model_factor=st.sampled_from([1, 2, 4]),
    factor=st.sampled_from([1, 2, 3, 4]),
    metric=st.sampled_from(
        ["pearson", "mse", "spearman", "poisson_deviance_explained", "pearson_log1p", "poisson_nll"]
    ),
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


def scored(predicted, store, *, metrics, bin_bp=16, model_bin_bp=16, **more):
    """Scores of predictions of the store's only contig."""
    predicted = np.array(predicted, dtype=np.float32)
    widths = {"model_bin_bp": model_bin_bp, "bin_bp": bin_bp}
    return score(lambda contig: predicted, store, np.array([0]), metrics=metrics, **widths, **more)


def test_logarithms_and_poisson_laws_are_of_the_counts_of_a_bin_and_errors_of_its_mean():
    """Means of 0, 1/16 and 3/16 per base are 0, 1 and 3 counts in 16 bases."""
    store = store_of([np.array([[0, 1, 3]]) / 16])
    scores = scored(np.array([[0, 3, 15]]) / 16, store, metrics=["pearson_log1p", "poisson_deviance", "mae"])
    counts, rates = np.array([0.0, 1, 3]), np.array([1e-6, 3, 15])
    logs = np.array([0, math.log(1 / 3), math.log(3 / 15)])
    assert scores == {
        "pearson_log1p": pytest.approx(1.0),
        "poisson_deviance": pytest.approx(2 * np.mean(counts * logs - counts + rates)),
        "mae": pytest.approx((2 + 12) / 3 / 16),
    }


@given(seed=st.integers(0, 50), bin_bp=st.sampled_from([16, 48, 64]))
def test_what_has_no_unit_is_the_same_of_counts_and_of_means(seed, bin_bp):
    rng = np.random.default_rng(seed)
    store = store_of([rng.poisson(3, (1, 40)).astype(float)])
    names = ["pearson", "spearman", "r2", "poisson_deviance_explained"]
    predicted = rng.random((1, 40)) + 1
    means = [
        np.add.reduceat(one[0], range(0, 40, bin_bp // 16)) for one in (store.signal, predicted.astype(np.float32))
    ]
    sizes = np.diff([*range(0, 40, bin_bp // 16), 40])
    expected = {name: METRICS[name].compute(*(one / sizes for one in means)) for name in names}
    assert scored(predicted, store, metrics=names, bin_bp=bin_bp) == pytest.approx(expected, rel=1e-4)


def test_a_prediction_that_is_no_number_makes_the_metric_none():
    store = store_of([np.array([[1.0, 2.0, 4.0]])])
    assert all(
        math.isnan(value) for value in scored([[1, np.nan, 2]], store, metrics=["mse", "pearson_log1p"]).values()
    )


def test_a_bin_is_positive_if_half_of_it_lies_in_peaks_after_averaging():
    """In bins of 32 bp the shares are 0.5, 0.45, unknown and 1: positive, negative, left out, positive."""
    shares = np.array([[0.0, 1.0, 0.9, 0.0, np.nan, 1.0, 1.0]])
    store = store_of([shares], kind="binary")
    scores = scored([[0.9, 0.7, 0.2, 0.4, 0, 0, 0.1]], store, metrics=["accuracy", "recall", "auroc"], bin_bp=32)
    assert scores == {"accuracy": pytest.approx(2 / 3), "recall": 0.5, "auroc": 0.5}


@pytest.mark.parametrize("resolution_bp", [3, 10, 147])
def test_half_a_bin_is_half_whatever_its_shares_are_in_float32(resolution_bp):
    covered = np.arange(resolution_bp + 1)
    shares = np.stack([covered, covered[::-1]], axis=1).reshape(1, -1) / resolution_bp
    store = store_of([shares], resolution_bp=resolution_bp, kind="binary")
    widths = {"bin_bp": 2 * resolution_bp, "model_bin_bp": resolution_bp}
    assert scored(np.ones_like(shares), store, metrics=["accuracy"], **widths) == {"accuracy": 1.0}


def test_each_track_of_labels_is_scored_by_itself():
    store = store_of([np.array([[1.0, 0.0], [0.0, 1.0]])], tracks=("a", "b"), kind="binary")
    scores = scored([[0.9, 0.1], [0.9, 0.1]], store, metrics=["accuracy"])
    assert scores == {"accuracy": 0.5, "accuracy/a": 1.0, "accuracy/b": 0.0}


def test_the_class_of_a_bin_is_the_track_with_the_largest_share_or_none():
    """Classes 1, 2, 0 (no share is half), left out, 2."""
    shares = np.array([[0.8, 0.0, 0.4, 1.0, 0.4], [0.2, 0.9, 0.3, np.nan, 0.6]])
    store = store_of([shares], tracks=("a", "b"), kind="multiclass")
    predicted = [[0.7, 0.2, 0.1, 0.3, 0.8], [0.2, 0.7, 0.1, 0.3, 0.1]]
    scores = scored(predicted, store, metrics=["accuracy", "balanced_accuracy", "log_loss"])
    assert scores == {
        "accuracy": 0.75,
        "balanced_accuracy": pytest.approx((1 + 1 + 0.5) / 3),
        "log_loss": pytest.approx(-math.log(0.7 * 0.7 * 0.8 * 0.1) / 4, rel=1e-6),
    }


def test_only_the_tracks_that_are_chosen_are_scored():
    store = store_of([np.array([[1.0, 2.0], [5.0, 5.0], [3.0, 3.0]])], tracks=("a", "b", "c"))
    scores = scored([[4, 4], [1, 2]], store, metrics=["mae"], tracks=np.array([1, 0]))
    assert scores == {"mae": 0.5, "mae/b": 1.0, "mae/a": 0.0}
    assert scored([[4, 4]], store, metrics=["mae"], tracks=np.array([2])) == {"mae": 1.0}


def peaks_of(*intervals):
    contigs, starts, ends = np.array(intervals).T
    return Peaks(contigs, starts, ends, starts)


def test_metrics_inside_and_outside_of_peaks_are_given_beside_those_of_all_bins():
    """In bins of 32 bp, peaks at 40-64 and 96-97 touch the second and the fourth of five."""
    store = store_of(
        [np.zeros((1, 9))], peaks={"summits": peaks_of((0, 40, 64), (0, 96, 97)), "none": peaks_of((1, 0, 9))}
    )
    predicted = np.repeat([[1, 2, 3, 4, 5]], 2, axis=1)[:, :9]
    scores = scored(predicted, store, metrics=["mae", "mse"], bin_bp=32, strata=["summits", "none"])
    assert scores["mae"] == 3
    assert scores["mae.inside.summits"] == (2 + 4) / 2
    assert scores["mae.outside.summits"] == (1 + 3 + 5) / 3
    assert scores["mse.inside.summits"] == (4 + 16) / 2
    assert scores["mae.outside.none"] == 3
    assert math.isnan(scores["mae.inside.none"])
    assert len(scores) == 2 * 5


def test_strata_of_several_tracks_and_contigs_are_means_over_tracks():
    signals = [np.zeros((2, 3)), np.array([[0.0, 0.0], [0.0, np.nan]])]
    store = store_of(signals, tracks=("a", "b"), peaks={"p": peaks_of((1, 0, 32), (0, 16, 17))})
    predicted = [np.array([[1, 2, 3], [0, 0, 1]]), np.array([[4, 5], [6, 7]])]
    scores = score(
        lambda contig: predicted[contig].astype(np.float32),
        store,
        np.array([0, 1]),
        model_bin_bp=16,
        bin_bp=16,
        metrics=["mae"],
        strata=["p"],
    )
    inside = [(2 + 4 + 5) / 3, (0 + 6) / 2]
    assert scores["mae.inside.p"] == pytest.approx(np.mean(inside))
    assert scores["mae.outside.p"] == pytest.approx(((1 + 3) / 2 + (0 + 1) / 2) / 2)
    assert not [name for name in scores if name.startswith("mae.inside.p/")]


@given(
    peaks=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 90)), max_size=6), bin_bp=st.sampled_from([16, 32, 48])
)
def test_a_bin_is_inside_if_it_shares_a_base_with_a_peak(peaks, bin_bp):
    peaks = [(0, start, min(start + width, 320)) for start, width in peaks]
    store = store_of(
        [np.zeros((1, 20))], peaks={"p": peaks_of(*peaks) if peaks else Peaks(*[np.zeros(0, dtype=int)] * 4)}
    )
    bases = np.zeros(320, dtype=bool)
    for _, start, end in peaks:
        bases[start:end] = True
    inside = [bool(bases[first : first + bin_bp].any()) for first in range(0, 320, bin_bp)]
    # Each bin's error names it, so that the mean error tells which bins were inside.
    errors = np.repeat(2.0 ** np.arange(len(inside)), bin_bp // 16)[None, :20]
    scores = scored(errors, store, metrics=["mae"], bin_bp=bin_bp, strata=["p"])
    expected = 2.0 ** np.flatnonzero(inside)
    assert scores["mae.inside.p"] == pytest.approx(expected.mean() if any(inside) else math.nan, nan_ok=True)


@pytest.mark.parametrize(
    ("kind", "model_bin_bp"), [("signal", 32), ("signal", 128), ("binary", 32), ("multiclass", 32)]
)
def test_scoring_a_long_contig_takes_little_memory_of_its_own(kind, model_bin_bp):
    """4 Mb in bins of 32 bp, 4 tracks: predictions of 2 MB are kept, and what a track's metrics take."""
    n_bins, rng = 4_000_000 // 32, np.random.default_rng(0)
    store = SequenceStore(
        sequence=np.zeros(0, dtype=np.uint8),
        signal=rng.random((4, n_bins), dtype=np.float32),
        offsets=np.array([0, n_bins]),
        lengths=np.array([n_bins * 32]),
        contigs=("chr1",),
        tracks=tuple("abcd"),
        resolution_bp=32,
        kind=kind,
        peaks={"p": peaks_of((0, 1000, 1_800_000))},
    )
    predicted = rng.random((4, n_bins * 32 // model_bin_bp), dtype=np.float32) / 4
    tracemalloc.start()
    try:
        scores = score(
            lambda contig: predicted,
            store,
            np.array([0]),
            model_bin_bp=model_bin_bp,
            bin_bp=32,
            metrics=RECORDED[kind],
            strata=["p"],
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.isfinite(list(scores.values())).all()
    assert peak < 25e6


def test_base_resolution_costs_no_more_than_the_bins_that_are_compared():
    n_bases = 4_000_000
    store = store_of([np.zeros((1, n_bases))], resolution_bp=1)
    predicted = np.ones((1, n_bases // 32), dtype=np.float32)
    tracemalloc.start()
    try:
        score(lambda contig: predicted, store, np.array([0]), model_bin_bp=32, bin_bp=32, metrics=["mae"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12e6


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
