"""Linkage disequilibrium of variants on given samples: squared correlation, pruning and clumping. numpy only.

Missing genotypes are left out pair by pair, as PLINK does it: a correlation is that of the samples that have both.
Axes: s sample, v variant.
"""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.genome.genotype_moments import genotype_moments
from genotune.store import NO_POSITION, DosageArray, IntArray, Values, Variants, missing_code

_EXACT_IN_SINGLE: Final = 1 << 22
"""Up to this many samples sums of products of whole dosages, at most four each, are exact in float32."""

_FREQUENCY_DIGITS: Final = 12

_BAND_CELLS: Final = 1 << 25
_LEAST_BAND, _MOST_BAND = 32, 512


class Window(NamedTuple):
    """How far variants of one contig may lie apart to be compared.

    Attributes:
        size: the largest distance in bp; or how many variants in a row, of those that have a position.
        unit: of the size.
    """

    size: int
    unit: Literal["bp", "variants"] = "bp"


class Clumps(NamedTuple):
    """Variants, each with the more strongly associated one that stands for it.

    Attributes:
        leaders: variants that stand for themselves, the strongest first.
        belongs_to: (v,) the leader of each, itself for those; -1 for a variant without p-value, or above the
            limit and in no clump.
    """

    leaders: IntArray
    belongs_to: IntArray


class _Line(NamedTuple):
    """Variants in order of contig and position; those without a position are not among them.

    Attributes:
        variants: (place,) indices.
        first: (place,) the first place that lies within the window that ends here.
    """

    variants: IntArray
    first: IntArray


class _Columns(NamedTuple):
    """Dosages of some variants, ready for products.

    Attributes:
        counted: (s, v) copies, or steps of copies; 0 where not known.
        known: (s, v) 1 or 0; None: all are known.
    """

    counted: NDArray[np.float32] | Values
    known: NDArray[np.float32] | Values | None


class _Band(NamedTuple):
    """Squared correlations of variants that lie near each other.

    Attributes:
        new: (a,) places in line.
        near: (b,) places of these and of the ones before them.
        r2: (a, b); NaN where one doesn't vary.
    """

    new: IntArray
    near: IntArray
    r2: Values


def r_squared(dosage: DosageArray, samples: IntArray, *, rows: IntArray, columns: IntArray) -> Values:
    """(row, column) squared correlation of dosages of two sets of variants; NaN where one doesn't vary.

    Args:
        dosage: (sample, variant).
        samples: indices to be used; no other is looked at.
        rows: indices of variants.
        columns: indices of variants. All are held as floats at once.
    """
    return _r_squared(_columns(dosage, samples, rows), _columns(dosage, samples, columns))


def prune(
    dosage: DosageArray,
    samples: IntArray,
    *,
    variants: Variants,
    window: Window,
    max_r2: float,
    priority: Values | None = None,
) -> IntArray:
    """Indices of variants of which no two within a window correlate above `max_r2`, in rising order.

    Variants come along the contig one by one; one that correlates with an earlier one that is left takes its place or
    goes itself, whichever has the lower priority; of equal ones the later goes. So does PLINK 2's --indep-pairwise
    with a step of 1 and the minor allele frequency: the same variants by a window of variants; by one in kb all but
    some in a thousand, where PLINK takes pairs in another order. A variant without a position has a window of its
    own: it stays, as does one that doesn't vary.

    Args:
        dosage: (sample, variant).
        samples: indices to be used; no other is looked at.
        variants: (variant,) where they lie; in any order.
        window: that is compared.
        max_r2: highest squared correlation that is let be.
        priority: (variant,) the higher one stays; None: the minor allele frequency on the samples.
    """
    if priority is None:
        # Rounded, for 0.3 and 1 - 0.7 are one frequency.
        frequency = np.nan_to_num(genotype_moments(dosage, samples).minor_frequency)
        priority = np.asarray(np.round(frequency, _FREQUENCY_DIGITS), dtype=np.float64)
    line = _line(variants, window)
    ranks = priority[line.variants]
    stays = np.ones(len(line.variants), dtype=np.bool_)
    for band in _bands(dosage, samples, line, stays=stays):
        exceeds = band.r2 > max_r2
        for row, place in enumerate(band.new.tolist()):
            earlier = band.near[exceeds[row]]
            for other in earlier[(earlier >= line.first[place]) & (earlier < place)].tolist():
                if stays[other] and ranks[other] < ranks[place]:
                    stays[other] = False
                elif stays[other]:
                    stays[place] = False
                    break
    kept = np.ones(dosage.shape[1], dtype=np.bool_)
    kept[line.variants[~stays]] = False
    return np.flatnonzero(kept)


def clump(
    dosage: DosageArray,
    samples: IntArray,
    *,
    variants: Variants,
    log10_p: Values,
    window_bp: int,
    min_r2: float,
    max_log10_p: float = 0.0,
) -> Clumps:
    """Variants by p-value, each with those around it that it stands for.

    The strongest variant that is in no clump yet becomes a leader; it takes all variants into its clump that are in
    none, lie within the window and correlate at least by `min_r2`. A variant without a position is a clump of its own.
    Of equal p-values the earlier column comes first.

    Source: Purcell et al. 2007 (PLINK), --clump.

    Args:
        dosage: (sample, variant).
        samples: indices to be used; no other is looked at.
        variants: (variant,) where they lie; in any order.
        log10_p: (variant,); NaN: takes part in nothing.
        window_bp: largest distance of a variant to its leader.
        min_r2: least squared correlation with its leader.
        max_log10_p: highest of a leader; those above are still taken into clumps.
    """
    line = _line(variants, Window(window_bp))
    neighbours = _neighbours(dosage, samples, line, min_r2=min_r2)
    belongs_to = np.full(len(log10_p), -1, dtype=np.int64)
    can_lead = log10_p <= max_log10_p
    leads = np.zeros(len(log10_p), dtype=np.bool_)
    order = np.argsort(log10_p, kind="stable")
    order = order[can_lead[order]]
    for variant in order.tolist():
        if belongs_to[variant] >= 0:
            continue
        leads[variant], belongs_to[variant] = True, variant
        near = neighbours.of(variant)
        belongs_to[near[(belongs_to[near] < 0) & ~np.isnan(log10_p[near])]] = variant
    return Clumps(order[leads[order]], belongs_to)


