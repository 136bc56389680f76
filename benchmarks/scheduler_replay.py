"""How many epochs schedulers and searchers need on recorded learning curves, without training anything.

The curves are those of record_curves.py. A sweep's own controller, searcher and scheduler run on them; a proposal is
answered by the nearest configuration of the table that was not used yet, and the searcher learns that one. What is
counted is the epochs of all trials together until one has reported a value within 1 % of the best of the whole table.

    python benchmarks/scheduler_replay.py            # all tables, all strategies but the slow ones
    python benchmarks/scheduler_replay.py --table mouse_trees --strategy 'TPE + ASHA' --seeds 10
"""

import argparse
import csv
import json
import math
import statistics
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from genotune.controller import Controller, Task
from genotune.events import Event, Kind
from genotune.limits import Limits
from genotune.metrics import METRICS
from genotune.spec import Spec, read_spec
from genotune.sweep_state import SweepState
from genotune.tuning import SchedulerSettings, SearchSettings
from genotune.tuning.domains import Choice, Domain, FloatRange, IntRange, Pick
from genotune.tuning.searchers import Outcome, Point, Searcher
from genotune.tuning.space import Direction, Space, Template

REPLAY = Path(__file__).parent / "replay"
TABLES = ("yeast_cnn", "mouse_trees")
NEAR = 0.01
"""A value is near the best from which it differs by this share of it at most."""

FULL: Mapping[str, Any] = {"kind": "none"}
ASHA: Mapping[str, Any] = {"kind": "asha"}
STRATEGIES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "random, full length": ({"kind": "random"}, FULL),
    "TPE, full length": ({"kind": "tpe"}, FULL),
    "random + ASHA": ({"kind": "random"}, ASHA),
    "TPE + ASHA": ({"kind": "tpe"}, ASHA),
    "random + Hyperband": ({"kind": "random"}, {"kind": "hyperband"}),
    "TPE + Hyperband": ({"kind": "tpe"}, {"kind": "hyperband"}),
    "TPE + median rule": ({"kind": "tpe"}, {"kind": "median"}),
    "GP + ASHA": ({"kind": "gp"}, ASHA),
    "CMA-ES + ASHA": ({"kind": "cmaes"}, ASHA),
}

SLOW = ("GP + ASHA",)
"""Only if they are asked for: a Gaussian process takes a fifth of a second for each proposal."""


class Table(NamedTuple):
    """Recorded curves of one family.

    Attributes:
        places: (configuration, domain) where each lies in its domain, from 0 to 1.
        curves: (configuration, epoch) the objective; NaN from where a fit diverged.
        near: the value from which on a trial is near the best of the table.
    """

    space: Space
    family: str
    direction: Direction
    points: list[Point]
    places: NDArray[np.float64]
    curves: NDArray[np.float64]
    near: float

    @property
    def n_epochs(self) -> int:
        """Of a trial that is never stopped."""
        return self.curves.shape[1]

    def is_near(self, value: float) -> bool:
        """Whether a value is as good as can be asked for."""
        return value >= self.near if self.direction == "maximize" else value <= self.near


class Result(NamedTuple):
    """What a strategy came to with one seed.

    Attributes:
        epochs: until a value was near the best; infinite if it never was.
        trials: that had been proposed by then.
    """

    epochs: float
    trials: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--table", choices=TABLES, action="append")
    parser.add_argument("--strategy", choices=list(STRATEGIES), action="append")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--concurrent", type=int, default=4, help="trials at once, an epoch of each in turn")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    print(f"optuna {version('optuna')}; {arguments.seeds} seeds, {arguments.concurrent} trials at once")
    for name in arguments.table or TABLES:
        table = read_table(name)
        print(f"\n{name}: {len(table.points)} configurations of {table.n_epochs} epochs, near is {table.near:.4f}")
        print(f"  {'':24} {'epochs, median (quartiles)':>28} {'of random':>10} {'trials':>7} {'reached':>8} {'s':>6}")
        whole = math.nan
        wanted = arguments.strategy or [strategy for strategy in STRATEGIES if strategy not in SLOW]
        for strategy in dict.fromkeys(["random, full length", *wanted]):
            began_s = time.perf_counter()
            run = partial(replay, name, strategy, concurrent=arguments.concurrent)
            with ProcessPoolExecutor(arguments.processes) as pool:
                results = list(pool.map(run, range(arguments.seeds)))
            epochs = [result.epochs for result in results]
            low, middle, high = (float(np.quantile(epochs, q, method="higher")) for q in (0.25, 0.5, 0.75))
            whole = middle if strategy == "random, full length" else whole
            reached = sum(map(math.isfinite, epochs)) / len(epochs)
            trials = statistics.median(result.trials for result in results)
            spread = f"{middle:.0f} ({low:.0f} to {high:.0f})"
            taken_s = time.perf_counter() - began_s
            print(
                f"  {strategy:24} {spread:>28} {middle / whole:>10.2f} {trials:>7.0f} {reached:>8.0%} {taken_s:>6.1f}"
            )


