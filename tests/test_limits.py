"""How much of a budget is spent, and when that is all of it."""

import json

import pytest

from genotune.events import JOURNAL_FILE
from genotune.journal import read_state
from genotune.limits import Limits, budget_words, limit_words, limits_of, spent_budget, spent_of
from genotune.money import Money
from genotune.settings import build
from genotune.spec.schema import Budget

FACTS = {"prices": {"currency": "USD"}, "trial_hour_cost": {"cnn": 36.0, "ridge": 3.6}}


def state_of(folder, events):
    """A sweep whose journal holds these events: seconds, kind, values."""
    lines = [
        json.dumps({"number": number, "time_s": float(at_s), "kind": kind, **values})
        for number, (at_s, kind, values) in enumerate(events, start=1)
    ]
    (folder / JOURNAL_FILE).write_text("\n".join(lines) + "\n")
    return read_state(folder)


def proposal(trial, family):
    return {"trial": trial, "family": family, "picks": {}, "params": {}, "seed": 1}


@pytest.fixture
def state(tmp_path):
    """A CNN that ran 20 s, a ridge that has run since 125: a driver from 100 on, three epochs."""
    events = [
        (100, "sweep_started", FACTS),
        (100, "driver_started", {"pid": 1}),
        (100, "proposed", proposal(0, "cnn")),
        (100, "started", {"trial": 0, "device": "cpu"}),
        *(
            (110 + epoch, "report", {"trial": 0, "epoch": epoch, "value": 0.1, "metrics": {}, "checkpoint": None})
            for epoch in (1, 2, 2, 3)
        ),
        (120, "ended", {"trial": 0, "status": "complete", "reason": ""}),
        (125, "proposed", proposal(1, "ridge")),
        (125, "started", {"trial": 1, "device": "cpu"}),
    ]
    return state_of(tmp_path, events)


def test_a_trial_costs_by_the_seconds_that_it_ran_and_an_epoch_counts_once(state):
    spent = spent_of(state, now_s=225)
    assert spent.seconds == 125
    assert spent.epochs == 3
    assert spent.cost.amount == pytest.approx(20 * 0.01 + 100 * 0.001)
    assert spent.cost.currency == "USD"


def test_without_prices_no_cost_is_told(state):
    state.facts = {}
    assert spent_of(state, now_s=225).cost is None


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"hours": 125 / 3600}, "the budget of 0.0347222 h is spent"),
        ({"epochs": 3}, "the budget of 3 epochs is spent"),
        ({"cost": Money(0.30, "USD")}, "the budget of 0.30 USD is spent"),
        ({"hours": 126 / 3600, "epochs": 4, "cost": Money(0.31, "USD")}, ""),
        ({}, ""),
    ],
)
def test_a_limit_is_reached_at_its_very_amount(state, limits, words):
    assert spent_budget(state, Limits(99, **limits), now_s=225) == words


def test_the_pause_before_an_extension_is_not_counted(tmp_path):
    events = [
        (100, "sweep_started", FACTS),
        (100, "driver_started", {"pid": 1}),
        (130, "sweep_ended", {"status": "complete", "reason": ""}),
        (9000, "extended", {"limits": {"trials": 9}}),
        (9001, "driver_started", {"pid": 2}),
        (9011, "delivered", {"upto": 3}),
    ]
    assert state_of(tmp_path, events).active_s == 40


def test_limits_are_those_of_the_budget():
    budget = build(Budget, {"trials": 24, "hours": 2, "epochs": 300, "cost": "20.5 EUR"})
    assert limits_of(budget, concurrent=3) == Limits(24, 2.0, 3, 300, Money(20.5, "EUR"))
    assert budget_words(budget) == "24 trials, 2 h, 300 epochs or 20.50 EUR, whichever comes first"
    assert limit_words(budget, n_sweeps=10) == "240 trials, 20 h, 3,000 epochs or 205 EUR"


def test_a_plateau_is_told_with_the_budget():
    budget = build(Budget, {"trials": 24, "plateau": {"trials": 5, "min_delta": 0.01}})
    words = "24 trials; no more after 5 that did not improve the best objective by 0.01"
    assert budget_words(budget) == words


@pytest.mark.parametrize("cost", [20, "20", "20USD", "0 USD", "-1 USD", "20 usd", None])
def test_a_cost_without_amount_or_currency_is_told_how_to_be_written(cost):
    with pytest.raises(ValueError, match=r"must be an amount and its currency, e\.g\. 20 USD\.") as error:
        build(Budget, {"trials": 1, "cost": cost if cost is not None else {}})
    assert "found" in str(error.value)
