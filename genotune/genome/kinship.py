"""Who is related to whom: the KING-robust kinship of pairs of samples, from their genotypes alone. numpy only.

It needs no allele frequencies, so nothing is fitted: the kinship of two samples is a function of these two.

Source: Manichaikul et al. 2010, equation 11 (the robust estimator between families), and its Table 1 for degrees.
"""

import itertools
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, MISSING_STEPS, DosageArray, FloatArray, IntArray, Values

KINSHIP_ABOVE: Final = (0.354, 0.177, 0.0884, 0.0442)
"""Of pairs of degree 0 (one person twice, or monozygotic twins), 1 (parent and child, full siblings), 2 (half siblings,
uncles) and 3 (first cousins), what their kinship lies above. Source: Manichaikul et al. 2010, page 2869."""

DEGREE_NAMES: Final = ("duplicates", "first degree", "second degree", "third degree")

FARTHEST: Final = len(KINSHIP_ABOVE) - 1
"""The degree past which nobody counts as related."""

FEWEST_VARIANTS: Final = (150, 500, 2000, 8000)
"""By degree: with n independent variants the kinship of strangers has a standard deviation of 1 / sqrt(n) (simulated,
allele frequencies from 0.05 to 0.5), so with so many of them strangers lie four of these below the degree."""

_BLOCK: Final = 1024
"""Samples whose pairs with as many others are reckoned at once: some 60 MB for 5,000 variants."""
_ALIKE: Final = 32
"""Genotypes of two bits that fill 64."""
_MANY: Final = 0.002
"""From this share of a block's pairs on, products of matrices are faster than pair by pair."""
_PAIRS_AT_ONCE: Final = 256
_MOST_PAIRS: Final = 10_000_000
_MOST_VARIANTS: Final = 1 << 22
"""Up to here a float32 holds each sum exactly: four times as much is its last whole number without a gap."""
_HARD_CALL: Final = DOSAGE_STEPS // 10
"""A dosage this near to a whole number of copies counts as it. Source: PLINK 2, --hard-call-threshold 0.1."""


class KinPairs(NamedTuple):
    """Pairs of samples that are related, in the order of `first`, then `second`.

    Attributes:
        first: (pair,) index of a sample.
        second: (pair,) index of the other, the greater of the two.
        kinship: (pair,) probability that an allele of one and an allele of the other are one by descent; 0.5 of a
            sample with itself.
        n_variants: that it was told from.
        farthest: degree up to which all pairs are here.
    """

    first: IntArray
    second: IntArray
    kinship: Values
    n_variants: int
    farthest: int = FARTHEST

    @property
    def told(self) -> int:
        """The farthest degree that can be told from strangers by so many variants; -1 if none can."""
        return sum(self.n_variants >= fewest for fewest in FEWEST_VARIANTS) - 1

    @property
    def degrees(self) -> IntArray:
        """(pair,) from 0 to 3; see `KINSHIP_ABOVE`."""
        return np.asarray(np.count_nonzero(self.kinship[:, None] <= np.array(KINSHIP_ABOVE), axis=1))

    def up_to(self, degree: int) -> "KinPairs":
        """The pairs of this degree and nearer ones."""
        near = self.where(self.kinship > KINSHIP_ABOVE[degree])
        return near._replace(farthest=min(degree, self.farthest))

    def where(self, chosen: NDArray[np.bool_]) -> "KinPairs":
        """Some of the pairs."""
        return KinPairs(self.first[chosen], self.second[chosen], self.kinship[chosen], self.n_variants, self.farthest)


class _Block(NamedTuple):
    """Samples as products need them; s sample, v variant, u variant that some sample lacks.

    Attributes:
        sides: (s, v) 1 and -1 for the two homozygotes; 0 for a heterozygote, and where not called.
        hets: (s, u) 1 for a heterozygote.
        called: (s, u) 1 where called.
        n_hets: (s,) heterozygotes among the variants that all samples have.
        n_all_hets: (s,) heterozygotes among all variants.
        n_lacking: (s,) genotypes that are not called.
        calls: (s, v) whole copies.
    """

    sides: FloatArray
    hets: FloatArray
    called: FloatArray
    n_hets: FloatArray
    n_all_hets: FloatArray
    n_lacking: FloatArray
    calls: DosageArray


def count_degrees(degrees: IntArray) -> str:
    """How many pairs there are of each degree, in words: '1 of duplicates, 14 of first degree'; 'none'."""
    counts = np.bincount(degrees, minlength=len(DEGREE_NAMES)).tolist()
    words = [f"{count:,} of {name}" for name, count in zip(DEGREE_NAMES, counts, strict=True) if count]
    return ", ".join(words) or "none"


