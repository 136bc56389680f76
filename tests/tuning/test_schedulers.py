"""What every scheduler promises; ASHA against a slow and obvious oracle."""

import math
import random
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.settings import build
from genotune.tuning import SchedulerSettings
from genotune.tuning.schedulers import BaseSchedulerSettings, Decision, Scheduler

KINDS = [member.model_fields["kind"].default for member in get_args(get_args(SchedulerSettings)[0])]


def settings_of(kind: str, **values: Any) -> BaseSchedulerSettings:
    made: BaseSchedulerSettings = build(SchedulerSettings, {"kind": kind, "max_epochs": 9, **values})
    return made


def asha(direction: Any = "maximize", **values: Any) -> Scheduler:
    return settings_of("asha", **values).build(direction)


class Report(NamedTuple):
    trial: int
    family: str
    epoch: int
    value: float


class Oracle:
    """Asynchronous successive halving, as its definition reads: every question goes back to all that was ever reported.

    A rung holds the values that were reported at its epoch. A trial goes on if sorting them, best first, earlier first
    among equals and what is no number last, leaves it among the first 1 / factor, rounded down, but at least one.
    """

    def __init__(self, *, factor: int, min_epochs: int, max_epochs: int, direction: str) -> None:
        self.factor, self.direction = factor, direction
        self.rungs = {min_epochs * factor**k for k in range(60) if min_epochs * factor**k < max_epochs}
        self.reports: list[Report] = []

    def decide(self, report: Report) -> str:
        if report.epoch not in self.rungs:
            return "continue"
        first = next((old for old in self.reports if (old.trial, old.epoch) == (report.trial, report.epoch)), None)
        if first is None:
            self.reports.append(report)
        known = self.reports if first is None else self.reports[: self.reports.index(first) + 1]
        mine = known[-1]
        rung = [other for other in known if (other.family, other.epoch) == (mine.family, mine.epoch)]
        if not math.isfinite(mine.value):
            return "stop"
        numbers = [other for other in rung if math.isfinite(other.value)]
        ordered = sorted(numbers, key=lambda other: other.value, reverse=self.direction == "maximize")
        return "continue" if mine in ordered[: max(1, math.floor(len(rung) / self.factor))] else "stop"

    def occupancy(self, families: set[str]) -> Mapping[str, Mapping[int, int]]:
        return {
            family: {rung: sum((r.family, r.epoch) == (family, rung) for r in self.reports) for rung in self.rungs}
            for family in families
        }


VALUES = st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 1e9, -5.0, math.nan, math.inf, -math.inf]) | st.floats()
REPORTS = st.builds(
    lambda trial, epoch, value: Report(trial, "ab"[trial % 2], epoch, value),
    st.integers(0, 25),
    st.integers(1, 12),
    VALUES,
)


@given(
    reports=st.lists(REPORTS, max_size=120),
    factor=st.integers(2, 4),
    min_epochs=st.integers(1, 3),
    max_epochs=st.integers(3, 12),
    direction=st.sampled_from(["maximize", "minimize"]),
)
def test_asha_is_what_its_definition_says(
    reports: list[Report], factor: int, min_epochs: int, max_epochs: int, direction: str
) -> None:
    limits = {"min_epochs": min_epochs, "max_epochs": max_epochs}
    scheduler = asha(direction, reduction_factor=factor, **limits)
    oracle = Oracle(factor=factor, direction=direction, **limits)
    for report in reports:
        assert scheduler.decide(*report).action == oracle.decide(report)
    assert scheduler.occupancy() == oracle.occupancy({report.family for report in reports})


@given(seed=st.integers(0, 10_000), factor=st.integers(2, 4), n_trials=st.integers(1, 40))
def test_asha_is_what_its_definition_says_of_trials_that_obey(seed: int, factor: int, n_trials: int) -> None:
    rng = random.Random(seed)
    scheduler = asha(reduction_factor=factor, max_epochs=27)
    oracle = Oracle(factor=factor, min_epochs=1, max_epochs=27, direction="maximize")
    waiting, live = list(range(n_trials)), dict[int, int]()
    while waiting or live:
        if waiting and len(live) < 5:
            live[waiting.pop(0)] = 0
        trial = rng.choice(list(live))
        live[trial] += 1
        report = Report(trial, "cnn", live[trial], rng.choice([rng.random(), round(rng.random(), 1), math.nan]))
        decision = scheduler.decide(*report)
        assert decision.action == oracle.decide(report)
        if decision.action == "stop" or live[trial] == 27:
            del live[trial]


@pytest.mark.parametrize(
    ("values", "rungs"),
    [
        ({"max_epochs": 9}, (1, 3)),
        ({"max_epochs": 10}, (1, 3, 9)),
        ({"max_epochs": 243}, (1, 3, 9, 27, 81)),
        ({"max_epochs": 244}, (1, 3, 9, 27, 81, 243)),
        ({"max_epochs": 100, "reduction_factor": 4, "min_epochs": 5}, (5, 20, 80)),
        ({"max_epochs": 1}, ()),
        ({"max_epochs": 5, "min_epochs": 5}, ()),
    ],
)
def test_rungs_are_whole_powers_below_the_end(values: dict[str, int], rungs: tuple[int, ...]) -> None:
    assert settings_of("asha", **values).rungs == asha(**values).rungs == rungs


