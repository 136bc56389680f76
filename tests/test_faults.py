"""Sweeps that meet faults of machines: Ray or a node gone, memory or a disk used up, a GPU's context broken.

Real processes are killed by their ids, and the kernel itself says that a disk is full (/dev/full).
"""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from builders import SPEC, clean_environment
from genotune.journal import read_state
from ray_nodes import RayNodes
from sweeps import (
    assert_nothing_is_left_of,
    assert_record_is_complete,
    curves,
    events,
    runs,
    session_processes,
    start,
    sweep_folder,
    undisturbed,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ASHA = "{kind: asha, max_epochs: 4, reduction_factor: 2}"
ONE = "trials: {concurrent: 1}\n"
LONG = ((ASHA, "{kind: none, max_epochs: 60}"), ("trials: 5", "trials: 2"))
MODELS = """\
models:
  - family: torch_module
    params:
      module: network.py:Network
      bin_bp: 16
      windows: {length_bp: 256, stride_bp: 256, select: tiles}
      arguments: {fault: {choice: [FAULTS]}, mark: MARK}
      learning_rate: {choice: [0.01, 0.02]}
"""
NETWORK = """\
import os
import resource
import signal
from pathlib import Path

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, bin_bp, fault, mark):
        super().__init__()
        self.filters = nn.Conv1d(4, 1, bin_bp, stride=bin_bp)
        self.fault, self.mark = fault, Path(mark)

    def forward(self, onehot):
        if self.training and self.fault == "memory":
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
            bytearray(8 << 30)
        if self.training and self.fault == "killed":
            print("about to die")
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "cuda":
            # As with a GPU: after one illegal access everything fails in this process, and nothing in another.
            if self.training and not self.mark.exists():
                self.mark.touch()
                torch.is_broken = True
            if getattr(torch, "is_broken", False):
                raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return self.filters(onehot)
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What the sweep comes to without a fault, and without a storage."""
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), *LONG)


def is_amid_trial(number):
    """Whether a trial has begun to report."""
    return lambda state: number in state.trials and bool(state.trials[number].curve)


