"""CMA-ES moves to where it is best, with numbers and options together, and is rebuilt by what happened."""

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from genotune.tuning.cmaes import CMAESSettings
from genotune.tuning.placing import Point
from genotune.tuning.searchers import RandomSettings, SearcherSettings
from genotune.tuning.space import Draw
from tuning_builders import LINE, space_of, values_of_trials

NETWORK = space_of(
    {
        "cnn": {
            "learning_rate": {"log_uniform": [1e-4, 1e-2]},
            "channels": {"choice": [16, 32, 64]},
            "n_blocks": {"int": [2, 9]},
            "n_rounds": {"log_int": [1, 1000]},
            "reverse": {"choice": [True, False]},
        }
    }
)


def value_of(params: Mapping[str, Any]) -> float:
    distance = abs(math.log10(params["learning_rate"]) + 2.7) + abs(math.log10(params["n_rounds"]) - 2)
    return -(distance + 0.2 * abs(params["n_blocks"] - 7) + 0.3 * (params["channels"] != 32) + 0.3 * params["reverse"])


def test_cmaes_comes_closer_than_random_on_numbers_and_options() -> None:
    def best(settings: SearcherSettings) -> float:
        return max(values_of_trials(settings.build(NETWORK, "maximize"), value_of, n_trials=150))

    cloud = [best(CMAESSettings(seed=seed)) for seed in range(8)]
    chance = [best(RandomSettings(seed=seed)) for seed in range(8)]
    assert statistics.mean(cloud) > 0.6 * statistics.mean(chance)


def test_later_generations_are_better_than_the_first_in_either_direction() -> None:
    for direction, sign in (("maximize", 1.0), ("minimize", -1.0)):
        searcher = CMAESSettings(seed=1).build(NETWORK, direction)  # type: ignore[arg-type]
        values = values_of_trials(searcher, lambda params, sign=sign: sign * value_of(params), n_trials=160)  # type: ignore[misc]
        assert sign * statistics.mean(values[120:]) > sign * statistics.mean(values[:40]) + 0.5


def places(trials: Callable[[int, float], tuple[Mapping[int, float], str]], *, n_trials: int = 60) -> float:
    """Where a searcher on a line ends up if trials end like this, averaged over the last proposals of some seeds."""
    last = []
    for seed in range(6):
        searcher = CMAESSettings(seed=seed).build(LINE, "maximize")
        for number in range(n_trials):
            draw = searcher.ask()
            assert draw is not None
            curve, status = trials(number, draw.picks["x"])
            searcher.tell(number, curve=curve, status=status)  # type: ignore[arg-type]
            last += [draw.picks["x"]] if number >= n_trials - 8 else []
    return statistics.mean(last)


def test_stopped_trials_are_learned_from_and_are_no_better_than_finished_ones() -> None:
    assert places(lambda _, x: ({1: x}, "stopped")) > 0.8
    assert places(lambda _, x: ({1: 9.0}, "stopped") if x > 0.3 else ({1: 0.1, 2: 0.2}, "complete")) < 0.4
    assert places(lambda _, x: ({1: math.nan}, "stopped") if x > 0.3 else ({1: -9.0}, "stopped")) < 0.4


@pytest.mark.parametrize("status", ["failed", "killed"])
def test_failed_and_killed_trials_move_nothing(status: str) -> None:
    searcher, other = (CMAESSettings(seed=3).build(LINE, "maximize") for _ in range(2))
    for number in range(40):
        assert searcher.ask() == other.ask()
        searcher.tell(number, curve={1: 1.0}, status=status)  # type: ignore[arg-type]


def test_a_cloud_begins_at_the_best_that_is_known() -> None:
    firsts = []
    for seed in range(12):
        searcher = CMAESSettings(seed=seed).build(NETWORK, "maximize")
        for n_blocks, value in ((2, 0.1), (9, 0.9), (5, 0.3)):
            picks = {"learning_rate": 0.001, "channels": 0, "n_blocks": n_blocks, "n_rounds": 5, "reverse": 0}
            searcher.learn(Point("cnn", picks), curve={1: value}, status="complete")
        draw = searcher.ask()
        assert draw is not None
        firsts.append(draw.picks["n_blocks"])
    assert statistics.mean(firsts) > 6.5


def test_a_cloud_that_has_shrunk_to_a_point_begins_anew() -> None:
    space = space_of({"line": {"n": {"int": [1, 5]}, "x": {"uniform": [0, 1]}}})
    searcher = CMAESSettings(seed=2).build(space, "maximize")
    seen = []
    for number in range(400):
        draw = searcher.ask()
        assert draw is not None
        seen.append(draw.picks["x"])
        searcher.tell(number, curve={1: -abs(draw.picks["x"] - 0.5)}, status="complete")
    spread = [max(seen[at : at + 20]) - min(seen[at : at + 20]) for at in range(0, 400, 20)]
    narrowest = spread.index(min(spread))
    assert spread[narrowest] < 0.01
    assert max(spread[narrowest:]) > 0.3


def test_a_family_without_anything_to_search_is_proposed_as_it_is() -> None:
    space = space_of({"fixed": {"k": 3, "c": {"choice": ["one"]}}})
    searcher = CMAESSettings().build(space, "maximize")
    assert searcher.ask() == Draw("fixed", {"c": 0}, {"k": 3, "c": "one"})


def test_all_options_of_a_choice_alone_are_tried() -> None:
    space = space_of({"options": {"c": {"choice": ["a", "b", "c"]}}})
    searcher = CMAESSettings(seed=4).build(space, "maximize")
    values = values_of_trials(searcher, lambda params: float("abc".index(params["c"])), n_trials=60)
    assert set(values) == {0.0, 1.0, 2.0}
    assert values[30:].count(2.0) > 20
