"""What the journal holds, MLflow holds: once, with the events' own times, whatever dies in between."""

import json
import socket
import threading

import pytest
from tracking.conftest import FACTS, write_generation

from genotune.tracking.stores import open_client

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)  # MLflow's own models


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.slow)])
def mlflow_store(request):
    """A database of its own, and an experiment of its own on a server with PostgreSQL: they keep the same promises."""
    return request.getfixturevalue(f"{request.param}_store")


def test_a_sweep_is_a_parent_with_its_facts(sweep, mlflow_store, deliver):
    sweep.begin()
    deliver(sweep)
    parent = mlflow_store.parent
    assert (parent.info.run_name, parent.info.status) == ("yeast-240101-abcdef", "RUNNING")
    assert parent.info.start_time == sweep.times("sweep_started")[0]
    tags = parent.data.tags
    assert tags["genotune.sweep_id"] == "yeast-240101-abcdef"
    assert tags["genotune.spec_sha256"] == "ab" * 32
    assert (tags["genotune.version"], tags["genotune.seed"], tags["genotune.host"]) == ("0.1.0", "7", "bench-1")
    assert (tags["genotune.git_commit"], tags["mlflow.source.git.commit"]) == ("c0ffee+changes", "c0ffee")
    texts = {
        name: mlflow_store.artifacts / parent.info.run_id / "artifacts" / name
        for name in ("spec.yaml", "resolved.yaml")
    }
    assert texts["spec.yaml"].read_text() == "name: yeast  # as written\n"
    assert "trials: 2" in texts["resolved.yaml"].read_text()
    versions = mlflow_store.artifacts / parent.info.run_id / "artifacts" / "versions.json"
    assert json.loads(versions.read_text())["numpy"] == "2.4.0"


def test_what_changes_while_a_trial_runs_is_a_metric_by_epoch_and_its_params_are_those_that_it_began_with(
    sweep, mlflow_store, deliver, clock
):
    write_generation(sweep)
    sweep.journal.append("winner", trial=0, epoch=3, value=1.5, checkpoint="t0/3")
    deliver(sweep)
    trial = mlflow_store.trial(0)
    assert trial.data.params == {"rate": "0.1", "depth": "deep", "channels": "64", "family": "poisson_cnn", "seed": "0"}
    values = {name: mlflow_store.curve(trial, f"hyperparameter.{name}") for name in ("rate", "depth")}
    assert [(step, value) for step, value, _ in values["rate"]] == [(1, 0.1), (2, 0.1), (3, 0.5)]
    assert [(step, value) for step, value, _ in values["depth"]] == [(1, 1.0), (2, 1.0), (3, 0.0)]
    assert "hyperparameter.channels" not in trial.data.metrics
    assert trial.data.tags["genotune.copies"] == "[[2, 1]]"
    wanted = {"rate": "0.5", "depth": "shallow", "channels": "64"}
    assert json.loads(trial.data.tags["genotune.winner_params"]) == wanted
    assert json.loads(mlflow_store.parent.data.tags["genotune.winner_params"]) == wanted
    waiting = mlflow_store.trial(1)
    assert (waiting.info.status, waiting.data.tags["genotune.status"]) == ("SCHEDULED", "paused")
    assert "genotune.copies" not in waiting.data.tags
    assert trial.data.metrics["duration_s"] == 7.0, "what it waited for the other is not counted; an event is a second"


def test_a_population_that_is_delivered_in_two_lives_has_each_step_once(sweep, mlflow_store, deliver):
    write_generation(sweep)
    deliver(sweep)
    before = mlflow_store.everything()
    sweep.reopen()
    sweep.journal.append("driver_started", pid=2)
    sweep.report(0, 3, 1.5)
    deliver(sweep)
    after = mlflow_store.everything()
    assert [run[7] for run in after] == [run[7] for run in before]


def test_the_quality_of_the_data_is_a_table_and_a_picture(sweep, mlflow_store, deliver):
    histograms = {f"values {i}": {"edges": [0.0, 0.5, 1.0], "counts": [i, 2]} for i in range(4)}
    sweep.begin()
    sweep.journal.append("quality", counts={"samples": {"in all": 9, "left": 7}}, histograms=histograms)
    deliver(sweep)
    folder = mlflow_store.artifacts / mlflow_store.parent.info.run_id / "artifacts"
    lines = (folder / "quality.tsv").read_text().splitlines()
    assert lines[:3] == ["what\tfrom\tto\tcount", "samples: in all\t\t\t9", "samples: left\t\t\t7"]
    assert "values 3\t0.0\t0.5\t3" in lines
    assert (folder / "quality.png").read_bytes().startswith(b"\x89PNG")


