"""What a source makes and a trainable reads: a few contiguous arrays, shared by all trials of a node.

Axes: t track, c contig. All arrays are read-only in a trial: they lie in shared memory.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

CodeArray = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

N_CODE = 4
"""The code of an unknown base."""


class Windows(NamedTuple):
    """What a model sees at once: codes (example, base) and signal (example, track, bin) at the store's resolution."""

    codes: CodeArray
    signal: FloatArray


class Splits(NamedTuple):
    """Indices of the contigs (or samples) that a trial may see. The test split is not among them."""

    train: IntArray
    validation: IntArray


@dataclass(frozen=True)
class SequenceStore:
    """The genome and its tracks, contigs end to end.

    Each contig is padded with N to a whole number of bins, so bin i of the store covers the bases
    [i * resolution_bp, (i + 1) * resolution_bp) of `sequence`.

    Attributes:
        sequence: (base,) uint8, A C G T N as 0 1 2 3 4.
        signal: (track, bin) float32, mean signal per base; NaN where the track holds no value
            (under `missing: nan`) or the bin is excluded. The last bin of a contig is the mean of the bases it has.
        offsets: (contig + 1,) int64, first bin of each contig, and the number of bins.
        lengths: (contig,) int64, length of each contig in bp, without padding.
        contigs: names, in the order of the reference.
        tracks: names, in the order of the spec.
        resolution_bp: width of a bin.
    """

    sequence: CodeArray
    signal: FloatArray
    offsets: IntArray
    lengths: IntArray
    contigs: tuple[str, ...]
    tracks: tuple[str, ...]
    resolution_bp: int

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.sequence.nbytes + self.signal.nbytes + self.offsets.nbytes + self.lengths.nbytes

    def n_bins(self, contig: int) -> int:
        """Number of bins of a contig."""
        return int(self.offsets[contig + 1] - self.offsets[contig])

    def contig_sequence(self, contig: int) -> CodeArray:
        """(base,) codes of one contig, padded with N to whole bins; a view."""
        first, last = self.offsets[contig], self.offsets[contig + 1]
        return self.sequence[first * self.resolution_bp : last * self.resolution_bp]

    def contig_signal(self, contig: int) -> FloatArray:
        """(track, bin) signal of one contig; a view."""
        return self.signal[:, self.offsets[contig] : self.offsets[contig + 1]]

    def tile_starts(self, contigs: IntArray, *, length_bp: int, stride_bp: int) -> IntArray:
        """First bins (in the store) of windows laid every `stride_bp` over the contigs.

        Windows lie within their contig; a contig shorter than a window has none.

        Args:
            contigs: (c,) indices.
            length_bp: window length, a whole number of bins.
            stride_bp: distance between starts, a whole number of bins.

        Returns:
            (example,) int64, in order.
        """
        length, stride = length_bp // self.resolution_bp, stride_bp // self.resolution_bp
        starts = [np.arange(self.offsets[c], self.offsets[c + 1] - length + 1, stride, dtype=np.int64) for c in contigs]
        return np.concatenate(starts) if starts else np.empty(0, dtype=np.int64)

    def gather(self, starts: IntArray, *, length_bp: int) -> Windows:
        """Codes and signal of the windows that begin at the given bins.

        Args:
            starts: (example,) first bins, in the store.
            length_bp: window length, a whole number of bins.

        Returns:
            codes (example, base) and signal (example, track, bin), copies.
        """
        length = length_bp // self.resolution_bp
        codes = sliding_window_view(self.sequence, length_bp)[starts * self.resolution_bp]
        signal = sliding_window_view(self.signal, length, axis=1)[:, starts]
        return Windows(codes, np.ascontiguousarray(signal.transpose(1, 0, 2)))
