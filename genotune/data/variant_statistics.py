"""What blocks of variants say of themselves on training samples: genotype counts and association. numpy only.

Axes: s sample, v variant, q dimension of a basis.
"""

import functools
from typing import Final, NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.genome.covariate_basis import covariate_basis, in_steps, orthonormal, standardized
from genotune.store import MISSING_DOSAGE, DosageArray, FloatArray, IntArray, Values

_NO_VARIANCE: Final = 1e-6
"""Below this share of its own variance, a variant that is regressed on the covariates has nothing left."""


class Statistics(NamedTuple):
    """Of variants, on training samples.

    Attributes:
        n_two: (v,) samples with two copies of the counted allele.
        n_one: (v,) with one copy.
        n_none: (v,) with none.
        association: (v,) share of the trait's variance that the dosage explains beside the covariates, from 0 to 1;
            NaN where the dosage doesn't vary.
    """

    n_two: IntArray
    n_one: IntArray
    n_none: IntArray
    association: Values

    @property
    def n_called(self) -> IntArray:
        """(v,) samples whose genotype is known."""
        return self.n_two + self.n_one + self.n_none

    @property
    def frequency(self) -> Values:
        """(v,) of the counted allele; NaN where no genotype is known."""
        copies, called = 2 * self.n_two + self.n_one, self.n_called
        frequency: Values = np.divide(copies, 2 * called, out=np.full(len(copies), np.nan), where=called > 0)
        return frequency


class TraitBasis(NamedTuple):
    """What dosages are held against, as orthonormal columns over the training samples.

    Attributes:
        trait: (s, q) what is left of the trait beside the covariates: one column, of C classes C - 1.
        covariates: (s, q) the intercept and the covariates.
    """

    trait: Values
    covariates: Values


def trait_basis(trait: Values, covariates: FloatArray, *, kind: TargetKind) -> TraitBasis:
    """The basis of a trait and its covariates.

    Args:
        trait: (s,) values, of classes their indices.
        covariates: (s, covariate).
        kind: of the trait.
    """
    columns = trait[:, None] if kind != "multiclass" else (trait[:, None] == np.unique(trait)[1:]).astype(np.float64)
    fixed = covariate_basis(covariates)
    wanted = standardized(columns)
    left = orthonormal(wanted - fixed @ (fixed.T @ wanted))
    return TraitBasis(in_steps(left), in_steps(fixed))


def block_statistics(dosage: DosageArray, basis: TraitBasis) -> Statistics:
    """Statistics of a block of variants; a missing dosage counts as the mean in the association.

    The association is the squared partial correlation of dosage and trait; of classes, the share of the dosage's
    variance between them, the covariates' part being taken out of both.

    Source: Price et al. 2006 (EIGENSTRAT), Methods, association after adjustment of genotype and phenotype.

    Args:
        dosage: (s, v) of the training samples.
        basis: of the same samples.
    """
    n_two, n_one, n_none = (np.count_nonzero(dosage == copies, axis=0).astype(np.int64) for copies in (2, 1, 0))
    called = n_two + n_one + n_none
    copies = (2 * n_two + n_one).astype(np.float64)
    mean = np.divide(copies, called, out=np.zeros(len(called)), where=called > 0)
    is_known = dosage != MISSING_DOSAGE
    known, counted = is_known.astype(np.float64), np.where(is_known, dosage, 0).astype(np.float64)
    along_trait, along_covariates = (
        _sum_of_squares(columns.T @ counted - (columns.T @ known) * mean) for columns in basis
    )
    total = 4 * n_two + n_one - copies * mean
    left = total - along_covariates
    varies = left > _NO_VARIANCE * np.maximum(total, 1)
    association = np.divide(along_trait, left, out=np.full(len(left), np.nan), where=varies)
    return Statistics(n_two, n_one, n_none, np.minimum(association, 1))


def join_statistics(parts: list[Statistics]) -> Statistics:
    """Of blocks in a row."""
    return Statistics(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _sum_of_squares(rows: Values) -> Values:
    """(v,) over the rows of (q, v), row after row: numpy's own sum takes them in another order where v is 1."""
    return functools.reduce(np.add, rows**2, np.zeros(rows.shape[1]))
