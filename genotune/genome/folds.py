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
    names = np.unique(groups[groups != UNKNOWN])
    assert 2 <= n_folds <= len(names), (n_folds, len(names))
    held, fold_of = np.zeros(n_folds, dtype=np.int64), {}
    for group in np.random.default_rng(seed).permutation(names).tolist():
        fold_of[group] = int(held.argmin())
        held[fold_of[group]] += max(1, int(weights[groups == group].sum()))
    return np.array([fold_of.get(group, UNKNOWN) for group in groups.tolist()], dtype=np.int64)


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
