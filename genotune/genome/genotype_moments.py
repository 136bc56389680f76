"""What genotypes say of each variant on given samples, in one pass over blocks: calls, frequency, spread, mode, counts.

Axes: s sample, v variant.
"""

from typing import Final, NamedTuple

import numpy as np

from genotune.genome.genotype_blocks import variant_blocks
from genotune.genome.hardy_weinberg import hardy_weinberg_p
from genotune.store import DOSAGE_STEPS, MISSING_STEPS, DosageArray, FloatArray, IntArray, Values

_HALF: Final = DOSAGE_STEPS // 2


class Moments(NamedTuple):
    """Of variants on given samples, missing genotypes left out; (v,) each.

    Attributes:
        n_samples: of whom there are genotypes, known or not.
        n_called: int64, samples whose genotype is known.
        mean: copies of the counted allele; NaN where no genotype is known.
        std: of the copies, with the number of samples as its divisor; NaN where no genotype is known.
        n_two: int64, samples with two copies; fractions of a copy are taken to the nearest whole number, a half up.
        n_one: int64, with one.
        n_none: int64, with none.
    """

    n_samples: int
    n_called: IntArray
    mean: Values
    std: Values
    n_two: IntArray
    n_one: IntArray
    n_none: IntArray

    @property
    def call_rate(self) -> Values:
        """(v,) share of samples whose genotype is known; NaN without samples."""
        return np.asarray(self.n_called / (self.n_samples or np.nan))

    @property
    def frequency(self) -> Values:
        """(v,) of the counted allele; NaN where no genotype is known."""
        return np.asarray(self.mean / 2)

    @property
    def minor_frequency(self) -> Values:
        """(v,) of the rarer allele; NaN where no genotype is known."""
        return np.asarray(np.minimum(self.mean, 2 - self.mean) / 2)

    @property
    def mode(self) -> FloatArray:
        """(v,) float32, the commonest number of copies, of equals the lower; NaN where no genotype is known."""
        commonest = np.argmax(np.stack([self.n_none, self.n_one, self.n_two]), axis=0).astype(np.float32)
        return np.asarray(np.where(self.n_called > 0, commonest, np.float32(np.nan)))

    @property
    def varies(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(v,) whether two samples differ."""
        return np.asarray(self.std > 0)

    @property
    def hardy_weinberg_p(self) -> Values:
        """(v,) p-value of the exact test of Hardy-Weinberg proportions; 1 where no genotype is known."""
        return hardy_weinberg_p(self.n_two, self.n_one, n_none=self.n_none)


def genotype_moments(dosage: DosageArray, samples: IntArray) -> Moments:
    """Moments and counts of each variant on the samples; exact, but for one rounding of each value.

    Args:
        dosage: (sample, variant).
        samples: (s,) indices to be used; no other is looked at.
    """
    n_variants = dosage.shape[1]
    counts = np.zeros((3, n_variants), dtype=np.int64)
    mean, std = np.empty(n_variants), np.empty(n_variants)
    for part in variant_blocks(n_variants, n_samples=len(samples)):
        codes = dosage[:, part][samples]
        is_whole = codes.dtype == np.int8
        counts[:, part] = _whole_counts(codes) if is_whole else _nearest_counts(codes)
        called = counts[:, part].sum(axis=0)
        total, squares = _whole_sums(counts[:, part]) if is_whole else _step_sums(codes)
        unit = 1 if is_whole else DOSAGE_STEPS
        # n times the sum of squares less the square of the sum is exact in whole numbers; it can't turn negative.
        spread = _exact_spread(called, total, squares)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean[part] = total / called / unit
            std[part] = np.sqrt(spread) / called / unit
    return Moments(len(samples), counts.sum(axis=0), mean, std, counts[2], counts[1], counts[0])


def _whole_counts(codes: DosageArray) -> IntArray:
    """(3, v) samples with none, one and two copies, of int8 codes."""
    return np.stack([np.count_nonzero(codes == copies, axis=0) for copies in (0, 1, 2)])


def _nearest_counts(codes: DosageArray) -> IntArray:
    """(3, v) of uint16 codes, each taken to the nearest whole number of copies."""
    known = np.count_nonzero(codes != MISSING_STEPS, axis=0)
    some, two = (np.count_nonzero((codes >= edge) & (codes != MISSING_STEPS), axis=0) for edge in (_HALF, 3 * _HALF))
    return np.stack([known - some, some - two, two])


def _whole_sums(counts: IntArray) -> tuple[IntArray, IntArray]:
    return counts[1] + 2 * counts[2], counts[1] + 4 * counts[2]


def _step_sums(codes: DosageArray) -> tuple[IntArray, IntArray]:
    """(v,) sums of steps and of their squares over known genotypes, of uint16 codes."""
    steps = np.where(codes == MISSING_STEPS, 0, codes).astype(np.int64)
    return steps.sum(axis=0), np.einsum("sv,sv->v", steps, steps)


def _exact_spread(called: IntArray, total: IntArray, squares: IntArray) -> Values:
    """(v,) n squared times the variance. Squares of steps of millions of samples outgrow an int64."""
    largest = int(called.max(initial=0)) * int(squares.max(initial=0))
    if largest < 2**62:
        return (called * squares - total**2).astype(np.float64)
    exact = [
        n * square - one**2 for n, square, one in zip(called.tolist(), squares.tolist(), total.tolist(), strict=True)
    ]
    return np.array(exact, dtype=np.float64)
