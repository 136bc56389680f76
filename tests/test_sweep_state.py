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
