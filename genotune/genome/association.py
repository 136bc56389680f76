"""Association of many variants with one or many traits beside covariates: linear regression and logistic score test.

A genotype that isn't known is left out of its variant's regression, covariates and all, as PLINK 2's --glm does it.
Axes: s sample, v variant, t trait, q dimension of the covariates' basis.
"""

import functools
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.genome.covariate_basis import covariate_basis, in_steps
from genotune.genome.genotype_blocks import copies_or_zero, has_missing, variant_blocks
from genotune.genome.logistic import fit_logistic
from genotune.genome.p_values import log10_p_of_t, log10_p_of_z
from genotune.store import DosageArray, FloatArray, IntArray, Values, missing_code

_NO_VARIANCE: Final = 1e-6
"""Below this share of its own variance, a variant that is regressed on the covariates has nothing left."""

_NO_DIRECTION: Final = 1e-9
"""A covariate of which only this share of squares lies on the samples whose genotype is known says nothing there."""

_ROUNDING: Final = 1e-10
"""A variance that is this small beside the sum of squares may be rounding alone."""

_CONSTANT: Final = 1e-13
"""A trait whose distance from its mean is this small beside its length is constant but for rounding."""

_EXPLAINED: Final = 1e-10
"""A trait of which this little lies outside of the covariates is one of them but for rounding."""

_MOST_TRAITS: Final = 64
"""Traits at a time, so that what is held for a block stays small beside it."""


class Association(NamedTuple):
    """Of variants with traits; all (t, v), NaN where a test can't be made.

    It can't where the dosage doesn't vary among the trait's samples beside the covariates, or no degree of freedom is
    left.

    Attributes:
        effect: on the trait, of one more copy of the counted allele; of a binary trait on the logarithm of the odds.
        standard_error: of the effect.
        statistic: effect over standard error: Student's t of a linear regression, else normal.
        log10_p: of the two-sided test; p itself would be 0 in a strong association.
        n_samples: int64, whose trait and genotype are known.
    """

    effect: Values
    standard_error: Values
    statistic: Values
    log10_p: Values
    n_samples: IntArray

    @property
    def p(self) -> Values:
        """(t, v) two-sided p-value; 0 below 1e-308."""
        return np.asarray(10**self.log10_p)


def empty_association(n_traits: int, n_variants: int) -> Association:
    """Of tests that none has been made of: NaN, and 0 samples."""
    effect, error, statistic, log10_p = np.full((4, n_traits, n_variants), np.nan)
    return Association(effect, error, statistic, log10_p, np.zeros((n_traits, n_variants), dtype=np.int64))


class _Regression(NamedTuple):
    """Traits that share their samples and weights, ready for variants. The basis and what is made of it are in steps.

    Attributes:
        traits: (t,) indices.
        samples: (s,) indices.
        fixed: (s, q) orthonormal basis of intercept and covariates times root weights.
        targets: (s, t) what is left of the traits beside `fixed`, with length 1.
        lengths: (t,) before that.
        weights: (s,) of the samples.
        multipliers: (q + t + 1, s) of dosages: `fixed` and `targets` times root weights, and the weights.
    """

    traits: IntArray
    samples: IntArray
    fixed: Values
    targets: Values
    lengths: Values
    weights: Values
    multipliers: Values


class _Sums(NamedTuple):
    """Weighted sums over the samples of a variant whose genotype is known, intercept and covariates taken out.

    Attributes:
        squares: (v,) of the dosage; NaN where nothing is left.
        products: (t, v) of dosage and target.
        target_squares: (t, v) of the targets.
        n_known: (v,) samples.
        rank: (v,) of intercept and covariates on them.
    """

    squares: Values
    products: Values
    target_squares: Values
    n_known: IntArray
    rank: IntArray


def scan_linear(dosage: DosageArray, samples: IntArray, *, traits: Values, covariates: FloatArray) -> Association:
    """Linear regression of each trait on each variant, intercept and covariates; Student's t-test of the variant.

    Equals PLINK 2's --glm of a quantitative trait, but for one thing: PLINK gives no result from a variance inflation
    of 50 on (--vif); here a variant is only given up when the covariates know all but a millionth of it. Covariates
    that others make redundant are used once, and where only on a variant's known samples, there.

    Source: Frisch and Waugh 1933, partial regression: covariates are taken out of variant and trait alike.

    Args:
        dosage: (sample, variant).
        samples: indices to be used; no other is looked at.
        traits: (sample, t), of all samples; NaN where not known.
        covariates: (sample, covariate), of all samples; no missing values among those used.
    """
    return _scan(dosage, list(_linear_regressions(samples, traits, covariates)), n_traits=traits.shape[1], is_t=True)


