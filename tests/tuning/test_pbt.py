"""Who copies whom at the end of a generation, and what a copy may differ in."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.settings import build
from genotune.tuning import SchedulerSettings
from genotune.tuning.pbt import PBTSettings
from genotune.tuning.population import Copy, Member, Population
from genotune.tuning.schedulers import Decision
from genotune.tuning.searchers import random_point, stream
from tuning_builders import space_of

SPACE = space_of(
    {
        "cnn": {
            "learning_rate": {"log_uniform": [1e-4, 1e-1]},
            "dropout": {"choice": [0.0, 0.2, {"uniform": [0.3, 0.5]}]},
            "channels": {"int": [8, 64]},
        },
        "trees": {"max_depth": {"int": [1, 8]}, "max_bin": {"choice": [64, 256]}},
    }
)
CHANGEABLE = {"cnn": frozenset({"learning_rate", "dropout"}), "trees": frozenset({"max_depth"})}


def pbt(**values: Any) -> PBTSettings:
    made: PBTSettings = build(SchedulerSettings, {"kind": "pbt", "max_epochs": 9, "interval_epochs": 3, **values})
    return made


def population(direction: Any = "maximize", seed: int = 7, **values: Any) -> Population:
    return pbt(**values).build_population(SPACE, direction, changeable=CHANGEABLE, seed=seed)


def members(values: list[float], family: str = "cnn") -> list[Member]:
    return [
        Member(trial, value, random_point(SPACE, (family,), stream(1, trial)).picks)
        for trial, value in enumerate(values)
    ]


def pairs(copies: list[Copy]) -> dict[int, int]:
    return {copy.trial: copy.parent for copy in copies}


def test_the_worst_quarter_copies_from_the_best_quarter() -> None:
    found = population().copies("cnn", 3, members([0.9, 0.1, 0.5, 0.8, 0.2, 0.4, 0.6, 0.7]))
    assert list(pairs(found)) == [1, 4]
    assert set(pairs(found).values()) <= {0, 3}
    found = population("minimize").copies("cnn", 3, members([0.9, 0.1, 0.5, 0.8, 0.2, 0.4, 0.6, 0.7]))
    assert list(pairs(found)) == [0, 3]
    assert set(pairs(found).values()) <= {1, 4}


def test_of_few_members_one_copies_and_a_single_one_does_not() -> None:
    assert pairs(population().copies("cnn", 3, members([0.1, 0.9]))) == {0: 1}
    assert pairs(population(quantile=0.01).copies("cnn", 3, members([0.3, 0.2, 0.9]))) == {1: 2}
    assert population().copies("cnn", 3, members([0.9])) == []


def test_of_equal_values_the_earlier_is_the_better() -> None:
    assert pairs(population().copies("cnn", 3, members([0.5, 0.5, 0.5, 0.5]))) == {3: 0}


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_what_is_no_number_is_the_worst_and_nobodys_parent(direction: str, lost: float) -> None:
    made = population(direction)
    assert pairs(made.copies("cnn", 3, members([lost, 0.5, 0.5, 0.5]))) == {0: 1}
    assert made.copies("cnn", 3, members([lost, lost, lost, lost])) == []
    half = population(direction, quantile=0.5)
    assert pairs(half.copies("cnn", 3, members([lost, lost, lost, 0.5]))) == {1: 3, 2: 3}


@given(
    values=st.lists(st.floats() | st.sampled_from([0.0, 1.0]), max_size=20),
    family=st.sampled_from(["cnn", "trees"]),
    quantile=st.floats(0.01, 0.5),
    resample=st.sampled_from([0.0, 0.25, 1.0]),
    epoch=st.integers(1, 50),
)
def test_a_copy_is_a_draw_of_the_space_that_differs_in_what_may_change(
    values: list[float], family: str, quantile: float, resample: float, epoch: int
) -> None:
    made = population(quantile=quantile, resample_probability=resample)
    there = members(values, family)
    copies = made.copies(family, epoch, there)
    n = max(1, math.floor(quantile * len(there)))
    assert len(copies) <= n
    copying, parents = {copy.trial for copy in copies}, {copy.parent for copy in copies}
    assert not copying & parents, "who is copied goes on as it was"
    finite = [member.value for member in there if math.isfinite(member.value)]
    for copy in copies:
        parent = there[copy.parent]
        assert sum(value > parent.value for value in finite) < n
        worse = sum(value < there[copy.trial].value for value in finite) + len(there) - len(finite)
        assert worse < n or not math.isfinite(there[copy.trial].value)
        assert copy.draw.family == family
        assert SPACE[family].holds(copy.draw.picks)
        assert SPACE[family].build(copy.draw.picks) == copy.draw.params
        fixed = {"cnn": ("channels",), "trees": ("max_bin",)}[family]
        assert all(copy.draw.picks[name] == parent.picks[name] for name in fixed)


def test_a_copy_depends_on_nothing_but_seed_epoch_trial_and_values() -> None:
    there = members([0.9, 0.1, 0.5, 0.8, 0.2, 0.4, 0.6, 0.7])
    made, again, other = (population(seed=seed, resample_probability=1.0) for seed in (7, 7, 8))
    first = made.copies("cnn", 3, there)
    sixth = made.copies("cnn", 6, there)
    assert made.copies("cnn", 3, list(reversed(there))) == first == again.copies("cnn", 3, there)
    draws = [copy.draw for copy in (*first, *sixth, *other.copies("cnn", 3, there))]
    assert len({draw.picks["learning_rate"] for draw in draws}) == len(draws) == 6


def test_a_change_is_by_one_of_the_factors_or_drawn_anew() -> None:
    there = members([0.9, 0.1])
    before = there[0].picks["learning_rate"]
    near = population(resample_probability=0.0, change=["learning_rate"])
    found = {round(near.copies("cnn", epoch, there)[0].draw.picks["learning_rate"] / before, 6) for epoch in range(60)}
    assert found == {0.8, 1.25}
    anew = population(resample_probability=1.0, change=["learning_rate"])
    draws = [anew.copies("cnn", epoch, there)[0].draw for epoch in range(60)]
    assert len({draw.picks["learning_rate"] for draw in draws}) == 60
    assert {draw.picks["dropout"] for draw in draws} == {there[0].picks["dropout"]}


def test_an_option_that_a_copy_changes_to_brings_draws_of_its_own() -> None:
    picks = {"learning_rate": 0.01, "dropout": 1, "channels": 16}
    there = [Member(0, 0.9, picks), Member(1, 0.1, picks)]
    found = [population(resample_probability=0.0).copies("cnn", epoch, there)[0].draw for epoch in range(1, 30)]
    assert {draw.picks["dropout"] for draw in found} == {0, 2}
    for draw in found:
        assert ("dropout[2]" in draw.picks) == (draw.picks["dropout"] == 2)
        assert draw.params["dropout"] == (draw.picks["dropout[2]"] if draw.picks["dropout"] == 2 else 0.0)


def test_a_trial_pauses_at_the_end_of_each_generation_but_the_last() -> None:
    made = pbt(max_epochs=8)
    scheduler = made.build("maximize", own_epochs={"short": 3})
    assert made.rungs == scheduler.rungs == (3, 6)
    actions = [scheduler.decide(0, "cnn", epoch, 0.5).action for epoch in range(1, 9)]
    assert actions == ["continue", "continue", "pause", "continue", "continue", "pause", "continue", "continue"]
    wanted = Decision("pause", 3, "epoch 3: waits for the others of its generation")
    assert scheduler.decide(1, "cnn", 3, math.nan) == wanted
    assert scheduler.decide(2, "short", 3, 0.5) == Decision("continue", None, "epoch 3 is the last")
    assert scheduler.occupancy() == {"cnn": {3: 2, 6: 1}}


def test_without_a_list_all_that_may_change_does() -> None:
    assert pbt().changing(SPACE, CHANGEABLE) == {
        "cnn": ("learning_rate", "dropout", "dropout[2]"),
        "trees": ("max_depth",),
    }
    assert pbt(change=["learning_rate", "max_depth"]).changing(SPACE, CHANGEABLE) == {
        "cnn": ("learning_rate",),
        "trees": ("max_depth",),
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"population": 1}, "greater than or equal to 2"),
        ({"quantile": 0.6}, "less than or equal to 0.5"),
        ({"perturb": []}, "at least 1 item"),
        ({"perturb": [1.0]}, "found 1, which changes nothing; write factors above and below it"),
        ({"perturb": [0.0, 2.0]}, "greater than 0"),
        ({"resample_probability": 1.5}, "less than or equal to 1"),
        ({"interval_epochs": 9}, r"interval_epochs is 9; must be less than max_epochs \(9\), or no trial ever"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        pbt(**values)
