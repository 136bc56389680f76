"""Nested folds of samples: each part of the groups is the test split of one sweep; the rest trains and validates."""

from typing import Annotated, Final

import numpy as np
from pydantic import Field

from genotune.genome.fold import Fold
from genotune.genome.folds import assign_folds
from genotune.genome.sample_groups import Groups, hold_out
from genotune.store import IntArray

OuterFolds = Annotated[int, Field(ge=2, le=50)]
"""How many parts are tested in turn."""

NO_TEST: Final = (
    "is missing: say what no trial sees (test: 0.2), or write outer_folds: 5 for a sweep with each fifth as test."
)
TWO_TESTS: Final = "stands beside outer_folds, which make each part the test split of one sweep in turn. Remove one."


def fault_of_fold(outer_fold: int | None, n_folds: int | None) -> str | None:
    """What is wrong with the choice of one outer fold, from 1; None if nothing is."""
    if outer_fold is None:
        return None if n_folds is None else f"is missing: which of the {n_folds} outer folds is test, from 1?"
    if n_folds is None:
        return "says which of outer_folds is test, and there are none. Write outer_folds, or remove it."
    return (
        None
        if outer_fold <= n_folds
        else f"found {outer_fold}; outer_folds has {n_folds}. Write one of 1 to {n_folds}."
    )


def outer_parts(groups: Groups, *, n_folds: int, seed: int) -> IntArray:
    """(sample,) the outer fold, from 0, that tests each sample; `UNKNOWN` where its group is: it always trains.

    Parts hold about as many samples each, as far as whole groups allow.
    """
    weights = np.ones(len(groups.of_sample), dtype=np.int64)
    return assign_folds(groups.of_sample, weights, n_folds=n_folds, seed=seed)


def hold_out_part(groups: Groups, validation: float, *, part: int, n_folds: int, seed: int) -> Fold:
    """The samples of one outer fold as test; of the rest, whole groups for validation, and all others to train.

    Args:
        groups: of the samples.
        validation: a share of all samples.
        part: which outer fold is test, from 0.
        n_folds: how many there are.
        seed: of the parts, and of what validates.
    """
    is_test = outer_parts(groups, n_folds=n_folds, seed=seed) == part
    rest = np.flatnonzero(~is_test)
    share = validation * len(is_test) / len(rest)
    train, validating, _ = hold_out(_among(groups, rest), share, (), seed=seed)
    return Fold(rest[train], rest[validating], np.flatnonzero(is_test))


def _among(groups: Groups, samples: IntArray) -> Groups:
    """The groups of some of the samples, counted anew."""
    of_sample = groups.of_sample[samples]
    known = of_sample >= 0
    left, own = np.unique(of_sample[known], return_inverse=True)
    renumbered = of_sample.copy()
    renumbered[known] = own
    return Groups(renumbered, tuple(groups.names[group] for group in left))
