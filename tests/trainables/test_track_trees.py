"""Boosted trees on tracks: what is kept between trials, transforms and labels."""

import json
from dataclasses import replace

import numpy as np
import pytest
from trainables.tree_fitting import SMALL, fit, some_codes

from genotune.genome.track_transforms import Arcsinh, Clip, Scale
from genotune.store import SequenceOutline
from genotune.trainables import track_trees
from genotune.trainables.boosted_trees_tracks import TrackTrees
from genotune.trainables.trainable import FitError


def count_calls(monkeypatch, name):
    """How often a function of track_trees.py is called: (call,) of what it was called with first."""
    calls, real = [], getattr(track_trees, name)

    def counting(*arguments, **named):
        calls.append(arguments)
        return real(*arguments, **named)

    monkeypatch.setattr(track_trees, name, counting)
    return calls


def test_training_data_are_binned_once_for_trials_on_the_same_features(make_store, splits, monkeypatch):
    store, calls = make_store([3000, 3000, 2000]), count_calls(monkeypatch, "binned")
    fit(store, splits)
    for change in ({}, {"max_depth": 2}, {"learning_rate": 0.5}, {"objective": "poisson"}, {"transform": None}):
        fit(store, splits, **change)
        assert len(calls) == 1, change
    changes = (
        {"k": 2},
        {"gap_bp": 1},
        {"flank_bp": 8},
        {"n_flanks": 2},
        {"gc_cells": 3},
        {"bin_bp": 32},
        {"max_bins": 100},
    )
    for number, change in enumerate((*changes, {"max_bin": 8}, {"transform": "arcsinh"}, {"transform": "none"})):
        fit(store, splits, **change)
        assert len(calls) == number + 2, change
    other = splits._replace(train=np.array([0]))
    fit(store, other)
    assert len(calls) == number + 3


def test_features_are_made_once_for_trials_that_bin_them_otherwise(make_store, splits, monkeypatch):
    store, calls = make_store([3000, 3000, 2000]), count_calls(monkeypatch, "feature_parts")
    settings = ({}, {"max_bin": 8}, {"max_bin": 16}, {"transform": "arcsinh"}, {"objective": "squared_error"})
    models = [fit(store, splits, **change) for change in settings]
    assert len(calls) == 1
    for change in (
        {"k": 2},
        {"gap_bp": 1},
        {"flank_bp": 8},
        {"n_flanks": 2},
        {"gc_cells": 3},
        {"bin_bp": 32},
        {"max_bins": 100},
    ):
        before = len(calls)
        fit(store, splits, **change)
        assert len(calls) == before + 1, change
    fresh = fit(make_store([3000, 3000, 2000]), splits, max_bin=16)
    np.testing.assert_array_equal(fresh.predict(some_codes(fresh)), models[2].predict(some_codes(fresh)))


def test_features_too_many_to_be_kept_are_made_again_and_are_the_same(make_store, splits, monkeypatch):
    first = fit(make_store([3000, 3000, 2000]), splits)
    calls = count_calls(monkeypatch, "feature_parts")
    monkeypatch.setattr(track_trees, "_MOST_KEPT_BYTES", 1000)
    store = make_store([3000, 3000, 2000])
    again = fit(store, splits)
    assert len(calls) > 1
    assert track_trees.FEATURES.peek(store, (16, 3, 0, (0, 24), 0, 200_000, splits.train.tobytes())) is None
    np.testing.assert_array_equal(first.predict(some_codes(first)), again.predict(some_codes(first)))


def test_kept_features_are_a_byte_each(make_store, splits):
    store = make_store([3000, 3000, 2000])
    fit(store, splits)
    kept = track_trees.FEATURES.peek(store, (16, 3, 0, (0, 24), 0, 200_000, splits.train.tobytes()))
    assert [(part.shape, part.dtype) for part in kept] == [((188, 66), np.uint8)] * 2


def test_of_each_longer_flank_the_next_is_a_quarter():
    assert TrackTrees(flank_bp=512, n_flanks=3).flanks_bp == (0, 32, 128, 512)
    assert TrackTrees(flank_bp=128).flanks_bp == (0, 128)
    assert TrackTrees(flank_bp=9, n_flanks=4).flanks_bp == (0, 2, 9)
    assert TrackTrees(flank_bp=0, n_flanks=4).flanks_bp == (0,)


def noisy(store, *, least=0.0):
    """The store with a second track that falls as the first rises, below zero too."""
    store.signal[1] = least - 2 * store.signal[0]
    return store


def test_squared_error_learns_values_below_zero_and_predicts_them(make_store, splits):
    store = noisy(make_store([9000, 5000, 4000], tracks=("cuts", "minus")))
    model = fit(store, splits, objective="squared_error", rounds_per_epoch=25)
    cuts, minus = model.predict_contig(store, 2)
    assert cuts.min() >= 0
    assert minus.min() < -1
    assert np.corrcoef(cuts, minus)[0, 1] < -0.9
    mean_cuts, mean_minus = store.signal[:, : store.offsets[2]].mean(axis=1)
    assert cuts.mean() == pytest.approx(mean_cuts, rel=0.3)
    assert minus.mean() == pytest.approx(mean_minus, rel=0.3)


