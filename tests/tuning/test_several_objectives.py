"""Schedulers and searchers with several objectives: by the definition, seeded, and rebuilt at any moment."""

import math
import statistics
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.settings import build
from genotune.tuning import SchedulerSettings
from genotune.tuning.domination import best
from genotune.tuning.history import History
from genotune.tuning.layers import in_layers, standing_of
from genotune.tuning.placing import Point
from genotune.tuning.space import Draw, parse_template
from genotune.tuning.tpe import TPESettings

LINE = {"line": parse_template({"x": {"uniform": [0, 1]}})[0]}
VALUES = st.tuples(st.integers(0, 3).map(float) | st.just(math.nan), st.integers(0, 3).map(float))


def scheduler(kind="asha", **values):
    made = build(SchedulerSettings, {"kind": kind, "max_epochs": 9, "reduction_factor": 2, **values})
    return made.build("maximize")


@given(st.lists(VALUES, max_size=40))
def test_a_trial_goes_on_from_a_rung_iff_it_is_among_the_best_by_all_objectives(values):
    rules, seen = scheduler(), []
    for trial, (value, loss) in enumerate(values):
        decision = rules.decide(trial, "cnn", 1, value, (loss,))
        seen.append((value, loss))
        finite = [(-one, other) for one, other in seen if math.isfinite(one)]
        n_best = max(1, len(seen) // 2)
        goes_on = math.isfinite(value) and len(finite) - 1 in best(np.array(finite), n_best)
        assert decision.action == ("continue" if goes_on else "stop")
        assert rules.decide(trial, "cnn", 1, 99.0, (0.0,)) == decision


def test_a_small_model_goes_on_though_larger_ones_are_better_in_the_primary_objective():
    rules = scheduler(reduction_factor=3)
    for trial, value in enumerate((0.9, 0.8, 0.7, 0.6, 0.5)):
        rules.decide(trial, "cnn", 1, value, (1000.0 + trial,))
    decision = rules.decide(5, "cnn", 1, 0.1, (10.0,))
    assert decision == ("continue", 1, "rung 1: 0.1 is among the best 2 of 6 by 2 objectives")
    assert rules.decide(6, "cnn", 1, 0.1, (2000.0,)).action == "stop"


def test_brackets_of_hyperband_compare_by_all_objectives_too():
    rules = scheduler("hyperband", max_epochs=2)
    in_first = [trial for trial in range(12) if rules.decide(trial, "cnn", 1, 0.5, (float(trial),)).rung == 1]
    assert in_first[0] == 0
    reasons = [rules.decide(trial, "cnn", 1, 0.5, ()).reason for trial in in_first[1:]]
    assert reasons
    assert all("is not among" in reason and reason.endswith("by 2 objectives") for reason in reasons)


def ended(history, number, curve, status):
    history.propose(Point("line", {"x": 0.5}))
    history.tell(number, curve=curve, status=status)
    return history.of(number)


def test_a_finished_trial_stands_where_its_primary_objective_was_best_and_a_stopped_one_at_its_last_epoch():
    history = History("maximize")
    further = {1: (5.0,), 2: (6.0,), 3: (7.0,)}
    complete = ended(history, 0, {1: 0.1, 2: 0.4, 3: 0.4}, "complete")
    stopped = ended(history, 1, {1: 0.9, 2: 0.4, 3: 0.3}, "stopped")
    assert standing_of(complete, further, "maximize").losses == (-0.4, 6.0)
    assert standing_of(stopped, further, "maximize").losses == (-0.3, 7.0)
    again = ended(History("minimize"), 0, {1: 0.1, 2: -0.1}, "complete")
    assert standing_of(again, further, "minimize").losses == (-0.1, 6.0)


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 3), min_size=1, max_size=3),
            st.integers(0, 3),
            st.sampled_from(["complete", "stopped", "diverged"]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_layers_lie_behind_each_other_in_all_objectives_and_keep_the_order_within(trials):
    history, standings = History("maximize"), []
    for number, (curve, loss, status) in enumerate(trials):
        values = {epoch: math.nan if status == "diverged" else value for epoch, value in enumerate(curve, start=1)}
        one = ended(history, number, values, "complete" if status == "complete" else "stopped")
        standings.append(standing_of(one, dict.fromkeys(values, (float(loss),)), "maximize"))
    losses = in_layers(standings)
    assert losses.min() >= 0
    assert losses.max() < 1.1
    for one, row in zip(standings, losses, strict=True):
        for other, beside in zip(standings, losses, strict=True):
            if one.layer < other.layer:
                assert (row < beside).all()
            elif one.layer == other.layer:
                assert (np.array(one.losses) < other.losses).tolist() == (row < beside).tolist()


def told(searcher, trials):
    """The searcher, after these trials: place, primary objective and further one by epoch, outcome ('' in flight)."""
    for number, (x, curve, further, status) in enumerate(trials):
        searcher.remember(Draw("line", {"x": x}, {"x": x}))
        if status:
            searcher.tell(number, curve=curve, status=status, further=further)
    return searcher


def mean_proposal(trials):
    draws = [told(TPESettings(seed=seed).build(LINE, "maximize"), trials).ask() for seed in range(20)]
    return statistics.mean(draw.picks["x"] for draw in draws)


@pytest.mark.parametrize(("good", "bad"), [((1.0, 5.0), (0.0, 5.0)), ((1.0, 5.0), (1.0, 9.0))])
@pytest.mark.parametrize(("place", "low", "high"), [(0.1, 0.0, 0.3), (0.9, 0.7, 1.0)])
def test_tpe_proposes_what_is_ahead_in_any_one_of_the_objectives(good, bad, place, low, high):
    trials = [(place, good)] * 6 + [(0.5, bad)] * 40
    told_of = [(x + 0.001 * n, {1: value}, {1: (loss,)}, "complete") for n, (x, (value, loss)) in enumerate(trials)]
    assert low <= mean_proposal(told_of) <= high


def test_tpe_prefers_trials_that_were_stopped_late_to_those_that_were_stopped_early_whatever_they_showed():
    late = [
        (0.1 + 0.001 * n, dict.fromkeys(range(1, 4), 0.0), dict.fromkeys(range(1, 4), (9.0,)), "stopped")
        for n in range(6)
    ]
    early = [(0.8 + 0.001 * n, {1: 1.0}, {1: (0.0,)}, "stopped") for n in range(40)]
    assert mean_proposal(late + early) < 0.4


def test_tpe_keeps_away_from_trials_that_diverged():
    good = [(0.8 + 0.001 * n, {1: 0.5 + 0.01 * n}, {1: (1.0,)}, "complete") for n in range(8)]
    diverged = [(0.2 + 0.001 * n, {1: math.nan}, {1: (math.nan,)}, "stopped") for n in range(20)]
    assert mean_proposal(good + diverged) > 0.6


@pytest.mark.parametrize("n_told", [3, 9, 30, 300])
def test_tpe_rebuilt_proposes_the_same_and_the_order_in_which_trials_ended_does_not_matter(n_told):
    rng = np.random.default_rng(n_told)
    trials = [
        (float(rng.random()), {1: float(rng.random())}, {1: (float(rng.random()), 3.0)}, "complete")
        for _ in range(n_told)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = told(TPESettings(seed=4).build(LINE, "maximize"), trials)
        proposals = [first.ask() for _ in range(3)]
    second = TPESettings(seed=4).build(LINE, "maximize")
    for x, *_ in trials:
        second.remember(Draw("line", {"x": x}, {"x": x}))
    for number, (_, curve, further, status) in reversed(list(enumerate(trials))):
        second.tell(number, curve=curve, status=status, further=further)
    assert [second.ask() for _ in range(3)] == proposals


def test_the_last_word_on_a_trial_counts_with_several_objectives_too():
    trials = [(0.1 * n, {1: 0.1 * n}, {1: (1.0,)}, "complete") for n in range(9)]
    searcher = told(TPESettings(seed=1).build(LINE, "maximize"), [*trials, (0.95, {1: 9.0}, {1: (0.0,)}, "complete")])
    searcher.tell(9, curve={1: 9.0}, status="failed", further={1: (0.0,)})
    expected = told(TPESettings(seed=1).build(LINE, "maximize"), trials)
    expected.remember(Draw("line", {"x": 0.95}, {"x": 0.95}))
    expected.tell(9, curve={}, status="failed")
    assert searcher.ask() == expected.ask()
