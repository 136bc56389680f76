"""What a report costs the driver beside genotune's own part: Tune's loop, what Tune keeps, and a person's table.

Four things, each in CPU time of the driver's main thread: a trial and a report of a no-op sweep on a private Ray, with
as many metrics as a CNN reports; what memory grows by with a trial there; one `ray.wait` over as many pending results
as trials run, which is what Tune does for each event; and the lines that a person sees, with so many trials open.

    python benchmarks/tune_loop.py
"""

import argparse
import io
import os
import platform
import random
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from no_op_sweep import SPEC, no_op_sweep
from rich.console import Console
from simulated_cluster import FAMILIES, Load, controller_on, quickest_folder, resident_mb

from genotune.journal import Journal
from genotune.plan import make_plan
from genotune.ray_session import ray_session
from genotune.spec import read_spec
from genotune.sweep_state import SweepState
from genotune.terminal import Terminal

N_CPUS: Final = 2
N_METRICS: Final = 10
N_WAITING: Final = (10, 100, 300, 1000, 3000)
REPORTS: Final = (1, 9)


class Taken(NamedTuple):
    """What a part of a no-op sweep took: CPU seconds of the main thread and of the process, memory, trials in it."""

    cpu_s: float
    process_s: float
    memory_mb: float
    n_trials: int


def sweep_part(n_trials: int, n_reports: int) -> Taken:
    """The second half of a no-op sweep: processes and imports are there by then."""
    marks: list[Taken] = []

    def look(state: SweepState) -> None:
        n_ended = len(state.trials) - len(state.unended)
        if n_ended >= n_trials // 2 * len(marks) + (0 if marks else 5):
            marks.append(Taken(time.thread_time(), time.process_time(), resident_mb(), n_ended))

    with tempfile.TemporaryDirectory() as folder:
        no_op_sweep(Path(folder), n_trials=n_trials, n_reports=n_reports, n_metrics=N_METRICS, on_change=look)
    first, last = marks[0], marks[-1]
    return Taken(*(after - before for before, after in zip(first, last, strict=True)))


def wait_ms(n_waiting: int, *, rounds: int = 50) -> float:
    """Median CPU milliseconds in which the one result that is ready is found among those that are not."""
    import ray

    never = ray.remote(resources={"nowhere": 1})(_nothing)
    results = [never.remote() for _ in range(n_waiting - 1)]
    taken_ms = []
    for _ in range(rounds):
        futures = [*results, ray.put(None)]
        began_s = time.thread_time()
        random.shuffle(futures)  # Tune does
        ready, _ = ray.wait(futures, num_returns=1, timeout=1)
        taken_ms.append(1000 * (time.thread_time() - began_s))
        assert len(ready) == 1
    for result in results:
        ray.cancel(result)
    return statistics.median(taken_ms)


def _nothing() -> None:
    """A task that no machine has room for."""


def seen_ms(n_open: int, *, is_terminal: bool, rounds: int = 30) -> float:
    """Median CPU milliseconds in which a person sees where a sweep stands, with so many trials open.

    On a terminal that is the table, drawn once; elsewhere the line of a trial that has just ended.
    """
    terminal = Terminal()
    terminal._out = Console(file=io.StringIO(), force_terminal=is_terminal, highlight=False, soft_wrap=True, width=150)
    plan = make_plan(read_spec(SPEC))
    terminal._plan = plan._replace(families=dict.fromkeys(FAMILIES, next(iter(plan.families.values()))))
    taken_ms = []
    with quickest_folder() as folder, Journal(folder) as journal:
        load = Load(2 * n_open + rounds, n_open, {"kind": "random"}, {"kind": "asha", "max_epochs": 27})
        controller = controller_on(journal, load)
        for number in range(n_open + rounds):
            task = controller.next_task()
            assert not isinstance(task, str)
            controller.started(number, device="cpu")
            controller.report(number, 2, value=0.5, metrics={}, checkpoint=None)
        for number in range(rounds):
            controller.ended(number)
            began_s = time.thread_time()
            (terminal._table if is_terminal else terminal.trials)(controller)
            taken_ms.append(1000 * (time.thread_time() - began_s))
    return statistics.median(taken_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; Python {platform.python_version()}, ray {version('ray')}; CPU time of the driver's main thread")
    with ray_session(None, n_cpus=N_CPUS):
        per_trial_ms: dict[int, list[float]] = {n: [] for n in REPORTS}
        for _ in range(arguments.rounds):
            for n_reports in REPORTS:
                taken = sweep_part(arguments.trials, n_reports)
                per_trial_ms[n_reports].append(1000 * taken.cpu_s / taken.n_trials)
                grown_kb, all_ms = 1024 * taken.memory_mb / taken.n_trials, 1000 * taken.process_s / taken.n_trials
                print(f"{taken.n_trials} trials with {n_reports} reports of {N_METRICS} metrics:", end=" ")
                print(f"{per_trial_ms[n_reports][-1]:.1f} ms ({all_ms:.1f} with all threads)", end=" ")
                print(f"and {grown_kb:.0f} kB of each", flush=True)
        few, many = (statistics.median(per_trial_ms[n]) for n in REPORTS)
        report_ms = (many - few) / (REPORTS[1] - REPORTS[0])
        print(f"a report takes {report_ms:.2f} ms, a trial {few - report_ms:.2f} ms beside its reports; medians")
        print("\nray.wait over so many results, of which one is ready, ms")
        for n in N_WAITING:
            print(f"{n:>7,} {wait_ms(n):8.3f}", flush=True)
    print("\nwhat a person sees of so many open trials, ms: a line at the end of a trial, and the table (each 0.25 s)")
    for n in N_WAITING[:4]:
        print(f"{n:>7,} {seen_ms(n, is_terminal=False):8.3f} {seen_ms(n, is_terminal=True):10.2f}", flush=True)


if __name__ == "__main__":
    main()
