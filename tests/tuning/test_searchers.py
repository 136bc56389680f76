"""What every searcher promises, and what random and grid do."""

import json
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.errors import SweepError
from genotune.settings import build
from genotune.tuning import SearchSettings
from genotune.tuning.searchers import FIRST_TRIALS, GridSettings, RandomSettings, Searcher
from genotune.tuning.space import Draw, parse_template
from tuning_builders import CONTINUOUS, COUNTED, KINDS, settings_of, space_of


def score(draw: Draw, epoch: int) -> float:
    """An objective that depends on the draw, with noise that is the draw's own; sometimes not a number."""
    noise = random.Random(json.dumps(draw) + str(epoch)).random()
    if noise < 0.05:
        return float("nan")
    return sum(pick / (1 + abs(pick)) for pick in draw.picks.values()) + noise + 0.01 * epoch


class Step(NamedTuple):
    """One line of a journal: a proposal, or the end of a trial."""

    draw: Draw | None = None
    number: int = 0
    curve: Mapping[int, float] = {}
    status: str = ""


def live(searcher: Searcher, *, n_trials: int, seed: int, n_workers: int = 4) -> list[Step]:
    """The journal of a sweep with several trials in flight, which end in random order."""
    rng, steps, in_flight = random.Random(seed), list[Step](), dict[int, Draw]()
    n_asked = 0
    while n_asked < n_trials:
        if len(in_flight) < n_workers and rng.random() < 0.7:
            draw = searcher.ask()
            if draw is None:
                return steps
            steps.append(Step(draw=draw))
            in_flight[n_asked] = draw
            n_asked += 1
        elif in_flight:
            number = rng.choice(sorted(in_flight))
            draw = in_flight.pop(number)
            curve = {epoch: score(draw, epoch) for epoch in range(1, rng.choice([0, 1, 3, 9]) + 1)}
            status = rng.choice(["complete", "complete", "stopped", "stopped", "failed", "killed"])
            steps.append(Step(number=number, curve=curve, status=status))
            searcher.tell(number, curve=curve, status=status)  # type: ignore[arg-type]
    return steps


def again(searcher: Searcher, steps: list[Step], *, n_remembered: int) -> list[Draw | None]:
    """What a new searcher proposes that is told the first steps of a journal, and asked where it goes on."""
    proposals = []
    for position, step in enumerate(steps):
        if step.draw is None:
            searcher.tell(step.number, curve=step.curve, status=step.status)  # type: ignore[arg-type]
        elif position < n_remembered:
            family, picks, params = json.loads(json.dumps(step.draw))
            searcher.remember(Draw(family, picks, params))
        else:
            proposals.append(searcher.ask())
    return proposals


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_of_the_union_is_chosen_by_its_kind(kind: str) -> None:
    made = settings_of(kind, seed=7)
    assert (made.kind, made.seed) == (kind, 7)  # type: ignore[attr-defined]
    assert settings_of(kind).seed == 0


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_settings_and_negative_seeds_are_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        settings_of(kind, sed=1)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        settings_of(kind, seed=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_draw_is_of_the_space_and_can_be_written_as_json(kind: str) -> None:
    space = space_of(COUNTED)
    for step in live(settings_of(kind, seed=1).build(space, "maximize"), n_trials=30, seed=1):
        if step.draw is not None:
            family, picks, params = json.loads(json.dumps(step.draw, allow_nan=False))
            assert (picks, params) == (step.draw.picks, step.draw.params)
            assert space[family].holds(picks)
            assert space[family].build(picks) == params


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_searcher_rebuilt_at_any_moment_proposes_what_the_first_one_did(kind: str, direction: Any) -> None:
    space, made = space_of(COUNTED), settings_of(kind, seed=5)
    steps = live(made.build(space, direction), n_trials=36, seed=2)
    draws = [step.draw for step in steps if step.draw is not None]
    assert len(draws) == 36
    for n_remembered in (0, 1, 7, 30, len(steps) // 2, len(steps) - 3):
        n_before = sum(step.draw is not None for step in steps[:n_remembered])
        assert again(made.build(space, direction), steps, n_remembered=n_remembered) == draws[n_before:]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "grid"])