class _Neighbours(NamedTuple):
    """Pairs of variants in linkage disequilibrium, each in both directions.

    Attributes:
        ends: (variant + 1,) where the neighbours of each begin, and end.
        variants: (pair,) indices.
    """

    ends: IntArray
    variants: IntArray

    def of(self, variant: int) -> IntArray:
        return self.variants[self.ends[variant] : self.ends[variant + 1]]


def _neighbours(dosage: DosageArray, samples: IntArray, line: _Line, *, min_r2: float) -> _Neighbours:
    ones, others = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for band in _bands(dosage, samples, line, stays=np.ones(len(line.variants), dtype=np.bool_)):
        is_pair = (band.r2 >= min_r2) & (band.near >= line.first[band.new][:, None]) & (band.near < band.new[:, None])
        rows, columns = np.nonzero(is_pair)
        one, other = line.variants[band.new[rows]], line.variants[band.near[columns]]
        ones += [one, other]
        others += [other, one]
    one, other = np.concatenate(ones), np.concatenate(others)
    order = np.argsort(one, kind="stable")
    return _Neighbours(np.searchsorted(one[order], np.arange(dosage.shape[1] + 1)), other[order])


def _line(variants: Variants, window: Window) -> _Line:
    placed = np.flatnonzero(variants.starts != NO_POSITION)
    _, contigs = np.unique(variants.contigs[placed], return_inverse=True)
    order = np.lexsort((variants.starts[placed], contigs))
    contigs, starts = contigs[order], variants.starts[placed][order]
    if window.unit == "variants":
        reach = np.arange(len(order)) - window.size + 1
    else:
        # Contigs lie so far apart on one axis that no window spans two.
        axis = contigs * (2 * int(starts.max(initial=0)) + window.size + 1) + starts
        reach = np.searchsorted(axis, axis - window.size)
    return _Line(placed[order], np.maximum(reach, np.searchsorted(contigs, contigs)))


def _bands(dosage: DosageArray, samples: IntArray, line: _Line, *, stays: NDArray[np.bool_]) -> Iterator[_Band]:
    """Along the line, with squared correlations with all before that still stay."""
    width = min(max(_BAND_CELLS // max(len(samples), 1), _LEAST_BAND), _MOST_BAND)
    for start in range(0, len(line.variants), width):
        new = np.arange(start, min(start + width, len(line.variants)))
        before = np.arange(line.first[start], start)
        near = np.concatenate([before[stays[before]], new])
        columns = _columns(dosage, samples, line.variants[new])
        parts = [
            _r_squared(columns, _columns(dosage, samples, line.variants[near[at : at + width]]))
            for at in range(0, len(near), width)
        ]
        yield _Band(new, near, np.concatenate(parts, axis=1))


def _columns(dosage: DosageArray, samples: IntArray, chosen: IntArray) -> _Columns:
    codes: DosageArray = dosage[np.ix_(samples, chosen)]
    is_single = codes.dtype == np.int8 and len(samples) < _EXACT_IN_SINGLE
    is_missing = codes == missing_code(codes)
    counted: NDArray[np.float32] | Values
    known: NDArray[np.float32] | Values
    if is_single:
        counted, known = codes.astype(np.float32), (~is_missing).astype(np.float32)
    else:
        counted, known = codes.astype(np.float64), (~is_missing).astype(np.float64)
    counted[is_missing] = 0
    return _Columns(counted, known if is_missing.any() else None)


def _r_squared(one: _Columns, other: _Columns) -> Values:
    """(v, v) of both; every sum is one of whole numbers, and exact."""
    products = (one.counted.T @ other.counted).astype(np.float64)
    if one.known is None and other.known is None:
        n: Values | float = float(len(one.counted))
        totals = [part.counted.sum(axis=0, dtype=np.float64) for part in (one, other)]
        squares = [np.einsum("sv,sv->v", part.counted, part.counted, dtype=np.float64) for part in (one, other)]
        first, second = totals[0][:, None], totals[1][None, :]
        first_squares, second_squares = squares[0][:, None], squares[1][None, :]
    else:
        known = [np.ones_like(part.counted) if part.known is None else part.known for part in (one, other)]
        n = (known[0].T @ known[1]).astype(np.float64)
        first, second = (one.counted.T @ known[1]).astype(np.float64), (known[0].T @ other.counted).astype(np.float64)
        first_squares = (np.square(one.counted).T @ known[1]).astype(np.float64)
        second_squares = (known[0].T @ np.square(other.counted)).astype(np.float64)
    spread = (n * first_squares - first**2) * (n * second_squares - second**2)
    shared = n * products - first * second
    return np.asarray(np.divide(shared**2, spread, out=np.full(products.shape, np.nan), where=spread > 0))
