"""Covariates alone: the effects are found, genotypes are never looked at."""

from dataclasses import replace

import numpy as np
import pydantic
import pytest

from genotune.store import GenotypeOutline
from genotune.trainables.covariates_only import CovariatesOnly
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, split_samples

KINDS = ("quantitative", "binary", "multiclass", "count")


def fit(store, **settings):
    plan = FitPlan(seed=1, max_epochs=1)
    return CovariatesOnly(**settings).fit(store, split_samples(store), report=lambda progress: None, plan=plan)


@pytest.mark.parametrize("kind", KINDS)
def test_genotypes_are_not_looked_at(kind):
    store = build_genotypes(120, 20, kind=kind, covariates=2)
    model = fit(store)
    everything = np.arange(120)
    other = replace(store, dosage=np.full_like(store.dosage, -1))
    np.testing.assert_array_equal(
        fit(other).predict_samples(other, everything), model.predict_samples(store, everything)
    )
    assert model.facts()["n_variants"] == 0


def test_the_effect_of_a_covariate_is_that_of_least_squares():
    store = build_genotypes(300, 5, covariates=2)
    train = split_samples(store).train
    columns = np.column_stack([np.ones(len(train)), store.covariates[train].astype(np.float64)])
    wanted = np.linalg.lstsq(columns, store.phenotype[train])[0]
    model = fit(store, penalty=1e-9)
    at = model.predict(store.dosage[:3], np.float32([[0, 0], [1, 0], [0, 1]])).astype(np.float64)
    np.testing.assert_allclose([at[0], at[1] - at[0], at[2] - at[0]], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_without_covariates_everybody_gets_the_training_mean(kind):
    store = build_genotypes(120, 5, kind=kind)
    train = split_samples(store).train
    found = fit(store).predict_samples(store, np.arange(120))
    assert (found == found[0]).all()
    if kind == "multiclass":
        np.testing.assert_allclose(found[0], np.bincount(store.phenotype[train].astype(int)) / len(train), rtol=1e-4)
    else:
        assert found[0] == pytest.approx(store.phenotype[train].mean(), rel=1e-4)


def test_as_a_competitor_it_needs_covariates():
    [problem] = CovariatesOnly().problems(GenotypeOutline(100, 20, "count", 0, 0))
    assert problem.message == (
        "the data have no covariates (data.covariates), so there is nothing to learn. Remove this family."
    )
    assert CovariatesOnly().problems(GenotypeOutline(100, 20, "count", 0, 1)) == []


@pytest.mark.parametrize("wrong", [{"penalty": 0.0}, {"class_weight": "heavy"}, {"class_weight": 0.0}])
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError, match=next(iter(wrong))):
        CovariatesOnly(**wrong)
