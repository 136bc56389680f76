"""Walks through genotypes block by block of variants, so that never all of them lie in memory as floats."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genotune.store import DOSAGE_STEPS, DosageArray, Values, missing_code

BLOCK_CELLS: Final = 1 << 18
"""Genotypes of a block: 2 MB as float64, which a cache holds."""

_LEAST_VARIANTS, _MOST_VARIANTS = 32, 4096


def variant_blocks(n_variants: int, *, n_samples: int, cells: int = BLOCK_CELLS) -> Iterator[slice]:
    """Slices that cover the variants in order, of some `cells` genotypes each."""
    width = min(max(cells // max(n_samples, 1), _LEAST_VARIANTS), _MOST_VARIANTS)
    for first in range(0, n_variants, width):
        yield slice(first, min(first + width, n_variants))


def has_missing(codes: DosageArray) -> NDArray[np.bool_]:
    """(variant,) whether some genotype of (sample, variant) codes is not known."""
    # The missing code is the lowest of int8 and the highest of uint16: one pass without a mask.
    if codes.dtype == np.int8:
        return np.asarray(codes.min(axis=0, initial=0) < 0)
    return np.asarray(codes.max(axis=0, initial=0) == np.iinfo(np.uint16).max)


def copies_or_zero(codes: DosageArray) -> Values:
    """Dosages as copies of the counted allele, exact in float64; 0 where not known.

    Args:
        codes: of any shape; a block, since it gets a float64 for each.
    """
    counted = codes.astype(np.float64)
    if codes.dtype == np.uint16:
        counted /= DOSAGE_STEPS
    counted[codes == missing_code(codes)] = 0
    return counted