def test_counts_without_histograms_need_no_picture(sweep, mlflow_store, deliver):
    sweep.begin()
    sweep.journal.append("quality", counts={"samples": {"in all": 9}}, histograms={})
    deliver(sweep)
    folder = mlflow_store.artifacts / mlflow_store.parent.info.run_id / "artifacts"
    assert (folder / "quality.tsv").exists()
    assert not (folder / "quality.png").exists()


def test_the_tables_of_a_winner_are_artifacts_of_its_run_and_of_the_sweeps(sweep, mlflow_store, deliver, caplog):
    (sweep.folder / "importance.tsv").write_text("kind\tid\nvariant\trs1\n")
    (sweep.folder / "predictions.tsv").write_text("FID\tIID\n")
    sweep.begin()
    sweep.run_trial(0)
    sweep.run_trial(1)
    sweep.journal.append("tables", trial=1, files=["importance.tsv", "calibration.tsv"], top=[])
    deliver(sweep)
    for run in (mlflow_store.parent, mlflow_store.trial(1)):
        folder = mlflow_store.artifacts / run.info.run_id / "artifacts"
        assert (folder / "importance.tsv").read_text() == "kind\tid\nvariant\trs1\n"
        assert not (folder / "calibration.tsv").exists()
    assert "calibration.tsv: is gone, so MLflow doesn't get it." in caplog.text
    assert len(list(mlflow_store.artifacts.rglob("importance.tsv"))) == 2
    assert not list(mlflow_store.artifacts.rglob("predictions.tsv"))


def test_the_data_is_an_input_that_mlflow_can_read(sweep, mlflow_store, deliver):
    from mlflow.data.schema import TensorDatasetSchema

    sweep.begin()
    deliver(sweep)
    (found,) = mlflow_store.parent.inputs.dataset_inputs
    assert found.dataset.name == "bigwig cutsites"
    assert json.loads(found.dataset.source) == {"uri": "/data/cuts.bw"}
    assert json.loads(found.dataset.profile)["files"][0]["sha256"] == "cd" * 32
    schema = TensorDatasetSchema.from_dict(json.loads(found.dataset.schema))
    assert schema.targets.inputs[0].shape == (1, -1)


def test_a_trial_is_a_child_with_typed_params_and_a_step_per_epoch(sweep, mlflow_store, deliver, clock):
    sweep.begin()
    sweep.propose(0, windows={"length_bp": 1024}, learning_rate=0.001, reverse_complement=True, dropout=None)
    sweep.start_trial(0)
    sweep.report(0, 1, 0.25, rung=1)
    sweep.report(0, 2, None)
    sweep.report(0, 3, 0.5, rung=3, action="stop")
    sweep.end_trial(0, "stopped", "below the best third")
    deliver(sweep)
    trial = mlflow_store.trial(0)
    assert trial.info.run_name == "trial-0000 poisson_cnn"
    assert trial.data.tags["mlflow.parentRunId"] == mlflow_store.parent.info.run_id
    assert trial.data.params == {
        "windows.length_bp": "1024",
        "learning_rate": "0.001",
        "reverse_complement": "true",
        "dropout": "null",
        "family": "poisson_cnn",
        "seed": "100",
    }
    times = sweep.times("report", trial=0)
    assert mlflow_store.curve(trial, "objective") == [(1, 0.25, times[0]), (3, 0.5, times[2])]
    assert mlflow_store.curve(trial, "validation.pearson") == [(1, 0.25, times[0]), (3, 0.5, times[2])]
    assert [step for step, _, _ in mlflow_store.curve(trial, "train_loss")] == [1, 2, 3]
    assert [step for step, _, _ in mlflow_store.curve(trial, "rung")] == [1, 3]
    tags = trial.data.tags
    assert (tags["genotune.status"], tags["genotune.reason"]) == ("stopped", "below the best third")
    assert (tags["genotune.rung"], tags["genotune.device"]) == ("3", "cpu")
    assert (trial.info.status, trial.info.end_time) == ("FINISHED", sweep.times("ended")[0])
    assert trial.data.metrics["epochs"] == 3
    assert trial.data.metrics["duration_s"] == 7.0  # the clock is read once an event


@pytest.mark.parametrize(
    ("status", "run_status"), [("complete", "FINISHED"), ("stopped", "FINISHED"), ("failed", "FAILED")]
)
def test_a_run_ends_as_its_trial_did(sweep, mlflow_store, deliver, status, run_status):
    sweep.begin()
    sweep.propose(0)
    sweep.start_trial(0)
    sweep.end_trial(0, status, "because")
    deliver(sweep)
    assert mlflow_store.trial(0).info.status == run_status


