"""Whose turn it is among several families: each has a population to fill, or a share of a budget to be sure of."""

import time
from collections import Counter
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
    n_trials = Counter(trial.family for trial in state.trials.values())
    lacking = (family for family in families if family not in state.dropped and n_trials[family] < size)
    return min(lacking, key=lambda family: n_trials[family], default=None)


def family_under_budget(state: SweepState, families: Sequence[str], limits: Limits) -> str | None:
    """The family whose turn it is under a budget in hours, or in money; None: the searcher is free."""
    left = [family for family in families if family not in state.dropped]
    if (limits.hours is None and limits.cost is None) or len(left) < 2:
        return None
    ran_s = state.ran_s(time.time())
    spent = ran_s if limits.hours is not None else costs(ran_s, state)
    n_trials = Counter(trial.family for trial in state.trials.values())
    return family_behind({family: spent.get(family, 0.0) for family in left}, n_trials, most_trials=limits.n_trials)
