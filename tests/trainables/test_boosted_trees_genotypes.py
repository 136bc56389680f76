"""Boosted trees on genotypes, held to XGBoost's own and to planted variants."""

import csv
import json
import math

import numpy as np
import pytest
import xgboost
from pydantic import ValidationError

from genotune.settings import build
from genotune.store import MISSING_DOSAGE, GenotypeOutline, copies
from genotune.trainables.boosted_trees_genotypes import GenotypeTrees
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, split_samples, with_steps

KINDS = ("quantitative", "binary", "multiclass", "count")
SMALL = {"rounds_per_epoch": 5}
DRAWN = {**SMALL, "subsample": 0.7, "colsample_bytree": 0.5}


def fit(store, *, seed=1, report=lambda progress: None, resume=None, max_epochs=3, **settings):
    trainable = GenotypeTrees(**{**SMALL, **settings})
    plan = FitPlan(seed=seed, max_epochs=max_epochs)
    return trainable.fit(store, split_samples(store), report=report, plan=plan, resume=resume)


def predict(model, store):
    return model.predict_samples(store, split_samples(store).validation)


@pytest.fixture(params=KINDS)
def store(request):
    return build_genotypes(160, 12, kind=request.param, covariates=2, missing=0.05)


def test_report_is_called_once_an_epoch_with_finite_metrics(store):
    seen = []
    fit(store, report=lambda progress: seen.append((progress.epoch, dict(progress.metrics))))
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    for epoch, metrics in seen:
        assert metrics["rounds"] == 5 * epoch
        assert set(metrics) == {"train_loss", "rounds", "samples_per_s"}
        assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


def test_a_prediction_is_in_the_units_of_the_trait(store):
    predicted = predict(fit(store), store)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    n = len(split_samples(store).validation)
    if store.kind == "multiclass":
        assert predicted.shape == (n, 3)
        np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-6)
        assert (predicted > 0).all()
        return
    assert predicted.shape == (n,)
    low, high = {"quantitative": (140, 200), "binary": (0, 1), "count": (0, 60)}[store.kind]
    assert low < predicted.min()
    assert predicted.max() < high


def test_no_samples_have_no_predictions(store):
    model = fit(store)
    shape = (0, 3) if store.kind == "multiclass" else (0,)
    assert model.predict_samples(store, np.empty(0, dtype=np.int64)).shape == shape


def test_a_saved_model_predicts_what_it_did(store, tmp_path):
    model = fit(store, n_variants=9)
    model.save(tmp_path)
    loaded = GenotypeTrees.load_model(tmp_path)
    loaded.to("cpu", n_threads=1)
    np.testing.assert_array_equal(predict(loaded, store), predict(model, store))
    assert loaded.facts() == model.facts()
    assert loaded.facts()["n_variants"] == 9
    assert loaded.variants.names == store.variants.names[:9]
    assert loaded.settings == model.settings


def test_nothing_that_is_saved_is_a_pickle(store, tmp_path):
    (tmp_path / "state").mkdir()

    def report(progress):
        progress.model.save(tmp_path)
        progress.save_state(tmp_path / "state", value=0.5)

    fit(store, report=report)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"model.ubj", "model.json", "variants.tsv", "state/state.ubj", "state/state.json"}
    record = json.loads((tmp_path / "model.json").read_text(), parse_constant=pytest.fail)
    assert (record["family"], record["columns"]) == ("boosted_trees", ["covariate", "dosage", "phenotype"])
    with (tmp_path / "variants.tsv").open(newline="") as file:
        assert len(list(csv.reader(file, delimiter="\t"))) == 13
    for path in tmp_path.rglob("*.ubj"):
        assert path.read_bytes().startswith(b"{L")


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("drawn", [SMALL, DRAWN])
def test_a_resumed_fit_is_the_uninterrupted_one_bit_for_bit(store, tmp_path, epoch, drawn):
    metrics, again = {}, {}

    def report(progress):
        metrics[progress.epoch] = progress.metrics["train_loss"]
        if progress.epoch == epoch:
            progress.save_state(tmp_path, value=0.5)
        return 0.5

    def report_again(progress):
        again[progress.epoch] = progress.metrics["train_loss"]
        return 0.5

    whole = fit(store, report=report, **drawn)
    resumed = fit(store, report=report_again, resume=tmp_path, **drawn)
    assert again == {number: loss for number, loss in metrics.items() if number > epoch}
    np.testing.assert_array_equal(predict(resumed, store), predict(whole, store))