def scan_logistic_score(
    dosage: DosageArray, samples: IntArray, *, traits: Values, covariates: FloatArray
) -> Association:
    """Score test of each variant in a logistic regression of each binary trait; as fast as a linear scan.

    The model of intercept and covariates is fitted once for a trait, on all its samples. `effect` is one Newton step
    from there: near the fitted one where it is small, short of it where it is large. Where genotypes are missing, the
    score is corrected for what the covariates' own scores on the known samples say, so that the covariates' effects
    needn't be fitted again (the C(alpha) test).

    Source: Rao 1948, the score test; Neyman 1959, C(alpha).

    Args:
        dosage: (sample, variant).
        samples: indices to be used; no other is looked at.
        traits: (sample, t), of all samples: 0 or 1, NaN where not known.
        covariates: (sample, covariate), of all samples; no missing values among those used.
    """
    regressions = [
        _score_regression(samples[~np.isnan(traits[samples, index])], traits, covariates, trait=index)
        for index in range(traits.shape[1])
    ]
    return _scan(dosage, regressions, n_traits=traits.shape[1], is_t=False)


def _linear_regressions(samples: IntArray, traits: Values, covariates: FloatArray) -> Iterator[_Regression]:
    is_known = ~np.isnan(traits[samples])
    patterns, group = np.unique(is_known, axis=1, return_inverse=True)
    for index, pattern in enumerate(patterns.T):
        members = np.flatnonzero(group == index)
        chosen = samples[pattern]
        fixed = covariate_basis(covariates[chosen])
        for first in range(0, len(members), _MOST_TRAITS):
            some = members[first : first + _MOST_TRAITS]
            values = traits[np.ix_(chosen, some)]
            left = _beside(fixed, values)
            yield _regression(some, chosen, np.ones(len(chosen)), fixed=fixed, left=left)


def _beside(fixed: Values, values: Values) -> Values:
    """(s, t) what is left of traits beside the basis; NaN where that is rounding alone."""
    if not len(values):
        return values
    centred = values - values.mean(axis=0)
    left = centred - fixed @ (fixed.T @ centred)
    length, spread, size = (np.linalg.norm(part, axis=0) for part in (left, centred, values))
    left[:, (length <= _EXPLAINED * spread) | (spread <= _CONSTANT * size)] = np.nan
    return np.asarray(left)


def _score_regression(samples: IntArray, traits: Values, covariates: FloatArray, *, trait: int) -> _Regression:
    """A weighted linear regression whose sums are the score and its variance: weights p (1 - p), target (y - p) / w."""
    outcome = traits[samples, trait]
    plain = covariate_basis(covariates[samples])
    chance = fit_logistic(plain, outcome).chance
    roots = np.sqrt(chance * (1 - chance))
    is_fitted = np.isfinite(roots).all() and (roots > 0).all()
    roots = roots if is_fitted else np.full(len(samples), np.nan)
    fixed = covariate_basis(covariates[samples], root_weights=roots) if is_fitted else np.zeros_like(plain)
    left = ((outcome - chance) / roots)[:, None]
    return _regression(np.array([trait]), samples, roots, fixed=fixed, left=left)


def _regression(
    traits: IntArray, samples: IntArray, root_weights: Values, *, fixed: Values, left: Values
) -> _Regression:
    lengths = np.linalg.norm(left, axis=0)
    targets = left / np.where(lengths > 0, lengths, np.nan)
    roots, weights = root_weights[:, None], root_weights**2
    multipliers = in_steps(np.column_stack([roots * fixed, roots * targets, weights]).T)
    return _Regression(traits, samples, fixed, targets, lengths, multipliers[-1], multipliers)


def _scan(dosage: DosageArray, regressions: list[_Regression], *, n_traits: int, is_t: bool) -> Association:
    n_variants = dosage.shape[1]
    found = empty_association(n_traits, n_variants)
    for regression in regressions:
        rows = regression.traits
        for part in variant_blocks(n_variants, n_samples=len(regression.samples)):
            tested = _test(_sums(dosage[:, part][regression.samples], regression), regression.lengths, is_t=is_t)
            for whole, block in zip(found, tested, strict=True):
                whole[rows, part] = block
    return found


