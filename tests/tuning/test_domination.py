"""What nothing beats in all objectives, against the definition read out loud."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.tuning.domination import best, first_front, fronts, hypervolume, is_among_best, spread

# Few values, so that equals and ties in one objective are common.
GRIDS = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.tuples(*[st.integers(0, 4).map(float)] * n), min_size=1, max_size=25)
)


def dominates(one, other):
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def front_by_definition(rows, left):
    return [i for i in left if not any(dominates(rows[j], rows[i]) for j in left)]


@given(GRIDS)
def test_the_first_front_is_what_no_other_dominates(rows):
    assert first_front(np.array(rows)).tolist() == front_by_definition(rows, range(len(rows)))


@given(GRIDS)
def test_fronts_are_peeled_one_after_another_until_all_are_in_one(rows):
    left = list(range(len(rows)))
    for front in fronts(np.array(rows)):
        assert front.tolist() == front_by_definition(rows, left)
        left = [i for i in left if i not in front]
    assert left == []


@given(GRIDS, st.integers(1, 30))
def test_the_best_n_take_whole_fronts_before_a_part_of_the_next(rows, n):
    chosen = best(np.array(rows), n).tolist()
    assert len(chosen) == len(set(chosen)) == min(n, len(rows))
    assert not any(dominates(rows[i], rows[j]) for i in range(len(rows)) if i not in chosen for j in chosen)


@given(st.lists(st.integers(0, 5).map(float), min_size=1, max_size=20), st.integers(1, 20))
def test_with_one_objective_the_best_are_the_lowest_and_of_equal_ones_the_earlier(losses, n):
    expected = sorted(range(len(losses)), key=lambda i: (losses[i], i))[:n]
    assert best(np.array(losses)[:, None], n).tolist() == expected


@given(GRIDS, st.integers(1, 30))
def test_one_is_among_the_best_n_iff_it_is_in_their_order(rows, n):
    losses = np.array(rows)
    chosen = set(best(losses, n).tolist())
    assert {index for index in range(len(rows)) if is_among_best(losses, index, n)} == chosen


def test_the_spread_begins_with_the_best_of_the_primary_objective_then_takes_the_farthest():
    # In units of each objective's range the third lies 0.5 from the first, the second 0.3.
    losses = np.array([[0.0, 1000.0], [0.05, 700.0], [0.5, 999.0], [1.0, 0.0]])
    assert spread(losses).tolist() == [0, 3, 2, 1]
    assert spread(losses * [1, 1e-6]).tolist() == [0, 3, 2, 1]


def test_the_spread_takes_an_equal_one_last():
    assert spread(np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])).tolist() == [0, 2, 1]


def test_of_equals_in_the_primary_objective_the_spread_begins_with_the_one_that_is_better_in_the_next():
    assert spread(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])).tolist() == [1, 0]


def test_nothing_has_no_front():
    assert best(np.empty((0, 2)), 3).tolist() == []


@given(GRIDS)
def test_the_hypervolume_is_the_number_of_unit_cells_that_some_point_dominates(rows):
    n = len(rows[0])
    cells = itertools.product(range(5), repeat=n)
    expected = sum(any(all(p <= c for p, c in zip(row, cell, strict=True)) for row in rows) for cell in cells)
    assert hypervolume(np.array(rows), [5.0] * n) == pytest.approx(expected)


def test_what_is_no_better_than_the_reference_adds_nothing_to_the_hypervolume():
    assert hypervolume(np.array([[1.0, 2.0], [0.0, 3.0]]), (2.0, 3.0)) == 1.0
    assert hypervolume(np.array([[2.0, 0.0]]), (2.0, 3.0)) == 0.0