def assert_goes_on_as_undisturbed(genotune, folder, expected, tmp_path):
    """Resumed, the sweep comes to what it would have come to, with no step written twice."""
    result = genotune("resume", folder.name, timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(folder)
    assert curves(state) == curves(expected)
    assert {**state.winner} == {**expected.winner}
    reports = [(event.values["trial"], event.values["epoch"]) for event in events(folder, "report")]
    assert len(reports) == len(set(reports))
    assert_record_is_complete(tmp_path, state)


def test_a_sweep_whose_ray_dies_says_so_leaves_no_process_and_goes_on(genotune, edited, tmp_path, expected):
    spec = edited(*LONG)
    process = start(spec, tmp_path, "run", spec)
    folder = wait_for(tmp_path, is_amid_trial(0), process, timeout_s=300)
    (raylet,) = session_processes(process.pid, "raylet/raylet")
    os.kill(raylet, signal.SIGKILL)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 2, errors
    assert f"Ray on this machine has died (its raylet, process {raylet}, is gone)." in errors
    assert f"Then: genotune resume {folder.name}" in errors
    assert "Traceback" not in errors
    state = read_state(folder)
    assert state.status == "interrupted"
    assert {trial.status for trial in state.trials.values()} <= {"complete", "killed"}
    assert_nothing_is_left_of(process.pid)
    assert_goes_on_as_undisturbed(genotune, folder, expected, tmp_path)


def test_no_process_outlives_a_driver_that_is_killed(edited, tmp_path):
    spec = edited(*LONG)
    process = start(spec, tmp_path, "run", spec)
    wait_for(tmp_path, is_amid_trial(0), process, timeout_s=300)
    assert session_processes(process.pid, "ImplicitFunc")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert_nothing_is_left_of(process.pid)


@pytest.mark.cluster
@pytest.mark.parametrize("loses", ["the store", "the store and the checkpoints"])
def test_a_trial_whose_node_is_gone_goes_on_on_another_from_its_checkpoint(edited, tmp_path, expected, loses):
    """The other node has no copy of the data: it is fetched again from the driver's. It is no failure of the trial."""
    spec = edited(*LONG)
    spec = edited((ONE, ONE.replace("1}", "1, retries: 0}"))) if loses == "the store" else spec
    spec = edited((ONE, f"{ONE}storage: {tmp_path / 'kept'}\n")) if "checkpoints" in loses else spec
    with RayNodes() as ray:
        first = ray.add()
        process = start(spec, tmp_path, "run", spec, "--address", ray.address, RAY_AUTH_MODE="disabled")
        folder = wait_for(tmp_path, is_amid_trial(0), process, timeout_s=300)
        assert session_processes(first, "ImplicitFunc")
        ray.lose(first)
        if "checkpoints" in loses:
            shutil.rmtree(folder / "trials")
        ray.add()
        output, errors = process.communicate(timeout=500)
        assert process.returncode == 0, output + errors
    state = read_state(folder)
    assert curves(state) == curves(expected)
    assert [event.values["trial"] for event in events(folder, "started")] == [0, 0, 1]
    reports = [(event.values["trial"], event.values["epoch"]) for event in events(folder, "report")]
    assert len(reports) == len(set(reports))
    assert_record_is_complete(tmp_path, state)


def with_faults(tiny, tmp_path, *faults, n_trials, retries):
    """A sweep over a network that has these faults."""
    (tmp_path / "network.py").write_text(NETWORK)
    models = MODELS.replace("FAULTS", ", ".join(faults)).replace("MARK", str(tmp_path / "mark"))
    text = SPEC[: SPEC.index("models:")] + models + SPEC[SPEC.index("search:") :]
    for old, new in (
        ("kind: tpe", "kind: grid"),
        (ASHA, "{kind: none, max_epochs: 2}"),
        ("trials: 5", f"trials: {n_trials}"),
        (ONE, f"trials: {{concurrent: 1, retries: {retries}}}\n"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    tiny.write_text(text)
    return tiny


@pytest.mark.parametrize(
    ("fault", "words"),
    [("memory", ["MemoryError"]), ("killed", ["about to die", "The actor died unexpectedly"])],
)
def test_a_trial_that_dies_each_time_fails_with_its_reason_and_last_lines_and_the_sweep_goes_on(
    genotune, tiny, tmp_path, fault, words
):
    result = genotune("run", with_faults(tiny, tmp_path, "none", fault, n_trials=4, retries=1), timeout_s=800)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    state = read_state(folder)
    bad = {number for number, trial in state.trials.items() if trial.params["arguments"]["fault"] == fault}
    assert (len(bad), len(state.trials)) == (2, 4)
    assert {number for number, trial in state.trials.items() if trial.status == "failed"} == bad
    assert {trial.status for number, trial in state.trials.items() if number not in bad} == {"complete"}
    started = [event.values["trial"] for event in events(folder, "started")]
    assert {started.count(number) for number in bad} == {2}
    recorded = {
        tags["genotune.trial"]: (status, tags) for _, status, tags in runs(tmp_path) if "genotune.trial" in tags
    }
    for number in bad:
        status, tags = recorded[str(number)]
        assert status == "FAILED"
        for text in (state.trials[number].reason, tags["genotune.reason"]):
            assert "the last lines of its log:" in text
            assert [word for word in words if word not in text] == []
    assert_record_is_complete(tmp_path, state)


def test_a_process_with_a_cuda_error_is_not_used_again(genotune, tiny, tmp_path):
    result = genotune("run", with_faults(tiny, tmp_path, "cuda", n_trials=2, retries=1), timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    assert [trial.status for trial in read_state(folder).trials.values()] == ["complete", "complete"]
    assert [event.values["trial"] for event in events(folder, "started")] == [0, 0, 1]
    assert "CUDA error: an illegal memory access" in (folder / "trials" / "trial-0000" / "log.txt").read_text()


def test_a_disk_that_is_full_for_a_trial_interrupts_the_sweep_and_fails_no_trial(genotune, edited, tmp_path, expected):
    """The second trial's log has no room; the kernel says so."""
    spec = edited(*LONG)
    process = start(spec, tmp_path, "run", spec)
    folder = wait_for(tmp_path, is_amid_trial(0), process, timeout_s=300)
    full = folder / "trials" / "trial-0001"
    full.mkdir(exist_ok=True)
    (full / "log.txt").symlink_to("/dev/full")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 2, errors
    assert "No space left on device. Free some space. Then: genotune resume" in errors
    assert "Traceback" not in errors
    state = read_state(folder)
    assert state.status == "interrupted"
    assert [trial.status for trial in state.trials.values()] == ["complete", "killed"]
    assert [event.values["trial"] for event in events(folder, "started")] == [0, 1]
    assert "RUNNING" not in {status for _, status, _ in runs(tmp_path)}
    (full / "log.txt").unlink()
    assert_goes_on_as_undisturbed(genotune, folder, expected, tmp_path)


FULL_AFTER = """
import logging, os, sys
from genotune.cli import main
from genotune.journal import Journal
append = Journal.append

def append_until_full(self, kind, **values):
    if kind == "report" and values["trial"] == 1 and values["epoch"] == 3:
        full = os.open("/dev/full", os.O_WRONLY)
        with self._lock:  # no other thread is amid an event
            Journal.sync = lambda self: None  # what is on a full disk can be synced; of /dev/full nothing can
            os.dup2(full, self._file.fileno())
        for handler in logging.getLogger("genotune").handlers:
            if isinstance(handler, logging.FileHandler):
                os.dup2(full, handler.stream.fileno())
    return append(self, kind, **values)

Journal.append = append_until_full
sys.argv[0] = "genotune"
main()
"""


def test_a_disk_that_is_full_for_the_journal_ends_the_sweep_and_a_resume_goes_on(genotune, edited, tmp_path, expected):
    """From an event on the driver's journal and its log are files for which the kernel has no room."""
    spec = edited(*LONG)
    result = subprocess.run(
        [sys.executable, "-c", FULL_AFTER, "run", str(spec)],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    folder = sweep_folder(tmp_path)
    message = f"journal.jsonl: No space left on device. Free some space. Then: genotune resume {folder.name}"
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    state = read_state(folder)
    assert state.trials[1].epoch == 2
    assert state.trials[1].ended_s is None
    assert_goes_on_as_undisturbed(genotune, folder, expected, tmp_path)
