"""GBLUP: the contract of families, known answers, and kinds of traits."""

import dataclasses
import json
import math

import numpy as np
import pydantic
import pytest

from genotune.errors import DataError
from genotune.settings import build
from genotune.store import DOSAGE_STEPS, GenotypeOutline, Splits
from genotune.trainables.gblup import GBLUP, LEAST_PROBABILITY
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, split_samples, with_steps

PLAN = FitPlan(seed=1, max_epochs=1)
OUTLINE = GenotypeOutline(n_samples=70, n_variants=5000, kind="quantitative", n_classes=0, n_covariates=2)
KINDS = ["quantitative", "count", "binary", "multiclass"]


@pytest.fixture(params=KINDS)
def store(request):
    return build_genotypes(120, 50, kind=request.param, covariates=2, missing=0.05)


def fit(store, splits=None, *, report=lambda progress: 0.5, resume=None, **settings):
    return GBLUP(**settings).fit(store, splits or split_samples(store), report=report, plan=PLAN, resume=resume)


def predicted(model, store):
    """Of the samples that weren't learned from."""
    return model.predict_samples(store, split_samples(store).validation)


def changed(store, **fields):
    return dataclasses.replace(store, **fields)


def test_report_is_called_once_with_finite_metrics(store):
    seen = []
    fit(store, report=seen.append)
    [progress] = seen
    assert progress.epoch == 1
    assert set(progress.metrics) == {"train_loss", "penalty", "heritability"}
    assert all(type(value) is float and math.isfinite(value) for value in progress.metrics.values())
    assert 0 < progress.metrics["heritability"] < 1


def test_metrics_of_a_given_penalty_are_known(store):
    seen = []
    model = fit(store, report=lambda progress: seen.append(dict(progress.metrics)), penalty=3.0)
    assert seen[0]["penalty"] == pytest.approx(3.0)
    assert seen[0]["heritability"] == pytest.approx(0.25)
    if store.kind in {"quantitative", "count"}:
        train = split_samples(store).train
        residual = store.phenotype[train] - model.predict_samples(store, train)
        assert seen[0]["train_loss"] == pytest.approx(np.mean(residual**2), rel=0.01)


def test_what_report_raises_ends_the_fit(store):
    def report(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fit(store, report=report)


def test_a_saved_model_predicts_what_it_did(store, tmp_path):
    model = fit(store, standardize=True, n_variants=40)
    model.save(tmp_path)
    loaded = GBLUP.load_model(tmp_path)
    np.testing.assert_array_equal(predicted(loaded, store), predicted(model, store))
    assert loaded.facts() == model.facts()
    assert loaded.settings == model.settings
    assert loaded.variants.names == model.variants.names == store.variants.names[:40]
    loaded.to("cpu", n_threads=1)


def test_what_is_saved_is_text_and_safetensors(store, tmp_path):
    fit(store).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "model.safetensors", "variants.tsv"}
    record = json.loads((tmp_path / "model.json").read_text(), parse_constant=pytest.fail)
    assert record["family"] == "ridge"
    assert set(record["columns"]) == GBLUP.needs


def test_a_format_of_another_version_is_refused(store, tmp_path):
    fit(store).save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(DataError, match="format 9; this version of genotune reads format 1"):
        GBLUP.load_model(tmp_path)


def test_a_model_without_covariates_is_saved_too(tmp_path):
    store = build_genotypes(60, 30)
    model = fit(store)
    model.save(tmp_path)
    np.testing.assert_array_equal(predicted(GBLUP.load_model(tmp_path), store), predicted(model, store))


def test_a_resumed_fit_is_over_and_gives_the_saved_model(store, tmp_path):
    model = fit(store, report=lambda progress: progress.save_state(tmp_path, value=0.5))
    resumed = fit(store, report=pytest.fail, resume=tmp_path)
    np.testing.assert_array_equal(predicted(resumed, store), predicted(model, store))


def test_the_same_seed_gives_the_same_model(store):
    again = changed(store)  # another object, for which nothing is kept
    np.testing.assert_array_equal(predicted(fit(store), store), predicted(fit(again), again))


def test_validation_during_the_fit_changes_nothing(store):
    watched = fit(store, report=lambda progress: float(predicted(progress.model, store).sum()))
    np.testing.assert_array_equal(predicted(fit(store), store), predicted(watched, store))


def test_samples_outside_of_training_are_not_learned_from(store):
    splits = split_samples(store)
    dosage, phenotype, covariates = store.dosage.copy(), store.phenotype.copy(), store.covariates.copy()
    dosage[splits.validation], phenotype[splits.validation], covariates[splits.validation] = 2, np.nan, np.nan
    other = changed(store, dosage=dosage, phenotype=phenotype, covariates=covariates)
    np.testing.assert_array_equal(predicted(fit(store), store), predicted(fit(other), store))


def test_a_store_that_can_not_be_written_is_enough(store):
    for array in (store.dosage, store.phenotype, store.covariates, store.samples, *store.variants):
        array.setflags(write=False)
    predicted(fit(store), store)


