"""A real MLflow server on a real PostgreSQL: away at first, then there; on a way that loses answers; ended under us."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from tracking.lossy_proxy import lossy_proxy

from genotune.tracking import register_winner
from genotune.tracking.stores import open_client
from genotune.trainables.kmer_ridge import KmerRidge
from genotune.trainables.kmer_ridge_model import KmerRidgeModel, LinearOutputs
from genotune.trainables.kmers import canonical_kmers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def mlflow_store(server_store):
    return server_store


def test_a_sweep_that_began_before_its_server_is_delivered(sweep, mlflow_server, mlflow_store, recorder_of):
    mlflow_server.kill()
    recorder = recorder_of(sweep)
    recorder.start()
    sweep.begin()
    sweep.run_trial(0)
    assert not recorder.finish(timeout_s=1)
    mlflow_server.ensure_up()
    sweep.journal.append("sweep_ended", status="complete")
    assert recorder.finish(timeout_s=120)
    client = open_client(mlflow_store.uri)
    experiment = client.get_experiment_by_name(mlflow_store.experiment)
    assert experiment.artifact_location.startswith("mlflow-artifacts:")
    assert [run.info.status for run in mlflow_store.runs] == ["FINISHED", "FINISHED"]


def test_a_winner_is_registered_once_and_loads_from_the_server(sweep, mlflow_store, deliver, tmp_path, capfd):
    sweep.begin()
    sweep.run_trial(0)
    run_id = deliver(sweep).trial_run_id(0)
    model = KmerRidgeModel(
        KmerRidge(k=1, bin_bp=32, flank_bp=0),
        np.ones((1, canonical_kmers(1).n_features, 1)),
        np.ones(1),
        outputs=LinearOutputs(("atac",), "signal", 32, is_log=True, not_negative=(True,)),
    )
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    arguments = {"tracking_uri": mlflow_store.uri, "run_id": run_id, "model_folder": folder}
    registered = register_winner(**arguments, name=mlflow_store.experiment, model=model, sweep_id="s-1")
    assert register_winner(**arguments, name=mlflow_store.experiment, model=model, sweep_id="s-1") == registered
    source = "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1]); mlflow.pyfunc.load_model(sys.argv[2])"
    subprocess.run([sys.executable, "-c", source, mlflow_store.uri, registered.uri], check=True, cwd=tmp_path)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("lost", ["runs/create", "runs/log-batch", "runs/update", "experiments/create", "artifacts"])
def test_an_answer_that_is_lost_makes_nothing_twice(sweep, mlflow_store, recorder_of, lost):
    n_to_lose = {lost: 1}

    def fate(path, carry_out):
        carry_out()
        if lost in path and n_to_lose[lost]:
            n_to_lose[lost] -= 1
            return False
        return True

    with lossy_proxy(mlflow_store.uri, fate) as uri:
        recorder = recorder_of(sweep, uri)
        recorder.start()
        sweep.begin()
        sweep.run_trial(0)
        sweep.journal.append("sweep_ended", status="complete")
        assert recorder.finish(timeout_s=120)
    assert n_to_lose[lost] == 0
    assert [run.data.tags.get("genotune.trial") for run in mlflow_store.runs] == [None, "0"]
    assert [run.info.status for run in mlflow_store.runs] == ["FINISHED", "FINISHED"]
    assert [step for step, _, _ in mlflow_store.curve(mlflow_store.trial(0), "objective")] == [1, 2]


def test_a_run_that_is_made_long_after_it_was_given_up_is_found_at_the_end(
    sweep, mlflow_store, recorder_of, monkeypatch
):
    """The first request for a run hangs on its way until the second, sent later, has been answered."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    asked, second_made, first_made = [], threading.Event(), threading.Event()

    def fate(path, carry_out):
        if "runs/create" not in path or len(asked) == 2:
            carry_out()
            return True
        asked.append(path)
        if len(asked) == 1:
            assert second_made.wait(120)
            carry_out()
            first_made.set()
            return False
        carry_out()
        second_made.set()
        return True

    with lossy_proxy(mlflow_store.uri, fate) as uri:
        recorder = recorder_of(sweep, uri)
        recorder.start()
        sweep.begin()
        assert first_made.wait(120)
        assert len(mlflow_store.runs) == 2
        sweep.run_trial(0)
        sweep.journal.append("sweep_ended", status="complete")
        assert recorder.finish(timeout_s=120)
    assert [run.data.tags.get("genotune.trial") for run in mlflow_store.runs] == [None, "0"]
    trial = mlflow_store.trial(0)
    assert trial.data.tags["mlflow.parentRunId"] == mlflow_store.parent.info.run_id