def test_winner_baseline_and_scores_stand_on_the_parent_and_on_their_own_runs(sweep, mlflow_store, deliver):
    sweep.begin()
    sweep.run_trial(0)
    sweep.run_trial(1)
    sweep.journal.append("winner", trial=1, epoch=2, value=0.12, checkpoint="t1/2")
    sweep.journal.append("baseline", name="ridge", metrics={"pearson": 0.05})
    sweep.journal.append("scored", split="test", subject="winner", metrics={"pearson": 0.11})
    sweep.journal.append("scored", split="test", subject="ridge", metrics={"pearson": 0.04})
    sweep.journal.append("sweep_ended", status="complete")
    sweep.journal.append("registered", name="yeast", version="3", run_id="r")
    deliver(sweep)
    parent, winner = mlflow_store.parent, mlflow_store.trial(1)
    assert parent.data.tags["genotune.winner_trial"] == "1"
    assert parent.data.tags["genotune.winner_run_id"] == winner.info.run_id
    assert parent.data.tags["genotune.registered_version"] == "3"
    assert parent.data.metrics["objective"] == 0.12
    assert parent.data.metrics["test.pearson"] == winner.data.metrics["test.pearson"] == 0.11
    assert parent.data.metrics["test.baseline_ridge.pearson"] == 0.04
    assert (parent.info.status, parent.info.end_time) == ("FINISHED", sweep.times("sweep_ended")[0])
    (baseline,) = [run for run in mlflow_store.runs if run.info.run_name == "baseline ridge"]
    assert baseline.info.status == "FINISHED"
    assert baseline.data.metrics == {"validation.pearson": 0.05, "test.pearson": 0.04}


def test_a_sweep_that_is_extended_keeps_the_score_of_its_earlier_winner_and_says_so(sweep, mlflow_store, deliver):
    sweep.begin()
    for trial in (0, 1):
        sweep.run_trial(trial)
        chosen = {"trial": trial, "epoch": 2, "value": 0.5, "checkpoint": f"t{trial}/2"}
        sweep.journal.append("winner", **chosen)
        for _ in range(2):  # of a driver that died, and of the next
            sweep.journal.append("scored", split="test", subject="winner", metrics={"pearson": 0.3 + trial / 10})
        sweep.journal.append("sweep_ended", status="complete", reason="the budget of 1 trials is spent")
        deliver(sweep)
        if trial == 0:
            assert "genotune.tested" not in mlflow_store.parent.data.tags
            sweep.journal.append("extended", limits={"trials": 48})
            sweep.journal.append("driver_started", pid=2)
    parent = mlflow_store.parent
    assert [point[:2] for point in mlflow_store.curve(parent, "test.pearson")] == [(0, 0.3), (1, 0.4)]
    assert parent.data.tags["genotune.budget.trials"] == "48"
    words = "2 times, by the winners of trials 0, 1"
    assert parent.data.tags["genotune.tested"] == mlflow_store.trial(1).data.tags["genotune.tested"] == words
    assert parent.data.tags["genotune.reason"] == "the budget of 1 trials is spent"
    assert [point[:2] for point in mlflow_store.curve(mlflow_store.trial(0), "test.pearson")] == [(0, 0.3)]
    assert mlflow_store.trial(0).data.tags["genotune.winner"] == "false"
    assert parent.info.status == "FINISHED"


def test_a_sweep_tells_its_budget_and_why_a_family_got_no_more(sweep, mlflow_store, deliver):
    facts = {**FACTS, "budget": {"trials": 24, "hours": None, "cost": "20 USD"}}
    sweep.journal.append("sweep_started", **facts)
    sweep.journal.append("dropped", family="ridge", reason="its first 3 trials all failed; trial 1: no")
    sweep.journal.append("sweep_ended", status="failed", reason="All 3 trials failed.")
    deliver(sweep)
    tags = mlflow_store.parent.data.tags
    assert (tags["genotune.budget.trials"], tags["genotune.budget.cost"]) == ("24", "20 USD")
    assert "genotune.budget.hours" not in tags
    assert tags["genotune.dropped.ridge"] == "its first 3 trials all failed; trial 1: no"
    assert (mlflow_store.parent.info.status, tags["genotune.reason"]) == ("FAILED", "All 3 trials failed.")


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


def test_a_store_is_opened_by_its_own_uri_and_nothing_is_left_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_client(f"sqlite:///{tmp_path}/deep/mlflow.db").search_experiments()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]
