"""What genotune adds to Ray Tune: no-op trials beside raw Tune, and beside Tune with Ray's own MLflow callback.

All three run on one private Ray, in turn, over and over: raw Tune with its actors reused and without any logger, which
is the quickest that it can be; the same with `MLflowLoggerCallback` on sqlite; and genotune's sweep, with its journal,
its searcher and scheduler, and its recorder on sqlite, until MLflow has all of it. A trial only reports: it reads no
data and writes no checkpoint. MLflow's store is there before, without runs.

genotune can come out below raw Tune, which starts processes in vain while trials are shorter than a process's start
(genotune/actor_reuse.py).

    python benchmarks/sweep_overhead.py
"""

import argparse
import contextlib
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from no_op_sweep import no_op_sweep

from genotune.ray_session import ray_session

N_CPUS = 2


class Load(NamedTuple):
    """How many trials, and how many reports of each."""

    n_trials: int
    n_reports: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, nargs=2, default=(200, 60), help="with 1 report, and with 20")
    arguments = parser.parse_args()
    contenders = {"raw Tune": _raw, "Tune with MLflowLoggerCallback": _with_callback, "genotune": _genotune}
    print(f"ray {version('ray')}, mlflow {version('mlflow')}, Python {platform.python_version()}, {N_CPUS} CPUs")
    with tempfile.TemporaryDirectory() as folder, ray_session(None, n_cpus=N_CPUS):
        store = _empty_store(Path(folder))
        for load in (Load(arguments.trials[0], 1), Load(arguments.trials[1], 20)):
            for run in contenders.values():  # imports and first processes
                _seconds(run, Load(N_CPUS, load.n_reports), store=store)
            ratios: dict[str, list[float]] = {name: [] for name in contenders}
            for _ in range(arguments.rounds):
                order = list(contenders)
                random.shuffle(order)
                seconds = {name: _seconds(contenders[name], load, store=store) for name in order}
                for name, taken in seconds.items():
                    ratios[name].append(taken / seconds["raw Tune"])
            print(f"\n{load.n_trials} trials, reports of each: {load.n_reports}. Time over that of raw Tune:")
            for name, found in ratios.items():
                print(f"  {name:32} {statistics.median(found):5.2f} ({min(found):.2f} to {max(found):.2f})")
            gains = [a / b for a, b in zip(ratios["Tune with MLflowLoggerCallback"], ratios["genotune"], strict=True)]
            print(f"  genotune is {statistics.median(gains):.1f} times as fast as the callback")


def _empty_store(folder: Path) -> Path:
    from mlflow import MlflowClient

    with _no_output():
        MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder / "mlflow.db"


def _seconds(run: Callable[[Load, Path], None], load: Load, *, store: Path) -> float:
    """Of a run that finds MLflow's store without any run in it, as it is between sweeps: made once, by MLflow."""
    with tempfile.TemporaryDirectory() as name, _no_output():
        shutil.copy(store, Path(name) / "mlflow.db")
        began_s = time.perf_counter()
        run(load, Path(name))
        return time.perf_counter() - began_s


def _report_to_tune(config: Mapping[str, Any], *, n_reports: int) -> None:
    from ray import tune

    for epoch in range(1, n_reports + 1):
        tune.report({"epoch": epoch, "value": config["learning_rate"], "metrics": {"objective": 1.0 / epoch}})


def _raw(load: Load, folder: Path, *, callbacks: tuple[Any, ...] = ()) -> None:
    from ray import tune

    trainable = partial(_report_to_tune, n_reports=load.n_reports)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"CPU": 1}),
        param_space={"learning_rate": tune.loguniform(1e-4, 1e-1), "width": tune.randint(1, 65)},
        tune_config=tune.TuneConfig(num_samples=load.n_trials, reuse_actors=True),
        run_config=tune.RunConfig(name="tune", storage_path=str(folder), verbose=0, callbacks=[*callbacks]),
    )
    assert len(tuner.fit()) == load.n_trials


def _with_callback(load: Load, folder: Path) -> None:
    from ray.tune.logger.mlflow import MLflowLoggerCallback

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    _raw(load, folder, callbacks=(MLflowLoggerCallback(tracking_uri=uri, experiment_name="bench"),))


def _genotune(load: Load, folder: Path) -> None:
    state = no_op_sweep(folder, n_trials=load.n_trials, n_reports=load.n_reports)
    assert len(state.trials) == load.n_trials


@contextlib.contextmanager
def _no_output() -> Any:
    """What Tune and MLflow print to the terminal is let go."""
    kept = os.dup(1), os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
        try:
            yield
        finally:
            for number, before in zip((1, 2), kept, strict=True):
                os.dup2(before, number)
                os.close(before)


if __name__ == "__main__":
    main()
