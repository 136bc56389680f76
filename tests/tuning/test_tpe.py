"""TPE learns: from values, from stopped trials, under conditions, in either direction."""

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from genotune.tuning.searchers import RandomSettings, Searcher, SearcherSettings
from genotune.tuning.space import Direction, Draw, Space
from genotune.tuning.tpe import TPESettings
from tuning_builders import (
    LINE,
    NETWORK,
    Known,
    apart,
    eight_places,
    space_of,
    taught,
    value_in_network,
    values_of_trials,
)


def history(known: Known, *, direction: Direction = "maximize", **values: Any) -> Searcher:
    return taught(TPESettings(**values), known, direction=direction)


def mean_proposal(trials: Known, *, direction: Direction = "maximize") -> float:
    """Where a searcher with this history proposes to look, averaged over seeds."""
    draws = [history(trials, direction=direction, seed=seed).ask() for seed in range(20)]
    return statistics.mean(draw.picks["x"] for draw in draws if draw is not None)


def best_of(settings: SearcherSettings, space: Space, value: Callable[[Mapping[str, Any]], float]) -> float:
    return max(values_of_trials(settings.build(space, "maximize"), value, n_trials=24))


def test_tpe_comes_closer_than_random_on_a_line() -> None:
    def value(params: Mapping[str, Any]) -> float:
        return -abs(params["x"] - 0.7)

    tpe = [-best_of(TPESettings(seed=seed), LINE, value) for seed in range(12)]
    chance = [-best_of(RandomSettings(seed=seed), LINE, value) for seed in range(12)]
    assert statistics.mean(tpe) < 0.5 * statistics.mean(chance)


def test_tpe_beats_random_on_a_space_like_that_of_a_network() -> None:
    tpe = [best_of(TPESettings(seed=seed), NETWORK, value_in_network) for seed in range(12)]
    chance = [best_of(RandomSettings(seed=seed), NETWORK, value_in_network) for seed in range(12)]
    assert statistics.mean(tpe) > statistics.mean(chance) + 0.05


@pytest.mark.parametrize(("direction", "wanted"), [("maximize", 6), ("minimize", 2)])
def test_both_ends_of_a_range_are_found(direction: Direction, wanted: int) -> None:
    searcher = TPESettings(seed=1).build(space_of({"cnn": {"n_blocks": {"int": [2, 6]}}}), direction)
    proposed = []
    for number in range(30):
        draw = searcher.ask()
        assert draw is not None
        proposed.append(draw.picks["n_blocks"])
        searcher.tell(number, curve={1: float(draw.picks["n_blocks"])}, status="complete")
    assert set(proposed) >= {2, 6}
    assert statistics.mode(proposed[8:]) == wanted


def test_the_better_family_is_asked_more_often_and_only_its_own_domains() -> None:
    space = space_of({"good": {"x": {"uniform": [0, 1]}}, "bad": {"y": {"uniform": [0, 1]}, "family": {"int": [1, 3]}}})
    searcher = TPESettings(seed=2).build(space, "maximize")
    families = []
    for number in range(40):
        draw = searcher.ask()
        assert draw is not None
        families.append(draw.family)
        assert draw.picks.keys() == ({"x"} if draw.family == "good" else {"y", "family"})
        value = draw.picks["x"] if draw.family == "good" else -draw.picks["y"]
        searcher.tell(number, curve={1: value}, status="complete")
    assert families[20:].count("good") > 15


SPREAD = [0.05 + 0.1 * i for i in range(10)]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_complete_trial_counts_with_its_best_epoch(direction: Direction) -> None:
    sign = 1 if direction == "maximize" else -1
    # At its best epoch a trial on the right is the better, at its last one it is the worse.
    trials = [(x, {1: sign * x, 2: sign * 5 * x, 3: sign * -9 * x}, "complete") for x in SPREAD]
    assert mean_proposal(trials, direction=direction) > 0.7


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_value_that_is_not_finite_is_never_the_best(direction: Direction, lost: float) -> None:
    trials = [(x, {1: lost} if x > 0.3 else {1: x, 2: lost}, "complete") for x in SPREAD]
    assert mean_proposal(trials, direction=direction) < 0.4


def test_a_complete_trial_that_reported_nothing_is_the_worst() -> None:
    assert mean_proposal([(x, {1: x - 1} if x > 0.7 else {}, "complete") for x in SPREAD]) > 0.6


def test_a_stopped_trial_is_no_better_than_a_finished_one_whatever_it_showed_early() -> None:
    trials = [(x, {1: 9.0}, "stopped") if x > 0.3 else (x, {1: 0.1, 2: 0.2}, "complete") for x in SPREAD]
    assert mean_proposal(trials) < 0.4


def test_a_trial_that_diverged_to_its_end_is_worse_than_one_stopped_before() -> None:
    trials = [(x, {1: math.nan}, "complete") if x > 0.3 else (x, {1: 0.1}, "stopped") for x in SPREAD]
    assert mean_proposal(trials) < 0.4


