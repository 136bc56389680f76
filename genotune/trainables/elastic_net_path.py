"""The elastic net on all variants, for a whole path of penalties, without a float copy of the genotypes.

Only variants that may matter at the next penalties lie in memory as floats. After some penalties are solved on these,
one pass over all variants finds those that ought to have been among them: the path is taken back to the first penalty
that misses one. Counts and classes are solved by reweighted least squares, each step by scikit-learn's coordinate
descent. Covariates are not penalised: they are projected out of every step.

Letters: n samples, m variants, s screened variants, q columns of intercept and covariates.

Source: Friedman et al. 2010 (paths, reweighted least squares), Qian et al. 2020 (BASIL: batches of penalties on
screened variants, one pass over the genotypes to check them).
"""

import math
import warnings
from typing import Final, NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.store import IntArray, Values
from genotune.trainables.generalised_linear import expected, fit_linear, losses, variances
from genotune.trainables.standardised import Columns
from genotune.trainables.trainable import FitError

LOWEST_PENALTY: Final = 1e-3
"""The end of a path, relative to its beginning."""

_STEPS_A_DECADE: Final = 20
_LAST_PLACE: Final = round(-math.log10(LOWEST_PENALTY) * _STEPS_A_DECADE)
_AT_ONCE: Final = 4
"""Penalties that are solved before all variants are looked at."""
_RIDGE: Final = 1e-6
"""Of covariates: nothing, but that it keeps their effects finite where they determine each other or the classes."""
_LEAST_VARIANCE: Final = 1e-5
"""A sample that the model is sure of would have no weight in the next step. Source: Friedman et al. 2010, section 3."""
_EXPLAINED: Final = 0.99
"""Share of the deviance at which a path ends: beyond it noise is learned, in ever more steps."""
_NEWTON_STEPS: Final = 30
_HALVINGS: Final = 20
_CONVERGED: Final = 1e-7
_DUAL_GAP: Final = 1e-6
_DESCENTS: Final = 20_000
_SLACK: Final = 1e-3
_INNER_SLACK: Final = 1e-4
_MOST_BYTES: Final = 1 << 31


class Problem(NamedTuple):
    """What is to be learned of one output.

    Attributes:
        kind: 'quantitative', 'binary' or 'count'.
        targets: (n,); of a quantitative trait standardised, so that a ridge on the intercept is nothing.
        columns: (n, q) intercept and standardised covariates.
        weights: (n,) of the samples, of mean one.
        l1_ratio: share of the penalty that is of absolute values, the rest is of squares.
    """

    kind: TargetKind
    targets: Values
    columns: Values
    weights: Values
    l1_ratio: float

    def loss(self, linear: Values) -> float:
        """Mean weighted loss at a linear term (n,)."""
        return float(self.weights @ losses(self.kind, linear[:, None], self.targets[:, None]) / len(linear))

    def residuals(self, linear: Values) -> Values:
        """(n,) minus the slope of each sample's weighted loss."""
        return self.weights * (self.targets - expected(self.kind, linear[:, None])[:, 0])


class Solution(NamedTuple):
    """At one penalty.

    Attributes:
        places: (active,) variants with a weight, rising.
        weights: (active,) of the standardised variants.
        fixed: (q,) of intercept and standardised covariates.
    """

    places: IntArray
    weights: Values
    fixed: Values


