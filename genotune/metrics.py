"""What predictions are judged by: each metric with its direction and the kinds of target that it fits. numpy only.

A metric that is not defined for its data (a constant prediction has no correlation) is NaN, without a warning.
Sums are taken in float64. Metrics of a multiclass target that go class by class (`..._macro`, `balanced_accuracy`) are
means over the classes that occur in it: what a model could do for a class without examples can't be told, and counting
it as zero would make scores of two splits differ for their classes' sake.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from genotune.columns import TargetKind
from genotune.store import Values

Direction = Literal["maximize", "minimize"]

COSTS: Final[Mapping[str, Direction]] = {"n_parameters": "minimize"}
"""What a model costs, as it may be weighed against how well it predicts, with its direction. Seconds are not among
them: they depend on what else a machine does, so that a sweep that is run again would decide otherwise."""

_RATE_FLOOR: Final = 1e-6
"""Lowest rate that a Poisson metric knows: a prediction of exactly zero would make one count infinitely unlikely."""

_PROBABILITY_MARGIN: Final = 1e-7
"""How near to 0 and 1 log_loss lets a probability come: one example that a model was wrongly sure of would make the
loss infinite. About the last step below 1 that float32 knows (6e-8), in which models predict."""

_THRESHOLD: Final = 0.5
"""Class 1 of a binary target is predicted from this probability on: in every split the same, and never tuned on one."""


class Metric(NamedTuple):
    """One way to compare predictions with their targets.

    Attributes:
        name: as it stands in a spec.
        direction: whether higher or lower is better.
        fits: kinds of target.
        formula: of target and prediction as in `compute`, at least one example, all finite.
        of_counts: of a signal it is taken of the totals of bins: a logarithm or a Poisson law speaks of counts. Every
            other metric is taken of their means per base.
    """

    name: str
    direction: Direction
    fits: frozenset[TargetKind]
    formula: Callable[[Values, Values], float]
    of_counts: bool = False

    def compute(self, target: ArrayLike, predicted: ArrayLike) -> float:
        """The metric; NaN where it isn't defined, or a value is not finite.

        Args:
            target: (example,); of classes, their index.
            predicted: (example,), of a binary target the probability of class 1; of a multiclass target (example,
                class), probabilities.
        """
        observed, expected = np.asarray(target, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
        assert observed.shape == expected.shape[:1], (observed.shape, expected.shape)
        if not observed.size or not (np.isfinite(observed).all() and np.isfinite(expected).all()):
            return float("nan")
        return float(self.formula(observed, expected))


def direction_of(name: str) -> Direction:
    """Whether more or less of a metric or a cost is better."""
    return COSTS[name] if name in COSTS else METRICS[name].direction


def metric_problem(name: str, kind: TargetKind) -> str | None:
    """What is wrong with judging targets of this kind by the metric of this name; None if nothing is."""
    allowed = [metric.name for metric in METRICS.values() if kind in metric.fits]
    if name in allowed:
        return None
    if name not in METRICS:
        near = difflib.get_close_matches(name, allowed, n=1)
        fault = f"unknown metric {name!r}."
    else:
        near = [twin for twin in (f"{name}_macro", name.removesuffix("_macro")) if twin in allowed]
        *others, last = sorted(METRICS[name].fits)
        wanted = f"{', '.join(others)} or {last}" if others else last
        fault = f"{name} is for a {wanted} target, this one is {kind}."
    return f"{fault} Did you mean {near[0]!r}?" if near else f"{fault} Allowed: {', '.join(allowed)}."


def _pearson(target: Values, predicted: Values) -> float:
    """Source: Pearson 1895, the product-moment coefficient."""
    if _is_constant(target) or _is_constant(predicted):
        return float("nan")
    first, second = target - target.mean(), predicted - predicted.mean()
    norm = np.sqrt(first @ first) * np.sqrt(second @ second)
    return float(np.clip(first @ second / norm, -1, 1)) if norm else float("nan")


def _pearson_log1p(target: Values, predicted: Values) -> float:
    """Pearson of log(1 + count), so that the highest counts don't decide alone; a prediction below zero is zero."""
    if target.min() < 0:
        return float("nan")
    return _pearson(np.log1p(target), np.log1p(np.maximum(predicted, 0)))


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
    """Mean over examples of 2 * (target * log(target / rate) - target + rate).

    Source: McCullagh and Nelder 1989, section 2.3, the Poisson deviance.
    """
    if target.min() < 0:
        return float("nan")
    rate = np.maximum(predicted, _RATE_FLOOR)
    logs = np.log(np.where(target > 0, target, 1) / np.where(target > 0, rate, 1))
    return float(2 * np.mean(target * logs - (target - rate)))


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


