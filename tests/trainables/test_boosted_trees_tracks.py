"""Boosted trees on tracks, held to counts by hand and to a planted motif."""

import json
import math

import numpy as np
import pytest
from trainables.tree_fitting import DRAWN, SMALL, fit, some_codes

from genotune.genome.sequence import reverse_complement
from genotune.scoring import score
from genotune.trainables.boosted_trees_tracks import TrackTrees
from genotune.trainables.trainable import FitError


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


def test_a_store_that_can_not_be_written_is_enough(make_store, splits):
    store = make_store([3000, 3000, 2000])
    for array in (store.sequence, store.signal, store.offsets, store.lengths):
        array.setflags(write=False)
    assert np.isfinite(fit(store, splits).predict_contig(store, 2)).all()


def test_training_contigs_without_a_value_are_said(make_store, splits):
    store = make_store([3000, 3000, 2000])
    store.signal[:] = np.nan
    with pytest.raises(FitError, match="no bin of 16 bp with a value in every track"):
        fit(store, splits)


def test_a_track_below_zero_is_no_counts(make_store, splits):
    store = make_store([3000, 3000, 2000], tracks=("cuts", "fold change"))
    store.signal[1, 5] = -0.5
    with pytest.raises(
        FitError, match=r"track 'fold change' holds values below zero .*\(a bin has -8\).*squared_error"
    ):
        fit(store, splits)
    with pytest.raises(FitError, match=r"track 'fold change' holds values below zero .*\(a bin has -2\.78\)"):
        fit(store, splits, transform="arcsinh")


def test_a_track_that_is_zero_throughout_is_said(make_store, splits):
    store = make_store([3000, 3000, 2000], tracks=("cuts", "empty"))
    store.signal[1, : store.offsets[2]] = 0  # the validation contig has some
    with pytest.raises(
        FitError, match=r"track 'empty' is zero throughout the training contigs; the objective 'poisson'"
    ):
        fit(store, splits)


@pytest.mark.parametrize("settings", [{}, {"k": 4, "gap_bp": 3, "n_flanks": 2}, {"gap_bp": 2, "gc_cells": 5}])
def test_the_other_strand_gives_the_same_turned_round(store, splits, settings):
    model = fit(store, splits, **settings)
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