def _sums(codes: DosageArray, regression: _Regression) -> _Sums:
    """Of a block of variants on the regression's samples: (s, v) codes."""
    (n, q), v = regression.fixed.shape, codes.shape[1]
    counted = copies_or_zero(codes)
    held = regression.multipliers @ counted
    along, products, total = held[:q], held[q:-1], held[-1]
    squares = regression.weights @ np.square(counted, out=counted)
    weight = np.full(v, regression.weights.sum())
    target_squares, n_known, rank = np.ones(products.shape), np.full(v, n), np.full(v, q)
    left = squares - _sum_of_squares(along)
    incomplete = np.flatnonzero(has_missing(codes))
    if len(incomplete):
        is_missing = np.ascontiguousarray((codes[:, incomplete] == missing_code(codes)).T)
        part = _without_missing(is_missing, regression, along=along[:, incomplete])
        left[incomplete] = squares[incomplete] - part.squares
        products[:, incomplete] -= part.products
        target_squares[:, incomplete] = part.target_squares
        weight[incomplete], n_known[incomplete], rank[incomplete] = part.weight, part.n_known, part.rank
    spread = squares - np.divide(total**2, weight, out=np.zeros(v), where=weight > 0)
    left[~(left > _NO_VARIANCE * np.maximum(spread, 0)) | ~(left > _ROUNDING * squares)] = np.nan
    return _Sums(left, products, target_squares, n_known, rank)


class _Known(NamedTuple):
    """What intercept and covariates take out of variants on the samples whose genotype is known.

    Attributes:
        squares: (v,) of the dosage, taken out.
        products: (t, v) of dosage and target, taken out.
        target_squares: (t, v) of the targets, left.
        weight: (v,) of the samples.
        n_known: (v,) samples.
        rank: (v,).
    """

    squares: Values
    products: Values
    target_squares: Values
    weight: Values
    n_known: IntArray
    rank: IntArray


def _without_missing(is_missing: NDArray[np.bool_], regression: _Regression, *, along: Values) -> _Known:
    """Of variants with missing genotypes, (v, s); `along` (q, v) holds the basis times their dosages."""
    fixed, targets = regression.fixed, regression.targets
    (n, q), v = fixed.shape, len(is_missing)
    gram, cross = np.empty((v, q, q)), np.empty((v, q, targets.shape[1]))
    target_squares, weight = np.empty((targets.shape[1], v)), np.empty(v)
    for index, row in enumerate(is_missing):
        missing = np.flatnonzero(row)
        gone, gone_targets = fixed[missing], targets[missing]
        gram[index], cross[index] = np.eye(q) - gone.T @ gone, -gone.T @ gone_targets
        target_squares[:, index] = 1 - np.sum(gone_targets**2, axis=0)
        weight[index] = regression.weights.sum() - regression.weights[missing].sum()
    lengths, directions = np.linalg.eigh(gram)
    has_length = lengths > _NO_DIRECTION
    scale = np.divide(1, np.sqrt(np.maximum(lengths, _NO_DIRECTION)), out=np.zeros_like(lengths), where=has_length)
    turn = directions.transpose(0, 2, 1)
    dosages = (turn @ along.T[:, :, None]) * scale[:, :, None]
    crossed = (turn @ cross) * scale[:, :, None]
    return _Known(
        np.sum(dosages**2, axis=(1, 2)),
        np.sum(dosages * crossed, axis=1).T,
        target_squares - np.sum(crossed**2, axis=1).T,
        weight,
        n - np.count_nonzero(is_missing, axis=1),
        np.count_nonzero(has_length, axis=1),
    )


def _sum_of_squares(rows: Values) -> Values:
    """(v,) over the rows of (q, v), row after row: numpy's own sum takes them in another order where v is 1."""
    return functools.reduce(np.add, rows**2, np.zeros(rows.shape[1]))


def _test(sums: _Sums, lengths: Values, *, is_t: bool) -> Association:
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = sums.products / sums.squares
        df = (sums.n_known - sums.rank - 1).astype(np.float64)
        df[df <= 0] = np.nan
        rest = np.maximum(sums.target_squares - effect * sums.products, 0)
        # The score's variance is known, not estimated: in units of a target of length 1.
        variance = rest / df if is_t else lengths[:, None] ** -2.0
        error = np.sqrt(variance / sums.squares)
        statistic = effect / error
    log10_p = log10_p_of_t(statistic, np.broadcast_to(df, statistic.shape)) if is_t else log10_p_of_z(statistic)
    counts = np.broadcast_to(sums.n_known, statistic.shape)
    return Association(effect * lengths[:, None], error * lengths[:, None], statistic, log10_p, counts)
