"""Generalised linear models by penalised likelihood, as a trait's kind asks, by Newton's method. numpy only.

Letters: n samples, q columns of the design, k outputs (one; of several classes as many as classes).
Source: McCullagh and Nelder 1989, sections 2.5 (the fit) and 5.2 (several classes).
"""

from typing import Final, NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.store import FloatArray, IntArray, Values

LARGEST_LINEAR: Final = 30.0
"""Beyond it a linear term of a probability or a count is cut off: no rate and no odds are higher than e^30."""

_SURE: Final = 1e-6
"""Nearest that a predicted probability comes to 0 and 1: float32 would round the rest away."""

_INTERCEPT_PENALTY: Final = 1e-6
"""Keeps the intercept of a class without an example, or of zero counts, finite; elsewhere it is nothing."""

_STEPS: Final = 100
_HALVINGS: Final = 40
_CONVERGED: Final = 1e-10


class Design(NamedTuple):
    """How covariates are standardised, learned from the training samples.

    Attributes:
        means: (covariate,).
        scales: (covariate,) standard deviations; infinite where a covariate is constant, so that it counts nothing.
    """

    means: Values
    scales: Values

    def columns(self, covariates: FloatArray) -> Values:
        """(sample, 1 + covariate): one, and the covariates standardised; zero where one was constant in training."""
        standardised = (covariates.astype(np.float64) - self.means) / self.scales
        return np.concatenate([np.ones((len(covariates), 1)), standardised], axis=1)


def fit_design(covariates: FloatArray, samples: IntArray) -> Design:
    """The standardisation of these samples' covariates.

    Args:
        covariates: (sample, covariate), of all samples.
        samples: (n,) indices to learn from.
    """
    values = covariates[samples].astype(np.float64)
    means, scales = values.mean(axis=0), values.std(axis=0)
    # Float32 can't tell a smaller spread from rounding.
    constant = scales <= 1e-6 * np.abs(means)
    return Design(means, np.where(constant, np.inf, scales))


def expected(kind: TargetKind, linear: Values) -> Values:
    """(n, k) expected values of linear terms (n, k): means, rates, or probabilities.

    Of a binary trait k is one; of a multiclass trait the rows sum to one.
    """
    if kind == "quantitative":
        return linear
    if kind == "count":
        return np.asarray(np.exp(np.clip(linear, -LARGEST_LINEAR, LARGEST_LINEAR)))
    if kind == "binary":
        return np.asarray(1 / (1 + np.exp(-np.clip(linear, -LARGEST_LINEAR, LARGEST_LINEAR))))
    assert kind == "multiclass", kind
    powers = np.exp(linear - linear.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def predicted_values(kind: TargetKind, linear: Values) -> FloatArray:
    """What a model predicts from linear terms (n, k): (n,), of several classes (n, k); probabilities within (0, 1)."""
    values = expected(kind, linear)
    if kind in {"binary", "multiclass"}:
        values = np.clip(values, _SURE, 1 - _SURE)
    if kind == "multiclass":
        return np.asarray(values / values.sum(axis=1, keepdims=True), dtype=np.float32)
    return np.asarray(values[:, 0], dtype=np.float32)


def losses(kind: TargetKind, linear: Values, targets: Values) -> Values:
    """(n,) negative log likelihood of each sample, without terms of its target alone; half the squared error.

    Args:
        kind: of the trait.
        linear: (n, k).
        targets: (n, k); of classes an indicator of each, of a binary trait of the second.
    """
    if kind == "quantitative":
        return np.asarray(((linear - targets) ** 2).sum(axis=1) / 2)
    if kind == "count":
        capped = np.clip(linear, -LARGEST_LINEAR, LARGEST_LINEAR)
        return np.asarray((np.exp(capped) - targets * capped)[:, 0])
    if kind == "binary":
        return np.asarray((np.logaddexp(0, linear) - targets * linear)[:, 0])
    assert kind == "multiclass", kind
    highest = linear.max(axis=1, keepdims=True)
    logs = highest[:, 0] + np.log(np.exp(linear - highest).sum(axis=1))
    return np.asarray(logs - (targets * linear).sum(axis=1))


def variances(kind: TargetKind, means: Values) -> Values:
    """(n, k) variance at these means, up to a constant: how sure a sample makes of its linear term."""
    if kind == "quantitative":
        return np.ones_like(means)
    return means if kind == "count" else means * (1 - means)


def targets_of(kind: TargetKind, phenotype: Values, *, n_classes: int) -> Values:
    """(n, k) what is regressed: the trait, of a multiclass trait an indicator of each class."""
    if kind == "multiclass":
        return np.asarray(phenotype[:, None] == np.arange(n_classes), dtype=np.float64)
    return phenotype[:, None].astype(np.float64)


def fit_linear(kind: TargetKind, columns: Values, targets: Values, *, weights: Values, penalty: float) -> Values:
    """Coefficients (q, k) with the least mean weighted loss and penalty / 2 times their sum of squares.

    The first column, the intercept, is hardly penalised. Newton's method with halved steps: the objective is convex, so
    that it ends at its only minimum, also where classes are separable or columns determine each other.

    Args:
        kind: of the trait.
        columns: (n, q), the first one all ones.
        targets: (n, k), see `targets_of`.
        weights: (n,) of the samples, of mean one.
        penalty: positive.
    """
    n, q, k = *columns.shape, targets.shape[1]
    penalties = np.full((q, 1), penalty)
    penalties[0] = 0 if kind == "quantitative" else _INTERCEPT_PENALTY

    def objective(coefficients: Values) -> float:
        data = weights @ losses(kind, columns @ coefficients, targets) / n
        return float(data + (penalties * coefficients**2).sum() / 2)

    found, height = np.zeros((q, k)), objective(np.zeros((q, k)))
    for _ in range(_STEPS):
        means = expected(kind, columns @ found)
        gradient = columns.T @ (weights[:, None] * (means - targets)) / n + penalties * found
        curvature = _curvature(kind, columns, means, weights=weights) / n + np.diag(np.repeat(penalties[:, 0], k))
        step = np.linalg.lstsq(curvature, gradient.ravel(), rcond=None)[0].reshape(q, k)
        for halving in range(_HALVINGS):
            tried = found - step / 2**halving
            lower = objective(tried)
            if lower <= height:
                break
        else:
            return found
        gain, found, height = height - lower, tried, lower
        if gain <= _CONVERGED * (1 + abs(height)):
            break
    return found


def _curvature(kind: TargetKind, columns: Values, means: Values, *, weights: Values) -> Values:
    """(q k, q k) second derivatives of the summed loss, outputs varying fastest."""
    q, k = columns.shape[1], means.shape[1]
    if k == 1:
        return columns.T @ (weights[:, None] * variances(kind, means) * columns)
    whole = np.empty((q, k, q, k))
    for a in range(k):
        for b in range(a, k):
            of_pair = means[:, a] * ((a == b) - means[:, b]) * weights
            whole[:, a, :, b] = whole[:, b, :, a] = columns.T @ (of_pair[:, None] * columns)
    return whole.reshape(q * k, q * k)
