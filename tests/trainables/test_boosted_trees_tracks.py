"""Boosted trees on tracks, held to counts by hand and to a planted motif."""

import json
import math

import numpy as np
import pytest

from genotune.errors import DataError
from genotune.scoring import score
from genotune.store import SequenceOutline
from genotune.trainables.batches import reverse_complement
from genotune.trainables.boosted_trees_tracks import TrackTrees
from genotune.trainables.kmers import canonical_kmers
from genotune.trainables.track_trees import bin_features, training_bins
from genotune.trainables.trainable import FitPlan

SMALL = {"rounds_per_epoch": 4, "bin_bp": 16, "k": 3, "flank_bp": 24}
DRAWN = {**SMALL, "subsample": 0.7, "colsample_bytree": 0.5}


def fit(store, splits, *, seed=1, report=lambda progress: None, resume=None, max_epochs=3, **settings):
    plan = FitPlan(seed=seed, max_epochs=max_epochs)
    return TrackTrees(**{**SMALL, **settings}).fit(store, splits, report=report, plan=plan, resume=resume)


def some_codes(model, *, n=5, seed=3):
    return np.random.default_rng(seed).integers(0, 5, (n, model.input_bp)).astype(np.uint8)


def codes_of(text):
    return np.array(["ACGTN".index(base) for base in text], dtype=np.uint8)


def test_features_are_counts_of_kmers_and_shares_of_gc_by_hand():
    index = canonical_kmers(1)  # A or T, then C or G
    codes = np.stack([codes_of("ACGTACNN"), codes_of("GGGGAAAA")])
    features = bin_features(codes, np.array([2, 4]), bin_bp=2, flanks=(0, 2), index=index)
    np.testing.assert_allclose(
        features,
        [
            [1, 1, 1 / 2, 3, 3, 3 / 6],  # GT in ACGTAC
            [1, 1, 1 / 2, 2, 2, 2 / 6],  # AC in GTACNN
            [0, 2, 2 / 2, 2, 4, 4 / 6],  # GG in GGGGAA
            [2, 0, 0 / 2, 4, 2, 2 / 6],  # AA in GGAAAA
        ],
    )
    assert features.dtype == np.float32


@pytest.mark.parametrize("k", [1, 3, 6])
@pytest.mark.parametrize("flank", [0, 5])
def test_features_of_spans_are_those_of_a_slow_count(k, flank):
    rng, index = np.random.default_rng(k), canonical_kmers(k)
    codes = rng.choice(5, (3, 40), p=[0.24, 0.24, 0.24, 0.24, 0.04]).astype(np.uint8)
    firsts = np.array([5, 13, 27])
    found = bin_features(codes, firsts, bin_bp=8, flanks=(flank,), index=index)
    slow = np.zeros_like(found)
    for row, (example, first) in enumerate((e, f) for e in codes for f in firsts):
        span = example[first - flank : first + 8 + flank]
        for start in range(len(span) - k + 1):
            kmer = span[start : start + k]
            if 4 not in kmer:
                slow[row, index.feature[int("".join(map(str, kmer)), 4)]] += 1
        slow[row, -1] = np.isin(span, (1, 2)).sum() / len(span)
    np.testing.assert_allclose(found, slow, rtol=1e-6)


def test_training_sees_a_bin_as_prediction_does(make_store, splits):
    """The model is exact on training bins, so a bin that is laid elsewhere by one base would show."""
    store = make_store([900, 500, 400], every_bp=50)
    model = fit(store, splits, max_depth=16, learning_rate=1.0, min_child_weight=0.0, reg_lambda=0.0, max_epochs=20)
    for contig in (0, 1):
        observed = store.contig_signal(contig)
        np.testing.assert_allclose(model.predict_contig(store, contig), observed, atol=0.03)


def test_report_is_called_once_an_epoch_with_finite_metrics(store, splits):
    seen = []
    fit(store, splits, report=lambda progress: seen.append((progress.epoch, dict(progress.metrics))))
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    for epoch, metrics in seen:
        assert metrics["rounds"] == 4 * epoch
        assert set(metrics) == {"train_loss", "rounds", "bins_per_s"}
        assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("tracks", [("a",), ("a", "b"), ("a", "b", "c")])
def test_a_prediction_is_one_value_per_track_and_inner_bin(make_store, splits, tracks):
    store = make_store([3000, 3000, 2000], tracks=tracks)
    model = fit(store, splits)
    n_bins = (model.input_bp - 2 * model.crop_bp) // model.bin_bp
    predicted = model.predict(some_codes(model))
    assert predicted.shape == (5, len(tracks), n_bins)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    assert (predicted >= 0).all()
    assert model.predict(some_codes(model)[:0]).shape == (0, len(tracks), n_bins)
    assert model.tracks == tracks


