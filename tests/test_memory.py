"""What trials of one node hold for themselves: the store isn't part of it."""

from typing import NamedTuple

import numpy as np
import pytest

from genotune.judging import Judge
from genotune.ray_session import ray_session
from genotune.shared_store import SharedStore
from genotune.store import SequenceStore, Splits
from genotune.trainables.trainable import FitPlan
from genotune.trial import TrialSetup, fit_trial

RESOLUTION_BP = 4
VALIDATION_BP = 40_000
N_WINDOWS = 400
ALLOWED_SHARE = 0.1


class Seen(NamedTuple):
    """What one trial saw of its process: private bytes at its first report, at most, and of whom the arrays are."""

    pid: int
    at_report: int
    at_most: int
    any_writeable: bool
    any_owned: bool


def store_of(length_bp):
    """A random genome of one long contig and one short one, its signal as large as its sequence."""
    rng = np.random.default_rng(length_bp)
    lengths = np.array([length_bp, VALIDATION_BP])
    offsets = np.concatenate([[0], np.cumsum(lengths // RESOLUTION_BP)])
    sequence = rng.integers(0, 4, int(lengths.sum()), dtype=np.uint8)
    signal = rng.random((1, int(offsets[-1])), dtype=np.float32)
    return SequenceStore(
        sequence=sequence,
        signal=signal,
        offsets=offsets,
        lengths=lengths,
        contigs=("chrA", "chrB"),
        tracks=("sites",),
        resolution_bp=RESOLUTION_BP,
    )


def task_of(trial, length_bp):
    """A small CNN that looks at as many windows of a long genome as of a short one."""
    return {
        "trial": trial,
        "family": "poisson_cnn",
        "params": {
            "windows": {"length_bp": 256, "stride_bp": length_bp // N_WINDOWS},
            "bin_bp": 16,
            "channels": 4,
            "n_blocks": 1,
            "stem_width": 9,
        },
    }


def trial_process():
    """A Ray actor's class; made in a function, so that Ray sends it along with all that it needs."""
    import ray

    @ray.remote(num_cpus=1)
    class TrialProcess:
        def fit(self, task, shared, setup):
            import os
            import threading
            from pathlib import Path

            import torch

            def private_bytes():
                """Not the whole RSS: that has the shared pages too."""
                lines = Path("/proc/self/status").read_text().splitlines()
                (kib,) = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
                return int(kib) * 1024

            seen, done = [], threading.Event()

            def watch():
                while not done.wait(0.005):
                    seen.append(private_bytes())

            torch.set_num_threads(1)
            store = shared.get()
            at_report = []
            watcher = threading.Thread(target=watch)
            watcher.start()
            plan = FitPlan(seed=1, max_epochs=1)
            fit_trial(task, store, setup=setup, plan=plan, send=lambda _: at_report.append(private_bytes()))
            done.set()
            watcher.join()
            arrays = (store.sequence, store.signal, store.offsets, store.lengths)
            return (
                os.getpid(),
                at_report[0],
                max(seen),
                any(array.flags.writeable for array in arrays),
                any(array.flags.owndata for array in arrays),
            )

    return TrialProcess


@pytest.mark.slow
def test_a_second_concurrent_trial_of_the_cnn_has_no_memory_of_its_own_for_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # as another test's Ray, if it was imported in this process
    splits = Splits(np.array([0]), np.array([1]))
    setup = TrialSetup(
        splits, Judge("pearson", bin_bp=16), tmp_path / "trials", best=1, last=1, timeout_s=600, reproducible=False
    )
    found, sizes = [], []
    with ray_session(None, n_cpus=2):
        import ray

        processes = [trial_process().remote() for _ in range(2)]
        trial = 0
        for length_bp in (6_000_000, 6_000_000, 60_000_000):  # the first lets imports and allocators grow
            store = store_of(length_bp)
            sizes.append(store.nbytes)
            shared = SharedStore(ray.put(store))
            fits = []
            for process in processes:
                fits.append(process.fit.remote(task_of(trial, length_bp), shared, setup))
                trial += 1
            found.append([Seen(*values) for values in ray.get(fits)])
    _, small, large = found
    assert small[0].pid != small[1].pid
    growth_of_store = sizes[-1] - sizes[-2]
    for before, after in zip(small, large, strict=True):
        assert after.pid == before.pid
        assert not after.any_writeable
        assert not after.any_owned
        assert after.at_report - before.at_report < ALLOWED_SHARE * growth_of_store
        assert after.at_most - before.at_most < ALLOWED_SHARE * growth_of_store
