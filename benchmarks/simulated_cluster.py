"""What one driver can take: a sweep's own controller, journal, searcher and ASHA against simulated trials.

No Ray and no model: an event heap plays the cluster. An epoch's length is lognormal, a learning curve made up from the
draw, all of it seeded; the clock that the sweep reads is the simulated one, so the same seed gives the same journal to
the byte. What is real is the driver's work, measured as CPU time of its thread over tenths of the sweep, with its
memory and its journal. At the end the journal is opened again, as a resume does it.

The journal lies in shared memory, where a wait for the disk takes nothing; what a wait takes on a disk is measured
apart (--disk) and added. Tune's own work and that of a person's table are not in it (tune_loop.py), nor is MLflow's
(mlflow_writes.py).

    python benchmarks/simulated_cluster.py                                # random: 1,000 at once, 100,000 trials
    python benchmarks/simulated_cluster.py --search tpe --trials 10000
"""

import argparse
import heapq
import itertools
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

import numpy as np
from pydantic import TypeAdapter

from genotune.controller import Controller, Task
from genotune.events import FOUND_OUT_AGAIN, Event
from genotune.journal import Journal
from genotune.limits import Limits
from genotune.tuning import SchedulerSettings, SearchSettings
from genotune.tuning.space import Space, parse_template

N_PARTS: Final = 10
EPOCHS_S: Final = (1, 10, 60, 300)
_HOURS: Final = 1e6
"""A budget that never ends, but is looked at, and shared by the families, as any is."""

_PARAMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "poisson_cnn": {
        "windows": {"length_bp": 2048, "stride_bp": 1024, "select": "tiles"},
        "learning_rate": {"log_uniform": [1e-4, 1e-2]},
        "channels": {"choice": [32, 64, 128]},
        "n_blocks": {"int": [3, 8]},
        "batch_size": {"choice": [16, 32, 64]},
        "ema_decay": {"choice": [0.99, 0.999]},
        "dropout": {"uniform": [0.0, 0.5]},
    },
    "boosted_trees": {
        "rounds_per_epoch": 40,
        "max_depth": {"int": [2, 8]},
        "learning_rate": {"log_uniform": [0.03, 0.3]},
        "min_child_weight": {"log_uniform": [1.0, 20.0]},
        "colsample_bytree": {"uniform": [0.3, 1.0]},
    },
}
FAMILIES: Final = tuple(_PARAMS)
_METRICS: Final = (
    *("train_loss", "grad_norm", "learning_rate", "windows", "windows_per_s", "validation.pearson"),
    *("validation.pearson_log1p", "validation.spearman", "validation.poisson_deviance_explained", "validation.mse"),
)
"""As many as a CNN on tracks reports."""


class Load(NamedTuple):
    """What is simulated.

    Attributes:
        n_at_once: trials that run, as many as there is work for.
        search: as in a spec.
        scheduler: as in a spec.
        epoch_s: the median length of an epoch.
    """

    n_trials: int
    n_at_once: int
    search: Mapping[str, Any]
    scheduler: Mapping[str, Any]
    epoch_s: float = 60.0
    seed: int = 1


class Part(NamedTuple):
    """What the driver had done, and what it took, when so many trials had ended.

    Attributes:
        asking_s: CPU seconds of proposals.
        deciding_s: CPU seconds of starts, reports and ends.
        kept_nbytes: of the journal.
    """

    n_ended: int
    n_reports: int
    n_events: int
    n_waits: int
    asking_s: float
    deciding_s: float
    resident_mb: float
    kept_nbytes: int

    @property
    def cpu_s(self) -> float:
        """All of it."""
        return self.asking_s + self.deciding_s


class _Cluster:
    """A cluster that is none: trials and their epochs in simulated time."""

    def __init__(self, load: Load) -> None:
        self.now_s = 1.0e9
        self._load = load
        self._coming: list[tuple[float, int, Task, int]] = []
        self._order = itertools.count()
        self._curves: dict[int, np.ndarray] = {}
        self._lengths_s: dict[int, np.ndarray] = {}

    def time(self) -> float:
        """What time it is there."""
        return self.now_s

    @property
    def n_running(self) -> int:
        """Trials that run."""
        return len(self._coming)

    def start(self, task: Task) -> None:
        """A trial begins its first epoch."""
        rng = np.random.default_rng(task.seed)
        n = self._load.scheduler["max_epochs"]
        self._curves[task.trial] = _curve(task, rng, n)
        self._lengths_s[task.trial] = rng.lognormal(np.log(self._load.epoch_s), 0.5) * rng.lognormal(0.0, 0.1, n)
        self.go_on(task, 1)

    def go_on(self, task: Task, epoch: int) -> None:
        """A trial begins an epoch."""
        ends_s = self.now_s + float(self._lengths_s[task.trial][epoch - 1])
        heapq.heappush(self._coming, (ends_s, next(self._order), task, epoch))

    def next(self) -> tuple[Task, int, float]:
        """The epoch that ends next, with its objective."""
        self.now_s, _, task, epoch = heapq.heappop(self._coming)
        return task, epoch, float(self._curves[task.trial][epoch - 1])

    def end(self, task: Task) -> None:
        """A trial is let go of."""
        del self._curves[task.trial], self._lengths_s[task.trial]


