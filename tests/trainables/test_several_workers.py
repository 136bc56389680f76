"""Several workers that fit one model together take the steps that one worker would have taken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
WORKER = """
import json, sys
import numpy as np
import torch.distributed as dist
from conftest import build_store
from genotune.settings import build
from genotune.store import Splits
from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.trainable import FitPlan

task = json.loads(sys.argv[1])
rank, n_workers = task["rank"], task["n_workers"]
if n_workers > 1:
    dist.init_process_group("gloo", init_method="file://" + task["meet"], rank=rank, world_size=n_workers)
store = build_store([9000, 5003, 4000], tracks=("a", "b"))
store.signal[1, 100:140] = np.nan  # so that the workers' shares of a batch weigh differently
settings = build(PoissonCNN, task["settings"])
seen = []
plan = FitPlan(seed=3, max_epochs=3, rank=rank, n_workers=n_workers)
report = lambda progress: seen.append({"loss": progress.metrics["train_loss"], "windows": progress.metrics["windows"]})
model = settings.fit(store, Splits(np.array([0, 1]), np.array([2])), report=report, plan=plan)
np.savez(task["out"], predicted=model.predict_contig(store, 2), seen=json.dumps(seen))
if n_workers > 1:
    dist.destroy_process_group()
"""


def fit_by(n_workers, settings, folder):
    """What each of so many workers saw and predicts."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]), "OMP_NUM_THREADS": "1"}
    processes = []
    for rank in range(n_workers):
        task = {"rank": rank, "n_workers": n_workers, "meet": str(folder / "meet"), "settings": settings}
        task["out"] = str(folder / f"{rank}.npz")
        command = [sys.executable, "-c", WORKER, json.dumps(task)]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    found = [np.load(folder / f"{rank}.npz") for rank in range(n_workers)]
    return [json.loads(str(one["seen"])) for one in found], [one["predicted"] for one in found]


BASE = {
    "windows": {"length_bp": 256, "stride_bp": 64},
    "bin_bp": 16,
    "channels": 8,
    "n_blocks": 2,
    "batch_size": 15,  # of which one of two workers gets 8, the other 7
    "dropout": 0.0,
    "jitter_bp": 9,
}


@pytest.mark.parametrize(
    "values", [{}, {"normalisation": "layer", "ema_decay": 0.9, "optimiser": "sgd", "learning_rate": 0.02}], ids=str
)
def test_two_workers_learn_what_one_learns(tmp_path, values):
    settings = {**BASE, **values}
    (one,), (predicted,) = fit_by(1, settings, tmp_path / "one")
    both, predicted_by_both = fit_by(2, settings, tmp_path / "two")
    for seen in both:
        assert [epoch["loss"] for epoch in seen] == pytest.approx([epoch["loss"] for epoch in one], abs=1e-4)
        assert [epoch["windows"] for epoch in seen] == [epoch["windows"] for epoch in one]
    np.testing.assert_array_equal(*predicted_by_both)
    np.testing.assert_allclose(predicted_by_both[0], predicted, rtol=1e-2, atol=1e-4)
    assert one[0]["loss"] > one[-1]["loss"]
