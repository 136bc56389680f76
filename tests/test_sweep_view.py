"""A sweep as it is seen from outside, from its journal alone."""

import json
import math

import pytest

from genotune.errors import SweepError
from genotune.events import JOURNAL_FILE
from genotune.journal import Journal
from genotune.sweep_view import Watch, plain_sweep, sweeps_in, trial_of, view_of

FACTS = {
    "objective": {"metric": "pearson", "direction": "maximize"},
    "resolved_text": "budget: {trials: 4, hours: 2.0}\n",
}


def begin(folder, *, direction="maximize"):
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder)
    journal.append("sweep_started", **{**FACTS, "objective": {"metric": "pearson", "direction": direction}})
    journal.append("driver_started", pid=1)
    return journal


def run_trial(journal, number, values, *, status=None):
    journal.append("proposed", trial=number, family="toy", picks={}, params={"rate": 0.1}, seed=number)
    journal.append("started", trial=number, device="cpu")
    for epoch, value in enumerate(values, start=1):
        journal.append("report", trial=number, epoch=epoch, value=value, metrics={}, checkpoint=None)
    if status:
        journal.append("ended", trial=number, status=status, reason=f"is {status}")


def test_a_sweep_is_running_as_long_as_a_driver_holds_its_journal_and_then_has_died(tmp_path):
    journal = begin(tmp_path)
    run_trial(journal, 0, [0.1, 0.5, 0.4], status="complete")
    run_trial(journal, 1, [0.3])
    view = view_of(tmp_path)
    assert view.status == "running"
    assert view.counts == {"complete": 1, "running": 1}
    journal.close()
    view = view_of(tmp_path)
    assert view.status == "died"
    assert view.counts == {"complete": 1, "waiting": 1}


@pytest.mark.parametrize("status", ["complete", "failed"])
def test_a_sweep_that_ended_says_how(tmp_path, status):
    with begin(tmp_path) as journal:
        journal.append("sweep_ended", status=status)
    assert view_of(tmp_path).status == status


def test_a_sweep_that_was_interrupted_says_so_and_its_trial_waits(tmp_path):
    with begin(tmp_path) as journal:
        run_trial(journal, 0, [0.3])
        journal.append("interrupted", reason="a signal")
    view = view_of(tmp_path)
    assert view.status == "interrupted"
    assert view.counts == {"waiting": 1}


def test_a_sweep_that_has_not_begun_is_starting_or_died(tmp_path):
    with Journal(tmp_path):
        assert view_of(tmp_path).status == "starting"
    assert view_of(tmp_path).status == "died"


@pytest.mark.parametrize(("direction", "number", "value"), [("maximize", 0, 0.5), ("minimize", 1, 0.2)])
def test_the_leader_is_the_best_at_any_epoch_in_the_direction_of_the_objective(tmp_path, direction, number, value):
    with begin(tmp_path, direction=direction) as journal:
        run_trial(journal, 0, [0.3, 0.5, 0.4], status="complete")
        run_trial(journal, 1, [0.2, 0.45], status="stopped")
        run_trial(journal, 2, [None], status="failed")
    view = view_of(tmp_path)
    assert view.leader.number == number
    assert view.best(view.leader) == value
    assert math.isnan(view.best(view.state.trials[2]))


def test_a_trial_that_waits_for_its_generation_is_paused_and_the_generation_is_told(tmp_path):
    with begin(tmp_path) as journal:
        for number, value in ((0, 0.1), (1, 0.9)):
            run_trial(journal, number, [value])
            journal.append("decision", trial=number, epoch=1, action="pause", rung=1, reason="waits")
        assert view_of(tmp_path).counts == {"paused": 2}
        assert view_of(tmp_path).generations == []
        copies = [{"trial": 0, "parent": 1, "picks": {}, "params": {"rate": 0.2}}]
        journal.append("generation", family="toy", epoch=1, copies=copies)
        view = view_of(tmp_path)
        assert view.counts == {"proposed": 2}
        assert view.generations == ["toy: generation 1 ended at epoch 1; trials go on as changed copies: 0 of 1"]
        assert view.state.trials[0].reason == "goes on after epoch 1 as a changed copy of trial 1"
        plain = plain_sweep(view, with_trials=True)["each_trial"]
        assert plain[0]["params"] == {"rate": 0.2}
        assert plain[0]["stretches"] == [
            {"after_epoch": 0, "parent": None, "params": {"rate": 0.1}},
            {"after_epoch": 1, "parent": 1, "params": {"rate": 0.2}},
        ]
        assert plain[1]["stretches"] == []