def test_predictions_are_those_of_the_kind(store):
    found = predicted(fit(store, penalty=0.01), store)
    n = len(split_samples(store).validation)
    assert found.shape == ((n, 3) if store.kind == "multiclass" else (n,))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    if store.kind == "count":
        assert (found >= 0).all()
        assert (found == 0).any()
    if store.kind == "binary":
        assert found.min() == pytest.approx(LEAST_PROBABILITY)
        assert found.max() == pytest.approx(1 - LEAST_PROBABILITY)
    if store.kind == "multiclass":
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
        assert (found > 0).all()


def test_no_sample_gives_no_prediction(store):
    model = fit(store)
    assert len(model.predict(store.dosage[:0], store.covariates[:0])) == 0
    assert len(model.predict_samples(store, np.empty(0, dtype=np.int64))) == 0


def test_the_trait_of_other_samples_is_predicted(store):
    found, truth = predicted(fit(store), store), store.phenotype[split_samples(store).validation]
    if store.kind == "multiclass":
        assert np.mean(found.argmax(axis=1) == truth) > 0.5
    else:
        assert np.corrcoef(found, truth)[0, 1] > 0.5


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("shape", [(130, 80), (130, 20)])
@pytest.mark.parametrize("penalty", [0.05, 2.0])
def test_predictions_of_other_samples_are_their_relationship_times_alpha(shape, penalty, standardize):
    store = build_genotypes(*shape, covariates=2, missing=0.1)
    splits = split_samples(store)
    train = splits.train
    called = np.where(store.dosage >= 0, store.dosage.astype(np.float64), np.nan)
    z = np.nan_to_num(called - np.nanmean(called[train], axis=0), nan=0.0)
    z = z / np.sqrt(np.mean(z[train] ** 2, axis=0)) if standardize else z
    k = z @ z[train].T
    k /= np.mean(np.diag(k[train]))
    w = np.column_stack([np.ones(len(z)), store.covariates.astype(np.float64)])
    inverse = np.linalg.inv(k[train] + penalty * np.eye(len(train)))
    fixed = np.linalg.solve(w[train].T @ inverse @ w[train], w[train].T @ inverse @ store.phenotype[train])
    alpha = inverse @ (store.phenotype[train] - w[train] @ fixed)
    expected = (w @ fixed + k @ alpha)[splits.validation]
    found = predicted(fit(store, penalty=penalty, standardize=standardize), store)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # of a trait whose standard deviation is about 7


def test_a_missing_dosage_is_as_good_as_the_training_mean():
    store = build_genotypes(80, 30)
    model = fit(store)
    one = store.dosage[:1].copy()
    low, missing, high = one.copy(), one.copy(), one.copy()
    low[0, 0], missing[0, 0], high[0, 0] = 0, -1, 2
    at = [float(model.predict(dosage, store.covariates[:1])[0]) for dosage in (low, missing, high)]
    share = store.dosage[split_samples(store).train, 0].mean() / 2
    assert at[1] == pytest.approx(at[0] + share * (at[2] - at[0]), abs=1e-3)
    assert abs(at[2] - at[0]) > 0.1


def test_a_sample_without_any_genotype_has_the_mean():
    store = build_genotypes(80, 30)
    nothing = np.full((1, 30), -1, dtype=np.int8)
    mean = store.phenotype[split_samples(store).train].mean()
    assert fit(store).predict(nothing, store.covariates[:1])[0] == pytest.approx(mean, rel=1e-5)


def test_the_effect_of_a_covariate_is_recovered():
    store = build_genotypes(300, 40, covariates=2)
    covariates = store.covariates * np.float32([1, 10]) + np.float32([0, 50])
    store = changed(store, covariates=covariates, phenotype=store.phenotype - 2 * covariates[:, 1])
    model = fit(store)
    base, more = np.float32([[0, 50]]), np.float32([[1, 50], [0, 51]])
    effects = model.predict(store.dosage[[0, 0]], more) - model.predict(store.dosage[:1], base)
    # The builder adds the first covariate times the unit of its trait, 5.
    np.testing.assert_allclose(effects, [5, -2], atol=0.6)


def test_only_the_first_variants_are_used(store):
    model = fit(store, n_variants=7)
    fewer = changed(store, dosage=store.dosage[:, :7], variants=store.variants.first(7))
    assert model.facts()["n_variants"] == 7
    np.testing.assert_array_equal(predicted(model, store), predicted(fit(fewer), fewer))


def test_of_fewer_variants_than_were_asked_for_all_are_taken(store):
    model = fit(store, n_variants=4000)
    assert model.facts()["n_variants"] == 50
    np.testing.assert_array_equal(predicted(model, store), predicted(fit(store), store))


@pytest.fixture
def decompositions(monkeypatch):
    """The shapes of the matrices whose eigenvectors were computed."""
    shapes, eigh = [], np.linalg.eigh

    def counted(matrix):
        shapes.append(matrix.shape)
        return eigh(matrix)

    monkeypatch.setattr(np.linalg, "eigh", counted)
    return shapes


