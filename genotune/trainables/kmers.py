"""k-mer counts of bins and their surroundings, both strands counted together. numpy only.

A k-mer and its reverse complement are one feature. Counted are the k-mers that lie wholly within a span, so that a span
and its reverse complement have the same counts.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from genotune.store import N_CODE, CodeArray, IntArray


class KmerIndex(NamedTuple):
    """Which feature each k-mer is.

    Attributes:
        k: length.
        feature: (4 ** k,) feature of the k-mer with this code, its bases read as digits of base 4.
        n_features: number of canonical k-mers.
    """

    k: int
    feature: IntArray
    n_features: int


def canonical_kmers(k: int) -> KmerIndex:
    """Features of the k-mers of this length, in the order of the smaller code of the two strands."""
    codes = np.arange(4**k)
    reverse, rest = np.zeros_like(codes), codes
    for _ in range(k):
        reverse = reverse * 4 + (3 - rest % 4)
        rest = rest // 4
    canonical, feature = np.unique(np.minimum(codes, reverse), return_inverse=True)
    return KmerIndex(k, feature.astype(np.int64), len(canonical))


def kmer_features(codes: CodeArray, index: KmerIndex) -> IntArray:
    """Feature of the k-mer that starts at each base; `index.n_features` if it holds an N.

    Args:
        codes: (..., base).
        index: of the k-mers.

    Returns:
        (..., base - k + 1).
    """
    n_starts = codes.shape[-1] - index.k + 1
    kmers = np.zeros((*codes.shape[:-1], n_starts), dtype=np.int64)
    unknown = np.zeros(kmers.shape, dtype=np.bool_)
    for offset in range(index.k):
        base = codes[..., offset : offset + n_starts]
        kmers = kmers * 4 + (base & 3)
        unknown |= base == N_CODE
    return np.where(unknown, index.n_features, index.feature[kmers])


def count_kmers(features: IntArray, starts: IntArray, *, span_bp: int, index: KmerIndex) -> NDArray[np.float64]:
    """How often each k-mer lies in each span; those with an N are not counted.

    Args:
        features: (base,) from `kmer_features`.
        starts: (span,) first base of each span.
        span_bp: length of a span, at least k.
        index: of the k-mers.

    Returns:
        (span, feature).
    """
    columns = index.n_features + 1
    within = sliding_window_view(features, span_bp - index.k + 1)[starts]
    cells = within + columns * np.arange(len(starts))[:, None]
    counts = np.bincount(cells.ravel(), minlength=columns * len(starts)).reshape(len(starts), columns)
    return counts[:, : index.n_features].astype(np.float64)
