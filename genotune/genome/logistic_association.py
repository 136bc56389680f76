"""Association of variants with binary traits by logistic regression: every variant's own model, many at a time.

A genotype that isn't known is left out of its variant's regression, as PLINK 2's --glm does it.
Axes: s sample, v variant, t trait, q dimension of the covariates' basis.
"""

import contextlib
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.genome.association import Association, empty_association
from genotune.genome.covariate_basis import covariate_basis
from genotune.genome.genotype_blocks import copies_or_zero, variant_blocks
from genotune.genome.logistic import MOST_STEPS, fit_logistic, logistic
from genotune.genome.p_values import log10_p_of_z
from genotune.store import DosageArray, FloatArray, IntArray, Values, missing_code

_NO_VARIANCE: Final = 1e-6
"""Below this share of its own variance, a variant that is regressed on the covariates has nothing left."""

_NO_DIRECTION: Final = 1e-9
"""Of a covariate only this share of squares lies on the samples whose genotype is known."""

_ROUNDING: Final = 1e-10
"""A variance that is this small beside the sum of squares may be rounding alone."""

_MOST_PAIRS: Final = 1 << 25
"""Products of covariates that are held: 256 MB."""

_CONVERGED: Final = 1e-16
"""Square of a Newton step in units of standard errors, below which the next one is rounding."""


class _Trait(NamedTuple):
    """A binary trait and its covariates, and the model of the covariates alone to start from.

    Attributes:
        fixed: (s, q) orthonormal basis of intercept and covariates.
        pairs: (s, q * q) products of its columns; None where they'd be too many to hold.
        outcome: (s,) 0 or 1.
        start: (q,) coefficients of `fixed`; NaN where there is no such model.
    """

    fixed: Values
    pairs: Values | None
    outcome: Values
    start: Values


class _Block(NamedTuple):
    """Some variants, whose samples lie next to each other.

    Attributes:
        counted: (v, s) copies, 0 where not known.
        known: (v, s) whether they are; None: all of them.
    """

    counted: Values
    known: NDArray[np.bool_] | None

    def of(self, chosen: NDArray[np.bool_]) -> "_Block":
        """Those variants that are chosen, (v,)."""
        return (
            self if chosen.all() else _Block(self.counted[chosen], None if self.known is None else self.known[chosen])
        )


class _Step(NamedTuple):
    """One Newton step of the models of some variants.

    Attributes:
        fixed: (v, q) change of the covariates' coefficients.
        effect: (v,) change of the variant's.
        information: (v,) of the variant's effect, the covariates' part being taken out.
        size: (v,) square of the step in units of standard errors.
        share: (v,) of the dosage's weighted variance that lies outside of the covariates.
    """

    fixed: Values
    effect: Values
    information: Values
    size: Values
    share: Values


def scan_logistic(dosage: DosageArray, samples: IntArray, *, traits: Values, covariates: FloatArray) -> Association:
    """Logistic regression of each binary trait on each variant, intercept and covariates; Wald test of the variant.

    Equals PLINK 2's --glm no-firth. NaN where that has no answer either: cases and controls that the model separates
    (PLINK's default goes on to Firth's regression there: its hybrid), a variant that doesn't vary beside the
    covariates, a covariate that doesn't vary where the genotype is known. Some five times the work of
    `scan_logistic_score`, which comes near it where effects are small.

    Source: McCullagh and Nelder 1989, section 4.4, Newton's method; Wald 1943.

    Args:
        dosage: (sample, variant).
        samples: indices to be used; no other is looked at.
        traits: (sample, t), of all samples: 0 or 1, NaN where not known.
        covariates: (sample, covariate), of all samples; no missing values among those used.
    """
    found = empty_association(traits.shape[1], dosage.shape[1])
    for index in range(traits.shape[1]):
        chosen = samples[~np.isnan(traits[samples, index])]
        if not len(chosen):
            continue
        trait = _prepare(traits[chosen, index], covariates[chosen])
        for part in variant_blocks(dosage.shape[1], n_samples=len(chosen)):
            for whole, block in zip(found, _fit_block(dosage[:, part][chosen], trait), strict=True):
                whole[index, part] = block
    return found


def _prepare(outcome: Values, covariates: FloatArray) -> _Trait:
    fixed = covariate_basis(covariates)
    is_small = fixed.size * fixed.shape[1] <= _MOST_PAIRS
    pairs = (fixed[:, :, None] * fixed[:, None, :]).reshape(len(fixed), -1) if is_small else None
    return _Trait(fixed, pairs, outcome, fit_logistic(fixed, outcome).coefficients)


