"""The Gaussian process searcher learns: from values, from stopped trials, under conditions, beside trials in flight."""

import math
import statistics
from itertools import pairwise

import pytest

from genotune.tuning.gp import GPSettings
from genotune.tuning.placing import Point
from genotune.tuning.searchers import RandomSettings, Searcher, SearcherSettings
from genotune.tuning.space import Direction, Draw
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

SPREAD = [0.05 + 0.1 * i for i in range(10)]


def best_of(settings: SearcherSettings) -> float:
    return max(values_of_trials(settings.build(NETWORK, "maximize"), value_in_network, n_trials=24))


def history(known: Known, *, direction: Direction = "maximize", seed: int = 0) -> Searcher:
    return taught(GPSettings(seed=seed), known, direction=direction)


def proposal(trials: Known, *, direction: Direction = "maximize") -> float:
    places = []
    for seed in range(4):
        draw = history(trials, direction=direction, seed=seed).ask()
        assert draw is not None
        places.append(draw.picks["x"])
    return statistics.mean(places)


def test_gp_comes_closer_than_random_on_a_space_like_that_of_a_network() -> None:
    found = [best_of(GPSettings(seed=seed)) for seed in range(5)]
    chance = [best_of(RandomSettings(seed=seed)) for seed in range(5)]
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
    known: Known = [(x, {1: -abs(x - 0.65)}, "complete") for x in SPREAD]
    at_once = [eight_places(history(known, seed=seed), len(known), at_once=True) for seed in range(2)]
    in_turn = [eight_places(history(known, seed=seed), len(known), at_once=False) for seed in range(2)]
    assert all(b - a > 0.015 for places in at_once for a, b in pairwise(sorted(places)))
    assert sum(map(apart, at_once)) > 1.5 * sum(map(apart, in_turn))


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
