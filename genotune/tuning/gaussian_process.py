"""A Gaussian process on points of the unit cube: what is expected elsewhere, and how sure that is.

Legend of the shapes: n known points, m points asked about, c coordinates, p parameters. A parameter (a number, or a
choice with a coordinate for each option) has one length scale for all its coordinates.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROOT_5: Final = math.sqrt(5)
_LOG_NOISE: Final = (-4.0, 1.0)
"""Mean and standard deviation of the prior of the logarithm of the noise's variance; the signal's is 1."""

_LOG_LENGTH: Final = (math.sqrt(2), math.sqrt(3))
"""Of the prior of the logarithm of a length scale in one dimension; in p dimensions half of log p is added to the mean.

Source: Hvarfner et al. 2024 (Vanilla Bayesian Optimization Performs Great in High Dimensions), section 4.
"""

_LARGEST_CHANGE: Final = 8.0
_N_STEPS: Final = 30
_JITTER: Final = 1e-8


class Process(NamedTuple):
    """A process that has seen values.

    Attributes:
        x: (n, c), what is known.
        lengths: (c,), the scale on which each coordinate matters.
        noise: (n,), variance of each value about the signal.
        root: (n, n), lower triangular Cholesky factor of the values' covariance.
        weights: (n,), the covariance's inverse times the values.
    """

    x: Floats
    lengths: Floats
    noise: Floats
    root: Floats
    weights: Floats


class Prediction(NamedTuple):
    """Mean and standard deviation of the signal, (m,) each."""

    mean: Floats
    sd: Floats


def fit(x: Floats, y: Floats, parameter_of: NDArray[np.int64]) -> Process:
    """The process whose length scales and noise are most probable, given values.

    Args:
        x: (n, c).
        y: (n,), about 0 with a spread of about 1.
        parameter_of: (c,), which parameter each coordinate belongs to, from 0.
    """
    from scipy.optimize import minimize

    n_parameters = int(parameter_of.max()) + 1
    squares = _squares_by_parameter(x, parameter_of, n_parameters)
    means = np.full(n_parameters + 1, _LOG_LENGTH[0] + math.log(n_parameters) / 2)
    spreads = np.full(n_parameters + 1, _LOG_LENGTH[1])
    means[-1], spreads[-1] = _LOG_NOISE
    found = minimize(
        _loss,
        np.append(np.zeros(n_parameters), _LOG_NOISE[0]),
        args=(squares, y, means, spreads),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_LARGEST_CHANGE, _LARGEST_CHANGE)] * (n_parameters + 1),
        options={"maxiter": _N_STEPS},
    )
    logs = np.asarray(found.x, dtype=np.float64)
    return condition(x, y, lengths=np.exp(logs[:-1])[parameter_of], noise=np.full(len(x), math.exp(logs[-1])))


def condition(x: Floats, y: Floats, *, lengths: Floats, noise: Floats) -> Process:
    """The process with these scales, given values.

    Source: Rasmussen and Williams 2006 (Gaussian Processes for Machine Learning), algorithm 2.1.
    """
    from scipy.linalg import cho_solve

    root = np.asarray(
        np.linalg.cholesky(covariance(x, x, lengths=lengths) + np.diag(noise + _JITTER)), dtype=np.float64
    )
    return Process(x, lengths, noise, root, np.asarray(cho_solve((root, True), y)))


def predict(process: Process, x: Floats) -> Prediction:
    """What is expected at other points, (m, c).

    Source: Rasmussen and Williams 2006, algorithm 2.1.
    """
    from scipy.linalg import solve_triangular

    across = covariance(process.x, x, lengths=process.lengths)
    half = solve_triangular(process.root, across, lower=True)
    return Prediction(across.T @ process.weights, np.sqrt(np.maximum(1 - (half**2).sum(axis=0), 1e-12)))


def covariance(a: Floats, b: Floats, *, lengths: Floats) -> Floats:
    """(n, m): the Matern 5/2 kernel, 1 at distance 0. Source: Rasmussen and Williams 2006, equation 4.17."""
    scaled_a, scaled_b = a / lengths, b / lengths
    squares = (scaled_a**2).sum(axis=1)[:, None] + (scaled_b**2).sum(axis=1) - 2 * scaled_a @ scaled_b.T
    r = _ROOT_5 * np.sqrt(np.maximum(squares, 0.0))
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


def expected_improvement(prediction: Prediction, best: float) -> tuple[Floats, Floats]:
    """(m,) each: by how much the signal is expected to exceed the best, and how many deviations its mean lies above.

    Where the first is 0 to all digits, the second still tells which point is nearer to being better.

    Source: Jones et al. 1998 (Efficient Global Optimization of Expensive Black-Box Functions), equation 15.
    """
    from scipy.special import ndtr

    above = (prediction.mean - best) / prediction.sd
    density = np.exp(-(above**2) / 2) / math.sqrt(2 * math.pi)
    return prediction.sd * (above * ndtr(above) + density), above


def _squares_by_parameter(x: Floats, parameter_of: NDArray[np.int64], n_parameters: int) -> Floats:
    """(p, n, n): squared distances along the coordinates of each parameter."""
    squares = np.zeros((n_parameters, len(x), len(x)))
    for coordinate, parameter in enumerate(parameter_of):
        squares[parameter] += (x[:, None, coordinate] - x[None, :, coordinate]) ** 2
    return squares


def _loss(logs: Floats, squares: Floats, y: Floats, means: Floats, spreads: Floats) -> tuple[float, Floats]:
    """Minus the logarithm of the posterior density of scales, and its gradient.

    Source: Rasmussen and Williams 2006, equations 5.8 and 5.9.

    Args:
        logs: (p + 1,), of each parameter's length scale and of the noise's variance.
        squares: (p, n, n).
        y: (n,).
        means: (p + 1,), of the prior.
        spreads: (p + 1,), of the prior.
    """
    from scipy.linalg import cho_solve

    scaled = squares / np.exp(2 * logs[:-1])[:, None, None]
    r = _ROOT_5 * np.sqrt(scaled.sum(axis=0))
    decay, noise = np.exp(-r), math.exp(logs[-1])
    root = np.linalg.cholesky((1 + r + r**2 / 3) * decay + (noise + _JITTER) * np.eye(len(y)))
    weights = cho_solve((root, True), y)
    inverse = cho_solve((root, True), np.eye(len(y)))
    slope = (inverse - np.outer(weights, weights)) / 2
    off = (logs - means) / spreads
    loss = y @ weights / 2 + np.log(np.diag(root)).sum() + (off**2).sum() / 2
    of_lengths = np.einsum("nm,pnm->p", slope * (5 / 3) * (1 + r) * decay, scaled)
    return float(loss), np.append(of_lengths, noise * np.trace(slope)) + off / spreads
