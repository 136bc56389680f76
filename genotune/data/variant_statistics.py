"""What blocks of variants say of themselves on training samples: genotype counts and association. numpy only.

Axes: s sample, v variant, q dimension of a basis.
"""

import functools
from typing import Final, NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.genome.covariate_basis import covariate_basis, in_steps, orthonormal, standardized
from genotune.store import DOSAGE_STEPS, DosageArray, FloatArray, IntArray, Values, missing_code

_NO_VARIANCE: Final = 1e-6
"""Below this share of its own variance, a variant that is regressed on the covariates has nothing left."""

_STEP_OF_FRACTIONS: Final = 2.0**-28
"""Bases beside dosages in fractions of a copy, which take 14 bits more than whole ones, are whole multiples of this:
sums of products stay exact up to a million samples. See `covariate_basis.in_steps`."""

_FROM_WHOLE: Final = int(0.1 * DOSAGE_STEPS)
"""A dosage this near to a whole number of copies is called as that, as PLINK 2 does by default
(--hard-call-threshold 0.1)."""


class Statistics(NamedTuple):
    """Of variants, on training samples.

    Genotypes are counted as they are called: dosages in fractions of a copy, where they are near to a whole number.
    Frequency and association are of the dosages themselves.

    Attributes:
        n_two: (v,) samples with two copies of the counted allele.
        n_one: (v,) with one copy.
        n_none: (v,) with none.
        n_known: (v,) samples with a dosage, called or not.
        copies: (v,) sum of their dosages; exact.
        association: (v,) share of the trait's variance that the dosage explains beside the covariates, from 0 to 1; of
            several traits instead -log10 of the least p-value; NaN where the dosage doesn't vary.
    """

    n_two: IntArray
    n_one: IntArray
    n_none: IntArray
    n_known: IntArray
    copies: Values
    association: Values

    @property
    def n_called(self) -> IntArray:
        """(v,) samples whose genotype is called."""
        return self.n_two + self.n_one + self.n_none

    @property
    def frequency(self) -> Values:
        """(v,) of the counted allele; NaN where no dosage is known."""
        no_value, n_known = np.full(len(self.copies), np.nan), self.n_known
        frequency: Values = np.divide(self.copies, 2 * n_known, out=no_value, where=n_known > 0)
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


class Copies(NamedTuple):
    """Dosages as they are added up.

    Attributes:
        known: (s, v) float64, 1 where a dosage is known, else 0.
        counted: (s, v) copies, 0 where not known.
        n_known: (v,) samples.
        total: (v,) sum of copies.
        is_fractional: whether copies come in fractions.
    """

    known: Values
    counted: Values
    n_known: IntArray
    total: Values
    is_fractional: bool


def read_copies(dosage: DosageArray) -> Copies:
    """The dosages (s, v) of a block of variants."""
    is_known = dosage != missing_code(dosage)
    known, counted = is_known.astype(np.float64), np.where(is_known, dosage, 0).astype(np.float64)
    is_fractional = dosage.dtype == np.uint16
    if is_fractional:
        counted /= DOSAGE_STEPS
    n_known = np.count_nonzero(is_known, axis=0).astype(np.int64)
    return Copies(known, counted, n_known, counted.sum(axis=0), is_fractional)


def block_statistics(dosage: DosageArray, basis: TraitBasis) -> Statistics:
    """Statistics of a block of variants.

    Args:
        dosage: (s, v) of the training samples.
        basis: of the same samples.
    """
    copies = read_copies(dosage)
    return with_counts(dosage, copies, association=explained(copies, basis))


def with_counts(dosage: DosageArray, copies: Copies, *, association: Values) -> Statistics:
    """Statistics of a block of variants (s, v) whose association is known."""
    return Statistics(*_count_genotypes(dosage), copies.n_known, copies.total, association)


def explained(copies: Copies, basis: TraitBasis) -> Values:
    """(v,) association of a block of variants with a trait; see `Statistics`. A missing dosage counts as the mean.

    It is the squared partial correlation of dosage and trait; of classes, the share of the dosage's variance between
    them, the covariates' part being taken out of both.

    Source: Price et al. 2006 (EIGENSTRAT), Methods, association after adjustment of genotype and phenotype.

    Args:
        copies: of the training samples.
        basis: of the same samples.
    """
    known, counted, n_known, sums, is_fractional = copies
    if is_fractional:
        basis = TraitBasis(*(in_steps(columns, _STEP_OF_FRACTIONS) for columns in basis))
    mean = np.divide(sums, n_known, out=np.zeros(len(sums)), where=n_known > 0)
    along_trait, along_covariates = (
        _sum_of_squares(columns.T @ counted - (columns.T @ known) * mean) for columns in basis
    )
    total = np.einsum("sv,sv->v", counted, counted) - sums * mean
    left = total - along_covariates
    varies = left > _NO_VARIANCE * np.maximum(total, 1)
    association = np.divide(along_trait, left, out=np.full(len(left), np.nan), where=varies)
    return np.asarray(np.minimum(association, 1))


def _count_genotypes(dosage: DosageArray) -> tuple[IntArray, IntArray, IntArray]:
    """(v,) samples that are called with two copies, with one, and with none."""
    if dosage.dtype == np.int8:
        n_two, n_one, n_none = (np.count_nonzero(dosage == copies, axis=0).astype(np.int64) for copies in (2, 1, 0))
        return n_two, n_one, n_none
    ends = [((copies - 1) * DOSAGE_STEPS + _FROM_WHOLE, copies * DOSAGE_STEPS - _FROM_WHOLE) for copies in (1, 2)]
    (none_to, one_from), (one_to, two_from) = ends
    n_two = np.count_nonzero((dosage >= two_from) & (dosage != missing_code(dosage)), axis=0)
    n_one = np.count_nonzero((dosage >= one_from) & (dosage <= one_to), axis=0)
    n_none = np.count_nonzero(dosage <= none_to, axis=0)
    return n_two.astype(np.int64), n_one.astype(np.int64), n_none.astype(np.int64)


def join_statistics(parts: list[Statistics]) -> Statistics:
    """Of blocks in a row."""
    return Statistics(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _sum_of_squares(rows: Values) -> Values:
    """(v,) over the rows of (q, v), row after row: numpy's own sum takes them in another order where v is 1."""
    return functools.reduce(np.add, rows**2, np.zeros(rows.shape[1]))
