"""The path, held to scikit-learn's solvers on all variants as floats, and to the conditions of a minimum."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LogisticRegression

from genotune.trainables import elastic_net_path
from genotune.trainables.elastic_net_path import ElasticNetPath, Problem
from genotune.trainables.generalised_linear import expected
from genotune.trainables.standardised import StandardisedVariants, training_moments
from genotune.trainables.trainable import FitError

RNG = np.random.default_rng(0)
N, M = 200, 300
DOSAGE = RNG.binomial(2, RNG.uniform(0.1, 0.5, M), (N + 50, M)).astype(np.int8)
DOSAGE[RNG.random(DOSAGE.shape) < 0.02] = -1
DOSAGE[:, 17] = 1
SAMPLES = RNG.permutation(N + 50)[:N]
VARIANTS = StandardisedVariants(DOSAGE, SAMPLES, training_moments(DOSAGE, SAMPLES))
DENSE = VARIANTS.columns(np.arange(M))
COVARIATES = RNG.normal(size=(N, 2))
LINEAR = DENSE[:, :5] @ np.array([0.6, -0.5, 0.4, 0.4, 0.3]) + COVARIATES[:, 0]
NOISY = LINEAR + RNG.normal(size=N)
TARGETS = {
    "quantitative": (NOISY - NOISY.mean()) / NOISY.std(),
    "binary": (LINEAR + RNG.logistic(size=N) > 0).astype(float),
    "count": RNG.poisson(np.exp(0.5 * LINEAR)).astype(float),
}
ALONE = np.ones((N, 1))
WITH_COVARIATES = np.column_stack([np.ones(N), COVARIATES])


def path_of(kind, *, l1_ratio=1.0, columns=ALONE, weights=None):
    weights = np.ones(N) if weights is None else weights
    return ElasticNetPath(Problem(kind, TARGETS[kind], columns, weights, l1_ratio), VARIANTS)


def dense(solution):
    weights = np.zeros(M)
    weights[solution.places] = solution.weights
    return weights


def test_standardised_variants_have_mean_zero_and_variance_one_and_are_zero_where_missing():
    called = np.where(DOSAGE[SAMPLES] >= 0, DOSAGE[SAMPLES].astype(float), np.nan)
    wanted = np.nan_to_num(called - np.nanmean(called, axis=0))
    deviation = wanted.std(axis=0)
    wanted /= np.where(deviation > 0, deviation, 1)
    np.testing.assert_allclose(DENSE, wanted, atol=1e-5)
    assert (DENSE[:, 17] == 0).all()
    residuals = RNG.normal(size=(N, 3))
    np.testing.assert_allclose(VARIANTS.products(residuals), DENSE.T @ residuals, atol=1e-3)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("penalty", [1.0, 0.1, 10**-1.5])
def test_a_linear_solution_is_scikit_learns_elastic_net(l1_ratio, penalty):
    path = path_of("quantitative", l1_ratio=l1_ratio)
    found = path.at(penalty, VARIANTS)
    highest = np.abs(DENSE.T @ TARGETS["quantitative"]).max() / N / l1_ratio
    oracle = ElasticNet(alpha=highest * penalty, l1_ratio=l1_ratio, tol=1e-10, max_iter=100_000)
    oracle.fit(DENSE, TARGETS["quantitative"])
    np.testing.assert_allclose(dense(found), oracle.coef_, atol=1e-4)
    assert (len(found.places) == 0) == (penalty == 1.0)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_a_logistic_solution_is_scikit_learns(l1_ratio):
    found = path_of("binary", l1_ratio=l1_ratio).at(10**-0.5, VARIANTS)
    highest = np.abs(DENSE.T @ (TARGETS["binary"] - TARGETS["binary"].mean())).max() / N / l1_ratio
    inverse = 1 / (N * highest * 10**-0.5)
    oracle = LogisticRegression(l1_ratio=l1_ratio, C=inverse, solver="saga", tol=1e-7, max_iter=5000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        oracle.fit(DENSE, TARGETS["binary"])
    np.testing.assert_allclose(dense(found), oracle.coef_[0], atol=1e-3)
    np.testing.assert_allclose(found.fixed, oracle.intercept_, atol=1e-3)


@pytest.mark.parametrize("penalty", [10**-0.3, 10**-0.7, 0.1])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
@pytest.mark.parametrize("kind", TARGETS)
def test_every_solution_is_a_minimum_with_covariates_free_and_samples_weighted(kind, l1_ratio, penalty):
    """The slope of the loss is the penalty's own at every variant with a weight, and no more at the others."""
    weights = np.where(np.arange(N) % 3 == 0, 2.0, 0.5)
    path = path_of(kind, l1_ratio=l1_ratio, columns=WITH_COVARIATES, weights=weights)
    found = path.at(penalty, VARIANTS)
    linear = WITH_COVARIATES @ found.fixed + DENSE[:, found.places] @ found.weights
    residuals = weights * (TARGETS[kind] - expected(kind, linear[:, None])[:, 0])
    np.testing.assert_allclose(WITH_COVARIATES.T @ residuals / N, 0, atol=2e-4)
    absolute = path._penalty(round(-np.log10(penalty) * 20))
    slopes = DENSE.T @ residuals / N
    wanted = absolute * (l1_ratio * np.sign(found.weights) + (1 - l1_ratio) * found.weights)
    np.testing.assert_allclose(slopes[found.places], wanted, atol=0.01 * absolute)
    assert np.abs(slopes).max() < absolute * (l1_ratio + (1 - l1_ratio) * np.abs(found.weights).max() + 0.02)
    assert np.abs(np.delete(slopes, found.places)).max() < 1.01 * l1_ratio * absolute


