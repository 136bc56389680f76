"""How fast MLflow takes a sweep: a prepared journal, delivered by the sweep's own recorder.

The journal is that of a simulated sweep without a scheduler (simulated_cluster.py): 1,000 trials with 9 reports of 10
metrics, 100 trials at once. Two ways: after the sweep, as `genotune sync` does it, by the recorder, 1,000 events at a
time; and as it runs, fewer events at a time. Where: sqlite in the workspace, and an MLflow server on PostgreSQL, both
on this machine. By the clock, and the CPU of our own process.

    python benchmarks/mlflow_writes.py
"""

import argparse
import contextlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from no_op_sweep import SPEC
from simulated_cluster import Load, simulate

from genotune.events import Event
from genotune.facts import sweep_facts
from genotune.journal import JOURNAL_FILE, Journal, read_events
from genotune.plan import make_plan
from genotune.spec import read_spec
from genotune.tracking import Recorder
from genotune.tracking.changes import Changes
from genotune.tracking.record import Record
from genotune.tracking.run_changes import Translator

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers import MlflowServer, find_postgres, running_postgres

N_REPORTS: Final = 9
N_AT_ONCE: Final = 100


class Taken(NamedTuple):
    """Seconds by the clock, and of our own process's CPU."""

    wall_s: float
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events-at-once", type=int, default=100, help="that come between two deliveries")
    arguments = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; Python {platform.python_version()}, mlflow {version('mlflow')}")
    load = Load(arguments.trials, N_AT_ONCE, {"kind": "random"}, {"kind": "none", "max_epochs": N_REPORTS})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = _prepare(folder, load)
        n_metrics = sum(len(event.values["metrics"]) + 1 for event in events if event.kind == "report")
        print(f"{load.n_trials:,} trials, {N_REPORTS} reports of each, {n_metrics:,} metrics, {len(events):,} events")
        for _ in range(arguments.rounds):
            for store in ("sqlite", "server on PostgreSQL"):
                with _store(store, folder) as uri:
                    after, while_it_runs = _after(folder, uri), _in_parts(events, uri, arguments.events_at_once)
                for way, taken in (("after the sweep", after), ("as it runs", while_it_runs)):
                    print(
                        f"{store:22} {way:16} {taken.wall_s:7.1f} s ({taken.cpu_s:.1f} CPU s): "
                        f"{load.n_trials / taken.wall_s:6.0f} trials, {len(events) / taken.wall_s:6.0f} events, "
                        f"{n_metrics / taken.wall_s:7.0f} metrics a second",
                        flush=True,
                    )


def _prepare(folder: Path, load: Load) -> Sequence[Event]:
    """Write the journal of a sweep, and give its events."""
    simulate(folder, load, facts=sweep_facts(make_plan(read_spec(SPEC)), "bench"))
    return list(read_events(folder / JOURNAL_FILE))


@contextlib.contextmanager
def _store(kind: str, folder: Path) -> Iterator[str]:
    """An empty one; its URI."""
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        if kind == "sqlite":
            from mlflow import MlflowClient

            MlflowClient(f"sqlite:///{place / 'mlflow.db'}").search_experiments()  # makes the tables
            yield f"sqlite:///{place / 'mlflow.db'}"
            return
        programs = find_postgres()
        assert programs is not None, "no PostgreSQL is installed here"
        postgres = stack.enter_context(running_postgres(programs))
        server = MlflowServer(postgres.uri, place)
        stack.callback(server.kill)
        server.ensure_up()
        yield server.uri


def _after(folder: Path, uri: str) -> Taken:
    """By the recorder, when all has happened; what it noted in the journal is taken back."""
    path = folder / JOURNAL_FILE
    kept = path.stat().st_size
    with Journal(folder) as journal:
        recorder = Recorder(
            journal,
            tracking_uri=uri,
            experiment="after",
            sweep_id="after",
            artifact_location=(folder / "artifacts").as_uri(),
        )
        began = Taken(time.perf_counter(), time.process_time())
        recorder.start()
        assert recorder.finish(timeout_s=3600)
        taken = _since(began)
    os.truncate(path, kept)
    return taken


def _in_parts(events: Sequence[Event], uri: str, n_at_once: int) -> Taken:
    """By the recorder's own parts, a few events at a time: trials begin, report and end in several deliveries."""
    with tempfile.TemporaryDirectory() as folder:
        record = Record(
            tracking_uri=uri,
            experiment="parts",
            sweep_id="parts",
            artifact_location=Path(folder).as_uri(),
            folder=Path(folder),
        )
        record.open()
        translator = Translator()
        began = Taken(time.perf_counter(), time.process_time())
        for first in range(0, len(events), n_at_once):
            changes = Changes()
            for event in events[first : first + n_at_once]:
                translator.take(event, changes)
            record.apply(changes)
        return _since(began)


def _since(began: Taken) -> Taken:
    return Taken(time.perf_counter() - began.wall_s, time.process_time() - began.cpu_s)


if __name__ == "__main__":
    main()
