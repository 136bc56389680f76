import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.genome.intervals import Interval
from genotune.genome.spans import NO_SPANS, ContigSpans, bases_in_bins, bin_edges, spans_of

CONTIGS = {"a": 0, "b": 1, "c": 2}
N_BASES = 200
INTERVALS = st.lists(
    st.tuples(st.sampled_from("abcx"), st.integers(0, N_BASES - 41), st.integers(1, 40)).map(
        lambda one: Interval(one[0], one[1], one[1] + one[2])
    ),
    max_size=12,
)


def base_by_base(intervals):
    """(contig, base) whether a base lies in an interval, one after the other."""
    lies_in = np.zeros((len(CONTIGS), N_BASES), dtype=bool)
    for contig, start, end in intervals:
        if contig in CONTIGS:
            lies_in[CONTIGS[contig], start:end] = True
    return lies_in


def test_overlapping_and_touching_intervals_become_one():
    intervals = [
        Interval("b", 5, 9),
        Interval("a", 20, 30),
        Interval("a", 1, 4),
        Interval("a", 4, 6),
        Interval("a", 22, 25),
    ]
    spans = spans_of(intervals, CONTIGS)
    assert [column.tolist() for column in spans] == [[0, 0, 1], [1, 20, 5], [6, 30, 9]]


def test_intervals_on_other_contigs_are_left_out():
    assert spans_of([Interval("x", 1, 2)], CONTIGS) is NO_SPANS


def test_a_long_interval_doesnt_reach_into_the_next_contig():
    spans = spans_of([Interval("a", 0, 1000), Interval("b", 0, 1)], CONTIGS)
    assert [column.tolist() for column in spans] == [[0, 1], [0, 0], [1000, 1]]


@given(INTERVALS)
def test_spans_hold_the_bases_of_the_intervals_apart_and_in_order(intervals):
    spans = spans_of(intervals, CONTIGS)
    again = [
        Interval("abc"[contig], start, end) for contig, start, end in zip(*(c.tolist() for c in spans), strict=True)
    ]
    np.testing.assert_array_equal(base_by_base(again), base_by_base(intervals))
    assert again == sorted(again)
    assert all(one.contig != two.contig or one.end < two.start for one, two in itertools.pairwise(again))


@given(INTERVALS)
def test_each_contig_has_its_own_spans(intervals):
    by_contig = spans_of(intervals, CONTIGS).by_contig(3)
    counts = [int(bases_in_bins(spans, np.array([0, N_BASES]))[0]) for spans in by_contig]
    assert counts == base_by_base(intervals).sum(axis=1).tolist()


@given(INTERVALS, st.integers(0, N_BASES - 1), st.integers(1, N_BASES), st.integers(1, 50))
def test_bases_in_bins_are_counted_to_the_base(intervals, start, n_bases, resolution_bp):
    end = min(start + n_bases, N_BASES)
    (spans, *_), lies_in = spans_of(intervals, CONTIGS).by_contig(3), base_by_base(intervals)[0]
    expected = [lies_in[first : min(first + resolution_bp, end)].sum() for first in range(start, end, resolution_bp)]
    edges = bin_edges(start, end, resolution_bp)
    assert bases_in_bins(spans, edges).tolist() == expected
    assert bases_in_bins(spans.within(start, end), edges).tolist() == expected


@given(INTERVALS, st.integers(0, N_BASES - 1), st.integers(1, N_BASES))
def test_spans_within_a_part_all_share_a_base_with_it(intervals, start, n_bases):
    spans = spans_of(intervals, CONTIGS).by_contig(3)[0].within(start, start + n_bases)
    assert all(spans.starts < start + n_bases)
    assert all(spans.ends > start)


@pytest.mark.parametrize(("part", "starts"), [((10, 20), []), ((9, 20), [5]), ((10, 21), [20]), ((9, 21), [5, 20])])
def test_a_span_that_only_meets_a_part_is_not_within_it(part, starts):
    spans = ContigSpans(np.array([1, 5, 20, 40]), np.array([3, 10, 30, 50]))
    assert spans.within(*part).starts.tolist() == starts


def test_counts_are_exact_far_along_a_contig():
    place = 2**40
    spans = ContigSpans(np.array([place + 3]), np.array([place + 2**30]))
    assert bases_in_bins(spans, np.array([place, place + 4, place + 5, place + 2**31])).tolist() == [1, 1, 2**30 - 5]


@pytest.mark.parametrize(("end", "expected"), [(8, [2, 5, 8]), (9, [2, 5, 8, 9])])
def test_the_last_bin_ends_with_its_part(end, expected):
    assert bin_edges(2, end, 3).tolist() == expected