def test_continuous_spaces_are_replayed_to_the_last_bit(kind: str) -> None:
    space, made = space_of(CONTINUOUS), settings_of(kind, seed=11)
    steps = live(made.build(space, "maximize"), n_trials=40, seed=4)
    draws = [step.draw for step in steps if step.draw is not None]
    for n_remembered in range(0, len(steps), 9):
        n_before = sum(step.draw is not None for step in steps[:n_remembered])
        assert again(made.build(space, "maximize"), steps, n_remembered=n_remembered) == draws[n_before:]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)
@given(sweep=st.integers(0, 10_000), share=st.floats(0, 1))
def test_replay_holds_for_any_history(kind: str, sweep: int, share: float) -> None:
    space, made = space_of(COUNTED), settings_of(kind, seed=sweep)
    steps = live(made.build(space, "maximize"), n_trials=20, seed=sweep)
    draws = [step.draw for step in steps if step.draw is not None]
    n_remembered = int(share * len(steps))
    n_before = sum(step.draw is not None for step in steps[:n_remembered])
    assert again(made.build(space, "maximize"), steps, n_remembered=n_remembered) == draws[n_before:]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        {"family": "lasso"},
        {"picks": {"k": 7}},
        {"picks": {"k": 4.0}},
        {"picks": {}},
        {"picks": {"k": 4, "l": 1}},
        {"params": {"k": 5}},
        {"params": {"k": 4, "alpha": 1}},
    ],
)
def test_a_draw_of_another_space_is_refused(kind: str, change: dict[str, Any]) -> None:
    searcher = settings_of(kind).build(space_of({"ridge": {"k": {"int": [4, 6]}}}), "maximize")
    draw = Draw("ridge", {"k": 4}, {"k": 4})._replace(**change)
    with pytest.raises(
        SweepError, match=r"trial 0 of the journal \(\w+, .*\) is not a draw of this space\. The search"
    ):
        searcher.remember(draw)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_may_end_twice_and_the_last_word_counts(kind: str) -> None:
    space, made = space_of(COUNTED), settings_of(kind)
    twice, once = made.build(space, "maximize"), made.build(space, "maximize")
    for searcher in (twice, once):
        for number in range(12):
            draw = searcher.ask()
            assert draw is not None
            if searcher is twice:
                searcher.tell(number, curve={}, status="killed")
            searcher.tell(number, curve={1: score(draw, 1)}, status="complete")
    assert twice.ask() == once.ask()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_handed_out_can_be_changed_without_harm(kind: str) -> None:
    space, made = space_of(COUNTED), settings_of(kind)
    searcher, other = made.build(space, "maximize"), made.build(space, "maximize")
    for number in range(12):
        draw, same = searcher.ask(), other.ask()
        assert draw is not None
        assert draw == same
        curve = {1: score(draw, 1)}
        draw.picks.clear()
        draw.params.clear()
        searcher.tell(number, curve=curve, status="complete")
        other.tell(number, curve=curve, status="complete")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "grid"])
def test_another_seed_gives_other_trials(kind: str) -> None:
    space = space_of(CONTINUOUS)
    firsts = {json.dumps(settings_of(kind, seed=seed).build(space, "maximize").ask()) for seed in range(5)}
    assert len(firsts) == 5


def test_random_draws_families_alike_and_domains_evenly() -> None:
    searcher = RandomSettings(seed=3).build(space_of(CONTINUOUS), "maximize")
    draws = [draw for draw in (searcher.ask() for _ in range(2000)) if draw is not None]
    assert Counter(draw.family for draw in draws)["cnn"] == pytest.approx(1000, abs=100)
    exponents = [np.log10(draw.picks["learning_rate"]) for draw in draws if draw.family == "cnn"]
    assert np.histogram(exponents, bins=4, range=(-4, -2))[0] == pytest.approx(250, abs=60)
    depths = Counter(draw.picks["depth"] for draw in draws if draw.family == "trees")
    assert sorted(depths) == [2, 3, 4, 5, 6, 7, 8]


def test_grid_gives_each_combination_once_and_then_nothing() -> None:
    searcher = GridSettings().build(space_of(COUNTED), "maximize")
    draws = []
    while (draw := searcher.ask()) is not None:
        draws.append(draw)
    assert searcher.ask() is None
    schedules = ["constant", *({"kind": "plateau", "patience": patience} for patience in (1, 2, 3, 4))]
    expected = [
        {
            "channels": channels,
            "n_blocks": n_blocks,
            "dropout": dropout,
            "schedule": schedule,
            "windows": {"length_bp": 1024},
        }
        for channels in (32, 64)
        for n_blocks in (2, 4, 6)
        for dropout in (0.0, 0.1, 0.2, 0.3)
        for schedule in schedules
    ]
    assert [draw.params for draw in draws if draw.family == "cnn"] == expected
    assert [draw.params for draw in draws if draw.family == "ridge"] == [{"k": k} for k in (3, 4, 5, 6)]


