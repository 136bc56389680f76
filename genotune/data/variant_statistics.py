"""What blocks of variants say of themselves on training samples: genotype counts and association. numpy only.

Axes: s sample, v variant, q dimension of a basis.
"""

import functools
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.genome.covariate_basis import covariate_basis, in_steps, orthonormal, standardized
from genotune.genome.genotype_blocks import copies_or_zero, variant_blocks
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
        association: (v,) share of the trait's variance that the dosage explains beside the covariates, from 0 to 1;
            NaN where the dosage doesn't vary.
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


class TrainingSets(NamedTuple):
    """One or more sets of training samples, side by side: what the dosages of all their samples are held against.

    Attributes:
        columns: (s, q) of each set in turn: ones, then its basis of the trait, then that of its covariates; zero in
            samples that are not of the set.
        widths: of each set, the columns of the trait and those of the covariates.
    """

    columns: Values
    widths: tuple[tuple[int, int], ...]


def training_sets(
    bases: Sequence[TraitBasis], members: Sequence[IntArray], *, n_samples: int, is_fractional: bool
) -> TrainingSets:
    """Sets of training samples from the basis of each.

    Args:
        bases: of each set.
        members: of each set, its indices among the samples.
        n_samples: of all sets together.
        is_fractional: whether dosages are fractions of a copy.
    """
    parts = []
    for basis, rows in zip(bases, members, strict=True):
        exact = (in_steps(columns, _STEP_OF_FRACTIONS) if is_fractional else columns for columns in basis)
        part = np.zeros((n_samples, 1 + sum(columns.shape[1] for columns in basis)))
        part[rows] = np.column_stack([np.ones(len(rows)), *exact])
        parts.append(part)
    widths = tuple((basis.trait.shape[1], basis.covariates.shape[1]) for basis in bases)
    return TrainingSets(np.concatenate(parts, axis=1), widths)


def joint_statistics(dosage: DosageArray, sets: TrainingSets) -> list[Statistics]:
    """Statistics of a block of variants on each set of training samples, to the bit as if it were the only one.

    A missing dosage counts as the mean in the association. The association is the squared partial correlation of
    dosage and trait; of classes, the share of the dosage's variance between them, the covariates' part being taken out
    of both. Each sum is exact (see `covariate_basis.in_steps`), so that zeros of samples of other sets change nothing.

    Source: Price et al. 2006 (EIGENSTRAT), Methods, association after adjustment of genotype and phenotype.

    Args:
        dosage: (s, v).
        sets: of the same samples.
    """
    blocks = variant_blocks(dosage.shape[1], n_samples=len(dosage))
    parts = [_few(dosage[:, block], sets) for block in blocks]
    return [join_statistics(list(of_set)) for of_set in zip(*parts, strict=True)]


def _few(dosage: DosageArray, sets: TrainingSets) -> list[Statistics]:
    """Of few variants, so that a cache holds them as floats."""
    is_known, counted = dosage != missing_code(dosage), copies_or_zero(dosage)
    of_copies, of_known = sets.columns.T @ counted, sets.columns.T @ is_known.astype(np.float64)
    firsts = np.cumsum([0, *(1 + sum(widths) for widths in sets.widths)])
    ones = sets.columns[:, firsts[:-1]].T
    calls = _count_genotypes(dosage, ones, n_copies=of_copies[firsts[:-1]], n_known=of_known[firsts[:-1]])
    squares = ones @ counted**2
    found = []
    for index, (first, (n_trait, n_covariates)) in enumerate(zip(firsts[:-1], sets.widths, strict=True)):
        copies, n_known = of_copies[first], of_known[first]
        mean = np.divide(copies, n_known, out=np.zeros(len(copies)), where=n_known > 0)
        rows = slice(first + 1, first + 1 + n_trait + n_covariates)
        along = of_copies[rows] - of_known[rows] * mean
        total = squares[index] - copies * mean
        left = total - _sum_of_squares(along[n_trait:])
        varies = left > _NO_VARIANCE * np.maximum(total, 1)
        no_value = np.full(len(left), np.nan)
        association = np.divide(_sum_of_squares(along[:n_trait]), left, out=no_value, where=varies)
        n_two, n_one, n_none = (each[index].astype(np.int64) for each in calls)
        found.append(Statistics(n_two, n_one, n_none, n_known.astype(np.int64), copies, np.minimum(association, 1)))
    return found


def _count_genotypes(
    dosage: DosageArray, ones: Values, *, n_copies: Values, n_known: Values
) -> tuple[Values, Values, Values]:
    """(set, v) samples that are called with two copies, with one, and with none.

    Args:
        dosage: (s, v).
        ones: (set, s) 1 for the samples of a set.
        n_copies: (set, v) sums of dosages.
        n_known: (set, v) samples with a dosage.
    """
    if dosage.dtype == np.int8:
        n_two = ones @ (dosage == 2).astype(np.float64)
        n_one = n_copies - 2 * n_two
        return n_two, n_one, n_known - n_one - n_two
    ends = [((copies - 1) * DOSAGE_STEPS + _FROM_WHOLE, copies * DOSAGE_STEPS - _FROM_WHOLE) for copies in (1, 2)]
    (none_to, one_from), (one_to, two_from) = ends
    is_two = (dosage >= two_from) & (dosage != missing_code(dosage))
    is_one = (dosage >= one_from) & (dosage <= one_to)
    n_two, n_one, n_none = (ones @ called.astype(np.float64) for called in (is_two, is_one, dosage <= none_to))
    return n_two, n_one, n_none


def join_statistics(parts: list[Statistics]) -> Statistics:
    """Of blocks in a row."""
    return Statistics(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _sum_of_squares(rows: Values) -> Values:
    """(v,) over the rows of (q, v), row after row: numpy's own sum takes them in another order where v is 1."""
    return functools.reduce(np.add, rows**2, np.zeros(rows.shape[1]))