def _fit_block(codes: DosageArray, trait: _Trait) -> tuple[Values, Values, Values, Values, IntArray]:
    """Fields of `Association`, each (v,), of (s, v) codes."""
    rows = codes.T.copy()
    known = rows != missing_code(codes)
    n_known = np.count_nonzero(known, axis=1)
    effects, information = np.full(len(n_known), np.nan), np.full(len(n_known), np.nan)
    can = _can_be_fitted(known, trait)
    active = np.flatnonzero(can)
    block = _Block(copies_or_zero(rows), None if known.all() else known).of(can)
    fixed, effect = np.repeat(trait.start[None], len(active), axis=0), np.zeros(len(active))
    for index in range(MOST_STEPS):
        if not len(active):
            break
        step = _newton_step(block, trait, fixed=fixed, effect=effect)
        fixed, effect = fixed + step.fixed, effect + step.effect
        possible = np.isfinite(step.size) & ((index > 0) | (step.share > _NO_VARIANCE))
        done = possible & (step.size < _CONVERGED)
        effects[active[done]], information[active[done]] = effect[done], step.information[done]
        goes_on = possible & ~done
        active, fixed, effect, block = active[goes_on], fixed[goes_on], effect[goes_on], block.of(goes_on)
    error = information**-0.5
    z = effects / error
    return effects, error, z, log10_p_of_z(z), n_known


def _can_be_fitted(known: NDArray[np.bool_], trait: _Trait) -> NDArray[np.bool_]:
    """(v,) whether the covariates alone have a model, and vary where the genotype is known: (v, s)."""
    if not np.isfinite(trait.start).all():
        return np.zeros(len(known), dtype=np.bool_)
    can = np.ones(len(known), dtype=np.bool_)
    incomplete = np.flatnonzero(~known.all(axis=1))
    if len(incomplete):
        gram = _grams(known[incomplete].astype(np.float64), trait)
        can[incomplete] = np.linalg.eigvalsh(gram)[:, 0] > _NO_DIRECTION
    return can


def _newton_step(block: _Block, trait: _Trait, *, fixed: Values, effect: Values) -> _Step:
    """From coefficients (v, q) of intercept and covariates and the variants' effects (v,)."""
    chance = fixed @ trait.fixed.T
    chance += block.counted * effect[:, None]
    chance = logistic(chance)
    weights, residual = chance * (1 - chance), trait.outcome - chance
    if block.known is not None:
        weights *= block.known
        residual *= block.known
    gram = _grams(weights, trait)
    slope_fixed, slope = residual @ trait.fixed, np.einsum("vs,vs->v", block.counted, residual)
    total = weights.sum(axis=1)
    weights *= block.counted
    cross, squares = weights @ trait.fixed, np.einsum("vs,vs->v", block.counted, weights)
    spread = squares - weights.sum(axis=1) ** 2 / np.maximum(total, np.finfo(float).tiny)
    solved = _solve(gram, np.stack([cross, slope_fixed], axis=-1))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        information = squares - np.einsum("vq,vq->v", cross, solved[:, :, 0])
        change = (slope - np.einsum("vq,vq->v", cross, solved[:, :, 1])) / information
        change_fixed = solved[:, :, 1] - solved[:, :, 0] * change[:, None]
        size = change * slope + np.einsum("vq,vq->v", change_fixed, slope_fixed)
        # Rounding can leave a little of a variance that is zero.
        share = np.where(information > _ROUNDING * squares, information / spread, 0)
    return _Step(change_fixed, change, information, np.abs(size), share)


def _grams(weights: Values, trait: _Trait) -> Values:
    """(v, q, q) products of the covariates' columns, weighted by (v, s)."""
    q = trait.fixed.shape[1]
    if trait.pairs is None:
        return np.stack([trait.fixed.T @ (trait.fixed * row[:, None]) for row in weights])
    return np.asarray((weights @ trait.pairs).reshape(-1, q, q))


def _solve(matrices: Values, right: Values) -> Values:
    """(v, q, k) solutions of matrices (v, q, q); NaN where one is singular."""
    try:
        return np.asarray(np.linalg.solve(matrices, right), dtype=np.float64)
    except np.linalg.LinAlgError:
        found = np.full(right.shape, np.nan)
        for index, (matrix, sides) in enumerate(zip(matrices, right, strict=True)):
            with contextlib.suppress(np.linalg.LinAlgError):
                found[index] = np.linalg.solve(matrix, sides)
        return found
