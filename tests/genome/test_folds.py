"""Folds hold groups out as a whole, each once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genotune.genome.folds import assign_folds, hold_out_in_turn
from genotune.genome.sample_groups import UNKNOWN


@given(
    groups=st.lists(st.integers(0, 11), min_size=30, max_size=80).filter(lambda groups: len(set(groups)) >= 5),
    n_folds=st.integers(2, 5),
    seed=st.integers(0, 5),
)
def test_a_group_is_in_one_fold_and_no_fold_is_empty(groups, n_folds, seed):
    groups = np.array(groups)
    folds = assign_folds(groups, np.ones(len(groups), dtype=np.int64), n_folds=n_folds, seed=seed)
    assert set(folds.tolist()) == set(range(n_folds))
    for group in np.unique(groups):
        assert len(set(folds[groups == group].tolist())) == 1


@given(
    groups=st.lists(st.integers(-1, 30), min_size=30, max_size=80).filter(lambda groups: len(set(groups)) >= 5),
    seed=st.integers(0, 5),
)
def test_each_group_in_a_shuffled_order_goes_to_the_fold_that_holds_least(groups, seed):
    groups = np.array(groups)
    weights = np.random.default_rng(seed).integers(0, 9, len(groups))
    held, expected = [0, 0, 0], np.full(len(groups), UNKNOWN)
    for group in np.random.default_rng(seed).permutation(np.unique(groups[groups >= 0])):
        fold = held.index(min(held))
        held[fold] += max(1, weights[groups == group].sum())
        expected[groups == group] = fold
    assert assign_folds(groups, weights, n_folds=3, seed=seed).tolist() == expected.tolist()


def test_folds_are_even_by_weight():
    """Five contigs of 40, 30, 20, 10 and 100 bins: the longest has a fold to itself."""
    weights = np.array([40, 30, 20, 10, 100])
    for seed in range(5):
        folds = assign_folds(np.arange(5), weights, n_folds=2, seed=seed)
        sums = sorted(int(weights[folds == fold].sum()) for fold in range(2))
        assert sums[0] >= 60, seed


def test_who_has_no_group_is_never_held_out():
    groups = np.array([0, 0, UNKNOWN, 1, 2, UNKNOWN])
    folds = assign_folds(groups, np.ones(6, dtype=np.int64), n_folds=3, seed=1)
    assert folds[[2, 5]].tolist() == [UNKNOWN, UNKNOWN]
    assert sorted(folds[[0, 3, 4]].tolist()) == [0, 1, 2]


def test_each_fold_is_held_out_in_turn_and_the_test_split_stays():
    members, test = np.array([4, 7, 9, 12]), np.array([1, 2])
    groups = np.array([0, 0, UNKNOWN, 1])
    folds = hold_out_in_turn(members, groups, weights=np.ones(4, dtype=np.int64), n_folds=5, test=test)
    assert sorted((fold.train.tolist(), fold.validation.tolist()) for fold in folds) == [
        ([4, 7, 9], [12]),
        ([9, 12], [4, 7]),
    ]
    assert all(fold.test is test for fold in folds)


def test_a_single_group_makes_no_folds():
    members, weights = np.arange(3), np.ones(3, dtype=np.int64)
    assert hold_out_in_turn(members, np.zeros(3, dtype=np.int64), weights=weights, n_folds=2, test=members[:0]) == []


def test_the_seed_decides():
    groups = np.arange(40)
    drawn = [assign_folds(groups, np.ones(40, dtype=np.int64), n_folds=4, seed=seed).tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
