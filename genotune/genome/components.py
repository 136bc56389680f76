"""Principal components of genotypes, fitted on some samples and projected onto any. numpy only.

Axes: s sample, v variant, k component.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from genotune.errors import DataError
from genotune.genome.genotype_blocks import copies_or_zero, has_missing, variant_blocks
from genotune.genome.genotype_moments import genotype_moments
from genotune.store import DosageArray, IntArray, Values, missing_code

MOST_EXACT: Final = 5000
"""Up to this many samples the relationship of all pairs is decomposed: 200 MB. PLINK advises --pca approx above."""

_GRAM_CELLS: Final = 1 << 21
_OVERSAMPLED: Final = 2
_POWERS: Final = 10
"""Random directions for each component, and how often they are multiplied.

Source: Galinsky et al. 2016 (FastPCA), twice as many directions as components, ten times."""

_NO_VALUE: Final = 1e-9
"""An eigenvalue that is this small beside the largest is zero but for rounding."""


class Components(NamedTuple):
    """Principal components of the samples that they were fitted on, as directions in their genotypes.

    Attributes:
        loadings: (v, k) orthonormal; the largest of each component in size is positive.
        means: (v,) copies of the counted allele.
        scales: (v,) that dosages less the means are multiplied by; 0 for a variant that doesn't vary.
        values: (k,) eigenvalues of the relationship matrix, falling: sums of squares of the components.
    """

    loadings: Values
    means: Values
    scales: Values
    values: Values


def fit_components(
    dosage: DosageArray, samples: IntArray, *, n_components: int, generator: np.random.Generator
) -> Components:
    """The leading components; fewer where the genotypes have fewer dimensions.

    Dosages are centred and divided by sqrt(2 p (1 - p)), p being the allele's frequency on the samples; a missing one
    counts as the mean. Up to `MOST_EXACT` samples they come from an eigendecomposition of the samples' relationship,
    for more from random directions, which the generator draws.

    Source: Patterson et al. 2006, equations 1 to 3, with the frequency itself as PLINK has it; Halko et al. 2011 (An
    algorithm for the principal component analysis of large data sets), the block Lanczos method.

    Args:
        dosage: (sample, variant); best of variants that are not in linkage disequilibrium.
        samples: (s,) indices to be used; no other is looked at.
        n_components: at most this many.
        generator: is used for many samples only.

    Raises:
        DataError: no variant varies among the samples.
    """
    moments = genotype_moments(dosage, samples)
    frequency = moments.frequency
    varies = moments.varies & (frequency > 0) & (frequency < 1)
    if not varies.any():
        raise DataError(
            f"none of the {dosage.shape[1]} variants varies among the {len(samples)} training samples; they have no "
            "principal components. Keep more variants, or ask for no components."
        )
    scales = np.zeros(len(varies))
    scales[varies] = (2 * frequency[varies] * (1 - frequency[varies])) ** -0.5
    means = np.nan_to_num(moments.mean)
    standard = _Standard(dosage, samples, means, scales)
    is_exact = len(samples) <= MOST_EXACT
    values, vectors = _exact(standard) if is_exact else _random(standard, n_components, generator)
    chosen = np.argsort(-values, kind="stable")[:n_components]
    chosen = chosen[values[chosen] > _NO_VALUE * values.max()]
    values, vectors = values[chosen], vectors[:, chosen]
    loadings = np.concatenate([block.T @ vectors for _, block in standard.blocks()]) / np.sqrt(values)
    sign = np.sign(loadings[np.argmax(np.abs(loadings), axis=0), np.arange(len(values))])
    return Components(loadings * sign, means, scales, values / np.count_nonzero(varies))


def project(components: Components, dosage: DosageArray, samples: IntArray) -> Values:
    """(s, k) components of samples, those they were fitted on or others.

    Of the samples they were fitted on they are the components themselves: the eigenvectors times the roots of the
    eigenvalues. Those of others lie nearer to zero than they should where variants are many more than the samples of
    the fit (Lee et al. 2010, shrinkage): compare samples of a test split with each other, not with those of the
    training split, where that matters.

    Missing genotypes are left out, and each component is divided by the share of its squared loadings that is left:
    what is expected with all of them. A sample without any known genotype lies at zero, as the mean does.

    Args:
        components: of a fit.
        dosage: (sample, variant) of the same variants, the same alleles being counted.
        samples: (s,) indices.
    """
    scores = np.zeros((len(samples), len(components.values)))
    share = np.ones_like(scores)
    for part, block in _Standard(dosage, samples, components.means, components.scales).blocks():
        loadings = components.loadings[part]
        scores += block @ loadings
        codes = dosage[:, part][samples]
        if has_missing(codes).any():
            share -= (codes == missing_code(codes)).astype(np.float64) @ loadings**2
    known = np.divide(scores, share, out=np.zeros_like(scores), where=share > _NO_VALUE)
    return np.asarray(known / np.sqrt(np.count_nonzero(components.scales)))


class _Standard(NamedTuple):
    """Standardised genotypes of samples, made block by block.

    Attributes:
        dosage: (sample, variant).
        samples: (s,) indices.
        means: (v,).
        scales: (v,).
    """

    dosage: DosageArray
    samples: IntArray
    means: Values
    scales: Values

    def blocks(self) -> Iterator[tuple[slice, Values]]:
        """Which variants, and (s, v) float64: 0 where missing."""
        for part in variant_blocks(self.dosage.shape[1], n_samples=len(self.samples), cells=_GRAM_CELLS):
            codes = self.dosage[:, part][self.samples]
            block = (copies_or_zero(codes) - self.means[part]) * self.scales[part]
            if has_missing(codes).any():
                block[codes == missing_code(codes)] = 0
            yield part, block

    def times(self, directions: Values) -> Values:
        """(s, d) Z Z' directions, of (s, d), in one pass."""
        found = np.zeros_like(directions)
        for _, block in self.blocks():
            found += block @ (block.T @ directions)
        return found


def _exact(standard: _Standard) -> tuple[Values, Values]:
    """Eigenvalues and eigenvectors (s, s) of Z Z'."""
    n = len(standard.samples)
    product = np.zeros((n, n))
    for _, block in standard.blocks():
        product += block @ block.T
    values, vectors = np.linalg.eigh(product)
    return values, vectors


def _random(standard: _Standard, n_components: int, generator: np.random.Generator) -> tuple[Values, Values]:
    """The largest eigenvalues of Z Z', and their vectors (s, d)."""
    n = len(standard.samples)
    width = min(_OVERSAMPLED * n_components, n)
    directions, seen = generator.standard_normal((n, width)), []
    for _ in range(_POWERS):
        directions = np.linalg.qr(standard.times(directions)).Q
        seen.append(directions)
    basis, lengths, _ = np.linalg.svd(np.concatenate(seen, axis=1), full_matrices=False)
    basis = basis[:, lengths > _NO_VALUE * lengths.max()]
    values, turn = np.linalg.eigh(basis.T @ standard.times(basis))
    return values, basis @ turn