def test_each_track_has_its_own_predictions(make_store, splits):
    store = make_store([9000, 5000, 4000], tracks=("a", "b"))
    store.signal[1] *= 10
    model = fit(store, splits, rounds_per_epoch=25)
    a, b = model.predict_contig(store, 2).mean(axis=1)
    mean_a, mean_b = store.contig_signal(0).mean(axis=1)
    assert a == pytest.approx(mean_a, rel=0.3)
    assert b == pytest.approx(mean_b, rel=0.3)


def test_the_reported_loss_is_poissons(make_store, splits):
    store, seen = make_store([3200, 1600, 800]), []

    def report(progress):
        rates = np.concatenate([progress.model.predict_contig(store, contig)[0] for contig in (0, 1)]) * 16.0
        counts = np.concatenate([store.contig_signal(contig)[0] for contig in (0, 1)]) * 16.0
        log_factorial = np.array([math.lgamma(count + 1) for count in counts])
        seen.append((progress.metrics["train_loss"], np.mean(rates - counts * np.log(rates) + log_factorial)))

    fit(store, splits, report=report)
    for reported, expected in seen:
        assert reported == pytest.approx(expected, rel=1e-4)


def test_a_saved_model_predicts_what_it_did(store, splits, tmp_path):
    model = fit(store, splits)
    model.save(tmp_path)
    loaded = TrackTrees.load_model(tmp_path)
    loaded.to("cpu", n_threads=1)
    assert loaded.facts() == model.facts()
    np.testing.assert_array_equal(loaded.predict(some_codes(model)), model.predict(some_codes(model)))
    record = json.loads((tmp_path / "model.json").read_text(), parse_constant=pytest.fail)
    assert (record["family"], record["columns"]) == ("boosted_trees", ["sequence", "signal"])
    assert {path.name for path in tmp_path.iterdir()} == {"model.ubj", "model.json"}


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("drawn", [SMALL, DRAWN])
def test_a_resumed_fit_is_the_uninterrupted_one_bit_for_bit(make_store, splits, tmp_path, epoch, drawn):
    store = make_store([3000, 3000, 2000], tracks=("a", "b"))
    metrics, again = {}, {}

    def report(progress):
        metrics[progress.epoch] = progress.metrics["train_loss"]
        if progress.epoch == epoch:
            progress.save_state(tmp_path, value=0.5)
        return 0.5

    def report_again(progress):
        again[progress.epoch] = progress.metrics["train_loss"]
        return 0.5

    whole = fit(store, splits, report=report, **drawn)
    resumed = fit(store, splits, report=report_again, resume=tmp_path, **drawn)
    assert again == {number: loss for number, loss in metrics.items() if number > epoch}
    np.testing.assert_array_equal(resumed.predict(some_codes(whole)), whole.predict(some_codes(whole)))


def test_the_same_seed_gives_the_same_model_and_another_another(store, splits):
    models = [fit(store, splits, seed=seed, **DRAWN) for seed in (4, 4, 5)]
    first, second, other = (model.predict(some_codes(models[0])) for model in models)
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("drawn", [SMALL, DRAWN])
def test_validation_during_the_fit_changes_nothing(store, splits, drawn):
    quiet = fit(store, splits, **drawn)
    watched = fit(store, splits, report=lambda progress: float(progress.model.predict_contig(store, 2).sum()), **drawn)
    np.testing.assert_array_equal(quiet.predict(some_codes(quiet)), watched.predict(some_codes(quiet)))


def test_excluded_bins_and_validation_contigs_are_not_learned_from(make_store, splits):
    store, excluded = make_store([6000, 3000, 2000]), make_store([6000, 3000, 2000])
    for one in (store, excluded):
        one.signal[:, 40:90] = np.nan
    inner = slice(46 * 16, 84 * 16)  # further than a flank from any bin that is learned from
    excluded.sequence[inner] = 3 - excluded.sequence[inner]
    excluded.contig_sequence(2)[:] = 0
    excluded.contig_signal(2)[:] = 5
    first, second = fit(store, splits), fit(excluded, splits)
    codes = some_codes(first)
    assert np.isfinite(first.predict(codes)).all()
    np.testing.assert_array_equal(first.predict(codes), second.predict(codes))


