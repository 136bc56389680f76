"""Delivered again, late, in parts, to a store that lost it or that is away: MLflow holds a sweep once and whole."""

import socket
import threading

import pytest
from tracking.conftest import EITHER_STORE, asked_for

from genotune.tracking.names import trial_key
from genotune.tracking.record import Record
from genotune.tracking.stores import open_client

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)  # MLflow's own models

mlflow_store = pytest.fixture(params=EITHER_STORE)(asked_for)


def test_delivering_everything_again_changes_nothing(sweep, mlflow_store, deliver):
    sweep.begin()
    sweep.run_trial(0)
    sweep.run_trial(1)
    sweep.journal.append("winner", trial=1, epoch=2, value=0.12, checkpoint="t1/2")
    sweep.journal.append("sweep_ended", status="complete")
    deliver(sweep)
    before = mlflow_store.everything()
    sweep.journal.append("delivered", upto=0)
    deliver(sweep)
    assert mlflow_store.everything() == before


def test_a_store_that_lost_the_sweep_gets_all_of_it(sweep, mlflow_store, deliver, tmp_path):
    sweep.begin()
    sweep.run_trial(0)
    deliver(sweep)
    mlflow_store.uri = f"sqlite:///{tmp_path}/another.db"
    recorder = deliver(sweep)
    assert mlflow_store.trial(0).data.metrics["epochs"] == 2
    assert recorder.trial_run_id(0) == mlflow_store.trial(0).info.run_id


def test_what_comes_while_it_runs_is_delivered_and_the_journal_remembers(sweep, mlflow_store, recorder_of):
    recorder = recorder_of(sweep)
    recorder.start()
    sweep.begin()
    for trial in range(3):
        sweep.run_trial(trial)
    assert recorder.finish(timeout_s=60)
    last = max(event.number for event in sweep.journal.events() if event.kind != "delivered")
    assert sweep.journal.state.delivered == last
    assert sum(event.kind == "delivered" for event in sweep.journal.events()) < 6
    sweep.journal.append("sweep_ended", status="complete")
    assert recorder.finish(timeout_s=60)
    assert mlflow_store.parent.info.status == "FINISHED"
    assert not [thread for thread in threading.enumerate() if thread.name == "mlflow-recorder"]


def test_a_driver_that_died_leaves_no_second_run_and_no_step_twice(sweep, mlflow_store, recorder_of, deliver):
    sweep.begin()
    sweep.propose(0)
    sweep.start_trial(0)
    sweep.report(0, 1, 0.1)
    deliver(sweep)
    run_id = mlflow_store.trial(0).info.run_id
    sweep.report(0, 2, 0.2)
    sweep.reopen()  # what was not delivered yet is delivered by the next driver
    recorder = recorder_of(sweep)
    recorder.start()
    sweep.journal.append("driver_started", pid=2)
    sweep.start_trial(0)
    sweep.report(0, 2, 0.2)
    sweep.report(0, 3, 0.3)
    sweep.end_trial(0)
    sweep.journal.append("sweep_ended", status="complete")
    assert recorder.finish(timeout_s=60)
    assert [run.info.status for run in mlflow_store.runs] == ["FINISHED", "FINISHED"]
    trial = mlflow_store.trial(0)
    assert trial.info.run_id == run_id
    assert [(step, value) for step, value, _ in mlflow_store.curve(trial, "objective")] == [
        (1, 0.1),
        (2, 0.2),
        (3, 0.3),
    ]


def test_an_interrupted_trial_is_killed_and_goes_on_in_the_same_run(sweep, mlflow_store, deliver, clock):
    sweep.begin()
    sweep.run_trial(0)
    sweep.propose(1)
    sweep.start_trial(1)
    sweep.report(1, 1, 0.1)
    sweep.journal.append("interrupted", reason="Ctrl-C")
    deliver(sweep)
    assert mlflow_store.parent.info.status == "KILLED"
    assert (mlflow_store.trial(0).info.status, mlflow_store.trial(1).info.status) == ("FINISHED", "KILLED")
    assert mlflow_store.trial(1).info.end_time == sweep.times("interrupted")[0]
    run_id = mlflow_store.trial(1).info.run_id
    sweep.journal.append("driver_started", pid=2)
    deliver(sweep)
    assert mlflow_store.parent.info.status == "RUNNING"
    assert mlflow_store.trial(1).info.status == "SCHEDULED"
    sweep.start_trial(1)
    deliver(sweep)
    assert mlflow_store.trial(1).info.status == "RUNNING"
    sweep.report(1, 2, 0.2)
    sweep.end_trial(1)
    sweep.journal.append("sweep_ended", status="complete")
    deliver(sweep)
    trial = mlflow_store.trial(1)
    assert (trial.info.run_id, trial.info.status) == (run_id, "FINISHED")
    assert trial.info.end_time == sweep.times("ended", trial=1)[0]
    assert [step for step, _, _ in mlflow_store.curve(trial, "objective")] == [1, 2]
    assert (
        trial.data.metrics["duration_s"] == 3 + 4
    )  # to the interrupt; from the second start, with a delivery in between


