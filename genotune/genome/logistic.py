"""Logistic regression by Newton's method (iteratively reweighted least squares). numpy only.

Axes: s sample, q column of the design.
"""

from typing import Final, NamedTuple

import numpy as np

from genotune.store import Values

MOST_STEPS: Final = 25
"""Newton's method has converged after some six, or the classes can be separated and it never will."""

CONVERGED: Final = 1e-10
"""Where no linear predictor moves by more than this the next step is rounding: errors square with each."""


class LogisticFit(NamedTuple):
    """A fitted model.

    Attributes:
        coefficients: (q,).
        chance: (s,) of class 1; NaN where the fit failed.
    """

    coefficients: Values
    chance: Values


def logistic(values: Values) -> Values:
    """1 / (1 + exp(-value)): the chance of class 1."""
    with np.errstate(over="ignore"):  # to infinity, which makes the chance 0
        chance = np.exp(-values)
        chance += 1
        return np.asarray(np.divide(1, chance, out=chance))


def fit_logistic(design: Values, outcome: Values) -> LogisticFit:
    """The most likely logistic model; NaN where there is none: one class only, or classes that can be separated.

    Source: McCullagh and Nelder 1989, section 4.4.

    Args:
        design: (s, q) orthonormal columns that span the intercept.
        outcome: (s,) 0 or 1.
    """
    coefficients = np.zeros(design.shape[1])
    nothing = LogisticFit(np.full(design.shape[1], np.nan), np.full(len(outcome), np.nan))
    for _ in range(MOST_STEPS):
        chance = logistic(design @ coefficients)
        information = design.T @ (design * (chance * (1 - chance))[:, None])
        try:
            step = np.linalg.solve(information, design.T @ (outcome - chance))
        except np.linalg.LinAlgError:
            return nothing
        coefficients = coefficients + step
        moved = np.abs(design @ step).max(initial=0)
        if not np.isfinite(moved):
            return nothing
        if moved < CONVERGED:
            return LogisticFit(coefficients, logistic(design @ coefficients))
    return nothing