def test_the_same_seed_gives_the_same_model_and_another_another(store):
    first, second, other = (predict(fit(store, seed=seed, **DRAWN), store) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("drawn", [SMALL, DRAWN])
def test_validation_during_the_fit_changes_nothing(store, drawn):
    quiet = fit(store, **drawn)
    watched = fit(store, report=lambda progress: float(predict(progress.model, store).sum()), **drawn)
    np.testing.assert_array_equal(predict(quiet, store), predict(watched, store))


def test_what_report_raises_ends_the_fit(store):
    def report(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fit(store, report=report)


@pytest.mark.parametrize("covariates", [0, 2])
def test_a_store_that_can_not_be_written_is_enough(covariates):
    store = build_genotypes(80, 5, covariates=covariates, missing=0.1)
    for array in (store.dosage, store.phenotype, store.covariates, store.samples, *store.variants):
        array.setflags(write=False)
    model = fit(store)
    np.testing.assert_array_equal(
        model.predict(store.dosage, store.covariates), model.predict_samples(store, np.arange(80))
    )


def test_validation_samples_are_not_learned_from():
    one, other = (build_genotypes(100, 6) for _ in range(2))
    held_out = split_samples(one).validation
    other.phenotype[held_out] += 100
    other.dosage[held_out] = 0
    np.testing.assert_array_equal(predict(fit(one), one), predict(fit(other), one))


@pytest.mark.parametrize("covariates", [0, 2])
def test_predictions_are_those_of_xgboost_on_floats_with_missing_values(covariates):
    store = build_genotypes(200, 8, covariates=covariates, missing=0.1)
    train = split_samples(store).train
    rows = store.dosage.astype(np.float32)
    rows[store.dosage == MISSING_DOSAGE] = np.nan
    rows = np.concatenate([rows, store.covariates], axis=1)
    params = {"tree_method": "hist", "max_depth": 3, "learning_rate": 0.1, "nthread": 1}
    matrix = xgboost.QuantileDMatrix(rows[train], label=store.phenotype[train], nthread=1)
    oracle = xgboost.train(params, matrix, num_boost_round=15).predict(xgboost.DMatrix(rows, nthread=1))
    np.testing.assert_allclose(fit(store).predict(store.dosage, store.covariates), oracle, rtol=1e-6)


@pytest.mark.parametrize("covariates", [0, 1])
def test_a_missing_dosage_is_missing_and_not_a_number(covariates):
    store = build_genotypes(400, 5, covariates=covariates, missing=0.2)
    # Samples whose first variant is not called are tall, whatever the variant would have said.
    store.phenotype[store.dosage[:, 0] == MISSING_DOSAGE] += 40
    model = fit(store, max_epochs=6)
    dosage, measured = np.ones((4, 5), dtype=np.int8), np.zeros((4, covariates), dtype=np.float32)
    dosage[:, 0] = (0, 1, 2, MISSING_DOSAGE)
    none, one, two, missing = model.predict(dosage, measured)
    assert missing > max(none, one, two) + 20


@pytest.mark.parametrize(("low", "high", "expected"), [(-3, -2, 10), (0, 1, 0)])
def test_a_covariate_of_minus_one_is_a_number(low, high, expected):
    store, is_high = build_genotypes(400, 4, covariates=1), np.arange(400) % 2
    store.covariates[:, 0] = np.where(is_high, high, low)
    store.phenotype[:] = 10 * is_high
    measured = np.full((1, 1), -1, dtype=np.float32)
    [predicted] = fit(store, max_epochs=15).predict(np.ones((1, 4), dtype=np.int8), measured)
    assert predicted == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_planted_variants_are_learned(kind):
    store = build_genotypes(600, 30, kind=kind, seed=2)
    predicted = predict(fit(store, rounds_per_epoch=25), store)
    expected = predicted @ np.arange(3) if kind == "multiclass" else predicted
    observed = store.phenotype[split_samples(store).validation]
    assert np.corrcoef(expected, observed)[0, 1] > 0.5


def test_only_the_first_variants_are_learned_from():
    store, other = build_genotypes(120, 10, seed=3), build_genotypes(120, 10, seed=3)
    other.dosage[:, 4:] = 0
    first = fit(store, n_variants=4)
    assert len(first.variants.ids) == 4
    np.testing.assert_array_equal(predict(first, store), predict(fit(other, n_variants=4), other))
    assert (predict(fit(store), store) != predict(first, store)).any()


def test_where_filters_left_fewer_variants_all_are_taken():
    store = build_genotypes(120, 10)
    model = fit(store, n_variants=50)
    assert len(model.variants.ids) == 10
    np.testing.assert_array_equal(predict(model, store), predict(fit(store), store))


def test_training_data_are_binned_once_for_trials_on_the_same_variants():
    store = build_genotypes(120, 10)
    first = predict(fit(store, n_variants=5), store)
    store.phenotype[:] = 0  # what is binned again after this learns zeros
    np.testing.assert_array_equal(predict(fit(store, n_variants=5), store), first)
    np.testing.assert_array_equal(predict(fit(store, n_variants=6), store), np.zeros(36))
    np.testing.assert_array_equal(predict(fit(store, n_variants=5, max_bin=16), store), np.zeros(36))


def test_too_many_variants_are_said_with_how_many_there_are():
    outline = GenotypeOutline(n_samples=400, n_variants=5000, kind="binary", n_classes=2, n_covariates=0)
    [problem] = GenotypeTrees(n_variants=9000).problems(outline)
    assert problem.path == ("n_variants",)
    assert problem.message == "found 9000; at most 5000 variants are kept (data.keep_variants). Use fewer."
    assert GenotypeTrees(n_variants=5000).problems(outline) == []
    assert GenotypeTrees().problems(outline) == []
    assert GenotypeTrees().n_examples(outline) == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_depth", 17), ("subsample", 0), ("learning_rate", 1.5), ("max_bin", 1), ("n_variants", 0), ("patience", 0)],
)
def test_a_value_out_of_bounds_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        build(GenotypeTrees, {name: value})


@pytest.mark.parametrize("covariates", [0, 2])
def test_fractions_of_a_copy_are_features_in_copies(covariates):
    store = with_steps(build_genotypes(200, 8, covariates=covariates, missing=0.1), blur=0.4)
    train = split_samples(store).train
    rows = np.concatenate([copies(store.dosage), store.covariates], axis=1)
    params = {"tree_method": "hist", "max_depth": 3, "learning_rate": 0.1, "nthread": 1}
    matrix = xgboost.QuantileDMatrix(rows[train], label=store.phenotype[train], nthread=1)
    oracle = xgboost.train(params, matrix, num_boost_round=15).predict(xgboost.DMatrix(rows, nthread=1))
    np.testing.assert_allclose(fit(store).predict(store.dosage, store.covariates), oracle, rtol=1e-6)


@pytest.mark.parametrize("covariates", [0, 2])
def test_a_model_of_whole_dosages_predicts_the_same_from_steps(covariates):
    store = build_genotypes(200, 8, covariates=covariates, missing=0.1)
    whole, steps = fit(store), fit(with_steps(store))
    expected = whole.predict(store.dosage, store.covariates)
    np.testing.assert_array_equal(whole.predict(with_steps(store).dosage, store.covariates), expected)
    np.testing.assert_allclose(steps.predict(store.dosage, store.covariates), expected, rtol=1e-6)
