import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from genotune.genome.p_values import log10_p_of_share, log10_p_of_t, log10_p_of_z


def log10_p_of_t_with_even_df(t, df):
    """By the finite sum for even degrees of freedom, in fractions. Source: Abramowitz and Stegun 1964, 26.7.4.

    The sum for the middle is taken from one, so it is summed here as the rest of the binomial series instead:
    sin = (1 - x)^(1/2) inverted by its series of x = cos^2, whose first df / 2 terms the finite sum holds.
    """
    x = Fraction(df) / (Fraction(df) + Fraction(t) ** 2)
    term, terms = Fraction(1), []
    for k in range(df // 2 + 60):
        if k >= df // 2:
            terms.append(term)
        term *= x * Fraction(2 * k + 1, 2 * k + 2)
    log_sine = 0.5 * math.log1p(-float(x)) / math.log(10)
    total = sum(terms)
    return log_sine + math.log10(total.numerator) - math.log10(total.denominator)


@pytest.mark.parametrize(("t", "df"), [(0.0, 5), (0.3, 1), (-2.5, 10), (4.0, 1937), (30.0, 1937), (1e-9, 3)])
def test_p_of_t_is_that_of_scipy_where_it_does_not_underflow(t, df):
    np.testing.assert_allclose(10 ** log10_p_of_t(t, df), 2 * stats.t.sf(abs(t), df), rtol=1e-12)


@pytest.mark.parametrize(("t", "df"), [(20, 10), (45, 2000), (60, 2000), (200, 2000), (10_000, 400), (10**9, 50)])
def test_p_of_t_is_exact_far_in_the_tail(t, df):
    expected = log10_p_of_t_with_even_df(t, df)
    np.testing.assert_allclose(log10_p_of_t(float(t), float(df)), expected, rtol=1e-12)


def test_the_far_tail_begins_without_a_step():
    t = np.linspace(34, 40, 2001)
    slopes = np.diff(log10_p_of_t(t, 1000.0))
    assert log10_p_of_t(t, 1000.0)[0] > -200 > log10_p_of_t(t, 1000.0)[-1]
    np.testing.assert_allclose(np.diff(slopes), np.diff(slopes).mean(), rtol=0.5)


def test_p_of_z_is_that_of_scipy_and_goes_on_where_that_underflows():
    z = np.array([0.0, 0.5, -1.96, 8.0, 37.0])
    np.testing.assert_allclose(10 ** log10_p_of_z(z), 2 * stats.norm.sf(np.abs(z)), rtol=1e-12)
    # Mills' ratio: the tail above z is the density over z, less one part in z^2.
    z = 1000.0
    asymptotic = (-(z**2) / 2 - math.log(z) - 0.5 * math.log(2 * math.pi) + math.log(2)) / math.log(10)
    np.testing.assert_allclose(log10_p_of_z(z), asymptotic, rtol=1e-10)


def test_what_has_no_statistic_or_no_freedom_has_no_p():
    assert np.isnan(log10_p_of_t(np.array([np.nan, 1.0, 1.0]), np.array([5.0, 0.0, -1.0]))).all()
    assert np.isnan(log10_p_of_z(np.array([np.nan]))).all()


def test_an_infinite_statistic_is_less_likely_than_anything():
    assert log10_p_of_z(np.array([np.inf])) == -np.inf


@given(st.floats(-1e6, 1e6), st.integers(1, 10**6))
def test_p_of_t_is_a_probability_that_falls_with_the_statistic(t, df):
    one, more = log10_p_of_t(np.array([abs(t), abs(t) * 1.01 + 1e-3]), float(df))
    assert more < one <= 1e-12


@pytest.mark.parametrize("q", [1, 2, 5])
def test_p_of_a_share_is_that_of_the_f_test(q):
    share, df = np.array([0, 0.001, 0.2, 0.7, 0.99]), 40
    expected = stats.f.sf(share / (1 - share) * df / q, q, df)
    np.testing.assert_allclose(10 ** log10_p_of_share(share, q=q, df=df), expected, rtol=1e-10)


@pytest.mark.parametrize("t", [0.0, 1.5, 45.0, 60.0, 200.0])
def test_p_of_a_share_that_one_regressor_explains_is_that_of_its_t(t):
    df = 2000
    found = log10_p_of_share(np.array([t**2 / (t**2 + df)]), q=1, df=df)
    np.testing.assert_allclose(found, log10_p_of_t(np.array([t]), np.array([float(df)])), rtol=1e-9, atol=1e-12)


def test_p_of_a_share_is_one_where_there_is_nothing_to_test_and_no_number_where_there_is_no_share():
    for q, df in ((0, 10), (3, 0), (3, -2)):
        np.testing.assert_array_equal(log10_p_of_share(np.array([0.5, np.nan]), q=q, df=df), [0, np.nan])
    assert np.isnan(log10_p_of_share(np.array([np.nan]), q=2, df=9)).all()
    assert log10_p_of_share(np.array([1.0]), q=2, df=9)[0] < -300