def test_one_decomposition_serves_all_penalties(store, decompositions):
    found = [predicted(fit(store, penalty=penalty), store) for penalty in (0.1, 1.0, 10.0, None)]
    assert decompositions == [(84, 84)]
    assert not np.allclose(found[0], found[2])


def test_other_variants_samples_or_scales_are_decomposed_anew(store, decompositions):
    fit(store)
    fit(store, n_variants=40)
    assert len(decompositions) == 2
    fit(store)
    fit(store, n_variants=50)
    assert len(decompositions) == 2
    fit(store, standardize=True)
    assert len(decompositions) == 3
    fit(store, Splits(np.arange(60), np.arange(60, 120)), standardize=True)
    assert decompositions[3:] == [(60, 60)]
    other = Splits(np.arange(60, 120), np.arange(60))
    fit(store, other, standardize=True)
    fit(changed(store), other, standardize=True)
    assert len(decompositions) == 6


def test_more_variants_than_are_kept_are_a_problem():
    [problem] = GBLUP(n_variants=9000).problems(OUTLINE)
    assert problem.path == ("n_variants",)
    assert problem.message == "found 9000; at most 5000 variants are kept (data.keep_variants). Use fewer."
    assert GBLUP(n_variants=5000).problems(OUTLINE) == []
    assert GBLUP().problems(OUTLINE) == []


def test_its_examples_are_samples():
    assert GBLUP().n_examples(OUTLINE) == 70


@pytest.mark.parametrize("wrong", [{"penalty": 0.0}, {"penalty": math.inf}, {"n_variants": 0}, {"alpha": 1.0}])
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError, match=next(iter(wrong))):
        GBLUP(**wrong)


def test_a_null_penalty_can_be_written_out():
    assert build(GBLUP, {"family": "ridge", "penalty": None, "n_variants": None}) == GBLUP()


def test_variants_that_are_constant_on_training_samples_are_the_users_error(store):
    dosage = store.dosage.copy()
    dosage[split_samples(store).train] = 1
    with pytest.raises(DataError, match="none of the 50 variants varies among the 84 training samples"):
        fit(changed(store, dosage=dosage))


def test_covariates_that_determine_each_other_are_named():
    store = build_genotypes(80, 30, covariates=4)
    covariates = store.covariates.copy()
    covariates[:, 1] = 1958.3
    covariates[0, 1] = np.nextafter(covariates[0, 1], np.float32(0))  # the same but for rounding
    covariates[:, 3] = 2 * covariates[:, 0] - covariates[:, 2] + 5
    with pytest.raises(DataError, match=r"covariates 'PC2', 'PC4': on the training samples .* Leave it out"):
        fit(changed(store, covariates=covariates))


def test_covariates_of_any_unit_are_told_apart():
    store = build_genotypes(80, 30, covariates=2)
    plain = predicted(fit(store, penalty=1.0), store)
    scaled = changed(store, covariates=store.covariates * np.float32([1e6, 1e-6]) + np.float32([3e6, 0]))
    np.testing.assert_allclose(predicted(fit(scaled, penalty=1.0), scaled), plain, rtol=1e-5)


def test_too_few_training_samples_are_the_users_error():
    store = build_genotypes(40, 30, covariates=3)
    few = Splits(np.arange(4), np.arange(4, 40))
    with pytest.raises(DataError, match=r"found 4 training samples for 4 fixed effects .*at least 5"):
        fit(store, few)


def test_a_class_without_a_training_sample_is_predicted_with_the_least_probability():
    store = build_genotypes(120, 50, kind="multiclass", n_classes=4)
    train = np.flatnonzero(store.phenotype != 3)
    found = fit(store, Splits(train, train)).predict_samples(store, train)
    assert found.shape == (len(train), 4)
    np.testing.assert_allclose(found[:, 3], LEAST_PROBABILITY, rtol=0.5)


def test_a_standardised_model_predicts_in_the_same_units():
    store = build_genotypes(300, 40)
    truth = store.phenotype[split_samples(store).validation]
    for standardize in (False, True):
        found = predicted(fit(store, standardize=standardize), store)
        assert np.mean((found - truth) ** 2) < 0.5 * truth.var()


def test_dosages_in_steps_are_learned_from_as_copies():
    store = build_genotypes(120, 50, covariates=1, missing=0.05)
    whole, found = fit(store), fit(with_steps(store))
    for name, terms in whole.terms._asdict().items():
        np.testing.assert_array_equal(found.terms._asdict()[name], terms)
    rows = slice(0, 9)
    np.testing.assert_array_equal(
        found.predict(with_steps(store).dosage[rows], store.covariates[rows]),
        whole.predict(store.dosage[rows], store.covariates[rows]),
    )


def test_half_a_copy_counts_half():
    store = build_genotypes(80, 30)
    model = fit(with_steps(store, blur=0.3))
    steps = with_steps(store).dosage[:1].repeat(3, axis=0)
    steps[:, 0] = (0, DOSAGE_STEPS // 2, DOSAGE_STEPS)
    none, half, one = model.predict(steps, store.covariates[[0, 0, 0]])
    assert half == pytest.approx((none + one) / 2, rel=1e-5)
    assert abs(one - none) > 0.1