def test_grid_takes_families_in_turn() -> None:
    searcher = GridSettings().build(space_of(COUNTED), "maximize")
    families = [draw.family for draw in (searcher.ask() for _ in range(12)) if draw is not None]
    assert families == ["cnn", "ridge"] * 4 + ["cnn"] * 4


def test_grid_refuses_draws_out_of_its_order() -> None:
    searcher = GridSettings().build(space_of({"ridge": {"k": {"int": [4, 6]}}}), "maximize")
    with pytest.raises(SweepError, match=r"trial 0 of the journal \(ridge, k: 5\) is not a draw of this space"):
        searcher.remember(Draw("ridge", {"k": 5}, {"k": 5}))


def test_grid_names_the_continuous_ranges_that_it_cannot_list() -> None:
    space = space_of(CONTINUOUS)
    problems = GridSettings().problems(space)
    assert [(family, problem.path) for family, problem in problems] == [
        ("cnn", ("learning_rate",)),
        ("cnn", ("schedule", "choice", 1, "warmup")),
        ("trees", ("rate",)),
    ]
    assert problems[0][1].message.endswith("Write choice: [0.0001, 0.001, 0.01].")
    assert problems[2][1].message.endswith("Add a step, e.g. 0.25, or write choice: [0, 0.5, 1].")


@pytest.mark.parametrize("kind", KINDS)
def test_a_space_of_counted_values_suits_every_searcher(kind: str) -> None:
    assert settings_of(kind).problems(space_of(COUNTED)) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "grid"])
def test_each_family_gets_its_first_trials_in_turn_and_then_the_search_is_free(kind: str) -> None:
    families = ("poisson_cnn", "boosted_trees", "ridge")
    space = {family: parse_template({"rate": {"log_uniform": [0.001, 1.0]}})[0] for family in families}
    searcher = build(SearchSettings, {"kind": kind, "seed": 2}).build(space, "maximize")
    drawn = []
    for number in range(40):
        draw = searcher.ask()
        drawn.append(draw.family)
        value = {"poisson_cnn": 0.9, "boosted_trees": 0.5, "ridge": 0.1}[draw.family]
        searcher.tell(number, curve={1: value}, status="complete")
    assert tuple(drawn[:9]) == families * FIRST_TRIALS
    later = Counter(drawn[9:])
    assert later["poisson_cnn"] < 31, "the others are not shut out of the search"
    if settings_of(kind).learns:
        assert later["poisson_cnn"] > later["ridge"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "grid"])
def test_a_family_that_is_asked_for_is_proposed_once_each_has_had_its_first_trials(kind: str) -> None:
    space = {family: parse_template({"rate": {"uniform": [0.0, 1.0]}})[0] for family in ("a", "b")}
    searcher = build(SearchSettings, {"kind": kind, "seed": 2}).build(space, "maximize")
    drawn = []
    for number in range(20):
        drawn.append(searcher.ask("b").family)
        searcher.tell(number, curve={1: 0.5}, status="complete")
    assert drawn == ["a", "b"] * FIRST_TRIALS + ["b"] * (20 - 2 * FIRST_TRIALS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_before", [4, 5])
def test_a_family_that_is_dropped_is_proposed_no_more_be_its_turn_or_not(kind, n_before):
    space = space_of({**COUNTED, "trees": {"depth": {"int": [2, 8]}}})
    searcher = settings_of(kind).build(space, "maximize")
    for number in range(n_before):
        searcher.ask()
        searcher.tell(number, curve={1: 0.5}, status="complete")
    searcher.drop("ridge")
    families = Counter()
    for number in range(n_before, n_before + 12):
        families[searcher.ask().family] += 1
        searcher.tell(number, curve={1: 0.5}, status="complete")
    assert set(families) == {"cnn", "trees"}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_proposed_when_all_families_are_dropped(kind):
    searcher = settings_of(kind).build(space_of({"ridge": COUNTED["ridge"]}), "maximize")
    searcher.ask()
    searcher.drop("ridge")
    assert searcher.ask() is None
