import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from genotune.calibration import brier, diagnosis, expected_calibration_error, recalibration, reliability

TARGET = np.array([0, 0, 1, 0, 1, 1, 1, 0])
CHANCE = np.array([0.1, 0.1, 0.1, 0.1, 0.6, 0.6, 0.8, 1.0])


def draw(seed, n=500, *, slope=1.0, intercept=0.0):
    """Predictions whose log-odds are too extreme by 1 / slope, and too high by the intercept."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0, 1.5, n)
    true = 1 / (1 + np.exp(-(intercept + slope * log_odds)))
    return (rng.random(n) < true).astype(float), 1 / (1 + np.exp(-log_odds))


def test_the_table_by_hand():
    table = reliability(TARGET, CHANCE, n_bins=2)
    assert table.edges.tolist() == [0, 0.5, 1]
    assert table.n.tolist() == [4, 4]
    np.testing.assert_allclose(table.predicted, [0.1, 0.75])
    np.testing.assert_allclose(table.observed, [0.25, 0.75])
    np.testing.assert_allclose(expected_calibration_error(table), 0.075)


def test_the_brier_score_and_its_parts_by_hand():
    found = brier(TARGET, CHANCE, n_bins=2)
    np.testing.assert_allclose(found.score, (3 * 0.01 + 0.81 + 2 * 0.16 + 0.04 + 1) / 8)
    np.testing.assert_allclose(found.reliability, 0.15**2 / 2)
    np.testing.assert_allclose(found.resolution, 0.25**2)
    np.testing.assert_allclose(found.uncertainty, 0.25)


@pytest.mark.parametrize("chance", [0.0, 0.1, 0.3, 0.6, 0.7, 1.0])
def test_an_edge_belongs_to_the_bin_that_it_begins(chance):
    table = reliability([1.0], [chance])
    assert np.flatnonzero(table.n).tolist() == [min(round(chance * 10), 9)]


def test_the_table_is_that_of_scikit_learn():
    target, chance = draw(0)
    table = reliability(target, chance)
    observed, predicted = calibration_curve(target, chance, n_bins=10)
    np.testing.assert_allclose(table.observed[table.n > 0], observed)
    np.testing.assert_allclose(table.predicted[table.n > 0], predicted)
    np.testing.assert_allclose(brier(target, chance).score, brier_score_loss(target, chance))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, 0.0), (2.0, -1.0)])
def test_recalibration_is_logistic_regression_on_the_log_odds(slope, intercept):
    target, chance = draw(1, slope=slope, intercept=intercept, n=20_000)
    found = recalibration(target, chance)
    log_odds = np.log(chance / (1 - chance))
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(log_odds[:, None], target)
    np.testing.assert_allclose(
        [found.intercept, found.slope], [expected.intercept_[0], expected.coef_[0, 0]], atol=1e-5
    )
    np.testing.assert_allclose([found.intercept, found.slope], [intercept, slope], atol=0.15)


def test_the_intercept_alone_makes_the_mean_prediction_right():
    target, chance = draw(2, intercept=-1.5)
    shifted = np.log(chance / (1 - chance)) + recalibration(target, chance).intercept_alone
    np.testing.assert_allclose(np.mean(1 / (1 + np.exp(-shifted))), target.mean(), rtol=1e-9)


def test_predictions_of_zero_and_one_do_not_break_the_recalibration():
    target = np.array([0.0, 1, 1, 0, 1, 0])
    found = recalibration(target, np.array([0.0, 1, 0.4, 0.6, 0, 1]))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("target", [[0, 0, 0, 0], [1, 1, 1, 1]])
def test_one_class_alone_has_no_recalibration(target):
    assert np.isnan(recalibration(target, [0.1, 0.5, 0.7, 0.9])).all()


@pytest.mark.parametrize("chance", [[0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1], [0.3] * 4])
def test_separated_or_equal_predictions_have_no_slope(chance):
    found = recalibration([0, 0, 1, 1], chance)
    assert np.isnan([found.intercept, found.slope]).all()
    assert np.isfinite(found.intercept_alone)


def test_of_no_example_nothing_is_known():
    assert np.isnan(expected_calibration_error(reliability([], [])))
    assert np.isnan(brier([], [])).all()
    assert np.isnan(recalibration([], [])).all()


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40), st.integers(1, 20))
def test_parts_sum_to_the_score_and_bins_hold_every_example(pairs, n_bins):
    target, chance = np.array(pairs, dtype=float).T
    table, parts = reliability(target, chance, n_bins=n_bins), brier(target, chance, n_bins=n_bins)
    assert table.n.sum() == len(pairs)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    np.testing.assert_allclose(total, parts.score, atol=1e-12)
    assert 0 <= expected_calibration_error(table) <= 1
    filled = table.n > 0
    assert (table.predicted[filled] >= table.edges[:-1][filled] - 1e-12).all()
    assert (table.predicted[filled] <= table.edges[1:][filled] + 1e-12).all()


@given(st.lists(st.sampled_from([0.05, 0.35, 0.75]), min_size=3, max_size=30), st.integers(0, 2**32 - 1))
def test_where_a_bin_holds_equal_predictions_nothing_is_hidden_within(chances, seed):
    target = np.random.default_rng(seed).integers(0, 2, len(chances))
    np.testing.assert_allclose(brier(target, chances).within, 0, atol=1e-12)


def test_what_is_recorded_tells_shifted_and_extreme_predictions_from_calibrated_ones():
    calibrated, shifted, extreme = (
        diagnosis(*draw(4, n=20_000, **how)) for how in ({}, {"intercept": -1.0}, {"slope": 0.5})
    )
    assert [*calibrated.values()] == pytest.approx([0, 0, 1], abs=0.05)
    assert shifted["calibration_intercept"] == pytest.approx(-1, abs=0.06)
    assert shifted["calibration_slope"] == pytest.approx(1, abs=0.06)
    assert extreme["calibration_slope"] == pytest.approx(0.5, abs=0.05)
    assert min(shifted["ece"], extreme["ece"]) > 0.05


def test_of_one_class_or_of_predictions_that_are_no_numbers_nothing_is_recorded_but_what_is_defined():
    found = diagnosis([0.0, 0.0], [0.5, 0.25])
    assert found["ece"] == 0.375
    assert np.isnan([found["calibration_intercept"], found["calibration_slope"]]).all()
    assert np.isnan([*diagnosis([0.0, 1.0], [0.5, np.nan]).values()]).all()