def test_the_reported_loss_of_squared_error_is_its_root(make_store, splits):
    store, seen = make_store([3200, 1600, 800]), []

    def report(progress):
        errors = [progress.model.predict_contig(store, contig) - store.contig_signal(contig) for contig in (0, 1)]
        rmse = 16 * np.sqrt(np.mean(np.concatenate(errors, axis=1) ** 2))
        seen.append((progress.metrics["train_loss"], rmse))

    fit(store, splits, objective="squared_error", report=report, learning_rate=0.05)
    for reported, expected in seen:
        assert reported == pytest.approx(expected, rel=1e-2)  # predictions are not below zero


@pytest.mark.parametrize("objective", ["poisson", "squared_error"])
@pytest.mark.parametrize("transform", ["arcsinh", "log1p", {"kind": "scale", "depth": 3.0}, ["log1p", "arcsinh"]])
def test_what_is_learned_transformed_is_predicted_in_the_tracks_own_units(make_store, splits, transform, objective):
    """The model is exact on training bins, so that a transform which isn't undone would show."""
    store = make_store([900, 500, 400], every_bp=50)
    exact = {"max_depth": 16, "learning_rate": 1.0, "min_child_weight": 0.0, "reg_lambda": 0.0, "max_epochs": 20}
    settings = TrackTrees.model_validate_json(json.dumps({**SMALL, "transform": transform})).transform
    model = fit(store, splits, **exact, transform=settings, objective=objective)
    for contig in (0, 1):
        np.testing.assert_allclose(model.predict_contig(store, contig), store.contig_signal(contig), atol=0.05)


def test_each_track_is_transformed_as_the_store_says(make_store, splits):
    store = make_store([9000, 5000, 4000], tracks=("a", "b"))
    transformed = replace(store, transforms=((Arcsinh(),), (Scale(depth=2.0), Clip(at=1e-3))))
    model = fit(transformed, splits, rounds_per_epoch=25)
    assert [[step.kind for step in transform] for transform in model.outputs.transforms] == [
        ["arcsinh"],
        ["scale", "clip"],
    ]
    a, b = model.predict_contig(store, 2)
    assert a.max() > 0.3
    depth = store.signal[1, : store.offsets[2]].mean()
    assert b.max() <= 1e-3 * depth / 2.0 / 16 * 1.2  # all that is not zero was learned as the limit
    plain = fit(transformed, splits, transform=(), rounds_per_epoch=25)
    np.testing.assert_array_equal(
        plain.predict_contig(store, 2), fit(store, splits, rounds_per_epoch=25).predict_contig(store, 2)
    )


def labels(store, *, kind):
    """Stores of labels: track 0 around the motif, track 1 where it is not far; of exclusive classes with less."""
    has_signal = store.signal[0] > 0.5
    near = np.convolve(has_signal, np.ones(3), mode="same") > 0
    store.signal[0] = has_signal
    store.signal[1] = near * (0.9 if kind == "multiclass" else 1.0)
    return replace(store, kind=kind)


def test_binary_labels_are_learned_as_probabilities_of_each_track(make_store, splits):
    store = labels(make_store([30000, 20000, 10000], tracks=("a", "b")), kind="binary")
    model = fit(store, splits, rounds_per_epoch=25, k=4)
    predicted, observed = model.predict_contig(store, 2), store.contig_signal(2)
    assert ((predicted > 0) & (predicted < 1)).all()
    for track in range(2):
        positive = observed[track] == 1
        assert predicted[track, positive].mean() > 1.5 * predicted[track, ~positive].mean()
        assert predicted[track].mean() == pytest.approx(observed[track].mean(), rel=0.3)


def test_positives_that_weigh_more_are_predicted_more_often(make_store, splits):
    store = labels(make_store([9000, 5000, 4000], tracks=("a", "b")), kind="binary")
    even, weighted, heavy = (
        fit(store, splits, positive_weight=weight).predict_contig(store, 2).mean() for weight in (1.0, None, 500.0)
    )
    assert even < weighted < heavy
    bins = track_trees.training_bins(store, splits.train, bin_bp=16, max_bins=10_000)
    objective = track_trees.what_is_learned(TrackTrees(positive_weight=None), store, bins, bin_bp=16).objective
    n_positive = store.signal[:, : store.offsets[2]].sum()
    n_negative = 2 * store.offsets[2] - n_positive
    assert objective["scale_pos_weight"] == pytest.approx(n_negative / n_positive)


def test_of_exclusive_classes_the_probability_of_each_track_is_given(make_store, splits):
    store = labels(make_store([30000, 20000, 10000], tracks=("a", "b")), kind="multiclass")
    model = fit(store, splits, rounds_per_epoch=25, k=4)
    predicted, observed = model.predict_contig(store, 2), store.contig_signal(2)
    assert predicted.shape == observed.shape
    assert (predicted > 0).all()
    assert (predicted.sum(axis=0) < 1).all()
    is_a = observed[0] == 1
    for track, positive in enumerate((is_a, (observed[1] > 0) & ~is_a)):
        assert predicted[track].mean() == pytest.approx(positive.mean(), rel=0.3)
        assert predicted[track, positive].mean() > 1.2 * predicted[track, ~positive].mean()


