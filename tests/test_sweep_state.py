"""What the events of a sweep come to."""

import pytest

from genotune.events import Event
from genotune.sweep_state import SweepState


def state_after(*events):
    """Kinds with their values, a second apart."""
    state = SweepState()
    for number, (kind, values) in enumerate(events, start=1):
        state.apply(Event(number, 100.0 + number, kind, values))
    return state


def proposal(trial):
    return "proposed", {"trial": trial, "family": "toy", "picks": {}, "params": {}, "seed": 1}


def winner(trial, epoch=2):
    return "winner", {"trial": trial, "epoch": epoch, "value": 0.5, "checkpoint": ""}


def score(value):
    return "scored", {"split": "test", "subject": "winner", "metrics": {"pearson": value}}


REGISTERED = "registered", {"name": "toy", "version": "1", "run_id": ""}


def test_an_extension_opens_a_sweep_again_that_a_person_or_its_budget_ended():
    state = state_after(
        ("sweep_started", {}),
        ("stop_asked", {"trial": None}),
        ("stop_asked", {"trial": 3}),
        ("proposals_ended", {"reason": "stopped by hand"}),
        ("sweep_ended", {"status": "complete", "reason": "stopped by hand"}),
        ("extended", {"limits": {"trials": 9}}),
        ("extended", {"limits": {"trials": 12, "hours": 2.0}}),
    )
    assert (state.status, state.proposals_ended, state.stop_asked) == ("running", "", {3})
    assert state.extended == {"trials": 12, "hours": 2.0}


def test_proposals_have_not_ended_when_one_follows():
    state = state_after(("proposals_ended", {"reason": "a plateau"}), proposal(0))
    assert state.proposals_ended == ""


def test_another_winner_is_not_registered_nor_tested_and_the_score_of_the_first_is_kept():
    events = [proposal(0), proposal(1), winner(0), score(0.3), REGISTERED]
    state = state_after(*events, winner(0))
    assert state.winner_is_tested
    assert state.registered is not None
    state = state_after(*events, winner(1))
    assert not state.winner_is_tested
    assert state.registered is None
    state = state_after(*events, winner(1), score(0.4))
    assert state.winner_is_tested
    assert [(one.trial, one.metrics["pearson"]) for one in state.tested] == [(0, 0.3), (1, 0.4)]
    assert state.scores["winner"] == {"pearson": 0.4}


def test_what_has_not_ended_is_known_and_what_has_is_counted_by_family():
    state = state_after(
        ("driver_started", {"pid": 1}),
        proposal(0),
        proposal(1),
        ("started", {"trial": 0, "device": "cpu"}),
        ("started", {"trial": 1, "device": "cpu"}),
        ("ended", {"trial": 0, "status": "failed", "reason": ""}),
        ("interrupted", {"reason": ""}),
    )
    assert list(state.unended) == [1]
    assert state.trials[1].status == "killed"
    assert state.ran_s(999.0) == {"toy": pytest.approx(2 + 2)}


def generation(epoch, *copies):
    copied = [{"trial": one, "parent": other, "picks": {}, "params": {"from": other}} for one, other in copies]
    return "generation", {"family": "toy", "epoch": epoch, "copies": copied}


def pause(trial, epoch):
    report = {"trial": trial, "epoch": epoch, "value": 0.5, "metrics": {}, "checkpoint": None}
    decision = {"trial": trial, "epoch": epoch, "action": "pause", "rung": epoch, "reason": "waits"}
    return [("started", {"trial": trial, "device": "cpu"}), ("report", report), ("decision", decision)]


def test_an_epoch_was_fitted_with_what_its_trial_had_then():
    events = [proposal(0), proposal(1), *pause(0, 2), *pause(1, 2), generation(2, (0, 1))]
    trial = state_after(*events, *pause(0, 4), *pause(1, 4), generation(4, (0, 5))).trials[0]
    assert [trial.fitted_with(epoch).params for epoch in (1, 2, 3, 4, 5)] == [
        {},
        {},
        {"from": 1},
        {"from": 1},
        {"from": 5},
    ]
    assert [trial.fitted_with(epoch).parent for epoch in (2, 4, 5)] == [None, 1, 5]
    assert trial.parents == {2: 1, 4: 5}
    assert state_after(*events).trials[1].fitted_with(9).params == {}


def test_while_a_trial_waits_its_clock_stands_and_a_death_of_the_driver_does_not_let_it_go_on():
    events = [("driver_started", {"pid": 1}), proposal(0), *pause(0, 2)]
    waiting = state_after(*events, ("delivered", {"upto": 1})).trials[0]
    assert (waiting.status, waiting.is_paused, waiting.is_live, waiting.ran_s(999.0)) == ("paused", True, True, 2.0)
    state = state_after(*events, ("interrupted", {"reason": "a signal"}), ("driver_started", {"pid": 2}))
    assert (state.trials[0].status, state.trials[0].is_paused) == ("killed", True)
    state = state_after(*events, generation(2))
    assert (state.trials[0].status, state.trials[0].is_paused) == ("proposed", False)
    assert state.trials[0].reason == "goes on after epoch 2"
