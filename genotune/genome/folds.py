"""Folds: parts of the data that are held out in turn, groups kept together."""

import numpy as np

from genotune.genome.fold import Fold
from genotune.genome.sample_groups import UNKNOWN
from genotune.store import IntArray

_SEED = 0
"""Of the folds of every sweep: so that two sweeps with the same splits have the same folds."""


def assign_folds(groups: IntArray, weights: IntArray, *, n_folds: int, seed: int) -> IntArray:
    """(member,) the fold in which each member is held out; `UNKNOWN` where it never is.

    Groups are shuffled; then each goes to the fold that holds least so far. A member whose group is unknown is never
    held out: its relatives may be in any fold.

    Args:
        groups: (member,) index of each member's group, `UNKNOWN` where it has none.
        weights: (member,) what a member counts, e.g. 1 for a sample, its bins for a contig.
        n_folds: at most as many as there are groups.
        seed: of the shuffle.
    """
    has_group = groups != UNKNOWN
    names, number = np.unique(groups[has_group], return_inverse=True)
    assert 2 <= n_folds <= len(names), (n_folds, len(names))
    of_group = np.zeros(len(names), dtype=np.int64)
    np.add.at(of_group, number, weights[has_group])
    held, fold_of = [0] * n_folds, np.empty(len(names), dtype=np.int64)
    for group in np.random.default_rng(seed).permutation(len(names)).tolist():
        least = min(range(n_folds), key=held.__getitem__)
        fold_of[group] = least
        held[least] += max(1, int(of_group[group]))
    of_member = np.full(len(groups), UNKNOWN, dtype=np.int64)
    of_member[has_group] = fold_of[number]
    return of_member


def hold_out_in_turn(
    members: IntArray, groups: IntArray, *, weights: IntArray, n_folds: int, test: IntArray
) -> list[Fold]:
    """The members with each fold as validation in turn, the others as training.

    Args:
        members: (member,) indices in the store.
        groups: (member,) see `assign_folds`.
        weights: (member,) see `assign_folds`.
        n_folds: at most; as many as there are groups where those are fewer, none of a single group.
        test: indices that stay as they are.
    """
    n_folds = min(n_folds, len(np.unique(groups[groups != UNKNOWN])))
    if n_folds < 2:
        return []
    of_member = assign_folds(groups, weights, n_folds=n_folds, seed=_SEED)
    return [Fold(members[of_member != fold], members[of_member == fold], test) for fold in range(n_folds)]