def hard_calls(dosage: DosageArray) -> DosageArray:
    """Whole copies in int8, `MISSING_DOSAGE` where a genotype is not known or its dosage lies between two of them.

    Args:
        dosage: of any shape; a part of the store's, since it is copied if it holds fractions.
    """
    if dosage.dtype == np.int8:
        return dosage
    whole, rest = np.divmod(dosage.astype(np.int32) + _HARD_CALL, DOSAGE_STEPS)
    is_known = (rest <= 2 * _HARD_CALL) & (dosage != MISSING_STEPS)
    called: DosageArray = np.where(is_known, whole, MISSING_DOSAGE).astype(np.int8)
    return called


def find_kin(dosage: DosageArray, *, degree: int = FARTHEST) -> KinPairs:
    """All pairs of samples that are related in this degree or nearer.

    A pair is held against the variants that both have. Two samples that are homozygous throughout have a kinship of 0.5
    if they are equal, else none. If there are more pairs than memory should hold, those of the farthest degree are let
    go, which `KinPairs.farthest` then says. The time grows with the samples' square times the variants.

    Args:
        dosage: (sample, variant) copies of an allele, of autosomes.
        degree: 0 to 3.
    """
    n_samples, n_variants = dosage.shape
    assert n_variants <= _MOST_VARIANTS, n_variants
    edges = [*range(0, n_samples, _BLOCK), n_samples]
    blocks = [slice(first, last) for first, last in itertools.pairwise(edges)]
    is_complete = np.logical_and.reduce(
        [(hard_calls(dosage[rows]) != MISSING_DOSAGE).all(axis=0) for rows in blocks] or [np.ones(n_variants, np.bool_)]
    )
    nobody = np.empty(0, dtype=np.int64)
    found = KinPairs(nobody, nobody, np.empty(0), n_variants, degree)
    for rows, row_block in _each(dosage, blocks, is_complete):
        parts = [found]
        for columns, column_block in _each(dosage, blocks[blocks.index(rows) :], is_complete):
            near = _near(row_block, column_block, is_complete, above=KINSHIP_ABOVE[found.farthest])
            pairs = KinPairs(near[0] + rows.start, near[1] + columns.start, near[2], n_variants, found.farthest)
            parts.append(pairs.where(pairs.first < pairs.second))
        found = _bounded(_joined(parts))
    return found


def find_duplicates(dosage: DosageArray) -> KinPairs:
    """Pairs of samples that are duplicates, of any number of samples; of three alike, each has a pair, not each two.

    Samples are sorted by their genotypes at 32 variants, then at the next 32, and so on; those that come next to each
    other with all 32 alike are held against each other at all variants. Two samples of one person, 3 in 100 of whose
    genotypes differ or are missing, are so alike at one of 64 places but for once in 10^13; 8 in 100, once in 100.
    Twins are found; a kinship above the threshold by inbreeding alone may not be.

    Args:
        dosage: (sample, variant) copies of an allele, of autosomes; 2,048 variants are enough.
    """
    n_samples, n_variants = dosage.shape
    candidates = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, n_variants - _ALIKE + 1, _ALIKE):
        key = np.zeros(n_samples, dtype=np.uint64)
        for variant in range(start, start + _ALIKE):
            # Two bits a genotype: -1 is the code 3.
            key = (key << np.uint64(2)) | (hard_calls(dosage[:, variant]) & 3).astype(np.uint64)
        order = np.argsort(key, kind="stable")
        alike = np.flatnonzero(key[order[1:]] == key[order[:-1]])
        candidates.append(np.stack([order[alike], order[alike + 1]], axis=1))
    first, second = np.unique(np.sort(np.concatenate(candidates), axis=1), axis=0).T
    values = [np.empty(0)]
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        ones, others = (hard_calls(dosage[side[start : start + _PAIRS_AT_ONCE]]) for side in (first, second))
        every = np.arange(len(ones))
        values.append(_pair_by_pair(ones, others, every, every))
    return KinPairs(first, second, np.concatenate(values), n_variants, farthest=0).up_to(0)


def kin_groups(pairs: KinPairs, *, n_samples: int, degree: int) -> IntArray:
    """(sample,) the group of each: those that a chain of pairs of this degree or nearer joins are one.

    Groups are numbered by their first sample.
    """
    near = pairs.up_to(degree)
    of_sample = np.arange(n_samples)
    while True:
        # Each pair pulls both groups to the lesser number; then every sample follows its group to the end.
        least = np.minimum(of_sample[near.first], of_sample[near.second])
        pulled = of_sample.copy()
        for ends in (near.first, near.second):
            np.minimum.at(pulled, of_sample[ends], least)
        while (pulled[pulled] != pulled).any():
            pulled = pulled[pulled]
        if (pulled == of_sample).all():
            return np.unique(of_sample, return_inverse=True)[1].astype(np.int64)
        of_sample = pulled


