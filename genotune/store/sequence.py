"""A genome with its tracks."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.columns import SEQUENCE, SIGNAL, TargetKind
from genotune.settings import Settings
from genotune.store.arrays import CodeArray, FloatArray, IntArray

N_CODE: Final = 4
"""The code of an unknown base."""

LABEL_SHARE: Final = 0.5
"""Share of a bin's bases in a peak from which it is positive. Source: Zhou and Troyanskaya 2015, Online Methods."""


class Windows(NamedTuple):
    """What a model sees at once: codes (example, base) and signal (example, track, bin) at the store's resolution."""

    codes: CodeArray
    signal: FloatArray


class Peaks(NamedTuple):
    """Intervals where a signal is high, by contig and start.

    Attributes:
        contigs: (peak,) int64, index in the store.
        starts: (peak,) int64, first base on the contig.
        ends: (peak,) int64, past the last base.
        summits: (peak,) int64, base of the highest signal; the middle where a file names none.
    """

    contigs: IntArray
    starts: IntArray
    ends: IntArray
    summits: IntArray


class SequenceOutline(NamedTuple):
    """What is known of a store of tracks before anything is decoded, as far as one split goes.

    Attributes:
        tracks: names.
        contig_lengths: in bp, of the split's contigs.
        kind: of what the tracks hold; see `SequenceStore.kind`.
        n_peaks: of each set of peaks, how many lie on the split's contigs.
    """

    resolution_bp: int
    tracks: tuple[str, ...]
    contig_lengths: tuple[int, ...]
    kind: TargetKind = "signal"
    n_peaks: Mapping[str, int] = {}


@dataclass(frozen=True, eq=False)
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
        kind: 'signal'; 'binary': `signal` holds the share of a bin's bases that lie in a peak of each set, and a bin is
            positive from `LABEL_SHARE` on; 'multiclass': the same, a bin's class being the set with the largest share,
            or none of them.
        strand_pairs: indices of two tracks that are the two strands of one signal.
        transforms: of each track, how a model sees it unless its family says otherwise; none of any if empty.
        peaks: sets of peaks, by name.
    """

    columns: ClassVar[frozenset[str]] = frozenset({SEQUENCE, SIGNAL})

    sequence: CodeArray
    signal: FloatArray
    offsets: IntArray
    lengths: IntArray
    contigs: tuple[str, ...]
    tracks: tuple[str, ...]
    resolution_bp: int
    kind: TargetKind = "signal"
    strand_pairs: tuple[tuple[int, int], ...] = ()
    transforms: tuple[tuple[Settings, ...], ...] = ()
    peaks: Mapping[str, Peaks] = field(default_factory=dict)

    @property
    def other_strand(self) -> IntArray:
        """(track,) index of the track that a track becomes on the other strand: itself unless it is one of a pair."""
        others = np.arange(len(self.tracks))
        for plus, minus in self.strand_pairs:
            others[[plus, minus]] = minus, plus
        return others

    def with_tracks(self, chosen: IntArray) -> "SequenceStore":
        """The same genome with some of the tracks; nothing is copied if they lie next to each other.

        Args:
            chosen: (track,) indices, rising; both strands of a pair or neither.
        """
        place = {int(track): index for index, track in enumerate(chosen)}
        is_run = len(chosen) > 0 and int(chosen[-1]) - int(chosen[0]) == len(chosen) - 1
        rows = slice(int(chosen[0]), int(chosen[-1]) + 1) if is_run else chosen
        return replace(
            self,
            signal=self.signal[rows],
            tracks=tuple(self.tracks[track] for track in chosen),
            strand_pairs=tuple((place[a], place[b]) for a, b in self.strand_pairs if a in place),
            transforms=tuple(self.transforms[track] for track in chosen) if self.transforms else (),
        )

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
        """First bases (in the store's sequence) of windows laid every `stride_bp` over the contigs.

        Windows begin at whole bins and lie within their contig, without its padding; a contig shorter than a window has
        none.

        Args:
            contigs: (c,) indices.
            length_bp: window length.
            stride_bp: distance between starts, a whole number of bins.

        Returns:
            (example,) int64, in order of the contigs.
        """
        firsts = self.offsets[contigs] * self.resolution_bp
        ends = firsts + self.lengths[contigs] - length_bp + 1
        starts = [np.arange(first, end, stride_bp, dtype=np.int64) for first, end in zip(firsts, ends, strict=True)]
        return np.concatenate(starts) if starts else np.empty(0, dtype=np.int64)

    def gather(self, starts: IntArray, *, length_bp: int) -> Windows:
        """Codes and signal of the windows that begin at the given bases.

        The codes are those of the window, to the base. The signal is that of the stored bins from the one whose start
        is nearest to the window's: at most half a bin away.

        Args:
            starts: (example,) first bases, in the store's sequence; the window lies within its contig.
            length_bp: window length, a whole number of bins.

        Returns:
            codes (example, base) and signal (example, track, bin), copies.
        """
        n_bins = length_bp // self.resolution_bp
        bins = (starts + self.resolution_bp // 2) // self.resolution_bp
        codes = _runs(self.sequence, length_bp)[starts].view(np.uint8)
        signal = np.ascontiguousarray(_runs(self.signal, n_bins).T[bins]).view(np.float32)
        return Windows(codes.reshape(len(starts), length_bp), signal.reshape(len(starts), len(self.tracks), n_bins))


def _runs(values: CodeArray | FloatArray, length: int) -> NDArray[np.void]:
    """(..., first) each `length` values in a row of the last axis as one item, a view.

    An item is copied as a whole, which is up to twice as fast as a look-up in `sliding_window_view`, value by value.
    """
    shape = (*values.shape[:-1], values.shape[-1] - length + 1)
    return np.ndarray(shape, dtype=f"V{length * values.itemsize}", buffer=values.data, strides=values.strides)