class ElasticNetPath:
    """Solutions from the penalty at which the first variant enters, downwards; solved as far as they are asked for.

    It doesn't hold on to the genotypes, so that it can be kept between trials.

    Args:
        problem: what is to be learned.
        variants: of the training samples.

    Raises:
        FitError: no variant tells anything of the trait.
    """

    def __init__(self, problem: Problem, variants: Columns) -> None:
        self._problem = problem
        fixed = fit_linear(
            problem.kind, problem.columns, problem.targets[:, None], weights=problem.weights, penalty=_RIDGE
        )[:, 0]
        linear = problem.columns @ fixed
        self._slopes = variants.products(problem.residuals(linear)[:, None])[:, 0] / len(linear)
        self._highest = float(np.abs(self._slopes).max(initial=0)) / problem.l1_ratio
        if not self._highest > 0:
            raise FitError(
                f"none of the {len(self._slopes)} variants varies among the {len(linear)} training samples, or the "
                "covariates explain all: elastic_net has nothing to learn from. Keep more variants, or more samples."
            )
        self._null_loss, self._floor = problem.loss(linear), _perfect_loss(problem)
        self._solutions = [Solution(np.empty(0, dtype=np.int64), np.empty(0), fixed)]
        self._screened = np.empty(0, dtype=np.int64)
        self._ended = False

    def at(self, penalty: float, variants: Columns) -> Solution:
        """The solution at a penalty relative to the first, on a line between the two of the path that it lies between.

        Source of the interpolation: Friedman et al. 2010, as glmnet's `predict` does.

        Args:
            penalty: from `LOWEST_PENALTY` to 1; below the end of a path that explained all, that end is given.
            variants: the same as it was made from.
        """
        # Rounded, or 10^-0.3 would lie beside its place and not on it.
        place = min(round(-math.log10(penalty) * _STEPS_A_DECADE, 9), _LAST_PLACE)
        while len(self._solutions) <= math.ceil(place) and not self._ended:
            self._advance(variants)
        place = min(place, len(self._solutions) - 1)
        low, share = math.floor(place), place - math.floor(place)
        return _between(self._solutions[low], self._solutions[min(low + 1, len(self._solutions) - 1)], share=share)

    def _penalty(self, place: int) -> float:
        return self._highest * float(10 ** (-place / _STEPS_A_DECADE))

    def _advance(self, variants: Columns) -> None:
        """Solve the next few penalties, and add those that hold for all variants."""
        problem, first = self._problem, len(self._solutions)
        places = range(first, first + _AT_ONCE)
        bound = problem.l1_ratio * self._penalty(places[-1])
        self._screened = np.union1d(self._screened, np.flatnonzero(np.abs(self._slopes) >= bound))
        self._check_room()
        columns, last = variants.columns(self._screened), self._solutions[-1]
        weights, fixed = _spread(last, self._screened), last.fixed
        found, linears = [], []
        for place in places:
            weights, fixed = _solve(problem, columns, self._penalty(place), weights=weights, fixed=fixed)
            found.append((weights, fixed))
            linears.append(columns @ weights + problem.columns @ fixed)
        residuals = np.stack([problem.residuals(linear) for linear in linears], axis=1)
        slopes = variants.products(residuals) / len(residuals)
        outside = np.ones(len(slopes), dtype=bool)
        outside[self._screened] = False
        for offset, (place, (weights, fixed)) in enumerate(zip(places, found, strict=True)):
            limit = problem.l1_ratio * self._penalty(place) * (1 + _SLACK)
            missed = np.flatnonzero(outside & (np.abs(slopes[:, offset]) > limit))
            if len(missed):
                self._screened = np.union1d(self._screened, missed)
                return
            active = np.flatnonzero(weights)
            self._solutions.append(Solution(self._screened[active], weights[active], fixed))
            self._slopes = slopes[:, offset]
            explained = 1 - (problem.loss(linears[offset]) - self._floor) / (self._null_loss - self._floor)
            if explained >= _EXPLAINED:
                self._ended = True
                return

    def _check_room(self) -> None:
        n_bytes = 2 * 8 * len(self._screened) * len(self._problem.targets)
        if n_bytes > _MOST_BYTES:
            raise FitError(
                f"elastic_net: {len(self._screened)} variants of {len(self._problem.targets)} samples would lie in "
                f"memory as floats ({n_bytes / 2**30:.1f} GiB; at most {_MOST_BYTES / 2**30:.0f}). Use a higher "
                "penalty or l1_ratio, or fewer variants (n_variants)."
            )


def _perfect_loss(problem: Problem) -> float:
    """The mean weighted loss of a model that knows each target."""
    if problem.kind != "count":
        return 0.0
    logs = np.log(np.where(problem.targets > 0, problem.targets, 1))
    return float(problem.weights @ (problem.targets - problem.targets * logs) / len(logs))


def _between(one: Solution, other: Solution, *, share: float) -> Solution:
    """The solution at a share of the way from one to the other."""
    if share == 0:
        return one
    index = np.union1d(one.places, other.places)
    weights = (1 - share) * _spread(one, index) + share * _spread(other, index)
    return Solution(index, weights, (1 - share) * one.fixed + share * other.fixed)


def _spread(solution: Solution, index: IntArray) -> Values:
    """(variant,) its weights at these variants, which hold all of its own."""
    weights = np.zeros(len(index))
    weights[np.searchsorted(index, solution.places)] = solution.weights
    return weights


