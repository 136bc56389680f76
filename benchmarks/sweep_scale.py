"""Ten thousand short trials: do the driver's time and memory per trial grow, and how long does a resume take?

No-op trials with 9 reports each, on a private Ray, the journal on disk, MLflow on sqlite. Each tenth of the trials is
timed by itself, with what the driver's resident memory grew by. When all have ended, the sweep is opened again, as a
resume after the last trial does it: the journal is read, searcher and scheduler learn it, MLflow is compared with it.

    python benchmarks/sweep_scale.py
"""

import argparse
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from no_op_sweep import no_op_sweep
from pydantic import TypeAdapter

from genotune.ray_session import ray_session
from genotune.sweep_state import SweepState
from genotune.tuning import SearchSettings

N_CPUS = 2
N_PARTS = 10


class Marks:
    """Time and memory when each tenth of the trials had ended."""

    def __init__(self, n_trials: int) -> None:
        self._n_trials = n_trials
        self._marks = [(time.perf_counter(), _resident_mb())]

    def look(self, state: SweepState) -> None:
        """Note a tenth that has ended, and print what it took."""
        n_proposed, n_part = len(state.trials), self._n_trials // N_PARTS
        if n_proposed < len(self._marks) * n_part:
            return
        self._marks.append((time.perf_counter(), _resident_mb()))
        (before_s, before_mb), (now_s, now_mb) = self._marks[-2:]
        each_ms, grown_kb = 1000 * (now_s - before_s) / n_part, 1024 * (now_mb - before_mb) / n_part
        print(
            f"{n_proposed:>7,} trials: {each_ms:6.1f} ms and {grown_kb:6.1f} kB of each, {now_mb:6.0f} MB", flush=True
        )

    def each_s(self, part: int) -> float:
        """Seconds of a trial in a tenth, from 0."""
        return (self._marks[part + 1][0] - self._marks[part][0]) / (self._n_trials // N_PARTS)

    def each_mb(self, part: int) -> float:
        """What memory grew by with a trial in a tenth, from 0."""
        return (self._marks[part + 1][1] - self._marks[part][1]) / (self._n_trials // N_PARTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--reports", type=int, default=9)
    parser.add_argument("--search", default="tpe", help="kind of the searcher")
    arguments = parser.parse_args()
    search = TypeAdapter(SearchSettings).validate_python({"kind": arguments.search, "seed": 1})
    print(f"ray {version('ray')}, mlflow {version('mlflow')}, Python {platform.python_version()}, {N_CPUS} CPUs")
    print(f"{arguments.trials:,} trials with {arguments.reports} reports, search {arguments.search}")
    with tempfile.TemporaryDirectory() as name, ray_session(None, n_cpus=N_CPUS):
        folder = Path(name)
        no_op_sweep(folder, n_trials=4, n_reports=1)  # imports and first processes
        folder /= "sweep"
        folder.mkdir()
        marks = Marks(arguments.trials)
        began_s = time.perf_counter()
        sizes = {"n_trials": arguments.trials, "n_reports": arguments.reports, "search": search}
        no_op_sweep(folder, **sizes, on_change=marks.look)
        print(f"in all {time.perf_counter() - began_s:.0f} s, until MLflow has it")
        last = N_PARTS - 1
        print(f"last tenth over the first: time {marks.each_s(last) / marks.each_s(0):.2f}")
        print(f"last tenth over the second: memory {marks.each_mb(last) / marks.each_mb(1):.2f}")
        began_s = time.perf_counter()
        no_op_sweep(folder, **sizes)
        print(f"opened again in {time.perf_counter() - began_s:.1f} s; journal of {_size_mb(folder):.0f} MB")


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _size_mb(folder: Path) -> float:
    return (folder / "journal.jsonl").stat().st_size / 2**20


if __name__ == "__main__":
    main()
