"""Which trials are on the front, as MLflow holds it: while the sweep goes, at its end, and after its driver died."""

import json

import pytest
from tracking.conftest import FACTS

OBJECTIVE = {"metric": "pearson", "direction": "maximize", "bin_bp": 32, "further": ["n_parameters"]}

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)  # MLflow's own models


def begin(sweep, *, objective=OBJECTIVE):
    sweep.journal.append("sweep_started", **{**FACTS, "objective": objective})
    sweep.journal.append("driver_started", pid=1)


def run(sweep, trial, value, n_parameters):
    """A trial with one epoch."""
    sweep.propose(trial)
    sweep.start_trial(trial)
    metrics = {"validation.pearson": value, "n_parameters": n_parameters}
    sweep.journal.append("report", trial=trial, epoch=1, value=value, metrics=metrics, checkpoint=f"trial-{trial}/1")


def fronts(mlflow_store):
    return {
        run.data.tags["genotune.trial"]: run.data.tags.get("genotune.front")
        for run in mlflow_store.runs
        if "genotune.trial" in run.data.tags
    }


def test_each_trial_is_told_whether_it_is_on_the_front_and_told_anew_when_it_leaves_it(sweep, mlflow_store, deliver):
    begin(sweep)
    run(sweep, 0, 0.5, 100)
    run(sweep, 1, 0.4, 200)
    sweep.propose(2)
    deliver(sweep)
    assert fronts(mlflow_store) == {"0": "true", "1": "false", "2": None}
    assert mlflow_store.parent.data.tags["genotune.front_trials"] == "0"
    assert mlflow_store.parent.data.tags["genotune.objectives"] == "pearson, n_parameters"
    run(sweep, 3, 0.6, 90)
    run(sweep, 4, 0.1, 10)
    deliver(sweep)
    assert fronts(mlflow_store) == {"0": "false", "1": "false", "2": None, "3": "true", "4": "true"}
    assert mlflow_store.parent.data.tags["genotune.front_trials"] == "3, 4"


def test_what_a_driver_told_before_it_died_unnoted_is_put_right(sweep, mlflow_store, deliver):
    begin(sweep)
    run(sweep, 0, 0.5, 100)
    deliver(sweep)
    lines = sweep.journal.path.read_bytes().splitlines(keepends=True)
    run(sweep, 1, 0.6, 200)
    deliver(sweep)
    assert fronts(mlflow_store) == {"0": "true", "1": "true"}
    # MLflow was told of trial 1, but the disk of the machine never had it, nor the note that it was told.
    sweep.journal.close()
    sweep.journal.path.write_bytes(b"".join(lines))
    sweep.reopen()
    run(sweep, 1, 0.4, 200)
    deliver(sweep)
    assert fronts(mlflow_store) == {"0": "true", "1": "false"}


def test_at_the_end_the_front_is_a_table_a_picture_and_numbers(sweep, mlflow_store, deliver):
    begin(sweep)
    for trial, (value, n) in enumerate([(0.5, 100), (0.25, 50), (0.4, 200)]):
        run(sweep, trial, value, n)
    sweep.journal.append("winner", trial=0, epoch=1, value=0.5, checkpoint="trial-0/1")
    sweep.journal.append("sweep_ended", status="complete", reason="")
    deliver(sweep)
    parent = mlflow_store.parent
    folder = mlflow_store.artifacts / parent.info.run_id / "artifacts"
    table = [line.split("\t") for line in (folder / "front.tsv").read_text().splitlines()]
    assert table[0] == ["trial", "family", "epoch", "pearson", "n_parameters", "checkpoint", "params"]
    assert [row[:6] for row in table[1:]] == [
        ["0", "poisson_cnn", "1", "0.5", "100", "trials/trial-0/1"],
        ["1", "poisson_cnn", "1", "0.25", "50", "trials/trial-1/1"],
    ]
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(parent.data.tags["genotune.front_reference"]) == {"pearson": 0.25, "n_parameters": 200}
    assert parent.data.metrics["front.size"] == 2
    assert parent.data.metrics["front.hypervolume"] == pytest.approx(0.25 * 100)
    assert parent.data.metrics["n_parameters"] == 100


def test_four_objectives_have_a_picture_too(sweep, mlflow_store, deliver):
    begin(sweep, objective={**OBJECTIVE, "further": ["mse", "mae", "n_parameters"]})
    sweep.propose(0)
    metrics = {"validation.pearson": 0.1, "validation.mse": 0.2, "validation.mae": 0.3, "n_parameters": 4}
    sweep.journal.append("report", trial=0, epoch=1, value=0.1, metrics=metrics, checkpoint=None)
    sweep.journal.append("sweep_ended", status="failed", reason="")
    deliver(sweep)
    folder = mlflow_store.artifacts / mlflow_store.parent.info.run_id / "artifacts"
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "front.tsv").read_text().splitlines()[1].startswith("0\tpoisson_cnn\t1\t0.1\t0.2\t0.3\t4\t\t")


def test_one_objective_has_no_trace_of_a_front(sweep, mlflow_store, deliver):
    sweep.begin()
    run(sweep, 0, 0.5, 100)
    sweep.journal.append("sweep_ended", status="complete", reason="")
    deliver(sweep)
    parent = mlflow_store.parent
    assert fronts(mlflow_store) == {"0": None}
    assert not [name for name in (*parent.data.tags, *parent.data.metrics) if "front" in name or "objectives" in name]
    assert not list((mlflow_store.artifacts / parent.info.run_id / "artifacts").glob("front*"))
