"""A real MLflow server: away at first, then there, with artifacts that only it can reach."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from genotune.tracking import register_winner
from genotune.tracking.recorder import Recorder
from genotune.tracking.stores import open_client
from genotune.trainables.kmer_ridge import KmerRidge
from genotune.trainables.kmer_ridge_model import KmerRidgeModel, LinearOutputs
from genotune.trainables.kmers import canonical_kmers

pytestmark = pytest.mark.slow


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def start_server(tmp_path, port):
    """Starts `mlflow server` and waits until it answers."""
    servers = []

    def start():
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ]
        stores = [
            "--backend-store-uri",
            f"sqlite:///{tmp_path}/server.db",
            "--artifacts-destination",
            f"{tmp_path}/kept",
        ]
        with (tmp_path / "server.log").open("wb") as log:
            servers.append(subprocess.Popen([*command, *stores], stdout=log, stderr=log, cwd=tmp_path))
        for _ in range(600):
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
        pytest.fail((tmp_path / "server.log").read_text())

    yield start
    for server in servers:
        server.terminate()
        server.wait(30)


def test_a_sweep_that_began_before_its_server_is_delivered_and_registered(sweep, port, start_server, tmp_path, capfd):
    uri = f"http://127.0.0.1:{port}"
    recorder = Recorder(
        sweep.journal, tracking_uri=uri, experiment="yeast", sweep_id="s-1", artifact_location=tmp_path.as_uri()
    )
    recorder.start()
    sweep.begin()
    sweep.run_trial(0)
    start_server()
    sweep.journal.append("sweep_ended", status="complete")
    assert recorder.finish(timeout_s=120)
    client = open_client(uri)
    experiment = client.get_experiment_by_name("yeast")
    assert experiment.artifact_location.startswith("mlflow-artifacts:")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]

    model = KmerRidgeModel(
        KmerRidge(k=1, bin_bp=32, flank_bp=0),
        np.ones((1, canonical_kmers(1).n_features, 1)),
        np.ones(1),
        outputs=LinearOutputs(("atac",), "signal", 32, is_log=True, not_negative=(True,)),
    )
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    arguments = {"tracking_uri": uri, "run_id": recorder.trial_run_id(0), "model_folder": folder, "name": "yeast"}
    registered = register_winner(**arguments, model=model, sweep_id="s-1")
    assert register_winner(**arguments, model=model, sweep_id="s-1") == registered
    source = "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1]); mlflow.pyfunc.load_model(sys.argv[2])"
    subprocess.run([sys.executable, "-c", source, uri, registered.uri], check=True, cwd=tmp_path)
    assert capfd.readouterr().out == ""