def test_a_bin_without_a_value_in_one_track_is_left_out(make_store):
    store = make_store([1000, 320, 320], tracks=("a", "b"))
    store.signal[0, 3], store.signal[1, 7] = np.nan, np.nan
    bins = training_bins(TrackTrees(), store, np.array([0, 2]), bin_bp=16)
    kept = [bin_ for bin_ in range(63) if bin_ not in (3, 7)] + list(range(83, 103))
    np.testing.assert_array_equal(bins.starts, np.array(kept) * 16)
    np.testing.assert_allclose(bins.counts, store.signal[:, kept].T * 16)
    np.testing.assert_array_equal(np.unique(bins.first_bases), [0, 83 * 16])
    np.testing.assert_array_equal(np.unique(bins.last_bases), [63 * 16, 103 * 16])


def test_a_wide_bin_counts_what_its_narrow_ones_do(make_store):
    store = make_store([160, 320])
    bins = training_bins(TrackTrees(), store, np.array([1, 0]), bin_bp=48)
    np.testing.assert_array_equal(bins.starts, np.array([10, 13, 16, 19, 22, 25, 0, 3, 6]) * 16)
    np.testing.assert_allclose(bins.counts[0, 0], store.signal[0, 10:13].sum() * 16)


def test_of_too_many_bins_evenly_spaced_ones_are_taken(make_store):
    store = make_store([1600, 800, 320])
    bins = training_bins(TrackTrees(max_bins=50), store, np.array([0, 1]), bin_bp=16)
    np.testing.assert_array_equal(bins.starts, np.arange(0, 150, 3) * 16)
    outline = SequenceOutline(16, ("cuts",), (1600, 800))
    for most in (1, 7, 50, 149, 150, 1000):
        settings = TrackTrees(bin_bp=16, max_bins=most)
        n = len(training_bins(settings, store, np.array([0, 1]), bin_bp=16).starts)
        assert settings.n_examples(outline) == n <= most


def test_a_store_that_can_not_be_written_is_enough(make_store, splits):
    store = make_store([3000, 3000, 2000])
    for array in (store.sequence, store.signal, store.offsets, store.lengths):
        array.setflags(write=False)
    assert np.isfinite(fit(store, splits).predict_contig(store, 2)).all()


def test_training_contigs_without_a_value_are_the_users_error(make_store, splits):
    store = make_store([3000, 3000, 2000])
    store.signal[:] = np.nan
    with pytest.raises(DataError, match="no bin with a value in every track"):
        fit(store, splits)


def test_a_track_below_zero_is_the_users_error(make_store, splits):
    store = make_store([3000, 3000, 2000], tracks=("cuts", "fold change"))
    store.signal[1, 5] = -0.5
    with pytest.raises(DataError, match=r"counts; the track 'fold change' holds values below zero"):
        fit(store, splits)


def test_the_other_strand_gives_the_same_turned_round(store, splits):
    model = fit(store, splits)
    codes = some_codes(model)
    np.testing.assert_array_equal(model.predict(reverse_complement(codes)), model.predict(codes)[..., ::-1])


def test_a_planted_motif_is_learned(make_store, splits):
    store = make_store([60000, 20000, 20000])
    model = fit(store, splits, k=4, flank_bp=16, rounds_per_epoch=25)
    scores = score(
        lambda contig: model.predict_contig(store, contig),
        store,
        splits.validation,
        model_bin_bp=16,
        bin_bp=16,
        metrics=["pearson"],
    )
    assert scores["pearson"] > 0.5


def test_training_data_are_binned_once_for_trials_on_the_same_features(make_store, splits):
    store = make_store([3000, 3000, 2000])
    first = fit(store, splits)
    codes = some_codes(first)
    store.signal[:] = 0  # what is binned again after this learns zeros
    np.testing.assert_array_equal(fit(store, splits).predict(codes), first.predict(codes))
    for change in ({"k": 2}, {"flank_bp": 8}, {"bin_bp": 32}, {"max_bins": 100}, {"max_bin": 8}):
        model = fit(store, splits, **change)
        assert model.predict(some_codes(model)).max() < 1e-3


@pytest.mark.parametrize(("resolution_bp", "bin_bp"), [(1, 32), (10, 40), (16, 32), (32, 32), (128, 128)])
def test_without_a_width_bins_are_the_stores_but_not_finer_than_32_bp(resolution_bp, bin_bp):
    assert TrackTrees().resolved_bin_bp(resolution_bp) == bin_bp


def test_what_does_not_fit_is_said():
    outline = SequenceOutline(4, ("cuts",), (9000,))
    [problem] = TrackTrees(bin_bp=6).problems(outline)
    assert problem.path == ("bin_bp",)
    assert "whole multiple of data.resolution_bp (4), e.g. 4 or 8" in problem.message
    [problem] = TrackTrees(bin_bp=4, k=5).problems(outline)
    assert (problem.path, problem.message) == (("k",), "found 5; no such k-mer fits a bin of 4 bp. Use a smaller k.")
    assert TrackTrees().problems(outline) == []
