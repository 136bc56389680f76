"""Calibration of binary predictions: whether what is predicted at 0.3 happens in three cases of ten. numpy only.

Axes: e example, b bin.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from genotune.store import IntArray, Values

N_BINS: Final = 10
"""Source: Guo et al. 2017, section 4.1, has 15; validation splits here are smaller."""

_MARGIN: Final = 1e-7
"""How near to 0 and 1 a probability may come before its log-odds are taken, as for the log loss."""

_MOST_STEPS: Final = 100
_CONVERGED: Final = 1e-12
_SMALLEST_STEP: Final = 1e-10


class Reliability(NamedTuple):
    """Predictions in bins of equal width beside what was seen; (b,) each, empty bins NaN.

    Attributes:
        edges: (b + 1,) of the bins, from 0 to 1; a bin has its lower edge, the last one both.
        n: int64, examples.
        predicted: mean probability.
        observed: share of class 1.
    """

    edges: Values
    n: IntArray
    predicted: Values
    observed: Values


class Brier(NamedTuple):
    """Brier score and what it is made of: score = reliability - resolution + uncertainty + within.

    Attributes:
        score: mean squared distance of prediction and outcome; lower is better.
        reliability: squared distance of the bins' mean prediction from what was seen in them; 0 if calibrated.
        resolution: squared distance of what was seen in the bins from the share of class 1; higher is better.
        uncertainty: variance of the outcome itself.
        within: what the bins hide: predictions of one bin differ.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


class Recalibration(NamedTuple):
    """Logistic regression of the outcome on the predicted log-odds; NaN where it can't be fitted.

    Attributes:
        intercept: of the log-odds; 0 if calibrated, below if too much is predicted.
        slope: of the log-odds; 1 if calibrated, below if predictions are too extreme.
        intercept_alone: with a slope of 1: calibration in the large.
    """

    intercept: float
    slope: float
    intercept_alone: float


def reliability(target: ArrayLike, predicted: ArrayLike, *, n_bins: int = N_BINS) -> Reliability:
    """The reliability table. Source: Murphy and Winkler 1977.

    Args:
        target: (e,) 0 or 1.
        predicted: (e,) probability of class 1.
        n_bins: of equal width.
    """
    outcome, chance = _checked(target, predicted)
    # Not linspace, whose 0.3 lies above 0.3.
    edges = np.arange(n_bins + 1) / n_bins
    place = np.clip(np.searchsorted(edges, chance, side="right") - 1, 0, n_bins - 1)
    n = np.bincount(place, minlength=n_bins)
    sums = [np.bincount(place, weights=values, minlength=n_bins) for values in (chance, outcome)]
    means = [np.divide(total, n, out=np.full(n_bins, np.nan), where=n > 0) for total in sums]
    return Reliability(edges, n, means[0], means[1])


def expected_calibration_error(table: Reliability) -> float:
    """Mean distance of prediction and what was seen over the bins, weighted by their examples; NaN without any.

    Source: Naeini et al. 2015, section 2; Guo et al. 2017, equation 3.
    """
    if not table.n.sum():
        return float("nan")
    return float(np.nansum(table.n * np.abs(table.predicted - table.observed)) / table.n.sum())


def brier(target: ArrayLike, predicted: ArrayLike, *, n_bins: int = N_BINS) -> Brier:
    """The Brier score and its parts; NaN without examples.

    Source: Brier 1950; Murphy 1973, equation 6, the partition; Stephenson et al. 2008, the part within bins.

    Args:
        target: (e,) 0 or 1.
        predicted: (e,) probability of class 1.
        n_bins: of equal width.
    """
    outcome, chance = _checked(target, predicted)
    if not len(outcome):
        return Brier(*(float("nan"),) * 5)
    table = reliability(outcome, chance, n_bins=n_bins)
    share, weights = outcome.mean(), table.n / len(outcome)
    score = float(np.mean((chance - outcome) ** 2))
    off = float(np.nansum(weights * (table.predicted - table.observed) ** 2))
    resolved = float(np.nansum(weights * (table.observed - share) ** 2))
    uncertainty = float(share * (1 - share))
    return Brier(score, off, resolved, uncertainty, score - off + resolved - uncertainty)


