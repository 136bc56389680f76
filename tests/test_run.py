"""A whole sweep on a small real project, and what it leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from builders import clean_environment
from genotune.journal import read_state
from sweeps import assert_record_is_complete, curves, runs, session_members, start, sweep_folder, wait_for

PREDICT = """
import json, sys
import mlflow, numpy as np, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/tiny@best")
windows = json.load(open(sys.argv[2]))
predicted = model.predict(pd.DataFrame({"sequence": windows}))
np.save(sys.argv[3], predicted)
assert "ray" not in sys.modules
"""


@pytest.fixture
def finished(genotune, tiny, tmp_path):
    result = genotune("run", tiny)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def test_a_sweep_ends_with_a_complete_record_and_a_model_that_predicts_what_was_measured(finished, tiny, tmp_path):
    folder = sweep_folder(tmp_path)
    state = read_state(folder)
    assert len(state.trials) == 5
    assert state.status == "complete"
    assert "stopped" in {trial.status for trial in state.trials.values()}
    assert_record_is_complete(tmp_path, state)
    assert re.search(r"won, at epoch \d", finished.stdout)
    assert "scored once" in finished.stdout
    assert "models:/tiny@best" in finished.stdout
    assert finished.stderr == ""
    assert_winner_predicts_what_was_measured(tiny, tmp_path, state)
    artifacts = [path for path in (tmp_path / ".genotune" / "artifacts").rglob("*") if path.is_file()]
    assert artifacts
    for path in artifacts:
        assert path.suffix not in (".pkl", ".pickle", ".pt", ".pth", ".joblib"), path
        assert path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), path


def assert_winner_predicts_what_was_measured(tiny, tmp_path, state):
    """A bare process loads the model by name, predicts the validation contig, and gives the winner's own metric."""
    from genotune.plan import make_plan
    from genotune.spec import read_spec

    plan = make_plan(read_spec(tiny))
    store = plan.data.read_store_here(plan.fold).store
    contig = int(plan.trial_splits.validation[0])
    signal = store.contig_signal(contig)[0]
    codes = store.contig_sequence(contig)
    crop, length = 64, 256
    padded = np.concatenate([np.full(crop, 4, np.uint8), codes, np.full(length, 4, np.uint8)])
    windows = [
        "".join("ACGTN"[code] for code in padded[start : start + length])
        for start in range(0, len(codes), length - 2 * crop)
    ]
    (tmp_path / "windows.json").write_text(json.dumps(windows))
    uri = f"sqlite:///{tmp_path / '.genotune' / 'mlflow.db'}"
    command = [sys.executable, "-c", PREDICT, uri, str(tmp_path / "windows.json"), str(tmp_path / "out.npy")]
    result = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    predicted = np.load(tmp_path / "out.npy")[:, 0, :].reshape(-1)[: len(signal)]
    measured = np.corrcoef(signal, predicted)[0, 1]
    assert measured == pytest.approx(state.winner["value"], abs=1e-5)


def test_the_same_spec_and_seed_give_the_same_trials_and_metrics(genotune, tiny, tmp_path):
    found = []
    for name in ("one", "two"):
        result = genotune("run", tiny, "--workspace", tmp_path / name)
        assert result.returncode == 0, result.stderr
        (folder,) = (tmp_path / name / "sweeps").iterdir()
        state = read_state(folder)
        found.append((curves(state), state.winner, state.scores))
    assert found[0] == found[1]


def test_resuming_a_finished_sweep_scores_nothing_twice(finished, genotune, tmp_path):
    folder = sweep_folder(tmp_path)
    before = read_state(folder)
    result = genotune("resume", folder.name[:6])
    assert result.returncode == 0, result.stderr
    after = read_state(folder)
    assert curves(after) == curves(before)
    lines = (folder / "journal.jsonl").read_text().splitlines()
    assert sum('"kind": "scored"' in line for line in lines) == 2
    assert sum('"kind": "registered"' in line for line in lines) == 1
    assert_record_is_complete(tmp_path, after)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_sweep_is_recorded_as_killed_and_leaves_no_process(genotune, tiny, tmp_path, number):
    process = start(tiny, tmp_path, "run", tiny)
    folder = wait_for(tmp_path, lambda state: any(trial.curve for trial in state.trials.values()), process)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "genotune resume" in errors
    assert "Traceback" not in errors, errors
    deadline = time.monotonic() + 60
    while session_members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert session_members(process.pid) == []
    assert read_state(folder).status == "interrupted"
    statuses = {tags.get("genotune.trial", "parent"): status for _, status, tags in runs(tmp_path)}
    assert "RUNNING" not in statuses.values()
    assert "KILLED" in statuses.values()
    result = genotune("resume", folder.name)
    assert result.returncode == 0, result.stderr
    state = read_state(folder)
    assert state.status == "complete"
    assert_record_is_complete(tmp_path, state)


def test_a_second_driver_of_a_sweep_is_refused(genotune, tiny, tmp_path):
    process = start(tiny, tmp_path, "run", tiny)
    folder = wait_for(tmp_path, lambda state: bool(state.trials), process)
    result = genotune("resume", folder.name)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert result.returncode == 2
    assert "another driver is at work on this sweep" in result.stderr
