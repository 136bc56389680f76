"""Sweeps on Ray Tune that meet faults: dead and hanging workers, diverging trials, an MLflow that is away."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from builders import clean_environment
from genotune.journal import read_state
from sweeps import (
    assert_a_killed_process_changes_nothing,
    assert_record_is_complete,
    events,
    runs,
    session_members,
    start,
    sweep_folder,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FIRST_MODEL = "  - family: poisson_cnn\n"
LEARNING_RATE = "learning_rate: {log_uniform: [1.0e-3, 3.0e-2]}"
# AdamW multiplies each weight by 1 - learning_rate * weight_decay at each step: by -9, or by 0.99.
DIVERGING = (
    "learning_rate: {choice: [1.0e-3, 1.0]}\n      weight_decay: 10\n      batch_size: 2\n      warmup: 0\n"
    "      schedule: {kind: constant}"
)


def wait_until(condition, *, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_trial_whose_process_is_killed_goes_on_from_its_checkpoint(genotune, edited, tmp_path):
    """Killed after the first of 30 epochs, so in the middle of a trial and not between two."""
    scheduler = "{kind: asha, max_epochs: 4, reduction_factor: 2}"
    spec = edited((scheduler, "{kind: none, max_epochs: 30}"), ("trials: 5", "trials: 2"))
    assert_a_killed_process_changes_nothing(genotune, spec, tmp_path, "ImplicitFunc")


def test_a_trial_that_hangs_is_ended_and_tried_again(edited, tmp_path):
    spec = edited(("trials: {concurrent: 1}", "trials: {concurrent: 1, timeout_minutes: 0.2, retries: 3}"))
    process = start(spec, tmp_path, "run", spec)
    folder = wait_for(tmp_path, lambda state: 0 in state.trials, process)
    # A pipe that nobody writes to: whoever reads the checkpoint hangs in the kernel, as with a disk that is away.
    hanging = folder / "trials" / "trial-0001" / "epoch-0001"
    hanging.mkdir(parents=True)
    os.mkfifo(hanging / "report.json")
    wait_for(tmp_path, lambda state: 1 in state.trials and state.trials[1].status == "running", process)
    wait_until(lambda: [event.values["trial"] for event in events(folder, "started")].count(1) > 1)
    (hanging / "report.json").unlink()
    hanging.rmdir()
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, output + errors
    state = read_state(folder)
    assert {trial.status for trial in state.trials.values()} <= {"complete", "stopped"}
    assert state.trials[1].curve
    assert_record_is_complete(tmp_path, state)


def test_a_sweep_in_which_every_trial_fails_says_why(edited, genotune, tmp_path):
    spec = edited((LEARNING_RATE, DIVERGING.replace("[1.0e-3, 1.0]", "[1.0, 0.9]")))
    result = genotune("run", spec)
    assert result.returncode == 2, result.stdout + result.stderr
    assert re.search(r"All \d trials failed\. The first \(trial 0\):", result.stderr)
    assert "a lower learning rate may help" in result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert state.status == "failed"
    assert {trial.status for trial in state.trials.values()} == {"failed"}
    assert len(state.trials) == 3
    assert len(events(sweep_folder(tmp_path), "started")) == len(state.trials), "a divergence is not tried again"
    ((_, status, tags),) = [run for run in runs(tmp_path) if run[2]["genotune.role"] == "sweep"]
    assert status == "FAILED"
    assert "All 3 trials failed. The first (trial 0):\nthe training loss is" in tags["genotune.reason"]
    assert tags["genotune.dropped.poisson_cnn"].startswith("its first 3 trials all failed; trial 0: the training loss")
    assert result.stdout.count("poisson_cnn gets no more trials: ") == 1


def test_a_trial_that_diverges_fails_with_the_reason_and_the_sweep_goes_on(edited, genotune, tmp_path):
    spec = edited((LEARNING_RATE, DIVERGING))
    result = genotune("run", spec)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert state.status == "complete"
    failed = {number for number, trial in state.trials.items() if trial.status == "failed"}
    assert failed == {number for number, trial in state.trials.items() if trial.params["learning_rate"] == 1.0}
    assert 0 < len(failed) < len(state.trials)
    assert all("a lower learning rate may help" in state.trials[number].reason for number in failed)
    assert state.winner["trial"] not in failed


def test_two_families_compete_each_with_its_own_epochs(edited, genotune, tmp_path):
    ridge = (
        "  - family: ridge\n    params:\n      bin_bp: 32\n      k: {int: [1, 4]}\n      flank_bp: {choice: [0, 32]}\n"
    )
    spec = edited((FIRST_MODEL, ridge + FIRST_MODEL), ("budget: {trials: 5}", "budget: {trials: 14}"))
    result = genotune("run", spec)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(sweep_folder(tmp_path))
    of_family = {
        family: [trial for trial in state.trials.values() if trial.family == family]
        for family in ("ridge", "poisson_cnn")
    }
    assert {family for family, trials in of_family.items() if trials} == {"ridge", "poisson_cnn"}
    assert all(set(trial.curve) == {1} for trial in of_family["ridge"])
    assert all(trial.status == "complete" for trial in of_family["ridge"])
    assert max(max(trial.curve) for trial in of_family["poisson_cnn"]) == 4
    best = max(value for trial in state.trials.values() for value in trial.curve.values())
    assert state.winner["value"] == best
    assert f"{state.trials[state.winner['trial']].family}" in result.stdout


def test_a_sweep_without_mlflow_ends_and_is_delivered_later(edited, genotune, tmp_path):
    spec = edited(("trials: {concurrent: 1}", "trials: {concurrent: 1}\ntracking: {uri: null}"))
    environment = {**clean_environment(), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    result = subprocess.run(
        [sys.executable, "-m", "genotune.cli", "run", str(spec)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    state = read_state(folder)
    assert state.status == "complete"
    assert state.registered is None
    assert f"genotune sync {folder.name}" in result.stdout
    result = genotune("sync", folder.name)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(folder)
    assert state.registered is not None
    assert_record_is_complete(tmp_path, state)


@pytest.fixture
def ray_head():
    """The address of a Ray that is there already; its session is ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="gth", dir="/tmp", ignore_cleanup_errors=True) as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", f"--port={port}"]
        command += ["--node-ip-address=127.0.0.1", "--num-cpus=2", "--include-dashboard=false", f"--temp-dir={folder}"]
        environment = {**clean_environment(), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        log = Path(folder) / "start.log"
        with log.open("w") as output:
            head = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            wait_until(lambda: "Ray runtime started" in log.read_text() or head.poll() is not None, timeout_s=60)
            assert head.poll() is None, log.read_text()
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()
            head.wait(timeout=60)
            for pid in session_members(head.pid):
                os.kill(pid, signal.SIGKILL)


def test_a_sweep_joins_a_ray_that_is_there_and_leaves_it_running(ray_head, tiny, tmp_path):
    command = [sys.executable, "-m", "genotune.cli", "run", str(tiny), "--address", ray_head]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={**clean_environment(), "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert state.status == "complete"
    assert_record_is_complete(tmp_path, state)
    host, port = ray_head.split(":")
    socket.create_connection((host, int(port)), timeout=5).close()
