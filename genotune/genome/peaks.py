"""Peaks: intervals where a signal is high, from BED or narrowPeak files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from genotune.genome.intervals import Bed, Interval, LineError, read_lines
from genotune.genome.spans import Spans, merge
from genotune.store import IntArray, Peaks

_NARROW_PEAK_COLUMNS: Final = 10
_NO_SUMMIT: Final = "-1"


class Peak(NamedTuple):
    """One peak; 0-based, end excluded.

    Attributes:
        summit: the base of the highest signal.
    """

    contig: str
    start: int
    end: int
    summit: int


def read_peaks(
    path: Path,
    lengths: Mapping[str, int],
    *,
    reference: str = "the reference",
    names: Mapping[str, str] | None = None,
    label: str | None = None,
) -> Bed[Peak]:
    """The peaks of a BED or narrowPeak file; see `read_lines`.

    A line of ten columns is one of a narrowPeak: its last is the summit, counted from the start, -1 where none was
    called. The summit of all others is the middle.

    Raises:
        DataError: as `read_lines`; or a summit lies outside its peak.
    """
    return read_lines(path, lengths, _peak, reference=reference, names=names, label=label)


def arrange(peaks: Sequence[Peak], positions: Mapping[str, int]) -> Peaks:
    """Peaks as arrays, by contig and start.

    Args:
        peaks: in any order. Those on other contigs are left out.
        positions: index in the store of each contig.
    """
    known = [(positions[peak.contig], *peak[1:]) for peak in peaks if peak.contig in positions]
    table = np.array(known, dtype=np.int64).reshape(-1, 4)
    order = np.lexsort(table.T[::-1])
    return Peaks(*(np.ascontiguousarray(column) for column in table[order].T))


def covered(peaks: Peaks) -> Spans:
    """The bases that lie in any peak."""
    return merge(peaks.contigs, peaks.starts, peaks.ends)


def count_by_contig(peaks: Peaks, n_contigs: int) -> IntArray:
    """(contig,) number of peaks."""
    return np.bincount(peaks.contigs, minlength=n_contigs).astype(np.int64)


def _peak(interval: Interval, line: str) -> Peak:
    """The peak that a line tells of.

    Raises:
        LineError: the summit is no number, or lies outside the peak.
    """
    cells = line.rstrip().split("\t") if "\t" in line else line.split()
    middle = (interval.start + interval.end) // 2
    if len(cells) != _NARROW_PEAK_COLUMNS or cells[-1] == _NO_SUMMIT:
        return Peak(*interval, middle)
    if not cells[-1].isdecimal():
        raise LineError(f"summit {cells[-1]!r} (column 10) must be a whole number from 0 on, or -1 for none.")
    summit = interval.start + int(cells[-1])
    if summit >= interval.end:
        raise LineError(
            f"summit {cells[-1]} (column 10) lies outside the peak, which has {interval.end - interval.start} bp. "
            "A narrowPeak counts it from the start of the peak."
        )
    return Peak(*interval, summit)
