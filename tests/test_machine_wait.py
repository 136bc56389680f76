"""What a person is told that waits for machines."""

import threading
import time

import pytest
from ray.autoscaler.v2.schema import ClusterStatus, LaunchRequest, NodeInfo, Stats

from genotune import machine_wait
from genotune.machine_wait import Launches, MachineWait, first_machine_awaited, launches_of, wait_words
from genotune.sweep_state import SweepState, TrialState


def launch(name, *, count=1, failed_s=None, details=None):
    status = LaunchRequest.Status.PENDING if failed_s is None else LaunchRequest.Status.FAILED
    return LaunchRequest("m5", name, count, status, 100, failed_s, details)


@pytest.mark.parametrize(
    ("n_trials", "launches", "words"),
    [
        (1, None, "1 trial waits for room on the machines that there are."),
        (3, Launches({}, {}), "3 trials wait for machines: none is starting."),
        (
            3,
            Launches({"gpu": 2, "cpu": 1}, {}),
            "3 trials wait for machines: 2 of gpu are starting; 1 of cpu is starting.",
        ),
        (
            2,
            Launches({}, {"gpu": "VcpuLimitExceeded"}),
            "2 trials wait for machines: gpu could not be started (VcpuLimitExceeded).",
        ),
    ],
)
def test_what_is_missing_is_said_in_words(n_trials, launches, words):
    assert wait_words(n_trials, launches) == words


def test_the_autoscalers_own_word_is_read_and_old_failures_are_left_out():
    status = ClusterStatus(
        pending_launches=[launch("gpu", count=2)],
        pending_nodes=[NodeInfo("m5", "gpu", "i-1", "1.2.3.4")],
        failed_launches=[
            launch("cpu", failed_s=950, details="VcpuLimitExceeded: you have\n  requested more"),
            launch("old", failed_s=100, details="long ago"),
        ],
        stats=Stats(),
    )
    found = launches_of(status, now_s=1000)
    assert found == Launches({"gpu": 3}, {"cpu": "VcpuLimitExceeded: you have requested more"})


@pytest.fixture
def waits(monkeypatch):
    """A look at trials 0 (that runs or waits) and 1 (that waits), second by second; what was said, and when."""

    def look(launches, *, runs, until_s=60):
        clock, said = [100.0], []
        monkeypatch.setattr(machine_wait.time, "monotonic", lambda: clock[0])
        wait = MachineWait(lambda words: said.append((clock[0] - 100, words)), lambda: launches)
        trials = {n: TrialState(number=n, family="ridge", picks={}, params={}, seed=1) for n in (0, 1)}
        trials[0].running_since_s = 5.0 if runs else None
        state = SweepState(trials=trials, unended=dict(trials))
        for clock[0] in range(100, 100 + until_s):
            wait.look(state)
        trials[0].running_since_s = trials[1].running_since_s = 7.0
        clock[0] = 200
        wait.look(state)
        return said

    return look


def test_trials_that_wait_are_told_of_after_a_while_once_and_when_it_is_over(waits):
    words = "2 trials wait for machines: 1 of gpu is starting."
    assert waits(Launches({"gpu": 1}, {}), runs=False) == [(20, words), (100, "")]


def test_who_only_waits_for_another_trial_to_end_is_not_told_of(waits):
    assert waits(Launches({}, {}), runs=True) == []
    assert waits(None, runs=True) == []


def test_a_machine_that_cant_be_started_is_told_of_while_others_run(waits):
    words = "1 trial waits for machines: gpu could not be started (VcpuLimitExceeded)."
    assert waits(Launches({}, {"gpu": "VcpuLimitExceeded"}), runs=True) == [(20, words), (100, "")]


def test_data_that_wait_for_the_first_machine_are_told_of(monkeypatch):
    monkeypatch.setattr(machine_wait, "_AFTER_S", 0.01)
    monkeypatch.setattr(machine_wait, "_EVERY_S", 0.01)
    said, told = [], threading.Event()

    def say(words):
        said.append(words)
        told.set()

    with first_machine_awaited(say, lambda: Launches({}, {"gpu": "VcpuLimitExceeded"}), lambda: 0.0):
        assert told.wait(60)
    assert said == ["The data wait for machines: gpu could not be started (VcpuLimitExceeded)."]
    with first_machine_awaited(said.append, lambda: None, lambda: 4.0):
        time.sleep(0.1)
    assert len(said) == 1, "there are machines"