def test_a_failed_sweep_leaves_nothing_running(sweep, mlflow_store, deliver):
    sweep.begin()
    sweep.propose(0)
    sweep.start_trial(0)
    sweep.propose(1)
    sweep.journal.append("sweep_ended", status="failed")
    deliver(sweep)
    assert mlflow_store.parent.info.status == "FAILED"
    assert [mlflow_store.trial(number).info.status for number in (0, 1)] == ["KILLED", "KILLED"]


def test_a_run_that_mlflow_still_shows_running_after_its_trial_ended_is_ended(sweep, mlflow_store, deliver):
    sweep.begin()
    sweep.run_trial(0)
    deliver(sweep)
    mlflow_store.client.update_run(mlflow_store.trial(0).info.run_id, status="RUNNING")
    deliver(sweep)
    sweep.journal.append("sweep_ended", status="complete")
    deliver(sweep)
    assert mlflow_store.trial(0).info.status == "FINISHED"


def test_a_run_that_a_person_deleted_stays_deleted(sweep, mlflow_store, deliver):
    sweep.begin()
    sweep.run_trial(0)
    sweep.propose(1)
    sweep.start_trial(1)
    deliver(sweep)
    mlflow_store.client.delete_run(mlflow_store.trial(1).info.run_id)
    sweep.report(1, 1, 0.3)
    sweep.end_trial(1)
    deliver(sweep)
    assert [run.data.tags.get("genotune.trial") for run in mlflow_store.runs] == [None, "0"]


@pytest.fixture
def nobody():
    """The address of a server that isn't there."""
    with socket.socket() as taken_but_silent:
        taken_but_silent.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken_but_silent.getsockname()[1]}"


def test_a_server_that_is_away_holds_up_nobody_and_is_told_later(sweep, mlflow_store, recorder_of, deliver, nobody):
    recorder = recorder_of(sweep, f"http://{nobody}")
    recorder.start()
    sweep.begin()
    sweep.run_trial(0)
    assert not recorder.finish(timeout_s=0.5)
    assert sweep.journal.state.delivered == 0
    deliver(sweep)
    assert mlflow_store.trial(0).info.status == "FINISHED"