def asked_with(changed: Mapping[int, tuple[float, float]]) -> list[Draw | None]:
    """What is proposed after 400 trials; some of them (by number) have another place and value. The oldest are best."""
    trials = {number: ((number * 0.618) % 1, 1 - number / 1000) for number in range(400)} | changed
    known = [(x, {1: value}, "complete") for x, value in trials.values()]
    return [history(known, seed=seed).ask() for seed in range(4)]


def test_the_best_trials_and_the_latest_are_learned_from_however_many_there_are() -> None:
    known = asked_with({})
    old, late = range(140, 150), range(380, 390)
    assert asked_with(dict.fromkeys(old, (0.84, 0.85))) == known, "old trials that are not among the best"
    assert asked_with(dict.fromkeys(old, (0.84, 2.0))) != known, "old trials that are"
    assert asked_with(dict.fromkeys(late, (0.84, 0.61))) != known, "late trials"


def test_eight_proposals_at_once_do_not_cluster() -> None:
    known: Known = [(x, {1: -abs(x - 0.65)}, "complete") for x in [i / 40 for i in range(41)]]
    at_once = [eight_places(history(known, seed=seed), len(known), at_once=True) for seed in range(10)]
    in_turn = [eight_places(history(known, seed=seed), len(known), at_once=False) for seed in range(10)]
    assert sum(map(apart, at_once)) > 1.2 * sum(map(apart, in_turn))


def test_stopped_trials_are_learned_from() -> None:
    # None has completed: those that were stopped later were the better ones, and among equals the higher value.
    assert mean_proposal([(x, dict.fromkeys(range(1, 4 if x > 0.8 else 2), 0.5), "stopped") for x in SPREAD]) > 0.7
    assert mean_proposal([(x, {1: -x}, "stopped") for x in SPREAD]) < 0.3
    assert mean_proposal([(x, {1: -x}, "stopped") for x in SPREAD], direction="minimize") > 0.7


def test_a_trial_that_diverged_is_worse_than_one_stopped_before() -> None:
    trials = [(x, {1: x, 2: x, 3: math.nan} if x > 0.3 else {1: 0.1}, "stopped") for x in SPREAD]
    assert mean_proposal(trials) < 0.4


@pytest.mark.parametrize("status", ["failed", "killed"])
def test_failed_and_killed_trials_teach_nothing(status: str) -> None:
    known = [(x, {1: x}, "complete") for x in SPREAD]
    told = [history([*known, (0.5, curve, status)], seed=3).ask() for curve in ({}, {1: 99.0})]
    assert told[0] == told[1]


@pytest.mark.parametrize("status", ["failed", "killed", ""])
def test_the_search_is_random_until_enough_trials_have_shown_something(status: str) -> None:
    chance = RandomSettings(seed=3).build(LINE, "maximize")
    draws = [chance.ask() for _ in range(28)]
    taught = [(x, {1: x}, "complete") for x in SPREAD[:7]]
    untaught = [(0.5, {1: 1.0}, status)] * 20
    assert history([*taught, *untaught], seed=3).ask() == draws[27]
    assert history([*taught, *untaught], seed=3, n_startup_trials=7).ask() != draws[27]


def test_trials_in_flight_keep_others_away() -> None:
    known = [(x, {1: -abs(x - 0.65)}, "complete") for x in SPREAD]
    near = {"alone": 0, "beside": 0}
    for seed in range(20):
        for case, status in (("alone", "failed"), ("beside", "")):
            draw = history([*known, *[(0.65, {}, status)] * 4], seed=seed).ask()
            assert draw is not None
            near[case] += abs(draw.picks["x"] - 0.65) < 0.02
    assert near["beside"] < near["alone"]


_IN_ANOTHER_PROCESS = """
import json
from genotune.tuning.space import parse_template
from genotune.tuning.tpe import TPESettings

params = {
    "lr": {"log_uniform": [1e-4, 1e-2]},
    "depth": {"int": [1, 9]},
    "kind": {"choice": ["a", {"b": {"uniform": [0, 1]}}]},
}
space = {"one": parse_template(params)[0], "two": parse_template(params)[0]}
searcher = TPESettings(seed=4).build(space, "maximize")
draws = []
for number in range(16):
    draws.append(searcher.ask())
    searcher.tell(number, curve={1: draws[-1].picks["lr"]}, status="complete" if number % 2 else "stopped")
print(json.dumps(draws))
"""


def test_another_process_proposes_the_same() -> None:
    printed = [
        subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert len(json.loads(printed[0])) == 16


def test_settings_are_read_without_optuna() -> None:
    code = "import sys, genotune.tuning; print('optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_nothing_is_written_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    history([(x, {1: x}, "complete") for x in SPREAD]).ask()
    assert capfd.readouterr() == ("", "")
