"""Newton's method, held to scikit-learn's solvers of the same objectives."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

from genotune.trainables.class_weights import sample_weights
from genotune.trainables.generalised_linear import (
    expected,
    fit_design,
    fit_linear,
    losses,
    predicted_values,
    targets_of,
)

RNG = np.random.default_rng(4)
N = 200
COVARIATES = RNG.normal(size=(N, 3))
COLUMNS = np.concatenate([np.ones((N, 1)), COVARIATES], axis=1)
LINEAR = COVARIATES @ np.array([0.8, -0.5, 0.0]) + 0.3
TRAITS = {
    "quantitative": 170 + 5 * LINEAR + RNG.normal(size=N),
    "binary": (LINEAR + RNG.logistic(size=N) > 0).astype(float),
    "multiclass": np.digitize(LINEAR + RNG.logistic(size=N), [-0.5, 1.0]).astype(float),
    "count": RNG.poisson(np.exp(LINEAR)).astype(float),
}
WEIGHTS = RNG.uniform(0.5, 1.5, N)
WEIGHTS /= WEIGHTS.mean()


def solve(kind, *, weights=WEIGHTS, penalty=0.02, columns=COLUMNS, values=None):
    targets = targets_of(kind, TRAITS[kind] if values is None else values, n_classes=3)
    return fit_linear(kind, columns, targets, weights=weights, penalty=penalty)


@pytest.mark.parametrize("kind", TRAITS)
def test_coefficients_are_those_of_scikit_learn(kind):
    oracle = {
        "quantitative": Ridge(alpha=0.02 * N, tol=1e-12),
        "binary": LogisticRegression(C=1 / (0.02 * N), tol=1e-10, max_iter=1000),
        "multiclass": LogisticRegression(C=1 / (0.02 * N), tol=1e-10, max_iter=1000),
        "count": PoissonRegressor(alpha=0.02, tol=1e-10, max_iter=1000),
    }[kind].fit(COVARIATES, TRAITS[kind], sample_weight=WEIGHTS)
    found = solve(kind)
    np.testing.assert_allclose(found[1:].T, np.atleast_2d(oracle.coef_), rtol=1e-4, atol=1e-5)
    intercepts = np.atleast_1d(oracle.intercept_)
    centred = [values - values.mean() if kind == "multiclass" else values for values in (found[0], intercepts)]
    np.testing.assert_allclose(*centred, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", TRAITS)
def test_the_found_minimum_is_lower_than_what_lies_around_it(kind):
    found, targets = solve(kind), targets_of(kind, TRAITS[kind], n_classes=3)

    def objective(coefficients):
        data = WEIGHTS @ losses(kind, COLUMNS @ coefficients, targets) / N
        return data + 0.01 * (coefficients[1:] ** 2).sum()

    rng = np.random.default_rng(1)
    around = [objective(found + rng.normal(0, 0.01, found.shape)) for _ in range(50)]
    assert objective(found) < min(around) + 1e-9


@pytest.mark.parametrize("kind", TRAITS)
def test_without_covariates_the_mean_is_predicted(kind):
    found = solve(kind, columns=COLUMNS[:, :1], weights=np.ones(N))
    shares = expected(kind, COLUMNS[:1, :1] @ found)[0]
    wanted = targets_of(kind, TRAITS[kind], n_classes=3).mean(axis=0)
    np.testing.assert_allclose(shares, wanted, rtol=1e-4)


def test_separated_classes_leave_coefficients_finite():
    values = (COVARIATES[:, 0] > 0).astype(float)
    found = solve("binary", values=values, penalty=1e-3)
    assert np.isfinite(found).all()
    assert 1 < found[1, 0] < 100
    gradient = COLUMNS.T @ (WEIGHTS[:, None] * (expected("binary", COLUMNS @ found) - values[:, None])) / N
    np.testing.assert_allclose(gradient[1:] + 1e-3 * found[1:], 0, atol=1e-5)


@pytest.mark.parametrize("kind", TRAITS)
def test_a_covariate_that_stands_there_twice_shares_its_effect(kind):
    twice = np.concatenate([COLUMNS, COLUMNS[:, 1:2]], axis=1)
    found = solve(kind, columns=twice)
    np.testing.assert_allclose(found[1], found[4], rtol=1e-6, atol=1e-8)
    # Two of them with half the coefficient have half the penalty.
    once = solve(kind, columns=COLUMNS * [1, np.sqrt(2), 1, 1])
    np.testing.assert_allclose(found[1] + found[4], once[1] * np.sqrt(2), rtol=1e-4, atol=1e-6)


def test_counts_that_are_all_zero_have_a_low_rate():
    found = solve("count", values=np.zeros(N))
    assert 0 < expected("count", COLUMNS @ found).max() < 1e-3


def test_predictions_stay_within_what_float32_can_hold():
    far = np.array([[1e4], [-1e4]])
    assert ((predicted_values("binary", far) > 0) & (predicted_values("binary", far) < 1)).all()
    assert np.isfinite(predicted_values("count", far)).all()
    several = predicted_values("multiclass", np.array([[1e4, 0, -1e4]]))
    assert ((several > 0) & (several < 1)).all()


def test_a_design_is_learned_from_its_samples_alone():
    covariates = COVARIATES * [1, 100, 0] + [0, 7, 1958.3]
    covariates = covariates.astype(np.float32)
    design = fit_design(covariates, np.arange(100))
    columns = design.columns(covariates[:100])
    np.testing.assert_allclose(columns[:, 1:3].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(columns[:, 1:3].std(axis=0), 1, atol=1e-6)
    assert (columns[:, 0] == 1).all()
    assert (design.columns(covariates + 5)[:, 3] == 0).all()


def test_balanced_weights_are_scikit_learns_and_of_mean_one():
    from sklearn.utils.class_weight import compute_sample_weight

    values = np.array([0, 0, 0, 1, 2, 2], dtype=float)
    np.testing.assert_allclose(
        sample_weights("balanced", "multiclass", values), compute_sample_weight("balanced", values)
    )
    np.testing.assert_allclose(sample_weights(4.0, "binary", np.array([0, 0, 0, 1.0])), [4 / 7, 4 / 7, 4 / 7, 16 / 7])
    np.testing.assert_array_equal(sample_weights("none", "binary", values), np.ones(6))