@cache
def read_table(name: str) -> Table:
    """A table of record_curves.py, with the space of the spec beside it."""
    spec: Spec = read_spec(REPLAY / f"{name}.yaml")
    [(family, template)] = spec.space.items()
    with (REPLAY / f"{name}.tsv").open() as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    points = [Point(family, json.loads(row[1])) for row in rows]
    curves = np.array([[float(value) for value in row[3:]] for row in rows])
    metric = spec.settings.objectives[0].metric
    assert metric is not None
    direction = METRICS[metric].direction
    best = float(np.nanmax(curves) if direction == "maximize" else np.nanmin(curves))
    return Table(
        space=spec.space,
        family=family,
        direction=direction,
        points=points,
        places=np.array([_places(template, point.picks) for point in points]),
        curves=curves,
        near=best - NEAR * abs(best) if direction == "maximize" else best + NEAR * abs(best),
    )


def replay(name: str, strategy: str, seed: int, *, concurrent: int) -> Result:
    """One sweep on a table, up to its first value near the best."""
    table = read_table(name)
    search, scheduler = STRATEGIES[strategy]
    searcher = TypeAdapter[Any](SearchSettings).validate_python({"seed": seed, **search})
    settings = TypeAdapter[Any](SchedulerSettings).validate_python({"max_epochs": table.n_epochs, **scheduler})
    answered = _FromTable(table, searcher.build(table.space, table.direction))
    controller = Controller(
        _Memory(),  # type: ignore[arg-type]
        searcher=answered,
        scheduler=settings.build(table.direction),
        limits=Limits(len(table.points), concurrent=concurrent),
        seed=seed,
    )
    running, epochs = deque[tuple[Task, int]](), 0
    while True:
        while not isinstance(task := controller.next_task(), str):
            controller.started(task.trial, device="cpu")
            running.append((task, 0))
        if not running:
            return Result(math.inf, answered.n_asked)
        task, epoch = running.popleft()
        epochs, epoch = epochs + 1, epoch + 1
        value = float(table.curves[answered.rows[task.trial], epoch - 1])
        if table.is_near(value):
            return Result(epochs, answered.n_asked)
        if math.isnan(value):
            controller.ended(task.trial, failure="it diverged")
        elif (
            controller.report(task.trial, epoch, value=value, metrics={}, checkpoint=None) == "stop"
            or epoch == table.n_epochs
        ):
            controller.ended(task.trial)
        else:
            running.append((task, epoch))


class _Memory:
    """A journal that is kept nowhere."""

    def __init__(self) -> None:
        self.state = SweepState()

    def events(self) -> Iterator[Event]:
        """None: a replay doesn't resume."""
        return iter(())

    def append(self, kind: Kind, **values: Any) -> Event:
        event = Event(self.state.n_events + 1, time.time(), kind, values)
        self.state.apply(event)
        return event


class _FromTable(Searcher):
    """Another's proposals, each moved to the nearest configuration of the table that is still there.

    Attributes:
        rows: of the table, by trial.
    """

    def __init__(self, table: Table, searcher: Searcher) -> None:
        super().__init__(table.space)
        self._table, self._searcher = table, searcher
        self._is_free = np.ones(len(table.points), dtype=bool)
        self.rows: list[int] = []

    @property
    def n_asked(self) -> int:
        """Trials so far."""
        return len(self.rows)

    def _propose(self, number: int, families: Any) -> Point | None:
        point = self._searcher._propose(number, families)
        if point is None or not self._is_free.any():
            return None
        apart = self._table.places - _places(self._table.space[point.family], point.picks)
        distances = np.where(self._is_free, np.square(apart).sum(axis=1), np.inf)
        row = int(distances.argmin())
        self._is_free[row] = False
        self.rows.append(row)
        return self._table.points[row]

    def _take(self, point: Point) -> None:
        super()._take(point)
        self._searcher._take(point)

    def tell(self, number: int, *, curve: Mapping[int, float], status: Outcome) -> None:
        super().tell(number, curve=curve, status=status)
        self._searcher.tell(number, curve=curve, status=status)


def _places(template: Template, picks: Mapping[str, Pick]) -> NDArray[np.float64]:
    """Where each pick lies in its domain, from 0 to 1; of a choice a coordinate for each option, 1 apart in all."""
    return np.concatenate([_place(domain, picks[name]) for name, domain in template.domains.items()])


def _place(domain: Domain, pick: Pick) -> NDArray[np.float64]:
    if isinstance(domain, Choice):
        return np.eye(domain.n_options)[int(pick)] * math.sqrt(0.5)
    assert isinstance(domain, FloatRange | IntRange)
    scale = math.log if domain.log else float
    low, high = (scale(end) for end in domain.ends())
    return np.array([(scale(pick) - low) / (high - low)])


if __name__ == "__main__":
    main()
