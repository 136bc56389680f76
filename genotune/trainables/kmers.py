"""k-mer counts of spans of bases, both strands counted together, with a gap in the middle or without. numpy only.

A k-mer and its reverse complement are one feature. Counted are the k-mers that lie wholly within a span, so that a span
and its reverse complement have the same counts.

Source of the gap: Ghandi et al. 2014 (gkm-SVM), who let any of a longer word's bases be free; here the free bases are
one run in the middle, as between the half sites of a dimer.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from genotune.store import N_CODE, CodeArray, IntArray

Counts = NDArray[np.unsignedinteger[Any]]
"""How often something lies in a span, of the smallest type that holds it."""

_CELLS: Final = 1 << 18


class Reading(NamedTuple):
    """One way in which the bases of a k-mer may lie.

    Attributes:
        gap_bp: free bases in its middle.
        n_before: bases before the gap.
        feature: (4 ** k,) int32, feature of the k-mer with this code, its bases read as digits of base 4.
    """

    gap_bp: int
    n_before: int
    feature: NDArray[np.int32]


class KmerIndex(NamedTuple):
    """Which feature each k-mer is.

    Attributes:
        k: length, without the gap.
        readings: in the order of their features.
        n_features: number of canonical k-mers, of all gaps together.
    """

    k: int
    readings: tuple[Reading, ...]
    n_features: int


class Span(NamedTuple):
    """Bases whose k-mers are counted: first and past the last, from the start of a bin."""

    first_bp: int
    end_bp: int


def nested_spans(bin_bp: int, *, flanks_bp: Sequence[int]) -> tuple[Span, ...]:
    """The bin with each of these flanks on both sides; 0: the bin itself."""
    return tuple(Span(-flank_bp, bin_bp + flank_bp) for flank_bp in flanks_bp)


def canonical_kmers(k: int, *, gap_bp: int = 0) -> KmerIndex:
    """Features of the k-mers of this length, for each gap in the order of the smaller code of the two strands.

    If k is odd, a gap leaves one half longer than the other: the longer half before it on one strand is the longer half
    behind it on the other. Both are read, as the same feature, and no k-mer is its own reverse complement.

    Args:
        k: length, without the gap.
        gap_bp: longest gap; all from none on are counted, each as features of its own.
    """
    codes = np.arange(4**k)
    reverse, rest = np.zeros_like(codes), codes
    for _ in range(k):
        reverse = reverse * 4 + (3 - rest % 4)
        rest = rest // 4
    smaller, feature = np.unique(np.minimum(codes, reverse), return_inverse=True)
    readings, n_features = [Reading(0, k, feature.astype(np.int32))], len(smaller)
    for gap in range(1, gap_bp + 1):
        halves = {k // 2: feature} if k % 2 == 0 else {k // 2 + 1: codes, k // 2: reverse}
        readings += [Reading(gap, half, (n_features + of_half).astype(np.int32)) for half, of_half in halves.items()]
        n_features += len(smaller) if k % 2 == 0 else len(codes)
    return KmerIndex(k, tuple(readings), n_features)


def kmer_features(codes: CodeArray, index: KmerIndex, *, reading: int = 0) -> NDArray[np.int32]:
    """Feature of the k-mer that starts at each base; `index.n_features` if it holds an N outside the gap.

    Args:
        codes: (..., base).
        index: of the k-mers.
        reading: which of the index; 0: without a gap.

    Returns:
        (..., base - k - gap + 1).
    """
    gap_bp, n_before, feature = index.readings[reading]
    n_starts = codes.shape[-1] - index.k - gap_bp + 1
    kmers = np.zeros((*codes.shape[:-1], n_starts), dtype=np.int32)
    unknown = np.zeros(kmers.shape, dtype=np.bool_)
    is_unknown, digits = codes == N_CODE, codes & 3
    for place in range(index.k):
        offset = place if place < n_before else place + gap_bp
        kmers *= 4
        kmers += digits[..., offset : offset + n_starts]
        unknown |= is_unknown[..., offset : offset + n_starts]
    found = feature[kmers]
    found[unknown] = index.n_features
    return found


def count_kmers(codes: CodeArray, starts: IntArray, *, spans: Sequence[Span], index: KmerIndex) -> Counts:
    """How often each k-mer lies in each span of each bin, and how often one with an N outside the gap.

    Args:
        codes: (base,).
        starts: (bin,) first base of each bin; all its spans lie within `codes`.
        spans: of a bin, each at least as long as a k-mer with the longest gap.
        index: of the k-mers.

    Returns:
        (bin, span, feature + 1), the k-mers with an N last.
    """
    read = [kmer_features(codes, index, reading=number) for number in range(len(index.readings))]
    columns = index.n_features + 1
    most = 2 * max(span.end_bp - span.first_bp for span in spans)  # a k-mer may be found in two readings
    counts = np.empty((len(starts), len(spans), columns), dtype=np.min_scalar_type(most))
    for number, (first_bp, end_bp) in enumerate(spans):
        within = [
            sliding_window_view(features, end_bp - first_bp - index.k - reading.gap_bp + 1)
            for features, reading in zip(read, index.readings, strict=True)
        ]
        _count_rows(within, starts + first_bp, columns=columns, into=counts[:, number])
    return counts


def _count_rows(within: Sequence[NDArray[np.int32]], starts: IntArray, *, columns: int, into: Counts) -> None:
    """Of each start, count how often each number stands in the windows that begin there.

    Args:
        within: (base, place) windows of numbers below `columns`, of any widths.
        starts: (row,) where the windows begin.
        columns: of the counts.
        into: (row, column), filled.
    """
    width = sum(windows.shape[1] for windows in within)
    # So few at a time that what is added up stays in the processor's cache.
    step = max(1, _CELLS // max(columns, width))
    cells = np.empty((min(step, len(starts)), width), dtype=np.int64)
    before = columns * np.arange(len(cells))[:, None]
    for first in range(0, len(starts), step):
        at = starts[first : first + step]
        place = 0
        for windows in within:
            cells[: len(at), place : place + windows.shape[1]] = windows[at]
            place += windows.shape[1]
        cells[: len(at)] += before[: len(at)]
        found = np.bincount(cells[: len(at)].ravel(), minlength=columns * len(at))
        into[first : first + len(at)] = found.reshape(-1, columns)
