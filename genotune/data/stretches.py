"""Stretches of contigs, and their sequence and signal as arrays. Runs in a Ray task or without Ray, all the same.

Axes: t track, b bin.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.data.bigwig_header import damage_named
from genotune.data.fasta import Reference
from genotune.data.files import InputFile
from genotune.errors import DataError
from genotune.genome.intervals import Interval, bins_touched
from genotune.genome.sequence import encode
from genotune.store import N_CODE, CodeArray, FloatArray, SequenceStore

Missing = Literal["zero", "nan"]

_MOST_BASES: Final = 1_000_000
_MOST_BYTES: Final = 16_000_000
_AGAIN: Final = "Copy it again."


class Stretch(NamedTuple):
    """A part of a contig: whole bins, but for the last of its contig.

    Attributes:
        contig: index of the contig.
        name: of the contig, in the reference.
        names: of the contig, in each track; None where the track lacks it.
        start: first base.
        end: past the last base.
        excluded: intervals that touch it.
    """

    contig: int
    name: str
    names: tuple[str | None, ...]
    start: int
    end: int
    excluded: tuple[Interval, ...]


class Decoded(NamedTuple):
    """A stretch as arrays.

    Attributes:
        contig: index of the contig.
        start: first base.
        codes: (base,), padded with N to whole bins.
        signal: (track, bin).
    """

    contig: int
    start: int
    codes: CodeArray
    signal: FloatArray


@dataclass(frozen=True)
class Decoder:
    """Where to read from, and how."""

    reference: Reference
    tracks: tuple[InputFile, ...]
    resolution_bp: int
    missing: Missing

    def decode(self, stretches: Iterable[Stretch]) -> Iterator[Decoded]:
        """The stretches as arrays, in order; files are opened once.

        Raises:
            DataError: a file is damaged, or not what its header or index says.
        """
        import pybigtools

        with contextlib.ExitStack() as stack:
            fasta = stack.enter_context(self.reference.open())
            bigwigs = []
            for track in self.tracks:
                with damage_named(f"{track.label}: the header"):
                    bigwigs.append(stack.enter_context(pybigtools.open(str(track.path))))
            for stretch in stretches:
                yield Decoded(
                    stretch.contig, stretch.start, self._codes(stretch, fasta), self._signal(stretch, bigwigs)
                )

    def _codes(self, stretch: Stretch, fasta: Any) -> CodeArray:
        label, place = self.reference.label, f"{stretch.name}:{stretch.start}-{stretch.end}"
        try:
            text = fasta.fetch(stretch.name, stretch.start, stretch.end)
        except (ValueError, KeyError, OSError) as error:
            raise DataError(f"{label}: {place} can't be read: the file is cut short or damaged. {_AGAIN}") from error
        n_bases = stretch.end - stretch.start
        if len(text) != n_bases:
            raise DataError(f"{label}: cut short: {place} should have {n_bases} bases, found {len(text)}. {_AGAIN}")
        codes = np.full(n_bins(n_bases, self.resolution_bp) * self.resolution_bp, N_CODE, dtype=np.uint8)
        try:
            codes[:n_bases] = encode(text.encode())
        except DataError as error:
            message = f"{label}: {place}: {error} Is it DNA, and its .fai its own? Delete the .fai and try again."
            raise DataError(message) from error
        return codes

    def _signal(self, stretch: Stretch, bigwigs: Sequence[Any]) -> FloatArray:
        count = n_bins(stretch.end - stretch.start, self.resolution_bp)
        signal = np.empty((len(self.tracks), count), dtype=np.float32)
        for row, track, name, bigwig in zip(signal, self.tracks, stretch.names, bigwigs, strict=True):
            if name is None:
                row[:] = 0 if self.missing == "zero" else np.nan
            else:
                values = _values(bigwig, track.label, Interval(name, stretch.start, stretch.end))
                row[:] = bin_mean(values, self.resolution_bp, missing=self.missing)
        touched = bins_touched(stretch.excluded, start=stretch.start, n_bins=count, resolution_bp=self.resolution_bp)
        signal[:, touched] = np.nan
        return signal


def n_bins(n_bases: int, resolution_bp: int) -> int:
    """Bins that so many bases take; the last may be a part."""
    return -(-n_bases // resolution_bp)


def bin_mean(values: NDArray[np.float64], resolution_bp: int, *, missing: Missing) -> NDArray[np.float64]:
    """Mean value per bin; the last bin is the mean over the bases that it has.

    Args:
        values: (base,), NaN where the bigWig holds no value.
        resolution_bp: width of a bin.
        missing: 'zero': such a base counts as zero; 'nan': it doesn't count, and a bin of nothing else is NaN.

    Returns:
        (bin,).
    """
    starts = np.arange(0, len(values), resolution_bp)
    covered = ~np.isnan(values)
    sums = np.add.reduceat(np.where(covered, values, 0.0), starts)
    if missing == "zero":
        return sums / np.diff(starts, append=len(values))
    counts = np.add.reduceat(covered, starts, dtype=np.int64)
    means = np.full(len(starts), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def cut_into_stretches(
    contigs: Mapping[str, int],
    *,
    names: Sequence[Mapping[str, str]],
    excluded: Sequence[Interval],
    resolution_bp: int,
) -> list[Stretch]:
    """Stretches of about equal length that cover all contigs, at most 1 Mb or 16 MB of arrays each.

    Args:
        contigs: length in bp of each, in the order of the store.
        names: for each track, its name of each contig that it has.
        excluded: intervals without signal.
        resolution_bp: width of a bin.
    """
    most = max(1, int(min(_MOST_BASES, _MOST_BYTES / (1 + 4 * len(names) / resolution_bp))) // resolution_bp)
    stretches = []
    for index, (contig, length) in enumerate(contigs.items()):
        barred = [interval for interval in excluded if interval.contig == contig]
        in_tracks = tuple(track.get(contig) for track in names)
        total = n_bins(length, resolution_bp)
        edges = np.linspace(0, total, n_bins(total, most) + 1).astype(np.int64) * resolution_bp
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            touching = tuple(interval for interval in barred if interval.start < end and interval.end > start)
            stretches.append(Stretch(index, contig, in_tracks, start, min(end, length), touching))
    return stretches


class StoreBuilder:
    """A store that is filled stretch by stretch, in any order."""

    def __init__(self, contigs: Mapping[str, int], *, tracks: Sequence[str], resolution_bp: int) -> None:
        counts = [n_bins(length, resolution_bp) for length in contigs.values()]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.n_filled = 0
        self._store = SequenceStore(
            sequence=np.full(offsets[-1] * resolution_bp, N_CODE, dtype=np.uint8),
            signal=np.full((len(tracks), offsets[-1]), np.nan, dtype=np.float32),
            offsets=offsets,
            lengths=np.array(list(contigs.values()), dtype=np.int64),
            contigs=tuple(contigs),
            tracks=tuple(tracks),
            resolution_bp=resolution_bp,
        )

    @property
    def n_bins(self) -> int:
        """Bins of the whole store."""
        return int(self._store.offsets[-1])

    def put(self, piece: Decoded) -> None:
        """Copy a stretch to its place."""
        first = int(self._store.offsets[piece.contig]) + piece.start // self._store.resolution_bp
        count = piece.signal.shape[1]
        base = first * self._store.resolution_bp
        self._store.sequence[base : base + piece.codes.size] = piece.codes
        self._store.signal[:, first : first + count] = piece.signal
        self.n_filled += count

    def finish(self) -> SequenceStore:
        """The store, once every stretch was put."""
        assert self.n_filled == self.n_bins, f"{self.n_filled} of {self.n_bins} bins were filled"
        return self._store


def _values(bigwig: Any, label: str, interval: Interval) -> NDArray[np.float64]:
    """(base,) values of an interval, NaN where there is none."""
    with damage_named(f"{label}: {interval.contig}:{interval.start}-{interval.end}"):
        values: NDArray[np.float64] = bigwig.values(interval.contig, interval.start, interval.end, fillna=None)
    return values