def _each(dosage: DosageArray, blocks: list[slice], is_complete: NDArray[np.bool_]) -> Iterator[tuple[slice, _Block]]:
    for rows in blocks:
        calls = hard_calls(dosage[rows])
        partly = calls[:, ~is_complete]
        hets, called = (partly == 1).astype(np.float32), (partly != MISSING_DOSAGE).astype(np.float32)
        n_hets = np.count_nonzero(calls[:, is_complete] == 1, axis=1).astype(np.float32)
        yield (
            rows,
            _Block(
                sides=(calls == 2).astype(np.float32) - (calls == 0),
                hets=hets,
                called=called,
                n_hets=n_hets,
                n_all_hets=n_hets + np.count_nonzero(partly == 1, axis=1),
                n_lacking=np.count_nonzero(partly == MISSING_DOSAGE, axis=1).astype(np.float32),
                calls=calls,
            ),
        )


def _near(
    rows: _Block, columns: _Block, is_complete: NDArray[np.bool_], *, above: float
) -> tuple[IntArray, IntArray, Values]:
    """Samples of one block, samples of the other, and their kinship, where it is above.

    Three of the four products of matrices are for what a pair lacks. As no one lacks much, a bound that needs only the
    fourth leaves few pairs, and the others are reckoned for these alone; for all of the block if it leaves many.
    """
    alike = rows.sides @ columns.sides.T
    may_be = _upper_bound(rows, columns, alike, n_variants=len(is_complete)) > above
    if np.count_nonzero(may_be) > _MANY * may_be.size:
        both = np.count_nonzero(is_complete) + rows.called @ columns.called.T
        hets = rows.n_hets[:, None] + rows.hets @ columns.called.T
        other_hets = columns.n_hets[None, :] + rows.called @ columns.hets.T
        kinship = _kinship(both, hets, other_hets, alike=alike)
        first, second = np.nonzero(kinship > above)
        return first, second, kinship[first, second]
    first, second = np.nonzero(may_be)
    kinship = _pair_by_pair(rows.calls, columns.calls, first, second)
    is_above = kinship > above
    return first[is_above], second[is_above], kinship[is_above]


def _pair_by_pair(ones: DosageArray, others: DosageArray, first: IntArray, second: IntArray) -> Values:
    """(pair,) kinship of samples of one array and of another, both whole copies."""
    found = [np.empty(0)]
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        stop = start + _PAIRS_AT_ONCE
        one, other = ones[first[start:stop]], others[second[start:stop]]
        both = (one != MISSING_DOSAGE) & (other != MISSING_DOSAGE)
        counts = [
            np.count_nonzero(true, axis=1).astype(np.float32) for true in (both, both & (one == 1), both & (other == 1))
        ]
        alike = np.where(both, (one - 1) * (other - 1), 0).sum(axis=1, dtype=np.float32)
        found.append(_kinship(*counts, alike=alike))
    return np.concatenate(found)


def _upper_bound(rows: _Block, columns: _Block, alike: FloatArray, *, n_variants: int) -> FloatArray:
    """(s, s) what the kinship of samples of two blocks is at most; infinite where this says nothing.

    Both have at least all variants but those that one or the other lacks, and neither more heterozygotes than its own.
    """
    lacking = rows.n_lacking[:, None] + columns.n_lacking[None, :]
    hets = rows.n_all_hets[:, None] + columns.n_all_hets[None, :]
    squares = 2 * (n_variants - lacking - alike) - hets
    fewer = np.minimum(rows.n_all_hets[:, None], columns.n_all_hets[None, :])
    bound: FloatArray = np.where(squares > 0, np.float32(-np.inf), np.float32(np.inf))
    np.divide(squares, -4 * fewer, out=bound, where=(squares > 0) & (fewer > 0))
    # float32 rounds: a bound may not fall below what it bounds.
    return bound + np.float32(0.5 + 1e-5)


def _kinship(both: FloatArray, hets: FloatArray, other_hets: FloatArray, *, alike: FloatArray) -> Values:
    """(...) kinship of pairs of samples; -inf where it is not known.

    With x the side of a genotype, the squared differences of a pair's dosages add up to its homozygotes, those of the
    one where the other is called and the reverse, less twice the sum of x x. Equation 11 is
    1/2 - (that sum) / (4 times the lesser number of heterozygotes).

    Args:
        both: (...) variants that both have.
        hets: (...) heterozygotes of the one among these.
        other_hets: (...) heterozygotes of the other among these.
        alike: (...) sum of x x.
    """
    squares = 2 * (both - alike) - hets - other_hets
    fewer = np.minimum(hets, other_hets).astype(np.float64)
    kinship: Values = np.where((squares == 0) & (both > 0), 0.5, -np.inf)
    np.divide(squares, -4 * fewer, out=kinship, where=fewer > 0)
    kinship[fewer > 0] += 0.5
    return kinship


def _joined(parts: list[KinPairs]) -> KinPairs:
    first, second = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    order = np.lexsort((second, first))
    kinship = np.concatenate([part.kinship for part in parts])
    return KinPairs(first[order], second[order], kinship[order], parts[0].n_variants, parts[0].farthest)


def _bounded(pairs: KinPairs) -> KinPairs:
    """The pairs, without those of the farthest degrees as long as there are too many."""
    while len(pairs.first) > _MOST_PAIRS and pairs.farthest > 0:
        pairs = pairs.up_to(pairs.farthest - 1)
    return pairs
