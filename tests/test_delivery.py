"""Whole sweeps recorded by a real MLflow server on a real PostgreSQL, whatever dies or is away meanwhile."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from genotune.evaluation import load_winner
from genotune.genome.sequence import encode
from genotune.journal import read_state
from genotune.tracking.stores import open_client
from sweeps import assert_database_is_complete, events, start, sweep_folder, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LOAD = """
import json, mlflow, pandas as pd, sys
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
print(json.dumps(model.predict(pd.DataFrame({"sequence": [sys.argv[3]]})).tolist()))
"""


@pytest.fixture
def recorded(edited, mlflow_server):
    """Rewrites the tiny spec to be recorded by the server, in an experiment and under a name of the test's own."""

    def edit(name, *changes):
        tracking = f"tracking: {{uri: '{mlflow_server.uri}', experiment: '{name}'}}"
        return edited(
            ("name: tiny\n", f"name: {name}\n"),
            ("trials: {concurrent: 1}", f"trials: {{concurrent: 1}}\n{tracking}"),
            *changes,
        )

    return edit


def assert_server_has_all(postgres, folder):
    """Every event, every run once, and the model."""
    state = read_state(folder)
    assert state.status == "complete"
    assert state.registered is not None
    assert [event.kind for event in events(folder) if event.number > state.delivered] == ["delivered"]
    assert_database_is_complete(postgres.rows, state, folder.name)
    noted = [event.values["upto"] for event in events(folder, "delivered")]
    assert noted == sorted(set(noted))


def end_of(process):
    """What a sweep's process wrote, once it has ended well."""
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, output + errors
    return output + errors


def test_a_sweep_over_http_leaves_its_whole_record_with_the_server(
    recorded, genotune, mlflow_server, postgres, tmp_path
):
    mlflow_server.ensure_up()
    result = genotune("run", recorded("over-http"), timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "sync" not in result.stdout
    folder = sweep_folder(tmp_path)
    assert_server_has_all(postgres, folder)
    client = open_client(mlflow_server.uri)
    experiment = client.get_experiment_by_name("over-http")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`genotune.role` = 'sweep'")
    kept = mlflow_server.artifacts / experiment.experiment_id / parent.info.run_id / "artifacts"
    assert (kept / "spec.yaml").read_text() == (tmp_path / "tiny.yaml").read_text()
    assert {"resolved.yaml", "versions.json", "files.json"} <= {path.name for path in kept.iterdir()}
    assert not (tmp_path / ".genotune" / "mlflow.db").exists()
    winner = load_winner(read_state(folder), folder)
    sequence = ("GATAAGCT" * winner.input_bp)[: winner.input_bp]
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, mlflow_server.uri, "models:/over-http@best", sequence],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    expected = winner.predict(encode(sequence.encode())[None])
    np.testing.assert_allclose(json.loads(loaded.stdout.splitlines()[-1]), expected, rtol=1e-5)
    result = genotune("sync", folder.name)
    assert result.returncode == 0, result.stderr
    assert "its model is models:/over-http@best (version 1)" in result.stdout


def test_trials_go_on_while_the_server_is_dead_and_it_is_told_in_order_when_it_is_back(
    recorded, mlflow_server, postgres, tmp_path
):
    mlflow_server.ensure_up()
    longer = ("budget: {trials: 5}", "budget: {trials: 12}")
    process = start(None, tmp_path, "run", recorded("server-dies", longer))
    folder = wait_for(tmp_path, lambda state: state.delivered > 0 and bool(state.trials), process, timeout_s=300)
    mlflow_server.kill()
    before = read_state(folder)
    n_ended = sum(trial.ended_s is not None for trial in before.trials.values())
    wait_for(
        tmp_path,
        lambda state: sum(trial.ended_s is not None for trial in state.trials.values()) >= n_ended + 3,
        process,
        timeout_s=300,
    )
    meanwhile = read_state(folder)
    assert meanwhile.delivered == before.delivered, "nobody was there to be told"
    mlflow_server.ensure_up()
    end_of(process)
    assert_server_has_all(postgres, folder)


def test_a_server_that_comes_after_the_end_is_told_by_sync_and_a_second_sync_tells_nothing_twice(
    recorded, genotune, mlflow_server, postgres, tmp_path
):
    mlflow_server.kill()
    result = genotune("run", recorded("server-late"), timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    n_left = len(events(folder))
    assert f"lacks {n_left} events and the winner's model; `genotune sync {folder.name}`" in result.stdout
    assert result.stderr.count("takes nothing now") == 1
    assert read_state(folder).status == "complete"
    mlflow_server.ensure_up()
    for _ in range(2):
        result = genotune("sync", folder.name)
        assert result.returncode == 0, result.stderr
        assert "its model is models:/server-late@best (version 1)" in result.stdout
        assert_server_has_all(postgres, folder)
    assert len(postgres.rows("select version from model_versions where name = 'server-late'")) == 1
    assert len(events(folder, "registered")) == 1


def test_two_sweeps_at_once_share_an_experiment_and_nothing_else(recorded, mlflow_server, postgres, tmp_path):
    mlflow_server.ensure_up()
    spec = recorded("side-by-side")
    processes = [start(None, tmp_path, "run", spec, "--workspace", tmp_path / name) for name in ("one", "two")]
    for process in processes:
        end_of(process)
    for name in ("one", "two"):
        (folder,) = (tmp_path / name / "sweeps").iterdir()
        assert_server_has_all(postgres, folder)
    assert len(postgres.rows("select name from experiments where name = 'side-by-side'")) == 1


def test_a_database_that_restarts_under_the_server_loses_nothing(recorded, mlflow_server, postgres, tmp_path):
    mlflow_server.ensure_up()
    process = start(None, tmp_path, "run", recorded("database-restarts"))
    folder = wait_for(tmp_path, lambda state: state.delivered > 0 and bool(state.trials), process, timeout_s=300)
    postgres.restart()
    end_of(process)
    assert_server_has_all(postgres, folder)


def test_a_person_who_does_not_wait_for_mlflow_at_the_end_keeps_a_complete_sweep(
    recorded, genotune, mlflow_server, postgres, tmp_path
):
    mlflow_server.kill()
    process = start(None, tmp_path, "run", recorded("impatient"))
    wait_for(tmp_path, lambda state: state.status == "complete", process, timeout_s=300)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in errors, errors
    folder = sweep_folder(tmp_path)
    assert read_state(folder).status == "complete"
    mlflow_server.ensure_up()
    result = genotune("sync", folder.name)
    assert result.returncode == 0, result.stderr
    assert_server_has_all(postgres, folder)
