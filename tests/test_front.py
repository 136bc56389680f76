"""The front of a sweep: by the definition, at the epochs that trials stand for, and as a table."""

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.events import Event
from genotune.front import front_of, front_text, front_words, objectives_of, value_words, write_front
from genotune.sweep_state import SweepState

TWO = {"metric": "pearson", "direction": "maximize", "bin_bp": None, "further": ["n_parameters"]}
CURVES = st.lists(st.tuples(st.integers(0, 3) | st.none(), st.integers(0, 3)), max_size=3)


def state_of(curves, *, objective=TWO):
    """Trials that have reported (pearson, n_parameters) at their epochs."""
    state, number = SweepState(), 0

    def happen(kind, **values):
        nonlocal number
        number += 1
        state.apply(Event(number, float(number), kind, values))

    happen("sweep_started", objective=objective)
    for trial, curve in enumerate(curves):
        happen("proposed", trial=trial, family="toy", picks={}, params={"rate": 0.5, "deep": {"er": True}}, seed=trial)
        for epoch, (value, n_parameters) in enumerate(curve, start=1):
            metrics = {"validation.pearson": value, "n_parameters": n_parameters}
            checkpoint = f"trial-{trial:04d}/epoch-{epoch:04d}"
            happen("report", trial=trial, epoch=epoch, value=value, metrics=metrics, checkpoint=checkpoint)
    return state


@given(st.lists(CURVES, max_size=12))
def test_the_front_holds_the_trials_that_no_other_beats_where_their_primary_objective_was_best(curves):
    stands = {}
    for trial, curve in enumerate(curves):
        finite = [(-value, epoch, n) for epoch, (value, n) in enumerate(curve, start=1) if value is not None]
        if finite:
            loss, epoch, n = min(finite)
            stands[trial] = (epoch, (-loss, n))
    beaten = {
        trial
        for trial, (_, (value, n)) in stands.items()
        for _, (other, m) in stands.values()
        if other >= value and m <= n and (other, m) != (value, n)
    }
    front = front_of(state_of(curves))
    assert {one.trial: (one.epoch, one.values) for one in (*front.standings, *front.others)} == stands
    assert front.trials == stands.keys() - beaten
    primary = [one.values[0] for one in front.standings]
    assert primary == sorted(primary, reverse=True)


def test_one_objective_has_no_front(tmp_path):
    state = state_of([[(1, 2)]], objective={"metric": "pearson", "direction": "maximize", "bin_bp": None})
    assert front_of(state) is None
    write_front(state, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert objectives_of({}) == ()
    assert front_of(SweepState()) is None


def test_the_hypervolume_is_measured_from_the_worst_value_of_each_objective():
    front = front_of(state_of([[(3, 30)], [(1, 10)], [(0, 40)]]))
    assert front.reference == (0, 40)
    assert front.hypervolume == pytest.approx(3 * 10 + 1 * 20)
    assert front_of(state_of([[]])).hypervolume == 0


def test_the_table_names_each_checkpoint_and_its_params(tmp_path):
    state = state_of([[(1, 10), (0, 10)], [(2, 20)], [(1, 11)]])
    write_front(state, tmp_path)
    text = (tmp_path / "front.tsv").read_text()
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [(row["trial"], row["family"], row["epoch"]) for row in rows] == [("1", "toy", "1"), ("0", "toy", "1")]
    assert [(float(row["pearson"]), float(row["n_parameters"])) for row in rows] == [(2, 20), (1, 10)]
    assert rows[1]["checkpoint"] == "trials/trial-0000/epoch-0001"
    assert json.loads(rows[1]["params"]) == {"rate": 0.5, "deep": {"er": True}}
    assert front_text(front_of(state), state) == text


def test_in_words_the_front_is_counted_and_cut_where_it_is_long():
    assert front_words(front_of(state_of([])), state_of([])) == "0 of 0 trials are on the front"
    state = state_of([[(1, 1500)]])
    assert front_words(front_of(state), state) == "1 of 1 trial is on the front: 0 (pearson 1.0000, n_parameters 1,500)"
    state = state_of([[(n, n)] for n in range(8)])
    assert front_words(front_of(state), state).startswith("8 of 8 trials are on the front: 7 (pearson 7.0000, ")
    assert front_words(front_of(state), state).endswith(", 2 more")
    assert value_words("mse", math.nan) == "-"
