"""The median stopping rule, against its definition."""

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.settings import build
from genotune.tuning import SchedulerSettings
from genotune.tuning.schedulers import Decision, Scheduler


def rule(direction: Any = "maximize", **values: Any) -> Scheduler:
    made: Scheduler = build(SchedulerSettings, {"kind": "median", "max_epochs": 9, **values}).build(direction)
    return made


def train(scheduler: Scheduler, trial: int, values: list[float]) -> Decision:
    """A trial reports from epoch 1 on; its last decision."""
    for epoch, value in enumerate(values, start=1):
        decision = scheduler.decide(trial, "cnn", epoch, value)
    return decision


def test_a_trial_stops_when_its_best_is_worse_than_the_median_of_the_others_means() -> None:
    scheduler = rule()
    for trial, values in enumerate([[0.2, 0.4], [0.4, 0.6], [0.6, 0.8]]):  # means 0.3, 0.5, 0.7
        assert train(scheduler, trial, values).action == "continue"
    assert train(scheduler, 3, [0.45, 0.1]) == Decision(
        "stop", 2, "epoch 2: 0.45 is worse than the median 0.5 of 3 others"
    )
    # The one that was stopped counts too: 0.275, 0.3, 0.5, 0.7.
    assert train(scheduler, 4, [0.41, 0.1]) == Decision(
        "continue", 2, "epoch 2: 0.41 is no worse than the median 0.4 of 4 others"
    )


def test_where_less_is_better_a_trial_stops_above_the_median() -> None:
    scheduler = rule("minimize")
    for trial, value in enumerate([1.0, 2.0, 3.0]):
        train(scheduler, trial, [value])
    assert train(scheduler, 3, [2.5]).action == "stop"
    assert train(scheduler, 4, [2.0]).action == "continue"


def test_nothing_is_compared_with_too_few_others_or_before_its_time_or_at_the_end() -> None:
    scheduler = rule(min_trials=2, min_epochs=2, max_epochs=3)
    for trial in range(2):
        train(scheduler, trial, [0.9, 0.9, 0.9])
    assert scheduler.decide(2, "cnn", 1, 0.1) == Decision("continue", None, "epoch 1 is before the first comparison")
    assert scheduler.decide(3, "cnn", 3, 0.1) == Decision("continue", None, "epoch 3 is the last")
    assert scheduler.decide(2, "cnn", 2, 0.1).action == "stop"
    assert rule(min_trials=2).decide(0, "cnn", 1, 0.1) == Decision("continue", 1, "epoch 1: 0 others came so far")


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_stops_the_trial_and_makes_its_mean_the_worst(lost: float) -> None:
    scheduler = rule(min_trials=1)
    assert scheduler.decide(0, "cnn", 1, lost) == Decision("stop", 1, "epoch 1: the objective is not a finite number")
    assert scheduler.decide(1, "cnn", 1, -1e9).action == "continue"


def test_families_are_compared_within_themselves_and_up_to_their_own_end() -> None:
    scheduler = build(SchedulerSettings, {"kind": "median", "max_epochs": 9, "min_trials": 1}).build(
        "maximize", own_epochs={"ridge": 1}
    )
    scheduler.decide(0, "cnn", 1, 0.9)
    assert scheduler.decide(1, "trees", 1, 0.1).action == "continue"
    assert scheduler.decide(2, "ridge", 1, 0.1) == Decision("continue", None, "epoch 1 is the last")
    assert scheduler.occupancy() == {"cnn": {1: 1}, "trees": {1: 1}, "ridge": {1: 1}}


@given(
    curves=st.lists(st.lists(st.floats(-9, 9), min_size=1, max_size=8), max_size=20),
    n_least=st.integers(1, 4),
)
def test_it_is_what_its_definition_says_of_trials_one_after_another(curves: list[list[float]], n_least: int) -> None:
    scheduler = rule(min_trials=n_least)
    told: list[list[float]] = []
    for trial, curve in enumerate(curves):
        so_far: list[float] = []
        for epoch, value in enumerate(curve, start=1):
            so_far.append(value)
            means = [math.fsum(other[:epoch]) / epoch for other in told if len(other) >= epoch]
            stops = len(means) >= n_least and max(so_far) < statistics.median(means)
            assert (scheduler.decide(trial, "cnn", epoch, value).action == "stop") == stops
            if stops:
                break
        told.append(so_far)


def test_a_first_comparison_after_the_end_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"min_epochs is 10; must be at most max_epochs \(9\)\."):
        rule(min_epochs=10)
