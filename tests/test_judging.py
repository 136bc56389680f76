"""What a model learns from, and how it is judged on tracks that it knows and on others."""

import gc
import weakref

import numpy as np
import pytest

from genotune.calibration import recalibration
from genotune.judging import Judge, lesson_of, score_model, validate
from genotune.store import Peaks, SequenceStore, Splits, TrackSplits
from genotune.trainables import build_trainable
from genotune.trainables.model import SequenceModel
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, build_traits, split_samples


def store_of(signal, *, tracks=("a", "b", "c"), **more):
    """Two contigs of equal length with this signal, (track, bin)."""
    signal = np.asarray(signal, dtype=np.float32)
    n_bins = signal.shape[1]
    return SequenceStore(
        sequence=np.random.default_rng(0).integers(0, 4, n_bins * 16).astype(np.uint8),
        signal=signal,
        offsets=np.array([0, n_bins // 2, n_bins]),
        lengths=np.array([n_bins * 8, n_bins * 8]),
        contigs=("chrA", "chrB"),
        tracks=tracks,
        resolution_bp=16,
        **more,
    )


class Constant(SequenceModel):
    """Predicts its own value for each of its tracks, whatever the sequence."""

    bin_bp, input_bp, crop_bp = 16, 64, 0

    def __init__(self, **values):
        self.tracks = tuple(values)
        self.values = np.array(list(values.values()), dtype=np.float32)

    @property
    def n_parameters(self):
        return len(self.values)

    def predict(self, codes):
        return np.tile(self.values[:, None], (len(codes), 1, 4))

    def save(self, folder):
        raise AssertionError("not saved here")

    load = save


MAE = Judge("mae", bin_bp=16)
WHOLE = np.array([0, 1])


def maes(model, store, **more):
    scores = score_model(model, store, members=WHOLE, judge=MAE, **more)
    return {name.removeprefix("mae"): value for name, value in scores.items() if name.startswith("mae")}


def test_without_a_split_of_tracks_a_model_learns_from_the_store_itself():
    store = store_of(np.zeros((3, 4)))
    splits = Splits(np.array([0]), np.array([1]))
    assert lesson_of(store, splits) == (store, splits)


def test_a_model_learns_from_the_training_tracks_alone():
    store = store_of(np.arange(12).reshape(3, 4))
    splits = Splits(np.array([0]), np.array([1]), TrackSplits(np.array([0, 2]), np.array([1])))
    lesson = lesson_of(store, splits)
    assert lesson.store.tracks == ("a", "c")
    assert lesson.store.signal.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert lesson.splits.tracks is None
    assert (lesson.splits.train.tolist(), lesson.splits.validation.tolist()) == ([0], [1])


def test_the_training_tracks_of_a_store_are_one_object_for_as_long_as_the_store_lives():
    store = store_of(np.zeros((3, 4)))
    first = Splits(WHOLE, WHOLE, TrackSplits(np.array([0, 1]), np.array([2])))
    other = Splits(WHOLE, WHOLE, TrackSplits(np.array([1, 2]), np.array([0])))
    assert lesson_of(store, first).store is lesson_of(store, first).store
    assert lesson_of(store, other).store is not lesson_of(store, first).store
    view = weakref.ref(lesson_of(store, first).store)
    del store
    gc.collect()
    assert view() is None


def test_a_track_that_the_model_knows_is_predicted_by_itself():
    store = store_of(np.zeros((3, 4)))
    assert maes(Constant(a=1, b=2, c=3), store) == {"": 2.0, "/a": 1.0, "/b": 2.0, "/c": 3.0}
    assert maes(Constant(c=3, a=1, b=2), store) == {"": 2.0, "/a": 1.0, "/b": 2.0, "/c": 3.0}


def test_a_track_that_the_model_does_not_know_is_predicted_by_the_mean_of_its_tracks():
    store = store_of(np.zeros((3, 4)))
    assert maes(Constant(a=1, b=4), store, tracks=np.array([2])) == {"": 2.5}
    assert maes(Constant(a=1, b=4), store, tracks=np.array([1, 2])) == {"": 3.25, "/b": 4.0, "/c": 2.5}


def test_a_strand_that_the_model_does_not_know_is_predicted_by_its_tracks_of_that_strand():
    tracks = ("a.plus", "a.minus", "b.plus", "b.minus", "c")
    store = store_of(np.zeros((5, 4)), tracks=tracks, strand_pairs=((0, 1), (2, 3)))
    model = Constant(**{"a.plus": 1, "a.minus": 3, "c": 11})
    assert maes(model, store, tracks=np.array([2, 3])) == {"": 2.0, "/b.plus": 1.0, "/b.minus": 3.0}
    assert maes(Constant(c=11), store, tracks=np.array([2, 3])) == {"": 11.0, "/b.plus": 11.0, "/b.minus": 11.0}


def test_a_model_is_validated_on_the_contigs_and_tracks_of_validation():
    store = store_of([[0, 0, 6, 6], [0, 0, 7, 7], [1, 1, 9, 9]])
    splits = Splits(np.array([0]), np.array([1]), TrackSplits(np.array([0]), np.array([1])))
    assert validate(Constant(a=5), store, splits=splits, judge=MAE)["mae"] == 2.0
    assert validate(Constant(a=5, b=5, c=5), store, splits=splits._replace(tracks=None), judge=MAE)["mae/c"] == 4.0


def test_a_model_of_some_tracks_is_the_same_whether_the_others_are_in_the_store_or_not():
    rng = np.random.default_rng(1)
    store = store_of(rng.poisson(2, (3, 400)))
    alone = store.with_tracks(np.array([0, 2]))
    splits = Splits(np.array([0]), np.array([1]), TrackSplits(np.array([0, 2]), np.array([1])))
    for family, params in (("ridge", {}), ("boosted_trees", {"rounds_per_epoch": 3, "k": 2})):
        trainable = build_trainable(family, params, store.columns)
        models = [
            trainable.fit(*one, report=lambda _: None, plan=FitPlan(0, 1))
            for one in (lesson_of(store, splits), (alone, splits._replace(tracks=None)))
        ]
        first, second = (model.predict_contig(store, 1) for model in models)
        np.testing.assert_array_equal(first, second)
        assert models[0].tracks == ("a", "c")
        seen = score_model(models[0], store, members=np.array([1]), judge=MAE, tracks=np.array([1]))
        target = store.contig_signal(1)[1]
        mixed = np.repeat(first.mean(axis=0), models[0].bin_bp // 16)[: len(target)]
        assert seen["mae"] == pytest.approx(np.abs(mixed - target).mean(), rel=1e-5)


def test_strata_are_recorded_beside_every_metric():
    peaks = Peaks(*(np.array([value]) for value in (1, 0, 16, 0)))
    store = store_of([[0, 0, 1, 3]], tracks=("a",), peaks={"open": peaks})
    judge = MAE._replace(strata=("open",))
    scores = score_model(Constant(a=0), store, members=np.array([1]), judge=judge)
    assert {f"{name}{part}" for name in judge.metrics for part in ("", ".inside.open", ".outside.open")} == {*scores}
    assert (scores["mae"], scores["mae.inside.open"], scores["mae.outside.open"]) == (2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("kind", "objective"), [("signal", "pearson"), ("binary", "auroc"), ("multiclass", "accuracy")]
)
def test_every_kind_of_tracks_is_judged_by_its_own_metrics(kind, objective):
    signal = np.eye(2, dtype=np.float32).repeat(4, axis=1)
    store = store_of(signal, tracks=("a", "b"), kind=kind)
    judge = Judge(objective, kind, 16)
    scores = score_model(Constant(a=0.6, b=0.2), store, members=WHOLE, judge=judge)
    assert {*judge.metrics} <= {*scores}
    if kind == "multiclass":
        assert scores["accuracy"] == 0.5
        assert not [name for name in scores if "/" in name]


def test_of_a_binary_trait_calibration_is_recorded_beside_the_metrics():
    store = build_genotypes(300, 20, kind="binary")
    splits = split_samples(store)
    trainable = build_trainable("elastic_net", {}, store.columns)
    model = trainable.fit(store, splits, report=lambda _: None, plan=FitPlan(0, 1))
    judge = Judge("auroc", "binary")
    scores = validate(model, store, splits=splits, judge=judge)
    assert {*scores} == {*judge.metrics, "ece", "calibration_intercept", "calibration_slope"}
    observed, predicted = store.phenotype[splits.validation], model.predict_samples(store, splits.validation)
    assert scores["brier"] == pytest.approx(np.mean((observed - predicted) ** 2), rel=1e-6)
    assert scores["calibration_slope"] == pytest.approx(recalibration(observed, predicted).slope)
    of_others = build_genotypes(60, 20)
    model = build_trainable("ridge", {}, store.columns).fit(
        of_others, split_samples(of_others), report=lambda _: None, plan=FitPlan(0, 1)
    )
    scores = validate(model, of_others, splits=split_samples(of_others), judge=Judge("pearson", "quantitative"))
    assert {*scores} == {*Judge("pearson", "quantitative").metrics}


@pytest.mark.parametrize(
    ("kind", "metric"), [("quantitative", "pearson"), ("binary", "auroc"), ("multiclass", "log_loss")]
)
def test_several_traits_are_judged_by_the_mean_of_their_own_scores_on_the_samples_that_have_them(kind, metric):
    store, judge = build_traits(300, 12, kind=kind, gaps=0.2), Judge(metric, kind=kind)
    splits = split_samples(store.genotypes)
    trainable = build_trainable("elastic_net", {"penalty": 0.05}, store.columns)
    model = fit_prepared(trainable, store, splits, report=lambda _: None, plan=FitPlan(seed=1, max_epochs=1))
    scores = validate(model, store, splits=splits, judge=judge)
    own = []
    for one, single in zip(store.each, model.models, strict=True):
        members = one.known(splits.validation)
        assert len(members) < len(splits.validation)
        own.append(score_model(single, one, members=members, judge=judge))
    assert ("ece" in own[0]) == (kind == "binary")
    for name in own[0]:
        assert [scores[f"{name}/{one.trait}"] for one in store.each] == pytest.approx([each[name] for each in own])
        assert scores[name] == pytest.approx(np.mean([each[name] for each in own]))


def test_where_a_score_of_one_trait_is_not_defined_their_mean_is_not_either():
    store = build_traits(300, 12)
    trainable = build_trainable("elastic_net", {"penalty": 0.05}, store.columns)
    splits = split_samples(store.genotypes)
    model = fit_prepared(trainable, store, splits, report=lambda _: None, plan=FitPlan(seed=1, max_epochs=1))
    store.each[1].phenotype[splits.validation] = 40.0
    scores = validate(model, store, splits=splits, judge=Judge("pearson", kind="quantitative"))
    assert np.isnan([scores["pearson"], scores["pearson/weight"]]).all()
    assert scores["pearson/height"] > 0.5


def test_of_several_objectives_the_primary_one_counts_unless_another_is_no_number():
    judge = Judge("pearson", "quantitative", further=("mse", "n_parameters"))
    scores = {"pearson": 0.5, "mse": 0.1, "n_parameters": 7.0}
    assert judge.value(scores) == 0.5
    assert np.isnan(judge.value({**scores, "mse": np.nan}))
    assert np.isnan(judge.value({"pearson": 0.5, "mse": 0.1}))
    assert Judge("pearson", "quantitative").value({"pearson": 0.5, "mse": np.nan}) == 0.5


def test_further_objectives_are_turned_so_that_lower_is_better_whatever_their_direction():
    judge = Judge("mse", "quantitative", further=("pearson", "mae", "n_parameters"))
    metrics = {"validation.pearson": 0.5, "validation.mae": 0.25, "n_parameters": 7.0, "validation.mse": 3.0}
    assert judge.further_losses(metrics) == (-0.5, 0.25, 7.0)
    assert np.isnan(judge.further_losses({})).all()
    assert Judge("mse").further_losses(metrics) == ()


def test_the_size_of_a_model_is_told_where_it_is_an_objective_and_never_on_the_test_split():
    store, splits = store_of(np.ones((1, 4)), tracks=("a",)), Splits(WHOLE, WHOLE)
    judge = MAE._replace(further=("n_parameters",))
    assert validate(Constant(a=2.0), store, splits=splits, judge=judge)["n_parameters"] == 1.0
    assert "n_parameters" not in validate(Constant(a=2.0), store, splits=splits, judge=MAE)
    assert "n_parameters" not in score_model(Constant(a=2.0), store, members=WHOLE, judge=judge)
