"""Intervals as arrays, merged so that no base counts twice, and how much of a bin they take."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np

from genotune.genome.intervals import Interval
from genotune.store import IntArray, Values


class ContigSpans(NamedTuple):
    """Intervals of one contig that neither overlap nor touch, in order: (span,) first base, and past the last base."""

    starts: IntArray
    ends: IntArray

    def within(self, start: int, end: int) -> "ContigSpans":
        """Those that share a base with a part of the contig; views."""
        if not len(self.starts) or (start <= self.starts[0] and self.ends[-1] <= end):
            return self
        first = np.searchsorted(self.ends, start, side="right")
        last = np.searchsorted(self.starts, end, side="left")
        return ContigSpans(self.starts[first:last], self.ends[first:last])


_NONE: Final = np.empty(0, dtype=np.int64)
NONE_ON_CONTIG: Final = ContigSpans(_NONE, _NONE)


class Spans(NamedTuple):
    """Intervals that neither overlap nor touch, by contig and start.

    Attributes:
        contigs: (span,) index of the contig.
        starts: (span,) first base on it.
        ends: (span,) past the last base.
    """

    contigs: IntArray
    starts: IntArray
    ends: IntArray

    def by_contig(self, n_contigs: int) -> list[ContigSpans]:
        """Those of each contig; views."""
        bounds = np.searchsorted(self.contigs, np.arange(n_contigs + 1)).tolist()
        return [
            ContigSpans(self.starts[first:last], self.ends[first:last]) if first < last else NONE_ON_CONTIG
            for first, last in itertools.pairwise(bounds)
        ]


NO_SPANS: Final = Spans(_NONE, _NONE, _NONE)


def spans_of(intervals: Iterable[Interval], positions: Mapping[str, int]) -> Spans:
    """The bases that lie in any interval.

    Args:
        intervals: in any order; they may overlap. Those on other contigs are left out.
        positions: index of each contig.
    """
    known = [(positions[one.contig], one.start, one.end) for one in intervals if one.contig in positions]
    table = np.array(known, dtype=np.int64).reshape(-1, 3)
    return merge(table[:, 0], table[:, 1], table[:, 2])


def merge(contigs: IntArray, starts: IntArray, ends: IntArray) -> Spans:
    """The bases that lie in any interval; (interval,) each, in any order."""
    if not len(contigs):
        return NO_SPANS
    # All contigs on one line, each with more room than its last interval needs.
    room = int(ends.max()) + 1
    order = np.argsort(contigs * room + starts, kind="stable")
    firsts = (contigs * room + starts)[order]
    reach = np.maximum.accumulate((contigs * room + ends)[order])
    begins = np.flatnonzero(np.append(True, firsts[1:] > reach[:-1]))
    lasts = np.append(begins[1:], len(firsts)) - 1
    on = firsts[begins] // room
    return Spans(on, firsts[begins] - on * room, reach[lasts] - on * room)


def bases_in_bins(spans: ContigSpans, edges: IntArray) -> Values:
    """(bin,) how many bases of each bin lie in a span.

    Args:
        spans: of the bins' contig; they may reach past the bins.
        edges: (bin + 1,) where each bin begins, and the last ends.
    """
    if not len(spans.starts):
        return np.zeros(len(edges) - 1)
    # The number of bases in spans before a base rises by one a base within a span and stays between two: whole numbers
    # all, so that interpolation is exact.
    corners = np.column_stack(spans).ravel()
    before = np.repeat(np.append(0, np.cumsum(spans.ends - spans.starts)), 2)[1:-1]
    counts: Values = np.diff(np.interp(edges, corners, before))
    return counts


def bin_edges(start: int, end: int, resolution_bp: int) -> IntArray:
    """(bin + 1,) where the bins of a part of a contig begin, and the last, which may be narrower, ends."""
    return np.append(np.arange(start, end, resolution_bp, dtype=np.int64), end)
