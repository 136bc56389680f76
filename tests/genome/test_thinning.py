"""Which variants stand for all."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genotune.genome.thinning import spread_order
from genotune.store import NO_POSITION


def order(starts, *, contigs=None, among=None, n_windows=4):
    starts = np.array(starts, dtype=np.int64)
    contigs = np.array(["1"] * len(starts) if contigs is None else contigs)
    among = np.arange(len(starts)) if among is None else np.array(among)
    return spread_order(contigs, starts, among, n_windows=n_windows).tolist()


def test_one_variant_of_each_window_comes_before_any_second():
    """Windows of 25 bp: three variants in the first, none in the second, one and two in the others."""
    assert order([0, 10, 20, 60, 80, 99]) == [0, 3, 4, 1, 5, 2]


def test_contigs_lie_end_to_end():
    """Two contigs of 50 bp make windows of 25 bp, two on each."""
    assert order([49, 0, 10, 49], contigs=["2", "2", "1", "1"]) == [2, 3, 1, 0]


def test_only_the_chosen_are_ordered():
    assert order([0, 10, 20, 60, 80, 99], among=[1, 2, 5]) == [1, 5, 2]


def test_variants_without_a_position_come_last():
    assert order([NO_POSITION, 10, NO_POSITION, 99]) == [1, 3, 0, 2]


def test_where_none_has_a_position_they_lie_evenly_in_the_file():
    assert order([NO_POSITION] * 8) == [0, 2, 4, 6, 1, 3, 5, 7]


def test_of_none_there_is_none():
    assert order([], contigs=[]) == []
    assert order([5, 7], among=np.empty(0, dtype=np.int64)) == []


@given(st.lists(st.integers(-1, 10_000), max_size=60), st.integers(1, 30))
def test_each_variant_comes_once(starts, n_windows):
    assert sorted(order(starts, n_windows=n_windows)) == [*range(len(starts))]


def test_a_beginning_covers_a_genome_though_its_variants_are_dense_in_places():
    rng = np.random.default_rng(0)
    starts = np.concatenate([rng.integers(0, 1_000, 5_000), rng.integers(0, 1_000_000, 5_000)])
    first = starts[order(starts, n_windows=100)[:100]]
    counts, _ = np.histogram(first, bins=10, range=(0, 1_000_000))
    assert counts.min() >= 9
