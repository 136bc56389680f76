"""Mixed model of genotypes: effects of samples from a relationship matrix that is decomposed once for all penalties.

Letters: n samples, m variants, q fixed effects. A penalty is the ratio of residual to genetic variance. numpy only.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from genotune.errors import DataError
from genotune.store import DOSAGE_STEPS, DosageArray, FloatArray, IntArray, Values, copies, missing_code

_BLOCK_VARIANTS: Final = 1024
_FEW_VARIANTS: Final = 4
"""With this many samples to a variant the variants are decomposed instead of the samples."""
_LOG_PENALTIES: Final = np.linspace(-10, 10, 101)
"""Where the likelihood is looked at first. Source: Kang et al. 2008, whose program EMMA takes the same range."""
_GOLDEN: Final = (5**0.5 - 1) / 2
_GOLDEN_STEPS: Final = 40
_NO_RESIDUAL: Final = 1e-18


class Relationship(NamedTuple):
    """Relationship matrix K = Z Z' / divisor of n samples, decomposed: vectors diag(values) vectors'.

    Z (sample, variant) holds dosages less their mean, times a scale; a missing one counts as the mean.

    Attributes:
        vectors: (sample, component), orthonormal; n components, or m where there are few variants.
        values: (component,), not negative; outside of the components K is zero.
        means: (variant,) mean dosage of called genotypes.
        scales: (variant,) that dosages are multiplied with; 0 where a variant is constant.
        divisor: mean diagonal of Z Z', so that that of K is one.
    """

    vectors: Values
    values: Values
    means: FloatArray
    scales: FloatArray
    divisor: float


class MixedModel(NamedTuple):
    """What is predicted: fixed effects, and K between samples and training samples times `alpha`.

    Attributes:
        alpha: (sample, output), (K + penalty I)^-1 (y - W fixed).
        fixed: (effect, output).
        penalties: (output,).
    """

    alpha: Values
    fixed: Values
    penalties: Values


class Rotated(NamedTuple):
    """Fixed effects W and targets in coordinates in which the relationship matrix is diagonal.

    Attributes:
        values: (coordinate,) eigenvalues of K.
        fixed: (coordinate, effect).
        targets: (coordinate, output).
        n_samples: dimensions, of which those without a coordinate hold nothing of W and targets, and are zero in K.
    """

    values: Values
    fixed: Values
    targets: Values
    n_samples: int


class _LeastSquares(NamedTuple):
    """Generalised least squares with H = K + penalty I.

    Attributes:
        fixed: (effect, output).
        squares: (output,) (y - W fixed)' H^-1 (y - W fixed).
        log_det: of W' H^-1 W.
    """

    fixed: Values
    squares: Values
    log_det: float


def centred(dosage: DosageArray, means: FloatArray) -> FloatArray:
    """Dosages less the means, 0 where missing: (sample, variant) float32."""
    values = copies(dosage) - means
    values[np.isnan(values)] = 0
    return values


def variant_blocks(n_variants: int) -> Iterator[slice]:
    """Slices that cover the variants in order, so that never all of them lie in memory as floats."""
    for first in range(0, n_variants, _BLOCK_VARIANTS):
        yield slice(first, min(first + _BLOCK_VARIANTS, n_variants))


def decompose(dosage: DosageArray, samples: IntArray, *, standardize: bool) -> Relationship:
    """The relationship matrix of the samples, decomposed; O(n^2 m + n^3), or O(n m^2) with n at least 4 m.

    Args:
        dosage: (sample, variant), of all samples.
        samples: (n,) indices of the samples whose relationship is wanted.
        standardize: scale each variant to variance one, so that rare variants weigh as much as common ones; else
            dosages are only centred. Variances are of the samples, missing genotypes being the mean.

    Raises:
        DataError: no variant varies among the samples.

    Source: VanRaden 2008, methods 1 (centred) and 2 (standardised); here divided by the mean diagonal.
    """
    n, m = len(samples), dosage.shape[1]
    means, variances = _moments(dosage, samples)
    if not (variances > 0).any():
        raise DataError(
            f"none of the {m} variants varies among the {n} training samples; ridge has nothing to learn from. "
            "Keep more variants, or give more training samples."
        )
    scales = (variances > 0).astype(np.float32)
    if standardize:
        np.divide(1, np.sqrt(variances), out=scales, where=variances > 0, casting="same_kind")
    blocks = _blocks(dosage, samples, means=means, scales=scales)
    parts = _few_variants(blocks, n, m) if n >= _FEW_VARIANTS * m else _many_variants(blocks, n)
    divisor = float(parts[1].sum() / n)
    return Relationship(parts[0], parts[1] / divisor, means, scales, divisor)


def variant_weights(relationship: Relationship, dosage: DosageArray, samples: IntArray, *, alpha: Values) -> FloatArray:
    """Weight of each variant per copy, (variant, output), with which centred dosages give K alpha for any sample.

    Args:
        relationship: of the samples.
        dosage: (sample, variant), as it was decomposed.
        samples: (n,) as they were decomposed.
        alpha: (n, output).
    """
    weights = np.empty((dosage.shape[1], alpha.shape[1]), dtype=np.float32)
    for part, block in _blocks(dosage, samples, means=relationship.means, scales=relationship.scales):
        weights[part] = relationship.scales[part, None] * (block.T @ alpha) / relationship.divisor
    return weights


def solve(relationship: Relationship, fixed: Values, *, targets: Values, penalty: float | None) -> MixedModel:
    """Best linear unbiased prediction of the targets; O(n^2 (q + outputs)) and O(n q^2) a penalty.

    Args:
        relationship: of the n samples.
        fixed: (n, q) of full column rank.
        targets: (n, output).
        penalty: of all outputs; None: estimated of each by REML.

    Source: Henderson 1975, in the form with the inverse of the covariance of observations.
    """
    rotated = rotate(relationship, fixed, targets=targets)
    penalties = np.full(targets.shape[1], penalty) if penalty is not None else estimate_penalties(rotated)
    alpha, effects = np.empty_like(targets), np.empty((fixed.shape[1], targets.shape[1]))
    vectors, values = relationship.vectors, relationship.values
    for output, ratio in enumerate(penalties):
        effects[:, output] = _least_squares(rotated, ratio).fixed[:, output]
        residual = targets[:, output] - fixed @ effects[:, output]
        inside = vectors.T @ residual
        outside = residual - vectors @ inside
        alpha[:, output] = vectors @ (inside / (values + ratio)) + outside / ratio
    return MixedModel(alpha, effects, penalties)


def rotate(relationship: Relationship, fixed: Values, *, targets: Values) -> Rotated:
    """Fixed effects (sample, effect) and targets (sample, output) in the coordinates of the decomposition."""
    both = np.concatenate([fixed, targets], axis=1)
    inside = relationship.vectors.T @ both
    # What lies outside of the components needs no more coordinates than it has columns.
    outside = np.linalg.qr(both - relationship.vectors @ inside, mode="r")
    coordinates = np.concatenate([inside, outside])
    values = np.concatenate([relationship.values, np.zeros(len(outside))])
    q = fixed.shape[1]
    return Rotated(values, coordinates[:, :q], coordinates[:, q:], len(fixed))


def log_likelihood(rotated: Rotated, penalty: float) -> Values:
    """Restricted log likelihood of a penalty, (output,), the genetic variance being the best one for it.

    Source: Kang et al. 2008 (EMMA), the restricted likelihood of the ratio of variances.
    """
    n, q = rotated.n_samples, rotated.fixed.shape[1]
    fit = _least_squares(rotated, penalty)
    # Coordinates that are missing, or too many, have the eigenvalue zero.
    log_det_h = np.log(rotated.values + penalty).sum() + (n - len(rotated.values)) * np.log(penalty)
    _, log_det_w = np.linalg.slogdet(rotated.fixed.T @ rotated.fixed)
    likelihood = (n - q) * (np.log(2 * np.pi * fit.squares / (n - q)) + 1) + log_det_h + fit.log_det - log_det_w
    return np.asarray(-likelihood / 2, dtype=np.float64)


def estimate_penalties(rotated: Rotated) -> Values:
    """The penalty of the highest restricted likelihood, (output,), between e^-10 and e^10.

    An output that the fixed effects explain wholly gets the highest: any penalty predicts the same.
    """
    penalties = np.full(rotated.targets.shape[1], np.exp(_LOG_PENALTIES[-1]))
    left = np.linalg.qr(rotated.fixed).Q
    residual = rotated.targets - left @ (left.T @ rotated.targets)
    open_outputs = np.flatnonzero(np.sum(residual**2, axis=0) > _NO_RESIDUAL * np.sum(rotated.targets**2, axis=0))
    rotated = rotated._replace(targets=rotated.targets[:, open_outputs])
    if not len(open_outputs):
        return penalties
    heights = np.stack([log_likelihood(rotated, float(np.exp(at))) for at in _LOG_PENALTIES])
    for column, best in enumerate(heights.argmax(axis=0)):
        alone = rotated._replace(targets=rotated.targets[:, [column]])
        low, high = _LOG_PENALTIES[max(best - 1, 0)], _LOG_PENALTIES[min(best + 1, len(_LOG_PENALTIES) - 1)]
        found = _golden_section(_height(alone), low=float(low), high=float(high))
        penalties[open_outputs[column]] = np.exp(found)
    return penalties


def _height(rotated: Rotated) -> Callable[[float], float]:
    """The likelihood of the only output, as a function of the logarithm of the penalty."""
    return lambda at: float(log_likelihood(rotated, float(np.exp(at)))[0])


def _golden_section(function: Callable[[float], float], *, low: float, high: float) -> float:
    """Where a function with one maximum between two places has it.

    Source: Kiefer 1953 (golden section search).
    """
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(_GOLDEN_STEPS):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2


def _least_squares(rotated: Rotated, penalty: float) -> _LeastSquares:
    """Fixed effects of all outputs under one penalty."""
    weights = 1 / np.sqrt(rotated.values + penalty)[:, None]
    left, upper = np.linalg.qr(weights * rotated.fixed)
    targets = weights * rotated.targets
    projected = left.T @ targets
    squares = np.sum((targets - left @ projected) ** 2, axis=0)
    log_det = 2 * float(np.log(np.abs(np.diag(upper))).sum())
    return _LeastSquares(np.linalg.solve(upper, projected), squares, log_det)


def _moments(dosage: DosageArray, samples: IntArray) -> tuple[FloatArray, Values]:
    """Mean of known dosages and variance with missing ones at the mean, of each variant: (variant,) each."""
    m = dosage.shape[1]
    means, variances = np.zeros(m, dtype=np.float32), np.zeros(m)
    for part in variant_blocks(m):
        codes = dosage[:, part][samples]
        known = codes != missing_code(codes)
        # Whole numbers, so that nothing is rounded.
        total = np.sum(codes, axis=0, where=known, dtype=np.int64)
        means[part] = total / np.maximum(known.sum(axis=0), 1) / (DOSAGE_STEPS if codes.dtype == np.uint16 else 1)
        variances[part] = np.mean(centred(codes, means[part]).astype(np.float64) ** 2, axis=0)
    return means, variances


def _blocks(
    dosage: DosageArray, samples: IntArray, *, means: FloatArray, scales: FloatArray
) -> Iterator[tuple[slice, FloatArray]]:
    """Z of the samples, block by block of variants: which, and (sample, variant)."""
    for part in variant_blocks(dosage.shape[1]):
        yield part, centred(dosage[:, part][samples], means[part]) * scales[part]


def _many_variants(blocks: Iterator[tuple[slice, FloatArray]], n: int) -> tuple[Values, Values]:
    """Eigenvectors (sample, n) and eigenvalues (n,) of Z Z'."""
    product = np.zeros((n, n))
    for _, block in blocks:
        product += block @ block.T
    values, vectors = np.linalg.eigh(product)
    return vectors, np.maximum(values, 0)


def _few_variants(blocks: Iterator[tuple[slice, FloatArray]], n: int, m: int) -> tuple[Values, Values]:
    """Eigenvectors (sample, m) of Z Z' and their eigenvalues (m,), from Z: it is smaller than Z Z' here."""
    whole = np.empty((n, m))
    for part, block in blocks:
        whole[:, part] = block
    vectors, singular, _ = np.linalg.svd(whole, full_matrices=False)
    return vectors, singular**2