def _auprc(target: Values, predicted: Values) -> float:
    """Average precision: the precision at each distinct prediction, weighted by the recall that it adds.

    Equal predictions are one step, and nothing is interpolated. Source: Manning et al. 2008, section 8.4.
    """
    positive = target > 0
    if positive.all() or not positive.any():
        return float("nan")
    order = np.argsort(-predicted, kind="stable")
    steps = np.append(np.flatnonzero(np.diff(predicted[order])), len(order) - 1)
    hits = np.cumsum(positive[order])[steps]
    return float(np.sum(np.diff(hits, prepend=0) * hits / (steps + 1)) / hits[-1])


def _accuracy(target: Values, predicted: Values) -> float:
    return float(np.mean(_chosen(predicted) == target))


def _balanced_accuracy(target: Values, predicted: Values) -> float:
    """Mean recall of the classes that occur. Source: Brodersen et al. 2010, for any number of classes."""
    chosen = _chosen(predicted)
    return float(np.mean([np.mean(chosen[target == one] == one) for one in np.unique(target)]))


def _log_loss(target: Values, predicted: Values) -> float:
    """Mean of -log of the probability that the true class was given."""
    table = predicted if predicted.ndim == 2 else np.stack([1 - predicted, predicted], axis=1)
    of_truth = table[np.arange(len(target)), target.astype(np.int64)]
    return float(-np.mean(np.log(np.clip(of_truth, _PROBABILITY_MARGIN, 1 - _PROBABILITY_MARGIN))))


def _brier(target: Values, predicted: Values) -> float:
    """Mean squared distance of the probability of class 1 from the outcome. Source: Brier 1950."""
    return _mse((target > 0).astype(np.float64), predicted)


def _precision(target: Values, predicted: Values) -> float:
    """Share of the predicted positives that are; 0.0 where none is predicted, as scikit-learn's zero_division=0."""
    hits = _chosen(predicted)[target > 0].sum()
    return float(hits / max(1, _chosen(predicted).sum()))


def _recall(target: Values, predicted: Values) -> float:
    """Share of the positives that are predicted; NaN where there are none."""
    positive = target > 0
    return float(_chosen(predicted)[positive].mean()) if positive.any() else float("nan")


def _f1(target: Values, predicted: Values) -> float:
    """Harmonic mean of precision and recall; 0.0 where no positive is predicted or none is there, as scikit-learn's."""
    hits = _chosen(predicted)[target > 0].sum()
    return float(2 * hits / max(1, _chosen(predicted).sum() + (target > 0).sum()))


def _chosen(predicted: Values) -> Values:
    """(example,) index of the class that the probabilities speak for; of equals the first."""
    chosen = np.argmax(predicted, axis=1) if predicted.ndim == 2 else predicted >= _THRESHOLD
    return chosen.astype(np.float64)


def _is_constant(values: Values) -> bool:
    return bool(values.min() == values.max())


