"""What predictions are judged by: each metric with its direction and the kinds of target that it fits. numpy only.

A metric that is not defined for its data (a constant prediction has no correlation) is NaN, without a warning.
Sums are taken in float64.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Direction = Literal["maximize", "minimize"]
Values = NDArray[np.float64]

SIGNAL: Final = "signal"
"""A track: real numbers, for a Poisson metric not below zero."""
BINARY: Final = "binary"
"""Two classes: 0 and 1."""

_RATE_FLOOR: Final = 1e-6
"""Lowest rate that a Poisson metric knows: a prediction of exactly zero would make one count infinitely unlikely."""


class Metric(NamedTuple):
    """One way to compare predictions with their targets.

    Attributes:
        name: as it stands in a spec.
        direction: whether higher or lower is better.
        fits: kinds of target.
        formula: of (example,) target and prediction, at least one, all finite.
    """

    name: str
    direction: Direction
    fits: frozenset[str]
    formula: Callable[[Values, Values], float]

    def compute(self, target: ArrayLike, predicted: ArrayLike) -> float:
        """The metric; NaN where it isn't defined, or a value is not finite.

        Args:
            target: (example,).
            predicted: (example,).
        """
        observed, expected = np.asarray(target, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
        assert observed.shape == expected.shape, (observed.shape, expected.shape)
        if not observed.size or not (np.isfinite(observed).all() and np.isfinite(expected).all()):
            return float("nan")
        return float(self.formula(observed, expected))


def metric_problem(name: str, kind: str) -> str | None:
    """What is wrong with judging targets of this kind by the metric of this name; None if nothing is."""
    allowed = [metric.name for metric in METRICS.values() if kind in metric.fits]
    if name not in METRICS:
        near = difflib.get_close_matches(name, allowed, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Allowed: {', '.join(allowed)}."
        return f"unknown metric {name!r}. {hint}"
    if kind not in METRICS[name].fits:
        wanted = " or ".join(sorted(METRICS[name].fits))
        return f"{name} is for a {wanted} target, this one is {kind}. Allowed: {', '.join(allowed)}."
    return None


def _pearson(target: Values, predicted: Values) -> float:
    """Source: Pearson 1895, the product-moment coefficient."""
    if _is_constant(target) or _is_constant(predicted):
        return float("nan")
    first, second = target - target.mean(), predicted - predicted.mean()
    norm = np.sqrt(first @ first) * np.sqrt(second @ second)
    return float(np.clip(first @ second / norm, -1, 1)) if norm else float("nan")


def _spearman(target: Values, predicted: Values) -> float:
    """Pearson of the ranks, ties sharing their mean rank. Source: Spearman 1904."""
    return _pearson(_mean_ranks(target), _mean_ranks(predicted))


def _r2(target: Values, predicted: Values) -> float:
    """Share of the variance around the target's mean that is explained; below zero where the mean does better."""
    if _is_constant(target):
        return float("nan")
    return float(1 - np.sum((target - predicted) ** 2) / np.sum((target - target.mean()) ** 2))


def _mse(target: Values, predicted: Values) -> float:
    return float(np.mean((target - predicted) ** 2))


def _mae(target: Values, predicted: Values) -> float:
    return float(np.mean(np.abs(target - predicted)))


def _poisson_deviance_explained(target: Values, predicted: Values) -> float:
    """1 - deviance / deviance of the target's mean. Source: Cameron and Windmeijer 1996, R2 of the deviance."""
    if target.min() < 0 or _is_constant(target):
        return float("nan")
    null = _poisson_deviance(target, np.full_like(target, target.mean()))
    return 1 - _poisson_deviance(target, predicted) / null


def _poisson_deviance(target: Values, predicted: Values) -> float:
    """Source: McCullagh and Nelder 1989, section 2.3, the Poisson deviance."""
    rate = np.maximum(predicted, _RATE_FLOOR)
    logs = np.log(np.where(target > 0, target, 1) / np.where(target > 0, rate, 1))
    return float(2 * np.sum(target * logs - (target - rate)))


def _poisson_nll(target: Values, predicted: Values) -> float:
    """Mean of rate - target * log(rate): the negative log-likelihood without the term of the target alone."""
    if target.min() < 0:
        return float("nan")
    rate = np.maximum(predicted, _RATE_FLOOR)
    return float(np.mean(rate - target * np.log(rate)))


def _auroc(target: Values, predicted: Values) -> float:
    """Chance that a positive ranks above a negative. Source: Hanley and McNeil 1982, by the Mann-Whitney statistic."""
    positive = target > 0
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    above = _mean_ranks(predicted)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def _is_constant(values: Values) -> bool:
    return bool(values.min() == values.max())


def _mean_ranks(values: Values) -> Values:
    """(example,) ranks from 1; equal values share the mean of theirs."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    ranks: Values = (last - (size - 1) / 2)[group]
    return ranks


def _metrics(*rows: Any) -> Mapping[str, Metric]:
    return {row[0]: Metric(row[0], row[1], frozenset({row[2]}), row[3]) for row in rows}


METRICS: Final[Mapping[str, Metric]] = _metrics(
    ("pearson", "maximize", SIGNAL, _pearson),
    ("spearman", "maximize", SIGNAL, _spearman),
    ("r2", "maximize", SIGNAL, _r2),
    ("mse", "minimize", SIGNAL, _mse),
    ("mae", "minimize", SIGNAL, _mae),
    ("poisson_deviance_explained", "maximize", SIGNAL, _poisson_deviance_explained),
    ("poisson_nll", "minimize", SIGNAL, _poisson_nll),
    ("auroc", "maximize", BINARY, _auroc),
)
"""Every metric, by name."""
