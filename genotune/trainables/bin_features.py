"""Features of bins for trees: of each span of a bin, how often each k-mer and how often G or C lies in it.

Where along the flanks G and C lie can be told too, in cells. Of the two cells at one distance from the bin, one to its
left and one to its right, the features are the lower count and the higher, so that both strands have the same.

Counts are kept as counts, one or two bytes each: trees only ask which of two values is the larger, so that shares of a
span would give the same trees.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.store import CodeArray, IntArray, SequenceStore
from genotune.trainables.kmers import Counts, KmerIndex, Span, count_kmers
from genotune.trainables.training_bins import TrainingBins, surroundings

_C: Final = 1
_G: Final = 2
_PART_VALUES: Final = 1 << 21


class FeatureSet(NamedTuple):
    """What is counted.

    Attributes:
        kmers: which are counted.
        spans: of a bin.
        bin_bp: width of a bin.
        n_gc_cells: cells of equal width into which each of the longest flanks is cut, from the bin on.
    """

    kmers: KmerIndex
    spans: tuple[Span, ...]
    bin_bp: int
    n_gc_cells: int = 0

    @property
    def n_features(self) -> int:
        """Features of a bin."""
        return len(self.spans) * (self.kmers.n_features + 1) + 2 * self.n_gc_cells

    @property
    def flank_bp(self) -> int:
        """Bases at each side of a bin that its widest span takes in."""
        return -min(span.first_bp for span in self.spans)

    @property
    def part_bins(self) -> int:
        """Bins whose features and bases are held at once."""
        return max(1, _PART_VALUES // max(self.n_features, self.bin_bp + 2 * self.flank_bp))


def bin_features(codes: CodeArray, starts: IntArray, features: FeatureSet) -> Counts:
    """Of each bin and each of its spans: counts of the k-mers, then of the bases that are G or C; then the cells.

    Args:
        codes: (base,).
        starts: (bin,) first base of each bin; all its spans lie within `codes`.
        features: what is counted.

    Returns:
        (bin, feature), a byte each if all fit; an N is in no k-mer, and neither G nor C.
    """
    counts = count_kmers(codes, starts, spans=features.spans, index=features.kmers)
    n_gc = np.cumsum(np.pad((codes == _C) | (codes == _G), (1, 0)), dtype=np.int32)
    for number, span in enumerate(features.spans):
        # How many k-mers hold an N is no feature; G and C take their place.
        counts[:, number, -1] = n_gc[starts + span.end_bp] - n_gc[starts + span.first_bp]
    smallest = np.min_scalar_type(int(counts.max(initial=0)))
    of_spans = counts.reshape(len(starts), -1).astype(smallest, copy=False)
    if not features.n_gc_cells:
        return of_spans
    cells = _gc_cells(n_gc, starts, features)
    return np.concatenate([of_spans, cells], axis=1, dtype=smallest, casting="unsafe")


def _gc_cells(n_gc: NDArray[np.int32], starts: IntArray, features: FeatureSet) -> NDArray[np.int32]:
    """(bin, 2 * cell) of the two cells at each distance the lower count of G and C, and the higher.

    Args:
        n_gc: (base + 1,) bases before each that are G or C.
        starts: (bin,) first base of each bin.
        features: what is counted.
    """
    cell_bp = features.flank_bp // features.n_gc_cells
    edges = cell_bp * np.arange(features.n_gc_cells + 1)
    left = -np.diff(n_gc[starts[:, None] - edges], axis=1)
    right = np.diff(n_gc[starts[:, None] + features.bin_bp + edges], axis=1)
    return np.concatenate([np.minimum(left, right), np.maximum(left, right)], axis=1)


def feature_parts(store: SequenceStore, bins: TrainingBins, features: FeatureSet) -> Iterator[Counts]:
    """Features of the bins, of each part of `bins.parts(features.part_bins)`."""
    for part in bins.parts(features.part_bins):
        around = surroundings(store, bins, part, bin_bp=features.bin_bp, flank_bp=features.flank_bp)
        yield bin_features(around.codes, around.starts, features)