class _Driver:
    """The real one: its controller, with the CPU time of its steps."""

    def __init__(self, journal: Journal, load: Load) -> None:
        self.journal = journal
        self._controller = controller_on(journal, load)
        self._max_epochs = load.scheduler["max_epochs"]
        self._n_waits = self._n_reports = 0
        self._asking_s = self._deciding_s = 0.0
        journal.follow(self._count)

    def _count(self, event: Event) -> None:
        self._n_waits += event.kind not in FOUND_OUT_AGAIN
        self._n_reports += event.kind == "report"

    def ask(self) -> Task | None:
        """The next trial; None if there is none now."""
        began_s = time.thread_time()
        task = self._controller.next_task()
        asked_s = time.thread_time()
        self._asking_s += asked_s - began_s
        if isinstance(task, str):
            return None
        self._controller.started(task.trial, device="cuda")
        self._deciding_s += time.thread_time() - asked_s
        return task

    def goes_on(self, task: Task, epoch: int, value: float) -> bool:
        """Whether a trial goes on after an epoch; it has ended if not."""
        metrics, checkpoint = dict.fromkeys(_METRICS, value), f"trial-{task.trial:04d}/epoch-{epoch:04d}"
        began_s = time.thread_time()
        action = self._controller.report(task.trial, epoch, value=value, metrics=metrics, checkpoint=checkpoint)
        goes_on = action == "continue" and epoch < self._max_epochs
        if not goes_on:
            self._controller.ended(task.trial)
        self._deciding_s += time.thread_time() - began_s
        return goes_on

    def so_far(self, n_ended: int) -> Part:
        """What it has done and taken."""
        n_events, kept_nbytes = self.journal.state.n_events, self.journal.path.stat().st_size
        taken = (self._asking_s, self._deciding_s, resident_mb(), kept_nbytes)
        return Part(n_ended, self._n_reports, n_events, self._n_waits, *taken)


_FACTS: Final[Mapping[str, Any]] = {"sweep": "simulated", "objective": {"metric": "pearson"}}


def simulate(folder: Path, load: Load, *, facts: Mapping[str, Any] = _FACTS) -> list[Part]:
    """Run the sweep, its journal in this folder; what the driver took when each tenth of the trials had ended.

    Args:
        folder: empty.
        load: what is simulated.
        facts: that the journal begins with.
    """
    cluster = _Cluster(load)
    # For the journal's events, and for a budget in hours that families share.
    with mock.patch("time.time", cluster.time), Journal(folder) as journal:
        journal.append("sweep_started", **facts)
        driver, n_ended = _Driver(journal, load), 0
        parts = [driver.so_far(0)]
        while True:
            while cluster.n_running < load.n_at_once and (task := driver.ask()) is not None:
                cluster.start(task)
            if not cluster.n_running:
                return parts
            task, epoch, value = cluster.next()
            if driver.goes_on(task, epoch, value):
                cluster.go_on(task, epoch + 1)
                continue
            cluster.end(task)
            n_ended += 1
            if n_ended >= len(parts) * load.n_trials // N_PARTS:
                parts.append(driver.so_far(n_ended))


def controller_on(journal: Journal, load: Load) -> Controller:
    """The sweep's own, with a fresh searcher and scheduler."""
    search = TypeAdapter(SearchSettings).validate_python({**load.search, "seed": load.seed})
    scheduler = TypeAdapter(SchedulerSettings).validate_python(load.scheduler)
    return Controller(
        journal,
        searcher=search.build(_space(), "maximize"),
        scheduler=scheduler.build("maximize"),
        limits=Limits(load.n_trials, hours=_HOURS),
        seed=load.seed,
    )


def _space() -> Space:
    return {family: parse_template(params)[0] for family, params in _PARAMS.items()}


def _curve(task: Task, rng: np.random.Generator, n_epochs: int) -> np.ndarray:
    """(epoch,) the objective: it rises to a level that depends on the draw, with noise that is a trial's own."""
    rate = np.log10(task.params["learning_rate"])
    best = {"poisson_cnn": -2.7, "boosted_trees": -1.1}[task.family]
    level = 0.75 - 0.1 * abs(rate - best) + rng.normal(0, 0.02)
    epochs = np.arange(1, n_epochs + 1)
    return level - 0.3 * epochs**-0.7 + rng.normal(0, 0.005, n_epochs)


