"""Covariates as an orthonormal basis, in which regressions on many variants share their work. numpy only.

Axes: s sample, q dimension of a basis.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from genotune.store import FloatArray, Values

_CONSTANT: Final = 1e-13
"""A column whose distance from its mean is this small beside its length is constant but for rounding."""

_DEPENDENT: Final = 1e-6
"""A direction this short beside standardized columns is rounding: covariates have seven digits."""

_ROUNDING: Final = 1e-5
"""Float32 can't tell a smaller spread, relative to the mean, from rounding."""

_STEP: Final = 2.0**-40
"""Bases are whole multiples of it, so that sums of whole dosages times a basis are exact in float64, whatever their
order: variants with the same genotypes get the same sums wherever they stand and however blocks are cut."""


def covariate_basis(covariates: FloatArray | Values, *, root_weights: Values | None = None) -> Values:
    """(s, q) an orthonormal basis of the intercept and the covariates; what they say twice is in it once.

    Args:
        covariates: (s, covariate), no missing values.
        root_weights: (s,) square roots of the samples' weights, by which rows are multiplied; None: all are 1.
    """
    n = len(covariates)
    columns = np.column_stack([np.full(n, max(n, 1) ** -0.5), standardized(covariates)])
    if root_weights is not None:
        columns *= root_weights[:, None]
        columns /= np.linalg.norm(columns, axis=0)
    return orthonormal(columns)


def standardized(columns: FloatArray | Values) -> Values:
    """(s, q) columns with mean 0 and length 1; those that are constant are left out."""
    exact = columns.astype(np.float64)
    if not len(exact):
        return exact
    centred = exact - exact.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    varies = length > _CONSTANT * np.linalg.norm(exact, axis=0)
    return np.asarray(centred[:, varies] / length[varies])


def dependent_columns(columns: FloatArray | Values) -> NDArray[np.bool_]:
    """(q,) whether each column is constant, or a sum of multiples of those before it and of the intercept.

    Args:
        columns: (s, q) as float32 holds them, more rows than columns.
    """
    values = columns.astype(np.float64)
    n, q = values.shape
    assert n > q, f"{n} rows, {q} columns"
    means, scales = values.mean(axis=0), values.std(axis=0)
    constant = scales <= _ROUNDING * np.abs(means)
    design = np.ones((n, 1 + q))
    design[:, 1:] = (values - means) / np.where(constant, 1, scales)
    left_over = np.abs(np.diag(np.linalg.qr(design, mode="r")))[1:] / np.sqrt(n)
    return np.asarray(constant | (left_over < _ROUNDING))


def orthonormal(columns: Values) -> Values:
    """(s, q) an orthonormal basis of what columns of length 1, or parts of such, span."""
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, singular > _DEPENDENT])


def in_steps(basis: Values, step: float = _STEP) -> Values:
    """The basis in whole multiples of a step; of 2^-40: sums of whole dosages times it are exact in any order."""
    return np.asarray(np.round(basis / step) * step)
