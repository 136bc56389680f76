"""What the journal holds, MLflow holds: once, with the events' own times, whatever dies in between."""

import json

import pytest
from tracking.conftest import EITHER_STORE, FACTS, asked_for, write_generation

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)  # MLflow's own models

mlflow_store = pytest.fixture(params=EITHER_STORE)(asked_for)


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
