"""Which samples belong together, and whole groups held out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.genome.fold import Fold
from genotune.genome.sample_groups import UNKNOWN, Groups, group_by, hold_out

CELLS = st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["", "x", "y", "z"])), max_size=20)
SHARES = st.floats(0.01, 0.49)


def groups_of(sizes, n_unknown=0):
    """Groups g0, g1, ... of these sizes, sample by sample; those without a group last."""
    names = tuple(f"g{index}" for index in range(len(sizes)))
    of_sample = np.append(np.repeat(np.arange(len(sizes)), sizes), np.full(n_unknown, UNKNOWN))
    return Groups(of_sample.astype(np.int64), names)


def lists(fold):
    return Fold(*(part.tolist() for part in fold))


def test_samples_with_the_same_value_are_a_group():
    groups = group_by([np.array(["b", "a", "", "b"])])
    assert groups.names == ("a", "b")
    assert groups.of_sample.tolist() == [1, 0, UNKNOWN, 1]
    assert groups.n_known == 3


def test_of_several_columns_all_must_agree_and_none_may_be_missing():
    sire, dam = np.array(["s1", "s1", "s1", "s2", ""]), np.array(["d1", "d2", "d1", "", "d1"])
    groups = group_by([sire, dam])
    assert groups.names == ("s1,d1", "s1,d2")
    assert groups.of_sample.tolist() == [0, 1, 0, UNKNOWN, UNKNOWN]


def test_what_is_missing_may_be_said():
    assert group_by([np.array(["0", "", "f"])], missing=("", "0")).of_sample.tolist() == [UNKNOWN, UNKNOWN, 0]


@given(CELLS)
def test_groups_are_those_of_a_dictionary(rows):
    first, second = np.array([row[0] for row in rows], dtype=np.str_), np.array([row[1] for row in rows], dtype=np.str_)
    names = sorted({row for row in rows if all(row)})
    groups = group_by([first, second])
    assert groups.names == tuple(map(",".join, names))
    assert groups.of_sample.tolist() == [names.index(row) if all(row) else UNKNOWN for row in rows]


def test_groups_that_are_named_are_held_out():
    fold = hold_out(groups_of([2, 1, 1, 2]), ("g3",), ("g0", "g2"), seed=0)
    assert lists(fold) == Fold(train=[2], validation=[4, 5], test=[0, 1, 3])


def test_a_share_takes_groups_that_are_not_named():
    fold = hold_out(groups_of([1, 1, 1, 97]), 0.01, ("g3", "g0"), seed=0)
    assert fold.test.tolist() == [0, *range(3, 100)]
    assert sorted([*fold.train, *fold.validation]) == [1, 2]
    assert len(fold.validation) == 1


def test_a_group_that_brings_the_number_no_nearer_is_left_out():
    for seed in range(20):
        fold = hold_out(groups_of([60, *[2] * 20]), 0.2, 0.2, seed=seed)
        assert len(fold.test) == len(fold.validation) == 20


def test_where_every_group_is_too_large_the_smallest_is_taken():
    for seed in range(20):
        fold = hold_out(groups_of([40, 25, 35]), 0.01, 0.01, seed=seed)
        assert lists(fold).test == [*range(40, 65)]
        assert lists(fold).validation == [*range(65, 100)]


def test_a_group_is_left_to_validate_and_one_to_train():
    for seed in range(20):
        assert all(map(len, hold_out(groups_of([1, 1, 98]), 0.4, 0.5, seed=seed)))


def test_where_samples_without_a_group_train_no_group_must():
    fold = hold_out(groups_of([1, 1, 1], n_unknown=1), 0.5, 0.25, seed=0)
    assert fold.train.tolist() == [3]


def test_single_samples_come_in_the_order_of_the_shuffle():
    n = 1000
    fold = hold_out(groups_of([1] * n), 0.1, 0.25, seed=3)
    order = np.random.default_rng(3).permutation(n)
    assert fold.test.tolist() == sorted(order[:250])
    assert fold.validation.tolist() == sorted(order[250:350])


def test_the_same_seed_gives_the_same_fold_and_another_seed_another():
    groups = groups_of([3] * 40)
    first, again, other = (lists(hold_out(groups, 0.2, 0.2, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first.test != other.test
    assert first.validation != other.validation


def test_what_is_held_out_may_be_weighed():
    """Contigs of 10, 20, 30 and 40 bases: test takes one that is nearest to 40 of them, validation one near 20."""
    for seed in range(20):
        weights = np.array([10, 20, 30, 40])
        fold = hold_out(groups_of([1, 1, 1, 1]), 0.2, 0.4, seed=seed, weights=weights)
        assert sorted(np.concatenate([*fold]).tolist()) == [0, 1, 2, 3]
        assert 30 <= weights[fold.test].sum() <= 50
        assert 10 <= weights[fold.validation].sum() <= 30


def test_every_group_may_be_held_out():
    groups = groups_of([2, 3, 4, 5])
    seen = {
        int(groups.of_sample[sample]) for seed in range(40) for sample in hold_out(groups, 0.3, 0.3, seed=seed).test
    }
    assert seen == {0, 1, 2, 3}


@given(st.lists(st.integers(1, 9), min_size=3, max_size=30), st.integers(0, 5), SHARES, SHARES, st.integers(0, 99))
def test_no_group_is_in_two_splits_and_none_is_empty(sizes, n_unknown, validation, test, seed):
    groups = groups_of(sizes, n_unknown)
    fold = hold_out(groups, validation, test, seed=seed)
    assert sorted(np.concatenate([*fold]).tolist()) == [*range(sum(sizes) + n_unknown)]
    seen = [group for part in fold for group in {*groups.of_sample[part].tolist()} - {UNKNOWN}]
    assert len(seen) == len(set(seen))
    assert all(map(len, fold))
    assert {*range(sum(sizes), sum(sizes) + n_unknown)} <= {*fold.train.tolist()}


@given(
    st.lists(st.integers(1, 4), min_size=60, max_size=90), st.floats(0.1, 0.4), st.floats(0.1, 0.4), st.integers(0, 99)
)
def test_with_many_small_groups_shares_are_what_was_asked(sizes, validation, test, seed):
    fold = hold_out(groups_of(sizes), validation, test, seed=seed)
    assert len(fold.test) == pytest.approx(test * sum(sizes), abs=2)
    assert len(fold.validation) == pytest.approx(validation * sum(sizes), abs=2)