def _solve(
    problem: Problem, columns: Values, penalty: float, *, weights: Values, fixed: Values
) -> tuple[Values, Values]:
    """Weights of the screened variants (s,) and fixed effects (q,) at one penalty, from those at another.

    Each step solves a weighted least squares problem that touches the loss where the last step ended; it is halved
    until the objective falls. For a quantitative trait the first step is the last.
    """

    def objective(weights: Values, fixed: Values) -> float:
        sizes = problem.l1_ratio * np.abs(weights).sum() + (1 - problem.l1_ratio) * (weights @ weights) / 2
        linear = columns @ weights + problem.columns @ fixed
        return problem.loss(linear) + penalty * float(sizes) + _RIDGE * float(fixed @ fixed) / 2

    height = objective(weights, fixed)
    for _ in range(_NEWTON_STEPS):
        new_weights, new_fixed = _least_squares(problem, columns, penalty, weights=weights, fixed=fixed)
        for halving in range(_HALVINGS):
            share = 0.5**halving
            tried = weights + share * (new_weights - weights), fixed + share * (new_fixed - fixed)
            lower = objective(*tried)
            if lower <= height:
                break
        else:
            return weights, fixed
        gain, height = height - lower, lower
        weights, fixed = tried
        if problem.kind == "quantitative" or gain <= _CONVERGED * (abs(height) + 1e-3):
            break
    return weights, fixed


def _least_squares(
    problem: Problem, columns: Values, penalty: float, *, weights: Values, fixed: Values
) -> tuple[Values, Values]:
    """The elastic net of the working response, with the fixed effects projected out and put back."""
    n = len(problem.targets)
    linear = columns @ weights + problem.columns @ fixed
    means = expected(problem.kind, linear[:, None])
    variance = np.maximum(variances(problem.kind, means)[:, 0], _LEAST_VARIANCE)
    response = linear + (problem.targets - means[:, 0]) / variance
    roots = np.sqrt(problem.weights * variance)
    left, singular, right = np.linalg.svd(roots[:, None] * problem.columns, full_matrices=False)
    shrunk = singular**2 + n * _RIDGE
    kept = 1 - np.sqrt(n * _RIDGE / shrunk)

    def projected(values: Values) -> Values:
        # Its squared length is what fixed effects under a ridge leave, at best.
        return np.asarray(values - left @ (kept[:, None] * (left.T @ values)))

    scaled = columns * roots[:, None]
    new_weights = _coordinate_descent(
        projected(scaled),
        projected((roots * response)[:, None])[:, 0],
        penalty=penalty,
        l1_ratio=problem.l1_ratio,
        start=weights,
    )
    rest = roots * response - scaled @ new_weights
    return new_weights, right.T @ (singular / shrunk * (left.T @ rest))


def _coordinate_descent(columns: Values, response: Values, *, penalty: float, l1_ratio: float, start: Values) -> Values:
    """The weights with the least mean squared error / 2 + penalty * (l1_ratio * sizes + (1 - l1_ratio) * squares / 2).

    Solved on the columns with a weight, to which those are added that ought to have one, until there are none.
    """
    weights, n = start.copy(), len(response)
    working = np.zeros(len(weights), dtype=bool)
    while True:
        active = np.flatnonzero(weights)
        slopes = np.abs(columns.T @ (response - columns[:, active] @ weights[active])) / n
        missed = ~working & ((weights != 0) | (slopes > penalty * l1_ratio * (1 + _INNER_SLACK)))
        if not missed.any():
            return weights
        working |= missed
        weights[working] = _descend(
            columns[:, working], response, penalty=penalty, l1_ratio=l1_ratio, start=weights[working]
        )


def _descend(columns: Values, response: Values, *, penalty: float, l1_ratio: float, start: Values) -> Values:
    """As `_coordinate_descent`, all columns at once; `start` is written to."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import enet_path

    with warnings.catch_warnings():
        # An unfinished descent is gone on with in the next step, and the objective has fallen in any case.
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, found, *_ = enet_path(
            np.asfortranarray(columns),
            response,
            l1_ratio=l1_ratio,
            alphas=[penalty],
            coef_init=start,
            precompute=False,
            check_input=False,
            tol=_DUAL_GAP,
            max_iter=_DESCENTS,
        )
    weights: Values = found[:, 0]
    return weights
