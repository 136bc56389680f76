"""Variants standardised by training moments, block by block: never all of them lie in memory as floats."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from genotune.store import DosageArray, FloatArray, IntArray, Values, copies

_BLOCK_BYTES: Final = 1 << 26


class Moments(NamedTuple):
    """Of variants among the training samples.

    Attributes:
        means: (variant,) copies of called genotypes; a missing one counts as the mean.
        scales: (variant,) one over the standard deviation; 0 where a variant is constant.
    """

    means: FloatArray
    scales: FloatArray

    def of(self, index: IntArray) -> "Moments":
        """Those of some of the variants."""
        return Moments(self.means[index], self.scales[index])


class StandardisedVariants(NamedTuple):
    """The variants of the training samples as they would look standardised: mean zero, variance one, 0 where missing.

    Attributes:
        dosage: (sample, variant), of all samples.
        samples: (n,) indices to learn from.
        moments: of these samples.
    """

    dosage: DosageArray
    samples: IntArray
    moments: Moments

    def columns(self, index: IntArray) -> Values:
        """(n, variant) of some variants, column after column in memory."""
        parts = np.empty((len(self.samples), len(index)), order="F")
        step = max(1, _BLOCK_BYTES // (8 * max(1, len(self.samples))))
        for first in range(0, len(index), step):
            chosen = index[first : first + step]
            codes = self.dosage[self.samples[:, None], chosen]
            parts[:, first : first + step] = standardise(codes, self.moments.of(chosen))
        return parts

    def products(self, residuals: Values) -> Values:
        """(variant, r) inner products of all variants with residuals (n, r)."""
        found = np.empty((self.dosage.shape[1], residuals.shape[1]))
        in_single = residuals.astype(np.float32)
        for part, codes in _blocks(self.dosage, self.samples):
            moments = Moments(self.moments.means[part], self.moments.scales[part])
            found[part] = standardise(codes, moments).T @ in_single
        return found


class JoinedColumns(NamedTuple):
    """Variants of the training samples, and after them columns of further tables, all standardised.

    Attributes:
        variants: the first ones.
        others: (n, column) the others.
    """

    variants: StandardisedVariants
    others: Values

    def columns(self, index: IntArray) -> Values:
        """(n, column) of some of them, rising, column after column in memory."""
        m = self.variants.dosage.shape[1]
        among = index < m
        found = self.variants.columns(index[among])
        if among.all():
            return found
        return np.asfortranarray(np.concatenate([found, self.others[:, index[~among] - m]], axis=1))

    def products(self, residuals: Values) -> Values:
        """(variant + column, r) inner products of all of them with residuals (n, r)."""
        return np.concatenate([self.variants.products(residuals), self.others.T @ residuals])


Columns = StandardisedVariants | JoinedColumns


def standardise(codes: DosageArray, moments: Moments) -> FloatArray:
    """(sample, variant) copies less their mean, over their standard deviation; 0 where missing."""
    values = (copies(codes) - moments.means) * moments.scales
    values[np.isnan(values)] = 0
    return values


def training_moments(dosage: DosageArray, samples: IntArray) -> Moments:
    """Mean and scale of each variant among the samples.

    Args:
        dosage: (sample, variant), of all samples.
        samples: (n,) indices to learn from.
    """
    means, scales = (np.zeros(dosage.shape[1], dtype=np.float32) for _ in range(2))
    for part, codes in _blocks(dosage, samples):
        values = copies(codes)
        called = ~np.isnan(values)
        mean = np.sum(values, axis=0, where=called, dtype=np.float64) / np.maximum(called.sum(axis=0), 1)
        deviations = np.where(called, values - mean, 0)
        deviation = np.sqrt(np.mean(deviations**2, axis=0))
        means[part] = mean
        np.divide(1, deviation, out=scales[part], where=deviation > 0, casting="same_kind")
    return Moments(means, scales)


def _blocks(dosage: DosageArray, samples: IntArray) -> Iterator[tuple[slice, DosageArray]]:
    """Slices of variants with the samples' codes there."""
    step = max(1, _BLOCK_BYTES // (8 * max(1, len(samples))))
    for first in range(0, dosage.shape[1], step):
        part = slice(first, first + step)
        yield part, dosage[:, part][samples]
