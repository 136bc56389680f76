"""What is to become of MLflow's runs. No MLflow in it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genotune.events import Event
from genotune.front import Front
from genotune.tracking import names
from genotune.tracking.names import RunKey, RunStatus
from genotune.tracking.sweep_facts import DatasetFacts


class Point(NamedTuple):
    """One value of a metric."""

    key: str
    value: float
    time_ms: int
    step: int


@dataclass
class RunChange:
    """What is to become of one run. Applied twice, it changes nothing more.

    Attributes:
        run_name: of a run that begins here.
        start_ms: when it began; None: it is there already.
        links: tags whose value is the id of another run.
        texts: artifacts by file name.
        plots: the histograms of each picture, by its file name; see `draw_histograms`.
        fronts: the front of each picture, by its file name; see `draw_front`.
        files: artifacts that lie in the sweep's folder, by name.
        end_ms: None where the run has not ended.
    """

    run_name: str = ""
    start_ms: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    links: dict[str, RunKey] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    plots: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    fronts: dict[str, Front] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    dataset: DatasetFacts | None = None
    status: RunStatus | None = None
    end_ms: int | None = None

    def begin(self, run_name: str, event: Event) -> None:
        """The run begins with this event."""
        self.run_name, self.start_ms = run_name, milliseconds(event)

    def measure(self, metrics: Mapping[str, float | None], event: Event, *, step: int = 0, prefix: str = "") -> None:
        """Add the metrics that are finite numbers, at the event's time."""
        self.points += [
            Point(names.metric_key(prefix + name), float(value), milliseconds(event), step)
            for name, value in metrics.items()
            if value is not None and math.isfinite(value)
        ]

    def become(self, status: RunStatus, event: Event) -> None:
        """Set the status, and the end if it is one."""
        self.status, self.end_ms = status, milliseconds(event) if status in names.ENDED else None


class Changes(dict[RunKey, RunChange]):
    """Changes by run, in the order in which the runs were first met; a run that is asked for gets one."""

    def __missing__(self, key: RunKey) -> RunChange:
        self[key] = RunChange()
        return self[key]

    @property
    def begun(self) -> set[RunKey]:
        """The runs that begin here."""
        return {key for key, change in self.items() if change.start_ms is not None}


def milliseconds(event: Event) -> int:
    """When it happened, as MLflow counts."""
    return int(event.time_s * 1000)