def test_a_watch_reads_on_and_sees_what_one_look_sees(tmp_path):
    with begin(tmp_path) as journal:
        watch = Watch(tmp_path)
        for number in range(3):
            run_trial(journal, number, [0.1 * number, 0.2], status="complete")
            assert watch.look().state == view_of(tmp_path).state
        with (tmp_path / JOURNAL_FILE).open("ab") as file:
            file.write(b'{"number": 99, "ti')
        assert len(watch.look().state.trials) == 3


def test_events_that_mlflow_lacks_are_counted_without_the_notes_of_delivery(tmp_path):
    with begin(tmp_path) as journal:
        run_trial(journal, 0, [0.1], status="complete")
        assert view_of(tmp_path).n_undelivered == 6
        journal.append("delivered", upto=4)
        assert view_of(tmp_path).n_undelivered == 2
        journal.append("delivered", upto=6)
        assert view_of(tmp_path).n_undelivered == 0


def test_plain_values_are_json_without_numbers_that_are_none(tmp_path):
    with begin(tmp_path) as journal:
        run_trial(journal, 0, [None, 0.25], status="complete")
    plain = json.loads(json.dumps(plain_sweep(view_of(tmp_path), with_trials=True), allow_nan=False))
    assert plain["best"] == {"trial": 0, "family": "toy", "value": 0.25}
    assert plain["trials"] == {"proposed": 1, "complete": 1}
    assert plain["budget"] == {"trials": 4, "hours": 2.0, "epochs": None, "cost": None, "plateau": None}
    assert (plain["spent"]["epochs"], plain["spent"]["cost"]) == (2, None)
    assert plain["each_trial"][0]["curve"] == {"1": None, "2": 0.25}
    assert "each_trial" not in plain_sweep(view_of(tmp_path), with_trials=False)


def test_the_sweep_with_the_latest_event_comes_first(tmp_path):
    for name in ("b", "a", "c"):
        begin(tmp_path / "sweeps" / name).close()
    assert [view.name for view in sweeps_in(tmp_path)] == ["c", "a", "b"]


def test_a_trial_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with begin(tmp_path) as journal:
        with pytest.raises(SweepError, match=r"there is no trial 3; it has no trials yet"):
            trial_of(view_of(tmp_path), 3)
        run_trial(journal, 0, [])
        run_trial(journal, 1, [])
    with pytest.raises(SweepError, match=r"there is no trial 3; its 2 trials are numbered from 0 to 1"):
        trial_of(view_of(tmp_path), 3)


def test_the_front_of_several_objectives_is_told_with_the_values_of_every_trial(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    with Journal(tmp_path) as journal:
        objective = {"metric": "pearson", "direction": "maximize", "further": ["n_parameters"]}
        journal.append("sweep_started", **{**FACTS, "objective": objective})
        for number, (value, n) in enumerate(((0.5, 10), (0.25, 20), (None, 5))):
            run_trial(journal, number, [])
            metrics = {"validation.pearson": value, "n_parameters": n}
            journal.append("report", trial=number, epoch=1, value=value, metrics=metrics, checkpoint=f"t{number}/1")
    plain = json.loads(json.dumps(plain_sweep(view_of(tmp_path), with_trials=True), allow_nan=False))
    assert plain["objective"] == {"metric": "pearson", "direction": "maximize"}
    assert plain["further_objectives"] == [{"metric": "n_parameters", "direction": "minimize"}]
    values = {"pearson": 0.5, "n_parameters": 10}
    assert plain["front"] == [
        {"trial": 0, "family": "toy", "epoch": 1, "objectives": values, "checkpoint": "trials/t0/1"}
    ]
    assert [trial["objectives"] for trial in plain["each_trial"]] == [
        values,
        {"pearson": 0.25, "n_parameters": 20},
        None,
    ]


def test_one_objective_has_no_front_to_tell(tmp_path):
    with begin(tmp_path) as journal:
        run_trial(journal, 0, [0.5])
    plain = plain_sweep(view_of(tmp_path), with_trials=False)
    assert (plain["front"], plain["further_objectives"]) == (None, [])
