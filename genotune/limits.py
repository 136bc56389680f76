"""Where a sweep ends: the limits of its budget, and how much of each is spent."""

from collections.abc import Mapping
from typing import NamedTuple

from genotune.money import Money, parse_money
from genotune.spec.schema import Budget
from genotune.sweep_state import SweepState


class Limits(NamedTuple):
    """Where a sweep ends, whichever comes first.

    Attributes:
        n_trials: proposals at most.
        hours: of a driver at work, resumes added up; None: no limit.
        concurrent: live trials at most; None: as many as Ray has room for.
        epochs: of all trials together; None: no limit.
        cost: of the time that trials run; None: no limit.
    """

    n_trials: int
    hours: float | None = None
    concurrent: int | None = None
    epochs: int | None = None
    cost: Money | None = None


def limits_of(budget: Budget, *, concurrent: int | None = None) -> Limits:
    """The limits that a budget sets."""
    cost = None if budget.cost is None else parse_money(budget.cost)
    return Limits(budget.trials, budget.hours, concurrent, budget.epochs, cost)


def spent_budget(state: SweepState, limits: Limits, *, now_s: float) -> str:
    """Which limit on time, epochs or cost is reached, in words; '' if none is. Nothing new begins then."""
    if limits.hours is not None and active_s(state, now_s=now_s) >= limits.hours * 3600:
        return f"the budget of {limits.hours:g} h is spent"
    if limits.epochs is not None and state.n_epochs >= limits.epochs:
        return f"the budget of {limits.epochs} epochs is spent"
    if limits.cost is not None and spent_cost(state, now_s=now_s) >= limits.cost.amount:
        return f"the budget of {limits.cost} is spent"
    return ""


def budget_words(budget: Budget) -> str:
    """Where a sweep ends: '24 trials, 1 h or 20 USD, whichever comes first'."""
    words = limit_words(budget)
    words += ", whichever comes first" if " or " in words else ""
    if budget.plateau is None:
        return words
    least = f" by {budget.plateau.min_delta:g}" if budget.plateau.min_delta else ""
    return f"{words}; no more after {budget.plateau.trials} that did not improve the best objective{least}"


def limit_words(budget: Budget, *, n_sweeps: int = 1) -> str:
    """The limits of a budget, or of so many like it: '24 trials, 1 h or 20 USD'."""
    cost = None if budget.cost is None else parse_money(budget.cost)
    *first, last = [
        f"{n_sweeps * budget.trials:,} trials",
        *([] if budget.hours is None else [f"{n_sweeps * budget.hours:g} h"]),
        *([] if budget.epochs is None else [f"{n_sweeps * budget.epochs:,} epochs"]),
        *([] if cost is None else [str(cost._replace(amount=n_sweeps * cost.amount))]),
    ]
    return f"{', '.join(first)} or {last}" if first else last


class Spent(NamedTuple):
    """How much of a budget is spent.

    Attributes:
        seconds: of a driver at work.
        epochs: of all trials together.
        cost: of the time that trials ran; None: prices are not known.
    """

    seconds: float
    epochs: int
    cost: Money | None


def spent_of(state: SweepState, *, now_s: float) -> Spent:
    """What a sweep has spent until now; drivers that are not at work spend nothing."""
    prices = state.facts.get("prices")
    cost = None if prices is None else Money(spent_cost(state, now_s=now_s), prices["currency"])
    return Spent(active_s(state, now_s=now_s), state.n_epochs, cost)


def active_s(state: SweepState, *, now_s: float) -> float:
    """Seconds that drivers have been at work until now."""
    return state.active_s + max(0.0, now_s - state.last_s)


def spent_cost(state: SweepState, *, now_s: float) -> float:
    """What the time that trials have run costs by the prices that the sweep began with; 0 without prices."""
    return sum(costs(state.ran_s(now_s), state).values())


def costs(ran_s: Mapping[str, float], state: SweepState) -> dict[str, float]:
    """What the trials of each family cost that ran for so many seconds."""
    per_hour = state.facts.get("trial_hour_cost", {})
    return {family: seconds / 3600 * per_hour.get(family, 0.0) for family, seconds in ran_s.items()}