def test_the_first_trial_at_a_rung_goes_on_and_a_worse_one_stops() -> None:
    scheduler = asha()
    assert scheduler.decide(0, "cnn", 3, 0.5) == Decision("continue", 3, "rung 3: 0.5 is among the best 1 of 1")
    assert scheduler.decide(1, "cnn", 3, 0.4) == Decision("stop", 3, "rung 3: 0.4 is not among the best 1 of 2")
    assert scheduler.decide(2, "cnn", 3, 0.6) == Decision("continue", 3, "rung 3: 0.6 is among the best 1 of 3")


def test_a_third_goes_on_by_the_known_count() -> None:
    scheduler = asha()
    for trial, value in enumerate([0.9, 0.8, 0.7, 0.6, 0.5]):
        scheduler.decide(trial, "cnn", 3, value)
    assert scheduler.decide(5, "cnn", 3, 0.85).action == "continue"
    assert scheduler.decide(6, "cnn", 3, 0.512).reason == "rung 3: 0.512 is not among the best 2 of 7"
    assert scheduler.occupancy() == {"cnn": {1: 0, 3: 7}}


def test_of_equal_values_the_earlier_is_the_better() -> None:
    scheduler = asha()
    actions = [scheduler.decide(trial, "cnn", 1, 0.5).action for trial in range(6)]
    assert actions == ["continue", "stop", "stop", "stop", "stop", "stop"]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_never_goes_on_but_counts(direction: str, lost: float) -> None:
    scheduler = asha(direction)
    wanted = Decision("stop", 1, "rung 1: the objective is not a finite number")
    assert [scheduler.decide(trial, "cnn", 1, lost) for trial in range(5)] == [wanted] * 5
    assert scheduler.decide(5, "cnn", 1, 0.0).reason == "rung 1: 0 is among the best 2 of 6"


def test_a_trial_that_skips_a_rung_never_enters_it_late() -> None:
    scheduler = asha()
    assert scheduler.decide(0, "cnn", 4, 0.9) == Decision("continue", None, "epoch 4 is no rung")
    assert scheduler.occupancy() == {"cnn": {1: 0, 3: 0}}
    assert scheduler.decide(1, "cnn", 3, 0.1).action == "continue"


def test_the_last_epoch_is_no_stop() -> None:
    assert asha().decide(0, "cnn", 9, math.nan) == Decision("continue", None, "epoch 9 is the last")


def test_a_family_that_ends_at_its_own_epoch_is_not_compared_there() -> None:
    scheduler = settings_of("asha").build("maximize", own_epochs={"ridge": 1})
    assert scheduler.decide(0, "ridge", 1, 0.3) == Decision("continue", None, "epoch 1 is the last")
    assert scheduler.decide(1, "ridge", 1, 0.1) == Decision("continue", None, "epoch 1 is the last")
    assert scheduler.decide(2, "cnn", 1, 0.1).rung == 1
    assert scheduler.occupancy() == {"ridge": {}, "cnn": {1: 1, 3: 0}}


def test_families_are_compared_within_themselves() -> None:
    scheduler = asha()
    scheduler.decide(0, "cnn", 1, 0.9)
    assert scheduler.decide(1, "trees", 1, 0.1).action == "continue"
    assert scheduler.occupancy() == {"cnn": {1: 1, 3: 0}, "trees": {1: 1, 3: 0}}


@pytest.mark.parametrize("kind", KINDS)
@given(reports=st.lists(REPORTS, max_size=60))
@example(reports=[Report(0, "a", 1, 9e307), Report(0, "a", 2, 9e307)])  # their sum is no float
def test_an_epoch_that_was_decided_gets_the_same_decision_again(kind: str, reports: list[Report]) -> None:
    once, twice = settings_of(kind).build("maximize"), settings_of(kind).build("maximize")
    made = [once.decide(*report) for report in reports]
    for report, decision in zip(reports, made, strict=True):
        assert twice.decide(*report) == decision
        assert twice.decide(*report._replace(value=123.0)) == decision
    assert once.occupancy() == twice.occupancy()


@pytest.mark.parametrize("kind", KINDS)
@given(reports=st.lists(REPORTS, max_size=60), cut=st.integers(0, 60))
def test_a_scheduler_rebuilt_from_its_reports_decides_the_same(kind: str, reports: list[Report], cut: int) -> None:
    first, rebuilt = settings_of(kind).build("minimize"), settings_of(kind).build("minimize")
    decisions = [first.decide(*report) for report in reports]
    for report in reports[:cut]:
        rebuilt.decide(*report)
    assert [rebuilt.decide(*report) for report in reports] == decisions


@pytest.mark.parametrize("kind", KINDS)
def test_every_decision_gives_a_reason(kind: str) -> None:
    scheduler = settings_of(kind).build("maximize")
    for epoch in range(1, 10):
        decision = scheduler.decide(0, "cnn", epoch, 0.5)
        assert decision.reason
        assert decision.rung is None or decision.rung in scheduler.rungs


def test_no_scheduler_never_stops_a_trial() -> None:
    made = settings_of("none")
    scheduler = made.build("maximize")
    assert made.rungs == scheduler.rungs == ()
    assert scheduler.decide(0, "cnn", 1, math.nan) == Decision("continue", None, "no scheduler")
    assert scheduler.occupancy() == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_epochs": 0}, "greater than or equal to 1"),
        ({"reduction_factor": 1}, "greater than or equal to 2"),
        ({"reduction_factor": 2.5}, "valid integer"),
        ({"min_epochs": 0}, "greater than or equal to 1"),
        ({"min_epochs": 10}, r"min_epochs is 10; must be at most max_epochs \(9\)\."),
        ({"grace": 1}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings_of("asha", **values)
