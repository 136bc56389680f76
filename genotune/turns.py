"""Whose turn it is among several families: each has a population to fill, or a share of a budget to be sure of."""

import time
from collections.abc import Sequence

from genotune.limits import Limits, costs
from genotune.sweep_state import SweepState
from genotune.tuning.sharing import family_behind


def family_to_fill(state: SweepState, families: Sequence[str], size: int) -> str | None:
    """The family that has had the fewest trials, the first of equal ones; None: each has as many as its population.

    Args:
        state: of the sweep.
        families: that may be; those that get no more trials are left out.
        size: of a population.
    """
    n_of = state.n_proposed
    lacking = (family for family in families if family not in state.dropped and n_of[family] < size)
    return min(lacking, key=lambda family: n_of[family], default=None)


def family_under_budget(state: SweepState, families: Sequence[str], limits: Limits) -> str | None:
    """The family whose turn it is under a budget in hours, or in money; None: the searcher is free."""
    left = [family for family in families if family not in state.dropped]
    if (limits.hours is None and limits.cost is None) or len(left) < 2:
        return None
    ran_s = state.ran_s(time.time())
    spent = ran_s if limits.hours is not None else costs(ran_s, state)
    return family_behind(
        {family: spent.get(family, 0.0) for family in left}, state.n_proposed, most_trials=limits.n_trials
    )
