"""Two-sided p-values of test statistics, as their decimal logarithm: the tail of a strong association underflows."""

from typing import Final

import numpy as np

from genotune.store import Values

_FAR_TAIL: Final = 1e-200
"""Below this p-value the tail is taken in logarithms: a float64 ends at 1e-308."""
_LEAST: Final = 1e-300
"""Keeps a divisor of the continued fraction from being zero, as Lentz's method asks."""
_MOST_STEPS: Final = 200


def log10_p_of_t(t: Values, df: Values) -> Values:
    """log10 of the two-sided p-value of Student's t, of any shape; NaN where t is, or df isn't above zero.

    Far in the tail p = I_x(df / 2, 1 / 2) with x = df / (df + t^2), I being the regularised incomplete beta function.
    Source: Abramowitz and Stegun 1964, equation 26.7.1 with 26.5.27.

    Args:
        t: statistic.
        df: degrees of freedom, of a shape that fits.
    """
    from scipy.special import betaln, stdtr

    statistic, freedom = np.broadcast_arrays(np.abs(np.asarray(t, np.float64)), np.asarray(df, np.float64))
    freedom = np.where(freedom > 0, freedom, np.nan)
    a, ratio = freedom / 2, (statistic / freedom) * statistic
    p = 2 * stdtr(freedom, -statistic)
    found = np.log10(np.maximum(p, _LEAST), out=np.full(p.shape, np.nan), where=~np.isnan(p))
    far = p < _FAR_TAIL
    if far.any():
        far_a, far_ratio = a[far], ratio[far]
        front = -far_a * np.log1p(far_ratio) - 0.5 * np.log1p(1 / far_ratio) - np.log(far_a) - betaln(far_a, 0.5)
        found[far] = (front + np.log(_beta_fraction(far_a, 0.5, x=1 / (1 + far_ratio)))) / np.log(10)
    return np.asarray(found)


def log10_p_of_z(z: Values) -> Values:
    """log10 of the two-sided p-value of a standard normal statistic, of any shape; NaN where z is.

    The square of z is chi-square with one degree of freedom: its p-value is the same.
    """
    from scipy.special import log_ndtr

    return np.asarray((log_ndtr(-np.abs(z)) + np.log(2)) / np.log(10))


def log10_p_of_share(share: Values, *, q: int, df: int) -> Values:
    """log10 of the p-value of the F-test by which q regressors explain a share of variance, NaN where the share is.

    p = I_x(df / 2, q / 2) with x = 1 - share, I being the regularised incomplete beta function; 1 where there is no
    regressor or no degree of freedom is left.
    Source: Abramowitz and Stegun 1964, equation 26.6.2 with 26.5.8.

    Args:
        share: of the variance beside other regressors, from 0 to 1; of any shape.
        q: regressors.
        df: degrees of freedom of the rest.
    """
    from scipy.special import betainc, betaln

    if not q or df <= 0:
        return np.where(np.isnan(share), np.nan, 0.0)
    a, b, x = df / 2, q / 2, 1 - np.asarray(share, np.float64)
    p = betainc(a, b, x)
    found = np.log10(np.maximum(p, _LEAST), out=np.full(p.shape, np.nan), where=~np.isnan(p))
    far = p < _FAR_TAIL
    if far.any():
        far_x = np.maximum(x[far], np.finfo(np.float64).tiny)
        front = a * np.log(far_x) + b * np.log1p(-far_x) - np.log(a) - betaln(a, b)
        found[far] = (front + np.log(_beta_fraction(np.full(len(far_x), a), b, x=far_x))) / np.log(10)
    return np.asarray(found)


def _beta_fraction(a: Values, b: float, *, x: Values) -> Values:
    """I_x(a, b) a B(a, b) / (x^a (1 - x)^b), where x is below (a + 1) / (a + b + 2).

    Source: Abramowitz and Stegun 1964, equation 26.5.8, evaluated by the method of Lentz 1976.
    """
    c, d = np.ones_like(a), 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, _MOST_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _away_from_zero(1 + step * d)
            c = _away_from_zero(1 + step / c)
            value *= c * d
        if np.all(np.abs(c * d - 1) < 1e-15):
            break
    return value


def _away_from_zero(values: Values) -> Values:
    return np.where(np.abs(values) < _LEAST, _LEAST, values)