class Resumed(NamedTuple):
    """What it takes to stand where the last driver stood; CPU seconds."""

    journal_s: float
    controller_s: float


def resume(folder: Path, load: Load) -> Resumed:
    """Open the journal of a sweep that has ended, and learn it."""
    began_s = time.thread_time()
    with Journal(folder) as journal:
        read_s = time.thread_time()
        controller_on(journal, load)
        return Resumed(read_s - began_s, time.thread_time() - read_s)


def fsync_ms(folder: Path, *, n: int = 300) -> Sequence[float]:
    """Milliseconds by the clock that a wait for the disk takes after a line of a journal: quartiles."""
    line, taken_ms = b"x" * 299 + b"\n", []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(n):
            file.write(line)
            began_s = time.perf_counter()
            os.fsync(file.fileno())
            taken_ms.append(1000 * (time.perf_counter() - began_s))
    return statistics.quantiles(taken_ms, n=4)


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def quickest_folder() -> Iterator[Path]:
    """A folder in shared memory, where there is some."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--at-once", type=int, default=1_000)
    parser.add_argument("--search", default="random", help="kind of the searcher")
    parser.add_argument("--max-epochs", type=int, default=27)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--put-ms", type=float, default=30, help="a PUT to a storage takes so long")
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()), help="whose waits are measured")
    arguments = parser.parse_args()
    load = Load(
        arguments.trials,
        arguments.at_once,
        {"kind": arguments.search},
        {"kind": "asha", "max_epochs": arguments.max_epochs},
        seed=arguments.seed,
    )
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; Python {platform.python_version()}, numpy {version('numpy')}, optuna {version('optuna')}")
    print(f"{load.n_trials:,} trials, {load.n_at_once:,} at once, {arguments.search} and ASHA of", end=" ")
    print(f"{arguments.max_epochs} epochs, {len(_PARAMS)} families, {len(_METRICS)} metrics a report, seed {load.seed}")
    with quickest_folder() as folder:
        parts = simulate(folder, load)
        _print_parts(parts)
        read = resume(folder, load)
        print(f"opened again: journal {read.journal_s:.1f} CPU s, searcher and scheduler {read.controller_s:.1f} CPU s")
    _print_limits(parts[-1], fsync_ms(arguments.disk), arguments.put_ms)


def _print_parts(parts: Sequence[Part]) -> None:
    print("\n  trials   reports   CPU of a trial, ms              CPU of an event   memory, MB   kB of a trial")
    print("   ended             asking   the rest      all                   us")
    for before, now in itertools.pairwise(parts):
        n, n_events = now.n_ended - before.n_ended, now.n_events - before.n_events
        asking, deciding, both = (
            1000 * one / n
            for one in (
                now.asking_s - before.asking_s,
                now.deciding_s - before.deciding_s,
                now.cpu_s - before.cpu_s,
            )
        )
        grown_kb = 1024 * (now.resident_mb - before.resident_mb) / n
        print(
            f"{now.n_ended:>8,} {now.n_reports:>9,} {asking:8.3f} {deciding:10.3f} {both:8.3f} "
            f"{1e6 * (now.cpu_s - before.cpu_s) / n_events:20.0f} {now.resident_mb:12.0f} {grown_kb:15.1f}"
        )


def _print_limits(last: Part, waits_ms: Sequence[float], put_ms: float) -> None:
    n = last.n_ended
    low, middle, high = waits_ms
    print(f"\na trial: {last.n_reports / n:.2f} reports, {last.n_events / n:.2f} events, {last.n_waits / n:.2f} waits")
    print(f"for the disk, {last.kept_nbytes / n:,.0f} bytes of journal ({last.kept_nbytes / 2**20:,.0f} MB in all)")
    print(f"a wait for this machine's disk: {middle:.2f} ms (quartiles {low:.2f} to {high:.2f})")
    cpu_s, n_waits = last.cpu_s / last.n_reports, last.n_waits / last.n_reports
    print("\nreports a second that the driver takes, and trials at once by the length of their epochs")
    print(f"{'':36} {'reports':>8}", *(f"{f'{length_s} s':>10}" for length_s in EPOCHS_S))
    waits = {
        "by CPU alone": 0.0,
        "with the waits for this disk": middle,
        f"with a PUT of {put_ms:g} ms for each": put_ms,
    }
    for name, wait_ms in waits.items():
        each_s = cpu_s + n_waits * wait_ms / 1000
        print(f"{name:36} {1 / each_s:8,.0f}", *(f"{length_s / each_s:10,.0f}" for length_s in EPOCHS_S))


if __name__ == "__main__":
    main()