def recalibration(target: ArrayLike, predicted: ArrayLike) -> Recalibration:
    """Intercept and slope of calibration.

    NaN where there is one class only, or the predictions separate them; the slope also where all are the same.

    Source: Cox 1958 (Two further applications of a model for binary regression); Miller et al. 1991.

    Args:
        target: (e,) 0 or 1.
        predicted: (e,) probability of class 1; 0 and 1 are taken as `_MARGIN` off.
    """
    outcome, chance = _checked(target, predicted)
    nothing = float("nan")
    if not len(outcome) or outcome.min() == outcome.max():
        return Recalibration(nothing, nothing, nothing)
    clipped = np.clip(chance, _MARGIN, 1 - _MARGIN)
    log_odds = np.log(clipped) - np.log1p(-clipped)
    alone = _fit(np.ones((len(outcome), 1)), outcome, offset=log_odds)
    if log_odds.min() == log_odds.max() or _is_separated(outcome, log_odds):
        return Recalibration(nothing, nothing, float(alone[0]))
    intercept, slope = _fit(np.column_stack([np.ones(len(outcome)), log_odds]), outcome, offset=np.zeros(len(outcome)))
    return Recalibration(float(intercept), float(slope), float(alone[0]))


def diagnosis(target: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """What is recorded beside the metrics of a binary trait, by name; NaN where it is not defined.

    None of it is an objective: predicting the share of class 1 for everyone is calibrated, and says nothing.

    Source: Van Calster et al. 2019 (Calibration: the Achilles heel of predictive analytics): the intercept is that with
    a slope of 1, below 0 where too much is predicted; the slope is below 1 where predictions are too extreme.

    Args:
        target: (e,) 0 or 1.
        predicted: (e,) probability of class 1; where one is not finite, nothing is defined.
    """
    if not np.isfinite(np.asarray(predicted)).all():
        return dict.fromkeys(("ece", "calibration_intercept", "calibration_slope"), float("nan"))
    found = recalibration(target, predicted)
    return {
        "ece": expected_calibration_error(reliability(target, predicted)),
        "calibration_intercept": found.intercept_alone,
        "calibration_slope": found.slope,
    }


def _checked(target: ArrayLike, predicted: ArrayLike) -> tuple[Values, Values]:
    outcome, chance = np.asarray(target, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    assert outcome.shape == chance.shape, (outcome.shape, chance.shape)
    return outcome, chance


def _is_separated(outcome: Values, log_odds: Values) -> bool:
    ones, zeros = log_odds[outcome == 1], log_odds[outcome == 0]
    return bool(ones.min() >= zeros.max() or zeros.min() >= ones.max())


def _fit(design: Values, outcome: Values, *, offset: Values) -> Values:
    """Logistic regression with an offset by Newton's method, steps halved while they don't raise the likelihood."""
    coefficients = np.zeros(design.shape[1])
    height = _log_likelihood(offset, outcome)
    for _ in range(_MOST_STEPS):
        chance = _logistic(offset + design @ coefficients)
        information = design.T @ (design * (chance * (1 - chance))[:, None])
        step, *_ = np.linalg.lstsq(information, design.T @ (outcome - chance), rcond=None)
        share = 1.0
        while share > _SMALLEST_STEP:
            new = _log_likelihood(offset + design @ (coefficients + share * step), outcome)
            if new >= height - _CONVERGED * abs(height):
                break
            share /= 2
        coefficients, height = coefficients + share * step, new
        if np.abs(share * step).max() < _CONVERGED * (1 + np.abs(coefficients).max()):
            break
    return coefficients


def _log_likelihood(log_odds: Values, outcome: Values) -> float:
    return float(np.sum(outcome * log_odds - np.logaddexp(0, log_odds)))


def _logistic(log_odds: Values) -> Values:
    return np.asarray(np.exp(-np.logaddexp(0, -log_odds)))
