"""Stretches of contigs, and their sequence and signal as arrays. Runs in a Ray task or without Ray, all the same.

Axes: t track, b bin.
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.data.bigwig_reader import BigWigReader
from genotune.data.fasta import Reference
from genotune.data.files import InputFile
from genotune.errors import DataError
from genotune.genome.runs import Missing, bin_mean
from genotune.genome.sequence import encode
from genotune.genome.spans import NO_SPANS, ContigSpans, Spans, bases_in_bins, bin_edges
from genotune.store import N_CODE, CodeArray, FloatArray

_MOST_BASES: Final = 1_000_000
_MOST_BYTES: Final = 16_000_000
_AGAIN: Final = "Copy it again."


class Part(NamedTuple):
    """A part of a contig: whole bins, but for the last of its contig.

    Attributes:
        name: of the contig, in the reference.
        names: of the contig, in each bigWig; None where the bigWig lacks it.
        start: first base.
        end: past the last base.
        excluded: what of it has no signal.
        labels: of each track that is made of peaks, what of it lies in a peak.
    """

    name: str
    names: tuple[str | None, ...]
    start: int
    end: int
    excluded: ContigSpans
    labels: tuple[ContigSpans, ...]


class Stretch(NamedTuple):
    """What is read in one go: a part of a contig, or several short contigs that follow each other in the store.

    Attributes:
        contig: index of the first part's contig.
        n_bins: of all parts.
        parts: in the order of the store.
    """

    contig: int
    n_bins: int
    parts: tuple[Part, ...]


class Decoded(NamedTuple):
    """A stretch as arrays.

    Attributes:
        contig: index of the contig that it begins on.
        start: first base on it.
        codes: (base,), each contig padded with N to whole bins.
        signal: (track, bin).
    """

    contig: int
    start: int
    codes: CodeArray
    signal: FloatArray


@dataclass(frozen=True)
class Decoder:
    """Where to read from, and how.

    Attributes:
        reference: its lengths aren't used.
        tracks: bigWigs; none where tracks are made of peaks.
        resolution_bp: width of a bin.
        missing: what a base without a value counts as.
    """

    reference: Reference
    tracks: tuple[InputFile, ...]
    resolution_bp: int
    missing: Missing

    def decode(self, stretches: Iterable[Stretch]) -> Iterator[Decoded]:
        """The stretches as arrays, in order; files are opened once.

        Raises:
            DataError: a file is damaged, or not what its header or index says.
        """
        with contextlib.ExitStack() as stack:
            fasta = stack.enter_context(self.reference.open())
            bigwigs = [stack.enter_context(BigWigReader(track.path, track.label)) for track in self.tracks]
            for stretch in stretches:
                codes = [self._codes(part, fasta) for part in stretch.parts]
                signal = [self.signal(part, bigwigs) for part in stretch.parts]
                yield Decoded(
                    stretch.contig, stretch.parts[0].start, np.concatenate(codes), np.concatenate(signal, axis=1)
                )

    def _codes(self, part: Part, fasta: Any) -> CodeArray:
        label, place = self.reference.label, f"{part.name}:{part.start}-{part.end}"
        try:
            text = fasta.fetch(part.name, part.start, part.end)
        except (ValueError, KeyError, OSError) as error:
            raise DataError(f"{label}: {place} can't be read: the file is cut short or damaged. {_AGAIN}") from error
        n_bases = part.end - part.start
        if len(text) != n_bases:
            raise DataError(f"{label}: cut short: {place} should have {n_bases} bases, found {len(text)}. {_AGAIN}")
        codes = np.full(n_bins(n_bases, self.resolution_bp) * self.resolution_bp, N_CODE, dtype=np.uint8)
        try:
            codes[:n_bases] = encode(text.encode())
        except DataError as error:
            message = f"{label}: {place}: {error} Is it DNA, and its .fai its own? Delete the .fai and try again."
            raise DataError(message) from error
        return codes

    def signal(self, part: Part, bigwigs: Sequence[BigWigReader]) -> FloatArray:
        """(track, bin) of a part; the tracks' files are open."""
        count = n_bins(part.end - part.start, self.resolution_bp)
        signal = np.empty((len(self.tracks) + len(part.labels), count), dtype=np.float32)
        for row, name, bigwig in zip(signal, part.names, bigwigs, strict=False):
            if name is None:
                row[:] = 0 if self.missing == "zero" else np.nan
            else:
                runs = bigwig.runs(name, part.start, part.end)
                row[:] = bin_mean(runs, self.resolution_bp, n_bases=part.end - part.start, missing=self.missing)
        if part.labels or len(part.excluded.starts):
            edges = bin_edges(part.start, part.end, self.resolution_bp)
            for row, peaks in zip(signal[len(self.tracks) :], part.labels, strict=True):
                row[:] = bases_in_bins(peaks, edges) / np.diff(edges)
            signal[:, bases_in_bins(part.excluded, edges) > 0] = np.nan
        return signal


def n_bins(n_bases: int, resolution_bp: int) -> int:
    """Bins that so many bases take; the last may be a part."""
    return -(-n_bases // resolution_bp)


def cut_into_stretches(
    contigs: Mapping[str, int],
    *,
    names: Sequence[Mapping[str, str]],
    resolution_bp: int,
    excluded: Spans = NO_SPANS,
    labels: Sequence[Spans] = (),
) -> list[Stretch]:
    """Stretches that cover all contigs in order, at most 1 Mb or 16 MB of arrays each.

    A long contig is cut into several of about equal length; short ones that follow each other share one.

    Args:
        contigs: length in bp of each, in the order of the store.
        names: for each bigWig, its name of each contig that it has.
        resolution_bp: width of a bin.
        excluded: what has no signal.
        labels: of each track that is made of peaks, what lies in a peak.
    """
    n_tracks = len(names) + len(labels)
    most = max(1, int(min(_MOST_BASES, _MOST_BYTES / (1 + 4 * n_tracks / resolution_bp))) // resolution_bp)
    runs = [spans.by_contig(len(contigs)) for spans in (excluded, *labels)]
    stretches: list[Stretch] = []
    first, size, held = 0, 0, list[Part]()
    for index, (contig, length) in enumerate(contigs.items()):
        total = n_bins(length, resolution_bp)
        in_tracks = tuple(track.get(contig) for track in names)
        barred, *peaks = (of_contigs[index] for of_contigs in runs)
        edges = bin_edges(0, total, -(-total // n_bins(total, most)))
        for begin, end in itertools.pairwise((edges * resolution_bp).tolist()):
            count = n_bins(end - begin, resolution_bp)
            if held and size + count > most:
                stretches.append(Stretch(first, size, tuple(held)))
                size, held = 0, []
            if not held:
                first = index
            last = min(end, length)
            labelled = tuple(one.within(begin, last) for one in peaks)
            held.append(Part(contig, in_tracks, begin, last, barred.within(begin, last), labelled))
            size += count
    return [*stretches, Stretch(first, size, tuple(held))]
