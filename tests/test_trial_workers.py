"""Sweeps whose trials are fitted by two workers under Ray Train: the same results, and the same faults survived."""

import pytest

from genotune.journal import read_events, read_state
from genotune.ray_session import available_cpus
from sweeps import assert_a_killed_process_changes_nothing, assert_record_is_complete, curves, events, sweep_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BUDGET = "budget: {trials: 5}"
ASHA = "scheduler: {kind: asha, max_epochs: 4, reduction_factor: 2}"
MODEL = "  - family: poisson_cnn\n    params:\n"
# Half a CPU each, so that they also fit beside each other on a small machine.
TWO = (BUDGET, f"{BUDGET}\nresources: {{poisson_cnn: {{workers: 2, cpus: 0.5}}}}")
# AdamW multiplies each weight by 1 - learning_rate * weight_decay at each step: by -9, or by 0.99.
DIVERGING = (
    "learning_rate: {log_uniform: [1.0e-3, 3.0e-2]}",
    "learning_rate: {choice: [1.0e-3, 1.0]}\n      weight_decay: 10\n      batch_size: 2\n      warmup: 0\n"
    "      schedule: {kind: constant}",
)
NETWORK = """\
import os
import time
from pathlib import Path

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, bin_bp: int, mark: str, fault: str) -> None:
        super().__init__()
        self.filters = nn.Conv1d(4, 1, bin_bp, stride=bin_bp)
        self.mark, self.fault = Path(mark), fault

    def forward(self, onehot):
        if self.training and torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            if self.fault == "raises":
                raise RuntimeError("the second worker has a fault")
            if self.fault == "hangs" and not self.mark.exists():
                self.mark.touch()
                time.sleep(10_000)
        return self.filters(onehot)
"""


def with_network(edited, tmp_path, *, fault, trials):
    """The spec of a sweep over a network of a file, whose second worker has a fault in training."""
    (tmp_path / "network.py").write_text(NETWORK)
    spec = edited(
        (BUDGET, "budget: {trials: 2}\nresources: {torch_module: {workers: 2, cpus: 0.5}}"),
        ("trials: {concurrent: 1}", f"trials: {{concurrent: 1, {trials}}}"),
        (ASHA, "scheduler: {kind: none, max_epochs: 2}"),
    )
    text = spec.read_text()
    models = text[text.index(MODEL) : text.index("search:")]
    model = (
        "  - family: torch_module\n    params:\n      module: network.py:Network\n      bin_bp: 16\n"
        "      windows: {length_bp: 256, stride_bp: 256, select: tiles}\n"
        f"      arguments: {{mark: {tmp_path / 'mark'}, fault: {fault}}}\n"
        "      learning_rate: {log_uniform: [1.0e-3, 3.0e-2]}\n"
    )
    spec.write_text(text.replace(models, model))
    return spec


def test_two_workers_find_what_one_finds_also_after_trials_that_were_stopped(genotune, edited, tmp_path):
    """With SGD: Adam makes whole steps of gradients that are nothing but rounding (a bias before a normalisation)."""
    spec = edited((MODEL, f"{MODEL}      dropout: 0\n      optimiser: sgd\n"), ("[1.0e-3, 3.0e-2]", "[0.02, 0.2]"))
    one = genotune("run", spec, "--workspace", tmp_path / "one", timeout_s=600)
    assert one.returncode == 0, one.stdout + one.stderr
    (folder,) = (tmp_path / "one" / "sweeps").iterdir()
    expected = read_state(folder)
    two = genotune("run", edited(TWO), timeout_s=600)
    assert two.returncode == 0, two.stdout + two.stderr
    assert not two.stderr, "Ray Train is quiet"
    state = read_state(sweep_folder(tmp_path))
    assert {trial.status for trial in state.trials.values()} == {"complete", "stopped"}
    for (*found, curve, decisions, status), (*wanted, wanted_curve, wanted_decisions, wanted_status) in zip(
        curves(state), curves(expected), strict=True
    ):
        assert (found, decisions, status) == (wanted, wanted_decisions, wanted_status)
        assert curve == pytest.approx(wanted_curve, abs=1e-4)
    assert state.winner["trial"] == expected.winner["trial"]
    assert state.trials[0].metrics.keys() == expected.trials[0].metrics.keys()
    assert_record_is_complete(tmp_path, state)
    assert not (sweep_folder(tmp_path) / "ray").exists()


def test_trials_that_fit_only_one_after_another_do_not_wait_for_each_other(genotune, edited, tmp_path):
    """Each worker takes half of the machine, and any number of trials may run."""
    resources = f"resources: {{poisson_cnn: {{workers: 2, cpus: {available_cpus() / 2}}}}}"
    spec = edited((BUDGET, f"budget: {{trials: 3}}\n{resources}"), ("trials: {concurrent: 1}\n", ""))
    result = genotune("run", spec, timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    order = [
        (event.kind, event.values["trial"])
        for event in read_events(folder / "journal.jsonl")
        if event.kind in ("started", "ended")
    ]
    assert order == [(kind, trial) for trial in range(3) for kind in ("started", "ended")]


@pytest.mark.parametrize("name", ["RayTrainWorker", "ImplicitFunc"])
def test_a_trial_goes_on_from_its_checkpoint_when_a_worker_or_its_lead_is_killed(genotune, edited, tmp_path, name):
    """Killed after the first of 60 epochs, so in the middle of a trial and not between two."""
    spec = edited((ASHA, "scheduler: {kind: none, max_epochs: 60}"), (BUDGET, "budget: {trials: 2}"))
    spec = edited(("budget: {trials: 2}", "budget: {trials: 2}\nresources: {poisson_cnn: {workers: 2, cpus: 0.5}}"))
    n_processes = 2 if name == "RayTrainWorker" else 1
    assert_a_killed_process_changes_nothing(genotune, spec, tmp_path, name, n_processes=n_processes)


def test_a_trial_that_diverges_fails_at_once_with_the_reason_and_the_sweep_goes_on(genotune, edited, tmp_path):
    result = genotune("run", edited(DIVERGING, TWO), timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    state = read_state(folder)
    failed = {number for number, trial in state.trials.items() if trial.status == "failed"}
    assert failed == {number for number, trial in state.trials.items() if trial.params["learning_rate"] == 1.0}
    assert 0 < len(failed) < len(state.trials)
    assert all("a lower learning rate may help" in state.trials[number].reason for number in failed)
    assert len(events(folder, "started")) == len(state.trials), "a divergence is not tried again"


def test_a_draw_that_one_worker_alone_can_not_fit_fails_at_once_with_the_reason(genotune, edited, tmp_path):
    spec = with_network(edited, tmp_path, fault="raises", trials="timeout_minutes: 5")
    result = genotune("run", spec, timeout_s=600)
    assert result.returncode == 2, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    state = read_state(folder)
    assert [trial.status for trial in state.trials.values()] == ["failed", "failed"]
    assert all("the second worker has a fault" in trial.reason for trial in state.trials.values())
    assert len(events(folder, "started")) == 2, "it is not tried again"


def test_a_worker_that_hangs_is_ended_and_the_trial_tried_again(genotune, edited, tmp_path):
    spec = with_network(edited, tmp_path, fault="hangs", trials="timeout_minutes: 0.5")
    result = genotune("run", spec, timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    assert [trial.status for trial in read_state(folder).trials.values()] == ["complete", "complete"]
    assert [event.values["trial"] for event in events(folder, "started")] == [0, 0, 1]
