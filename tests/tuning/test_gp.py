"""The Gaussian process searcher learns: from values, from stopped trials, under conditions, beside trials in flight."""

import math
import statistics
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from genotune.tuning.gp import GPSettings
from genotune.tuning.placing import Point
from genotune.tuning.searchers import RandomSettings, Searcher, SearcherSettings
from genotune.tuning.space import Direction, Draw
from tuning_builders import space_of

NETWORK = space_of(
    {
        "cnn": {
            "learning_rate": {"log_uniform": [1e-4, 1e-2]},
            "channels": {"choice": [32, 64]},
            "n_blocks": {"int": [2, 6]},
            "schedule": {"choice": ["constant", {"warmup": {"uniform": [0, 0.5]}}]},
        }
    }
)
LINE = space_of({"line": {"x": {"uniform": [0, 1]}}})
SPREAD = [0.05 + 0.1 * i for i in range(10)]


def value_of(params: Mapping[str, Any]) -> float:
    warmup = 0.3 if params["schedule"] == "constant" else abs(params["schedule"]["warmup"] - 0.1)
    distance = abs(math.log10(params["learning_rate"]) + 2.7)
    return -(distance + 0.2 * abs(params["n_blocks"] - 5) + 0.2 * (params["channels"] == 64) + warmup)


def best_of(settings: SearcherSettings, *, n_trials: int) -> float:
    searcher, values = settings.build(NETWORK, "maximize"), []
    for number in range(n_trials):
        draw = searcher.ask()
        assert draw is not None
        values.append(value_of(draw.params))
        searcher.tell(number, curve={1: values[-1]}, status="complete")
    return max(values)


def history(
    trials: list[tuple[float, Mapping[int, float], str]], *, direction: Direction = "maximize", seed: int = 0
) -> Searcher:
    searcher = GPSettings(seed=seed).build(LINE, direction)
    for number, (x, curve, status) in enumerate(trials):
        searcher.remember(Draw("line", {"x": x}, {"x": x}))
        if status:
            searcher.tell(number, curve=curve, status=status)  # type: ignore[arg-type]
    return searcher


def proposal(trials: list[tuple[float, Mapping[int, float], str]], *, direction: Direction = "maximize") -> float:
    places = []
    for seed in range(4):
        draw = history(trials, direction=direction, seed=seed).ask()
        assert draw is not None
        places.append(draw.picks["x"])
    return statistics.mean(places)


def test_gp_comes_closer_than_random_on_a_space_like_that_of_a_network() -> None:
    found = [best_of(GPSettings(seed=seed), n_trials=24) for seed in range(5)]
    chance = [best_of(RandomSettings(seed=seed), n_trials=24) for seed in range(5)]
    assert statistics.mean(found) > 0.5 * statistics.mean(chance)


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_the_optimum_is_looked_for_where_values_point(direction: Direction, sign: int) -> None:
    trials = [(x, {1: -sign * (x - 0.72) ** 2}, "complete") for x in SPREAD]
    assert proposal(trials, direction=direction) == pytest.approx(0.72, abs=0.1)


def test_stopped_trials_are_learned_from_and_are_no_better_than_finished_ones() -> None:
    assert proposal([(x, {1: -x}, "stopped") for x in SPREAD]) < 0.3
    mixed = [(x, {1: 9.0}, "stopped") if x > 0.3 else (x, {1: 0.1, 2: 0.2 + x}, "complete") for x in SPREAD]
    assert proposal(mixed) < 0.4
    diverged = [(x, {1: math.nan}, "complete") if x > 0.3 else (x, {1: -9.0 + x}, "stopped") for x in SPREAD]
    assert proposal(diverged) < 0.4


@pytest.mark.parametrize("status", ["failed", "killed"])
def test_failed_and_killed_trials_teach_nothing(status: str) -> None:
    known = [(x, {1: x}, "complete") for x in SPREAD]
    assert history([*known, (0.5, {}, status)]).ask() == history([*known, (0.5, {1: 99.0}, status)]).ask()


def test_eight_proposals_at_once_do_not_cluster() -> None:
    known = [(x, {1: -abs(x - 0.65)}, "complete") for x in SPREAD]
    spread = {"at once": 0.0, "one unknown to the next": 0.0}
    for seed in range(2):
        for case in spread:
            searcher, places = history(known, seed=seed), []
            for number in range(len(known), len(known) + 8):
                draw = searcher.ask()
                assert draw is not None
                places.append(draw.picks["x"])
                if case != "at once":
                    searcher.tell(number, curve={}, status="failed")
            spread[case] += statistics.mean(abs(a - b) for a in places for b in places)
            if case == "at once":
                assert min(b - a for a, b in pairwise(sorted(places))) > 0.015
    assert spread["at once"] > 1.5 * spread["one unknown to the next"]


def test_what_was_learned_before_guides_the_first_proposal() -> None:
    searcher = GPSettings(seed=1).build(LINE, "maximize")
    for x in SPREAD:
        searcher.learn(Point("line", {"x": x}), curve={1: -((x - 0.28) ** 2)}, status="complete")
    draw = searcher.ask()
    assert draw is not None
    assert draw.picks["x"] == pytest.approx(0.28, abs=0.1)


def test_a_small_space_is_tried_through_and_then_the_best_again() -> None:
    space = space_of({"small": {"k": {"int": [1, 4]}, "c": {"choice": ["a", {"n": {"int": [1, 2]}}]}}})
    searcher = GPSettings(seed=1, n_startup_trials=2).build(space, "maximize")
    seen = []
    for number in range(20):
        draw = searcher.ask()
        assert draw is not None
        seen.append(tuple(draw.picks.items()))
        searcher.tell(number, curve={1: draw.picks["k"]}, status="complete")
    assert len(set(seen[:13])) == 12
    assert all(dict(picks)["k"] == 4 for picks in seen[14:])


def test_a_family_without_anything_to_search_is_proposed_as_it_is() -> None:
    space = space_of({"fixed": {"k": 3}})
    searcher = GPSettings(n_startup_trials=1).build(space, "maximize")
    for number in range(3):
        assert searcher.ask() == Draw("fixed", {}, {"k": 3})
        searcher.tell(number, curve={1: 0.5}, status="complete")