def learned(store, splits, *, bin_bp):
    bins = track_trees.training_bins(store, splits.train, bin_bp=bin_bp, max_bins=10_000)
    return track_trees.what_is_learned(TrackTrees(), store, bins, bin_bp=bin_bp).values


def test_labels_are_those_of_the_trees_own_bins(make_store, splits):
    store = replace(make_store([3200, 3200, 800], tracks=("a", "b")), kind="binary")
    store.signal[:] = 0
    store.signal[0, ::4], store.signal[1, 1::4] = 1.0, 1.0
    np.testing.assert_array_equal(
        learned(store, splits, bin_bp=16), np.tile([[1, 0], [0, 1], [0, 0], [0, 0]], (100, 1))
    )
    np.testing.assert_array_equal(learned(store, splits, bin_bp=32), np.tile([[1, 1], [0, 0]], (100, 1)))
    classes = replace(store, kind="multiclass")
    np.testing.assert_array_equal(learned(classes, splits, bin_bp=16), np.tile([1, 2, 0, 0], 100))


@pytest.mark.parametrize(("kind", "name"), [("binary", "a"), ("multiclass", "b")])
def test_a_track_without_a_positive_bin_is_said(make_store, splits, kind, name):
    store = replace(make_store([3200, 3200, 800], tracks=("a", "b")), kind=kind)
    store.signal[:] = 0
    store.signal[0, ::4], store.signal[1, 1::4] = 0.98 if kind == "binary" else 1.0, 1.0
    with pytest.raises(FitError, match=rf"track '{name}' has no positive bin of 32 bp on the training contigs"):
        learned(store, splits, bin_bp=32)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_saved_model_of_labels_predicts_what_it_did(make_store, splits, tmp_path, kind):
    store = labels(make_store([9000, 5000, 4000], tracks=("a", "b")), kind=kind)
    model = fit(store, splits)
    model.save(tmp_path)
    loaded = TrackTrees.load_model(tmp_path)
    assert loaded.facts() == model.facts()
    assert model.facts()["kind"] == kind
    np.testing.assert_array_equal(loaded.predict(some_codes(model)), model.predict(some_codes(model)))


def test_a_saved_model_undoes_its_transforms(make_store, splits, tmp_path):
    store = noisy(make_store([9000, 5000, 4000], tracks=("cuts", "minus")), least=-1.0)
    settings = (Scale(depth=2.0), Arcsinh(), Clip(quantile=0.99))
    model = fit(store, splits, transform=settings, objective="squared_error")
    model.save(tmp_path)
    json.loads((tmp_path / "model.json").read_text(), parse_constant=pytest.fail)
    loaded = TrackTrees.load_model(tmp_path)
    np.testing.assert_array_equal(loaded.predict(some_codes(model)), model.predict(some_codes(model)))


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_settings_that_labels_do_not_have_are_said(kind):
    outline = SequenceOutline(32, ("peaks",), (9000,), kind)
    assert TrackTrees().problems(outline) == []
    first, second = TrackTrees(objective="poisson", transform=(Arcsinh(),)).problems(outline)
    assert (first.path, second.path) == (("objective",), ("transform",))
    assert first.message == f"the tracks are labels ({kind}), which have none. Leave it out."


@pytest.mark.parametrize(("kind", "n_problems"), [("signal", 1), ("binary", 0), ("multiclass", 1)])
def test_a_weight_of_positives_is_for_binary_labels(kind, n_problems):
    outline = SequenceOutline(32, ("peaks",), (9000,), kind)
    for weight, given in ((None, "null"), (2.5, "2.5")):
        found = TrackTrees(positive_weight=weight).problems(outline)
        assert len(found) == n_problems
        for problem in found:
            assert problem.path == ("positive_weight",)
            assert (
                problem.message == f"found {given}; it is for binary labels, and the tracks are {kind}. Leave it out."
            )


def test_widths_that_do_not_fit_are_said():
    outline = SequenceOutline(4, ("cuts",), (9000,))
    assert TrackTrees().problems(outline) == []
    assert [problem.path for problem in TrackTrees(bin_bp=6).problems(outline)] == [("bin_bp",)]
    assert [problem.path for problem in TrackTrees(bin_bp=4, k=5).problems(outline)] == [("k",)]
    assert [problem.path for problem in TrackTrees(gap_bp=29).problems(outline)] == [("gap_bp",)]
    [problem] = TrackTrees(flank_bp=4, gc_cells=5).problems(outline)
    assert problem.path == ("gc_cells",)
    assert problem.message == "found 5; flank_bp (4) has no so many bases. Use fewer, or a longer flank."
    assert TrackTrees(max_bins=7).n_examples(outline) == 7
