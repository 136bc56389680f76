"""Trials whose machine is about to be taken away."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from builders import YEAST_SPEC, clean_environment
from genotune import leaving
from genotune.journal import read_state
from genotune.leaving import LeavingMachines
from ray_nodes import RayNodes
from sweeps import assert_record_is_complete, events, kill_session, session_processes, start


def test_ray_is_asked_every_few_seconds_at_most(monkeypatch):
    clock, asked = [0.0], []
    monkeypatch.setattr(leaving.time, "monotonic", lambda: clock[0])

    def ask():
        asked.append(clock[0])
        return {"n1"} if clock[0] >= 3 else set()

    machines = LeavingMachines(ask)
    told = {}
    for clock[0] in (0.0, 1.0, 2.5, 3.0, 5.0):
        told[clock[0]] = machines.has("n1"), machines.has("n2"), machines.has("")
    assert asked == [0.0, 2.5, 5.0]
    assert [time_s for time_s, said in told.items() if said[0]] == [5.0]
    assert not any(said[1] or said[2] for said in told.values())


@pytest.fixture
def ray():
    with RayNodes() as ray:
        yield ray


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_on_a_notice_a_trial_ends_its_epoch_goes_on_elsewhere_and_loses_nothing(ray, tmp_path):
    nodes = [ray.add(), ray.add()]
    spec = YEAST_SPEC.replace("trials: 4", "trials: 2").replace("retries: 0", "retries: 0, concurrent: 1")
    (tmp_path / "yeast.yaml").write_text(spec)
    arguments = ("run", "yeast.yaml", "--address", ray.address, "--as", "moved")
    driver = start(None, tmp_path, *arguments, RAY_AUTH_MODE="disabled")
    folder = tmp_path / ".genotune" / "sweeps" / "moved"
    try:
        wait_until(driver, lambda: has_reported(folder))
        (first,) = [node for node in nodes if session_processes(node, "ImplicitFunc")]
        node = ray.node_id(first)
        command = [Path(sys.executable).parent / "ray", "drain-node", f"--address={ray.address}", f"--node-id={node}"]
        command += [
            "--reason=DRAIN_NODE_REASON_PREEMPTION",
            "--reason-message=spot",
            "--deadline-remaining-seconds=240",
        ]
        subprocess.run(
            command, check=True, env={**clean_environment(), "RAY_AUTH_MODE": "disabled"}, capture_output=True
        )
        wait_until(driver, lambda: len(events(folder, "started")) > 1)
        assert not session_processes(first, "ImplicitFunc"), "no process of a trial is kept there"
        output, errors = driver.communicate(timeout=500)
        assert driver.returncode == 0, output + errors
    finally:
        kill_session(driver.pid)
        driver.wait()
    state = read_state(folder)
    assert {trial.status for trial in state.trials.values()} == {"complete"}, "though no trial may be tried twice"
    assert [event.values["trial"] for event in events(folder, "started")] == [0, 0, 1]
    log = (folder / "trials" / "trial-0000" / "log.txt").read_text()
    left = int(log.split("trial 0: poisson_cnn")[1].rsplit(" of 8", 1)[0].rsplit(" ", 1)[1])
    told = [log.count(f"epoch {epoch} of 8") for epoch in range(1, 9)]
    assert told == [2 if epoch == left else 1 for epoch in range(1, 9)], "each was fitted once; one is told again"
    assert_record_is_complete(tmp_path, state)


def has_reported(folder):
    return (folder / "journal.jsonl").exists() and any(trial.curve for trial in read_state(folder).trials.values())


def wait_until(driver, condition, *, timeout_s=300):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
