"""The process gives what scikit-learn's gives, and its scales are where their density is largest."""

import numpy as np
import pytest
from scipy.integrate import quad

from genotune.tuning.gaussian_process import (
    Prediction,
    _loss,
    _squares_by_parameter,
    condition,
    expected_improvement,
    fit,
    predict,
)

RNG = np.random.default_rng(7)
X = RNG.random((40, 3))
Y = np.sin(6 * X[:, 0]) + 0.1 * RNG.standard_normal(40)


def test_predictions_are_those_of_scikit_learn() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern

    lengths, noise, elsewhere = np.array([0.3, 0.8, 2.0]), 0.02, RNG.random((25, 3))
    oracle = GaussianProcessRegressor(Matern(lengths, nu=2.5), alpha=noise + 1e-8, optimizer=None).fit(X, Y)
    mean, sd = oracle.predict(elsewhere, return_std=True)
    found = predict(condition(X, Y, lengths=lengths, noise=np.full(40, noise)), elsewhere)
    assert found.mean == pytest.approx(mean, abs=1e-8)
    assert found.sd == pytest.approx(sd, abs=1e-7)


def test_the_gradient_is_that_of_the_loss() -> None:
    squares = _squares_by_parameter(X, np.array([0, 1, 1]), 2)
    means, spreads = np.array([0.5, 0.5, -4.0]), np.array([1.0, 2.0, 1.0])
    for logs in (np.array([-1.0, 0.3, -3.0]), np.array([0.5, 2.0, -5.0])):
        steps = 1e-5 * np.eye(3)
        up = [_loss(logs + step, squares, Y, means, spreads)[0] for step in steps]
        down = [_loss(logs - step, squares, Y, means, spreads)[0] for step in steps]
        slopes = (np.array(up) - np.array(down)) / 2e-5
        assert _loss(logs, squares, Y, means, spreads)[1] == pytest.approx(slopes, rel=1e-5)


def test_the_coordinate_that_matters_gets_the_shorter_scale_and_noise_is_found() -> None:
    process = fit(X, Y, np.array([0, 1, 2]))
    assert process.lengths[0] < 0.5 * process.lengths[1:].min()
    assert 0.003 < process.noise[0] < 0.05
    elsewhere = np.array([[0.25, 0.5, 0.5], [0.8, 0.5, 0.5]])
    assert predict(process, elsewhere).mean == pytest.approx(np.sin(6 * elsewhere[:, 0]), abs=0.2)


def test_the_expected_improvement_is_the_mean_of_what_is_above_the_best() -> None:
    for mean, sd, best in ((0.2, 0.5, 0.4), (1.0, 0.1, 0.4), (-1.0, 0.7, 0.0)):

        def above(z: float, mean: float = mean, sd: float = sd, best: float = best) -> float:
            return max(mean + sd * z - best, 0.0) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

        expected = quad(above, (best - mean) / sd, 12)[0]
        improvement, deviations = expected_improvement(Prediction(np.array([mean]), np.array([sd])), best)
        assert improvement[0] == pytest.approx(expected, rel=1e-6)
        assert deviations[0] == pytest.approx((mean - best) / sd)