def _mean_ranks(values: Values) -> Values:
    """(example,) ranks from 1; equal values share the mean of theirs."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    ranks: Values = (last - (size - 1) / 2)[group]
    return ranks


def _macro(of_class: Callable[[Values, Values], float]) -> Callable[[Values, Values], float]:
    """The mean over the classes that occur in the target of a binary metric of one class against the rest."""

    def mean(target: Values, predicted: Values) -> float:
        classes = np.unique(target)
        return float(np.mean([of_class((target == one).astype(np.float64), predicted[:, int(one)]) for one in classes]))

    return mean


def _macro_of_chosen(of_class: Callable[[Values, Values], float]) -> Callable[[Values, Values], float]:
    """As `_macro`, of the class with the highest probability: not each class has the half that a binary metric asks."""
    mean = _macro(of_class)
    return lambda target, predicted: mean(target, np.eye(predicted.shape[1])[np.argmax(predicted, axis=1)])


_REAL: Final = frozenset[TargetKind]({"signal", "quantitative", "count"})
_RATE: Final = frozenset[TargetKind]({"signal", "count"})
_BINARY: Final = frozenset[TargetKind]({"binary"})
_MULTICLASS: Final = frozenset[TargetKind]({"multiclass"})

METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("pearson", "maximize", _REAL, _pearson),
        Metric("spearman", "maximize", _REAL, _spearman),
        Metric("r2", "maximize", _REAL, _r2),
        Metric("mse", "minimize", _REAL, _mse),
        Metric("mae", "minimize", _REAL, _mae),
        Metric("pearson_log1p", "maximize", _RATE, _pearson_log1p, of_counts=True),
        Metric("poisson_deviance_explained", "maximize", _RATE, _poisson_deviance_explained, of_counts=True),
        Metric("poisson_deviance", "minimize", _RATE, _poisson_deviance, of_counts=True),
        Metric("poisson_nll", "minimize", _RATE, _poisson_nll, of_counts=True),
        Metric("auroc", "maximize", _BINARY, _auroc),
        Metric("auprc", "maximize", _BINARY, _auprc),
        Metric("accuracy", "maximize", _BINARY | _MULTICLASS, _accuracy),
        Metric("balanced_accuracy", "maximize", _BINARY | _MULTICLASS, _balanced_accuracy),
        Metric("precision", "maximize", _BINARY, _precision),
        Metric("recall", "maximize", _BINARY, _recall),
        Metric("f1", "maximize", _BINARY, _f1),
        Metric("log_loss", "minimize", _BINARY | _MULTICLASS, _log_loss),
        Metric("brier", "minimize", _BINARY, _brier),
        Metric("auroc_macro", "maximize", _MULTICLASS, _macro(_auroc)),
        Metric("auprc_macro", "maximize", _MULTICLASS, _macro(_auprc)),
        Metric("precision_macro", "maximize", _MULTICLASS, _macro_of_chosen(_precision)),
        Metric("recall_macro", "maximize", _MULTICLASS, _macro_of_chosen(_recall)),
        Metric("f1_macro", "maximize", _MULTICLASS, _macro_of_chosen(_f1)),
    )
}
"""Every metric, by name."""

DEFAULT_METRIC: Final[Mapping[TargetKind, str]] = {
    "signal": "pearson",
    "quantitative": "pearson",
    "binary": "auroc",
    "multiclass": "balanced_accuracy",
    "count": "poisson_deviance_explained",
}
"""The objective of a spec that names none."""

RECORDED: Final[Mapping[TargetKind, tuple[str, ...]]] = {
    "signal": ("pearson", "pearson_log1p", "spearman", "poisson_deviance_explained", "mse"),
    "quantitative": ("pearson", "spearman", "r2", "mse", "mae"),
    "binary": ("auroc", "auprc", "accuracy", "balanced_accuracy", "precision", "recall", "f1", "log_loss", "brier"),
    "multiclass": tuple(name for name, metric in METRICS.items() if "multiclass" in metric.fits),
    "count": ("pearson", "pearson_log1p", "spearman", "poisson_deviance_explained", "poisson_deviance", "mae"),
}
"""What is recorded of each trial beside the objective."""