def test_a_solution_does_not_depend_on_what_was_asked_for_before():
    down, up = path_of("binary"), path_of("binary")
    first = [dense(down.at(penalty, VARIANTS)) for penalty in (0.5, 0.21, 0.07)]
    second = [dense(up.at(penalty, VARIANTS)) for penalty in (0.07, 0.21, 0.5)][::-1]
    np.testing.assert_array_equal(first, second)


def test_between_two_places_of_the_path_lies_a_line():
    path = path_of("quantitative")
    above, below, between = (path.at(10**-place, VARIANTS) for place in (0.5, 0.55, 0.525))
    np.testing.assert_allclose(dense(between), (dense(above) + dense(below)) / 2, atol=1e-9)
    np.testing.assert_allclose(between.fixed, (above.fixed + below.fixed) / 2)


@pytest.mark.parametrize("kind", TARGETS)
def test_a_path_that_explains_all_ends_there(kind):
    path = path_of(kind)
    end = path.at(1e-3, VARIANTS)
    assert len(path._solutions) < 60, "with more variants than samples it explains all before the lowest penalty"
    np.testing.assert_array_equal(dense(end), dense(path.at(2e-3, VARIANTS)))
    linear = ALONE @ end.fixed + DENSE[:, end.places] @ end.weights
    means = expected(kind, linear[:, None])[:, 0]
    assert np.corrcoef(means, TARGETS[kind])[0, 1] > 0.98


def test_variants_that_vary_nowhere_are_the_users_error():
    still = np.ones((N + 50, 4), dtype=np.int8)
    variants = StandardisedVariants(still, SAMPLES, training_moments(still, SAMPLES))
    with pytest.raises(FitError, match="none of the 4 variants varies among the 200 training samples"):
        ElasticNetPath(Problem("binary", TARGETS["binary"], ALONE, np.ones(N), 1.0), variants)


def test_too_many_screened_variants_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(elastic_net_path, "_MOST_BYTES", 2 * 8 * N * 20)
    path = path_of("quantitative")
    with pytest.raises(
        FitError, match=r"variants of 200 samples would lie in memory as floats .* Use a higher penalty"
    ):
        path.at(0.1, VARIANTS)
