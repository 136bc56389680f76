"""What searchers learn from: one order of merit, and a bounded part of it."""

import math
import random

import pytest

from genotune.tuning.history import Ended, History
from genotune.tuning.placing import Point
from genotune.tuning.space import Direction


def history(*trials: tuple[dict[int, float], str], direction: Direction = "maximize") -> History:
    made = History(direction)
    for number, (curve, status) in enumerate(trials):
        made.propose(Point("cnn", {"x": number}))
        if status:
            made.tell(number, curve=curve, status=status)  # type: ignore[arg-type]
    return made


def numbers(trials: list[Ended]) -> list[int]:
    return [trial.number for trial in trials]


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_the_order_is_complete_then_stopped_by_epoch_then_diverged(direction: Direction, sign: int) -> None:
    known = history(
        ({1: sign * 9.0}, "stopped"),  # a better value than any, at an early epoch
        ({1: sign * 0.1, 2: math.nan}, "complete"),
        ({1: sign * 0.2, 2: sign * 0.5, 3: sign * 0.4}, "complete"),
        ({1: sign * 0.2, 3: sign * 0.1}, "stopped"),
        ({1: sign * 0.2, 3: sign * 0.3}, "stopped"),
        ({1: sign * 9.0, 2: math.inf}, "stopped"),
        ({}, "complete"),
        direction=direction,
    )
    assert numbers(known.best(9)) == [2, 1, 4, 3, 0, 5, 6]
    assert [trial.diverged for trial in known.best(9)] == [False] * 5 + [True] * 2


def test_failed_killed_and_running_trials_are_nothing_to_learn_from() -> None:
    known = history(({1: 0.5}, "failed"), ({1: 0.5}, "killed"), ({}, ""), ({1: 0.5}, "complete"))
    assert numbers(known.best(9)) == [3]
    assert known.n_ended == 1
    assert known.in_flight == [(2, Point("cnn", {"x": 2}))]


def test_the_last_word_on_a_trial_counts() -> None:
    known = history(({1: 0.5}, "complete"), ({1: 0.4}, "complete"))
    known.tell(0, curve={1: 0.3}, status="complete")
    assert numbers(known.best(9)) == [1, 0]
    assert numbers(known.ended(n_best=9, n_latest=9)) == [0, 1]
    known.tell(1, curve={}, status="failed")
    assert numbers(known.best(9, "cnn")) == [0]


def test_the_best_and_the_latest_of_the_others_are_chosen_as_a_full_sort_would() -> None:
    rng = random.Random(3)
    values = [rng.random() for _ in range(200)]
    known = history(*[({1: value}, "complete") for value in values])
    best = sorted(range(200), key=lambda number: -values[number])[:7]
    latest = [number for number in range(200) if number not in best][-30:]
    assert numbers(known.ended(n_best=7, n_latest=30)) == sorted({*best, *latest})
    assert len(known.ended(n_best=7, n_latest=30)) == 37
    assert numbers(known.ended(n_best=7, n_latest=300)) == list(range(200))


def test_trials_learned_before_the_sweep_come_before_all_others() -> None:
    known = history(({1: 0.5}, "complete"), ({1: 0.1}, "complete"))
    known.learn(Point("ridge", {"x": 7}), curve={1: 0.3}, status="complete")
    known.learn(Point("ridge", {"x": 8}), curve={1: 0.2}, status="stopped")
    assert [trial.point.picks["x"] for trial in known.ended(n_best=9, n_latest=0)] == [7, 8, 0, 1]
    assert [trial.point.picks["x"] for trial in known.best(9)] == [0, 7, 1, 8]
    assert [trial.point.picks["x"] for trial in known.best(9, "ridge")] == [7, 8]


def test_shares_say_how_many_trials_of_all_families_are_worse() -> None:
    known = history(*[({1: value}, "complete") for value in (0.3, 0.1, 0.4, 0.2)])
    assert [known.share_above(trial) for trial in known.ended(n_best=9, n_latest=0)] == [0.625, 0.125, 0.875, 0.375]
