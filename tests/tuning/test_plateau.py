"""When a sweep has stopped getting better."""

import math

import pytest

from genotune.settings import build
from genotune.tuning.plateau import PlateauSettings


def plateau(values, *, direction="maximize", **settings):
    found = build(PlateauSettings, settings).build(direction)
    reasons = []
    for value in values:
        found.tell([value])
        reasons.append(found.reason)
    return reasons


def test_a_plateau_is_reached_when_so_many_trials_improved_nothing():
    reasons = plateau([0.5, 0.4, 0.5, 0.3, 0.6], trials=3)
    assert [bool(reason) for reason in reasons] == [False, False, False, True, False]
    assert reasons[3] == "the last 3 trials that ended did not improve the best objective"


def test_small_steps_count_by_what_they_come_to_together():
    creeping = [0.5 + 0.004 * n for n in range(6)]
    assert not any(plateau(creeping, trials=3, min_delta=0.01))
    reasons = plateau(creeping, trials=3, min_delta=0.02)
    assert [bool(reason) for reason in reasons] == [False] * 3 + [True] * 3
    assert reasons[-1] == "the last 3 trials that ended did not improve the best objective by 0.02"


def test_a_gain_of_exactly_the_least_that_is_asked_for_is_a_gain():
    assert plateau([0.5, 0.75], trials=1, min_delta=0.25) == ["", ""]


def test_lower_is_better_where_the_objective_is_minimised():
    assert plateau([0.5, 0.4], trials=1, direction="minimize") == ["", ""]
    assert plateau([0.5, 0.6], trials=1, direction="minimize")[-1].startswith("the last trial that ended")


def test_trials_without_a_number_are_no_gain_and_no_plateau_follows_on_nothing():
    assert not any(plateau([math.nan, math.nan, math.nan, 0.1], trials=2))
    assert plateau([0.1, math.nan, math.nan], trials=2)[-1]


def test_a_trial_counts_by_its_best_epoch():
    found = PlateauSettings(trials=1).build("maximize")
    found.tell([0.5])
    found.tell([0.9, 0.1, math.nan])
    assert found.reason == ""


def test_what_is_forgotten_is_the_trials_and_not_the_best():
    found = PlateauSettings(trials=2).build("maximize")
    for value in (0.9, 0.1, 0.1):
        found.tell([value])
    assert found.reason
    found.forget()
    found.tell([0.8])
    assert found.reason == ""
    found.tell([0.8])
    assert found.reason


@pytest.mark.parametrize(("settings", "message"), [({"trials": 0}, "1"), ({"trials": 2, "min_delta": -1}, "0")])
def test_a_plateau_of_no_trials_or_a_negative_gain_is_refused(settings, message):
    with pytest.raises(ValueError, match=f"greater than or equal to {message}"):
        build(PlateauSettings, settings)