def test_a_server_that_is_away_is_warned_of_once_and_its_password_is_not_shown(
    sweep, recorder_of, nobody, caplog, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    recorder = recorder_of(sweep, f"http://alice:secret@{nobody}")
    recorder.start()
    sweep.begin()
    assert not recorder.finish(timeout_s=4)
    (warning,) = [record.message for record in caplog.records if record.name.startswith("genotune")]
    assert warning.startswith(f"MLflow (http://***@{nobody}) takes nothing now.")
    assert warning.endswith("The sweep goes on and is recorded later.")
    assert "secret" not in warning


def test_a_deleted_experiment_is_named_in_the_warning(sweep, mlflow_store, recorder_of, deliver, caplog):
    sweep.begin()
    deliver(sweep)
    mlflow_store.client.delete_experiment(
        mlflow_store.client.get_experiment_by_name(mlflow_store.experiment).experiment_id
    )
    assert not recorder_of(sweep).finish(timeout_s=1)
    assert (
        f"experiment {mlflow_store.experiment!r} is deleted in MLflow. Restore it with `mlflow experiments restore"
        in caplog.text
    )


def test_a_journal_may_be_closed_after_finish_gave_up(sweep, recorder_of, nobody):
    recorder = recorder_of(sweep, f"http://{nobody}")
    sweep.begin()
    assert not recorder.finish(timeout_s=0.2)
    sweep.reopen()
    assert sweep.journal.state.delivered == 0


def test_a_long_backlog_is_noted_part_by_part(sweep, mlflow_store, deliver, monkeypatch):
    monkeypatch.setattr("genotune.tracking.recorder._EVENTS_AT_ONCE", 10)
    sweep.begin()
    for trial in range(3):
        sweep.run_trial(trial)
    sweep.journal.append("sweep_ended", status="complete")
    n_events = sweep.journal.state.n_events
    deliver(sweep)
    noted = [event.values["upto"] for event in sweep.journal.events() if event.kind == "delivered"]
    assert noted == [10, 20, n_events]
    assert mlflow_store.parent.info.end_time == sweep.times("sweep_ended")[0]
    assert [mlflow_store.trial(number).data.metrics["epochs"] for number in range(3)] == [2, 2, 2]


def test_a_store_that_lost_the_sweep_gets_all_of_it_part_by_part(sweep, mlflow_store, deliver, tmp_path, monkeypatch):
    monkeypatch.setattr("genotune.tracking.recorder._EVENTS_AT_ONCE", 5)
    sweep.begin()
    sweep.run_trial(0)
    sweep.run_trial(1)
    deliver(sweep)
    before = [run.data.metrics for run in mlflow_store.runs]
    mlflow_store.uri = f"sqlite:///{tmp_path}/another.db"
    deliver(sweep)
    assert [run.data.metrics for run in mlflow_store.runs] == before


def test_of_a_run_that_was_made_twice_the_one_with_the_data_is_left(sweep, mlflow_store, deliver):
    """As a request that was carried out late leaves it, after its answer was given up and it was sent again."""
    sweep.begin()
    sweep.run_trial(0)
    deliver(sweep)
    kept = mlflow_store.trial(0)
    early_ms = kept.info.start_time - 1000
    mlflow_store.client.create_run(kept.info.experiment_id, start_time=early_ms, tags=kept.data.tags)
    assert len(mlflow_store.runs) == 3
    sweep.journal.append("sweep_ended", status="complete")
    deliver(sweep)
    assert mlflow_store.trial(0).info.run_id == kept.info.run_id
    assert [run.info.status for run in mlflow_store.runs] == ["FINISHED", "FINISHED"]
    before = mlflow_store.everything()
    deliver(sweep)
    assert mlflow_store.everything() == before


def test_many_params_and_points_go_in_as_many_calls_as_it_takes(sweep, mlflow_store, deliver):
    sweep.begin()
    sweep.propose(0, **{f"p{index}": index for index in range(230)})
    sweep.start_trial(0)
    for epoch in range(1, 13):
        metrics = {f"m{index}": epoch + index for index in range(100)}
        sweep.journal.append("report", trial=0, epoch=epoch, value=epoch / 100, metrics=metrics, checkpoint=None)
    deliver(sweep)
    trial = mlflow_store.trial(0)
    assert len(trial.data.params) == 232
    assert len(trial.data.metrics) == 101
    assert len(mlflow_store.curve(trial, "objective")) == len(mlflow_store.curve(trial, "m99")) == 12


def test_what_mlflow_refuses_of_one_trial_is_left_out_with_a_warning_and_the_rest_is_told(
    sweep, mlflow_store, deliver, caplog, monkeypatch
):
    sweep.begin()
    deliver(sweep)
    make = Record._create

    def make_and_write(self, key, change):
        """The run of trial 0 has a param of a person's before ours."""
        run_id = make(self, key, change)
        if key == trial_key(0):
            self._client.log_param(run_id, "channels", "a person's")
        return run_id

    monkeypatch.setattr(Record, "_create", make_and_write)
    for trial in (0, 1):
        sweep.propose(trial)
        sweep.start_trial(trial)
        sweep.report(trial, 1, 0.5)
    deliver(sweep)
    refused, other = mlflow_store.trial(0), mlflow_store.trial(1)
    assert refused.data.params == {"channels": "a person's"}
    assert other.data.params["channels"] == "64"
    assert refused.data.metrics == other.data.metrics
    (warning,) = [text for text in caplog.messages if "left out" in text]
    assert warning.startswith("MLflow doesn't take the params of trial 0, so they are left out there")


def test_a_store_is_opened_by_its_own_uri_and_nothing_is_left_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_client(f"sqlite:///{tmp_path}/deep/mlflow.db").search_experiments()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]
