"""A person's own configurations are tried first, by every searcher."""

from typing import Any

import pytest

from genotune.errors import SweepError
from genotune.tuning.searchers import FIRST_TRIALS
from genotune.tuning.space import Draw
from tuning_builders import COUNTED, KINDS, settings_of, space_of

RIDGE = {"ridge": {"k": {"int": [3, 6]}, "alpha": 1.0}}
FIRST = {"family": "ridge", "params": {"k": 5}}
SECOND = {
    "family": "cnn",
    "params": {"channels": 64, "n_blocks": 4, "dropout": 0.1, "schedule": {"kind": "plateau", "patience": 3}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_points_come_first_in_their_order_and_count_as_trials(kind: str) -> None:
    space = space_of(COUNTED)
    searcher = settings_of(kind, points=[FIRST, SECOND, FIRST | {"params": {"k": 6}}]).build(space, "maximize")
    draws = [searcher.ask("cnn") for _ in range(2 * FIRST_TRIALS + 1)]
    assert draws[0] == Draw("ridge", {"k": 5}, {"k": 5})
    assert draws[1].params == COUNTED["cnn"] | SECOND["params"]
    assert draws[2].params == {"k": 6}
    if kind != "grid":
        assert [draw.family for draw in draws[:6]].count("ridge") == FIRST_TRIALS


@pytest.mark.parametrize("kind", KINDS)
def test_a_searcher_that_remembers_its_points_goes_on_as_the_first_one(kind: str) -> None:
    space, made = space_of(COUNTED), settings_of(kind, points=[FIRST, SECOND])
    one, other = made.build(space, "maximize"), made.build(space, "maximize")
    draws = [one.ask() for _ in range(6)]
    for draw in draws[:3]:
        other.remember(draw)
    assert [other.ask() for _ in range(3)] == draws[3:]


@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_that_begins_without_the_points_is_refused(kind: str) -> None:
    searcher = settings_of(kind, points=[{"params": {"k": 5}}]).build(space_of(RIDGE), "maximize")
    with pytest.raises(SweepError, match=r"trial 0 of the journal \(ridge, k: 3\) is not a draw of this space"):
        searcher.remember(Draw("ridge", {"k": 3}, {"k": 3, "alpha": 1.0}))


def test_grid_proposes_a_point_once() -> None:
    searcher = settings_of("grid", points=[{"params": {"k": 5}}, {"params": {"k": 3}}]).build(
        space_of(RIDGE), "maximize"
    )
    drawn = [searcher.ask() for _ in range(5)]
    assert [draw and draw.picks["k"] for draw in drawn] == [5, 3, 4, 6, None]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if settings_of(kind).learns])
def test_points_are_learned_from(kind: str) -> None:
    space = space_of({"line": {"x": {"uniform": [0, 1]}}})
    points = [{"params": {"x": x / 20}} for x in range(21)]
    places = {}
    for best in (0.1, 0.9):
        searcher = settings_of(kind, points=points).build(space, "maximize")
        for number, point in enumerate(points):
            searcher.ask()
            searcher.tell(number, curve={1: -abs(point["params"]["x"] - best)}, status="complete")
        draws = [searcher.ask() for _ in range(5)]
        places[best] = sum(draw.picks["x"] for draw in draws) / 5
    assert places[0.1] < 0.4
    assert places[0.9] > 0.6


@pytest.mark.parametrize(
    ("points", "path", "message"),
    [
        ([{"params": {"k": 5}}], ("points", 0), "family is missing: there are several, cnn, ridge."),
        ([{"family": "lasso"}], ("points", 0, "family"), "found 'lasso'; no model of this family in `models`."),
        ([FIRST, FIRST], ("points", 1), "the same as point 1 of this list; keep one."),
        ([{"family": "ridge", "params": {"k": 9}}], ("points", 0, "params", "k"), "found 9; must be a whole number"),
        ([{"family": "ridge"}], ("points", 0, "params"), "k is missing"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_points_outside_of_the_space_are_refused(kind: str, points: Any, path: Any, message: str) -> None:
    ((found, told),) = settings_of(kind, points=points).own_problems(space_of(COUNTED))
    assert found == path
    assert told.startswith(message)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not settings_of(kind).learns])
def test_a_searcher_that_learns_nothing_cannot_start_from_a_sweep(kind: str) -> None:
    ((path, message),) = settings_of(kind, start_from=["a"]).own_problems(space_of(COUNTED))
    assert path == ("start_from",)
    assert message == f"kind: {kind} learns from no trial; write kind: tpe, or leave start_from out."


def test_a_sweep_to_start_from_is_named_once() -> None:
    ((path, message),) = settings_of("tpe", start_from=["a", "b", "a"]).own_problems(space_of(COUNTED))
    assert (path, message) == (("start_from",), "a is named twice. Remove one.")
