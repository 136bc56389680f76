"""Brackets of asynchronous successive halving."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.settings import build
from genotune.tuning import SchedulerSettings
from genotune.tuning.schedulers import Decision, Scheduler


def hyperband(**values: Any) -> Scheduler:
    made: Scheduler = build(SchedulerSettings, {"kind": "hyperband", "max_epochs": 9, **values}).build("maximize")
    return made


def rungs_of(scheduler: Scheduler, trial: int, *, max_epochs: int) -> tuple[int, ...]:
    """Where an ever better trial is compared."""
    decisions = [scheduler.decide(trial, "cnn", epoch, float(trial)) for epoch in range(1, max_epochs + 1)]
    assert {decision.action for decision in decisions} == {"continue"}
    return tuple(decision.rung for decision in decisions if decision.rung is not None)


def test_trials_are_dealt_to_the_brackets_of_the_paper_in_its_proportions() -> None:
    """Li et al. 2018, table 1, for 81 epochs and a factor of 3: 81, 34, 15, 8 and 5 configurations."""
    scheduler = hyperband(max_epochs=81)
    n = Counter(rungs_of(scheduler, trial, max_epochs=81) for trial in range(143))
    wanted = {(1, 3, 9, 27): 81, (3, 9, 27): 33.75, (9, 27): 15, (27,): 7.5, (): 5}
    assert n.keys() == wanted.keys()
    for rungs, count in wanted.items():
        assert abs(n[rungs] - count) <= 1, rungs


def test_a_trial_is_compared_with_those_of_its_bracket_alone() -> None:
    """For 9 epochs the weights are 9, 4.5 and 3: of the first trials these are the brackets."""
    scheduler = hyperband()
    fresh = hyperband()
    brackets = [rungs_of(fresh, trial, max_epochs=9) for trial in range(6)]
    first, second = [trial for trial, rungs in enumerate(brackets) if rungs == (1, 3)][:2]
    other = brackets.index((3,))
    for trial in range(6):
        value = {first: 0.9, second: 0.1}.get(trial, 0.5)
        decision = scheduler.decide(trial, "cnn", 1, value)
        if trial == other:
            assert decision == Decision("continue", None, "epoch 1 is no rung")
        if trial == second:
            assert decision.action == "stop"
    assert scheduler.decide(other, "cnn", 3, 0.2).action == "continue", "the first at its bracket's rung"


def test_a_bracket_without_rungs_never_stops_a_trial() -> None:
    scheduler = hyperband()
    brackets = [rungs_of(scheduler, trial, max_epochs=9) for trial in range(12)]
    trial = brackets.index(())
    again = hyperband()
    for earlier in range(trial):
        again.decide(earlier, "cnn", 1, 1.0)
    assert all(again.decide(trial, "cnn", epoch, math.nan).action == "continue" for epoch in range(1, 10))


def test_occupancy_is_of_all_brackets_together() -> None:
    scheduler = hyperband()
    for trial in range(11):
        rungs_of(scheduler, trial, max_epochs=9)
    (rungs,) = scheduler.occupancy().values()
    assert rungs == {1: 6, 3: 9}


def test_families_are_dealt_out_apart() -> None:
    scheduler = hyperband()
    for trial, family in enumerate("ababab"):
        scheduler.decide(trial, family, 1, 0.5)
    occupancy = scheduler.occupancy()
    assert occupancy["a"][1] == occupancy["b"][1] > 0


@given(st.integers(1, 40), st.integers(2, 5))
def test_every_bracket_gets_its_share_to_within_one_trial(n_trials: int, factor: int) -> None:
    scheduler = hyperband(max_epochs=factor**3, reduction_factor=factor)
    n = Counter(len(rungs_of(scheduler, trial, max_epochs=factor**3)) for trial in range(n_trials))
    weights = {k: 4 / (k + 1) * factor**k for k in range(4)}
    total = math.fsum(weights.values())
    for k, weight in weights.items():
        assert abs(n[k] - n_trials * weight / total) <= 1


@pytest.mark.parametrize("max_epochs", [1, 2])
def test_a_short_sweep_has_one_bracket_or_two(max_epochs: int) -> None:
    assert hyperband(max_epochs=max_epochs).rungs == (1,) * (max_epochs - 1)
