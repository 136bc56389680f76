"""Metrics, each with an answer known by hand or a slow oracle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.metrics import METRICS, metric_problem

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=30)


def compute(name, target, predicted):
    return METRICS[name].compute(target, predicted)


@pytest.mark.parametrize(
    ("name", "target", "predicted", "value"),
    [
        ("pearson", [1, 2, 3], [2, 4, 6], 1),
        ("pearson", [1, 2, 3], [3, 2, 1], -1),
        ("pearson", [0, 0, 1, 1], [0, 1, 0, 1], 0),
        ("pearson", [1, 2, 4], [1, 3, 2], 0.3273268),
        ("spearman", [1, 2, 3, 4], [1, 10, 100, 1000], 1),
        ("spearman", [1, 1, 2], [1, 2, 3], math.sqrt(3) / 2),
        ("r2", [1, 2, 3], [1, 2, 3], 1),
        ("r2", [1, 2, 3], [2, 2, 2], 0),
        ("r2", [1, 2, 3], [3, 2, 1], -3),
        ("mse", [1, 2], [2, 4], 2.5),
        ("mae", [1, 2], [2, 4], 1.5),
        ("poisson_nll", [3, 0], [2, 1], ((2 - 3 * math.log(2)) + 1) / 2),
        ("poisson_deviance_explained", [1, 3], [1, 3], 1),
        ("poisson_deviance_explained", [1, 3], [2, 2], 0),
        ("auroc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ("auroc", [0, 1], [0.5, 0.5], 0.5),
        ("auroc", [1, 0], [0.9, 0.1], 1),
    ],
)
def test_known_answers(name, target, predicted, value):
    assert compute(name, target, predicted) == pytest.approx(value, abs=1e-7)


def test_deviance_is_that_of_the_textbook():
    target, predicted = np.array([0.0, 2.0, 5.0]), np.array([0.5, 1.0, 6.0])
    terms = [2 * 0.5, 2 * (2 * math.log(2) - 1), 2 * (5 * math.log(5 / 6) + 1)]
    mean = 7 / 3
    null = [2 * mean, 2 * (2 * math.log(2 / mean) - 2 + mean), 2 * (5 * math.log(5 / mean) - 5 + mean)]
    expected = 1 - sum(terms) / sum(null)
    assert compute("poisson_deviance_explained", target, predicted) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "target", "predicted"),
    [
        ("pearson", [1, 2, 3], [0.1, 0.1, 0.1]),
        ("pearson", [2, 2, 2], [1, 2, 3]),
        ("spearman", [1, 2, 3], [7, 7, 7]),
        ("r2", [2, 2], [1, 2]),
        ("poisson_deviance_explained", [0, 0], [1, 2]),
        ("poisson_deviance_explained", [-1, 2], [1, 2]),
        ("poisson_nll", [-1, 2], [1, 2]),
        ("auroc", [1, 1], [1, 2]),
    ],
)
def test_what_is_not_defined_is_nan(name, target, predicted):
    assert math.isnan(compute(name, target, predicted))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_values_and_values_that_are_no_numbers_give_nan(name):
    assert math.isnan(compute(name, [], []))
    assert math.isnan(compute(name, [0, 1], [0, math.nan]))
    assert math.isnan(compute(name, [0, 1], [0, math.inf]))


def test_a_rate_of_zero_does_not_give_infinity():
    assert math.isfinite(compute("poisson_nll", [1, 0], [0, 0]))
    assert math.isfinite(compute("poisson_deviance_explained", [1, 0], [0, 0]))


@given(PAIRS)
def test_auroc_is_the_share_of_pairs_in_the_right_order(pairs):
    target, predicted = [int(first > 2) for first, _ in pairs], [second for _, second in pairs]
    positives = [score for label, score in zip(target, predicted, strict=True) if label]
    negatives = [score for label, score in zip(target, predicted, strict=True) if not label]
    wins = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    value = compute("auroc", target, predicted)
    assert math.isnan(value) if not wins else value == pytest.approx(sum(wins) / len(wins))


@given(PAIRS)
def test_spearman_does_not_change_under_a_rising_transform(pairs):
    target, predicted = np.array(pairs, dtype=float).T
    first, second = compute("spearman", target, predicted), compute("spearman", target**3, np.exp(predicted))
    assert first == pytest.approx(second, nan_ok=True)


@given(PAIRS)
def test_pearson_is_numpys(pairs):
    target, predicted = np.array(pairs, dtype=float).T
    if target.std() and predicted.std():
        assert compute("pearson", target, predicted) == pytest.approx(np.corrcoef(target, predicted)[0, 1], abs=1e-12)


def test_float32_is_summed_in_float64():
    target = np.full(1_000_000, 0.1, dtype=np.float32)
    assert compute("mae", target, np.zeros_like(target)) == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_directions_are_right():
    lower = {name for name, metric in METRICS.items() if metric.direction == "minimize"}
    assert lower == {"mse", "mae", "poisson_nll"}
    assert all(metric.name == name for name, metric in METRICS.items())


def test_a_metric_that_fits_is_no_problem():
    assert metric_problem("pearson", "signal") is None
    assert metric_problem("auroc", "binary") is None


def test_a_misspelt_metric_is_corrected():
    assert metric_problem("pearsn", "signal") == "unknown metric 'pearsn'. Did you mean 'pearson'?"


def test_an_unknown_metric_comes_with_those_that_fit():
    assert metric_problem("xyz", "binary") == "unknown metric 'xyz'. Allowed: auroc."


def test_a_metric_that_does_not_fit_the_target_is_refused():
    message = metric_problem("auroc", "signal")
    assert message is not None
    assert message.startswith("auroc is for a binary target, this one is signal. Allowed: pearson, spearman, ")
