"""What Prometheus is told of a sweep through Ray: trials by state, epochs, cost, the best so far, what MLflow lacks.

Ray puts `ray_` before each name, and `_total` behind that of a counter.
"""

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Literal

from genotune.events import Event
from genotune.journal import Journal
from genotune.limits import spent_of
from genotune.sweep_state import TrialState

_EVERY_S: Final = 5.0
STATES: Final = {
    "proposed": "waiting",
    "paused": "waiting",
    "killed": "waiting",
    "running": "running",
    "complete": "complete",
    "stopped": "stopped",
    "failed": "failed",
}


class Monitoring:
    """Tells Ray's metrics of one sweep, every few seconds.

    Args:
        journal: of the sweep.
        metric: of the objective, by name.
        direction: of the objective.
    """

    def __init__(self, journal: Journal, *, metric: str, direction: Literal["maximize", "minimize"]) -> None:
        from ray.util import metrics

        self._journal, self._metric = journal, metric
        self._better: Callable[[float, float], float] = max if direction == "maximize" else min
        self._sweep = journal.path.parent.name
        self._best = math.nan
        self._told_s = -math.inf
        self._trials = metrics.Gauge("genotune_trials", "Trials of a sweep.", ("sweep", "state"))
        self._epochs: Any = metrics.Counter("genotune_epochs", "Epochs of a sweep's trials.", ("sweep", "family"))
        self._cost = metrics.Gauge("genotune_cost", "What a sweep's trials have cost.", ("sweep", "currency"))
        self._lacks = metrics.Gauge("genotune_undelivered_events", "Events that MLflow lacks.", ("sweep",))
        self._best_gauge = metrics.Gauge("genotune_best_objective", "The best objective.", ("sweep", "metric"))
        for trial in journal.state.trials.values():
            for value in trial.curve.values():
                self._take(trial, value)
        journal.follow(self._hear)

    def tell(self, *, at_once: bool = False) -> None:
        """Tell how the sweep stands, unless it was told a moment ago."""
        now_s = time.monotonic()
        if not at_once and now_s - self._told_s < _EVERY_S:
            return
        self._told_s = now_s
        state = self._journal.state
        counts = Counter(STATES[trial.status] for trial in state.trials.values())
        for name in dict.fromkeys(STATES.values()):
            self._trials.set(counts[name], {"sweep": self._sweep, "state": name})
        lacks = max(0, self._journal.last_news - state.delivered)
        self._lacks.set(lacks, {"sweep": self._sweep})
        cost = spent_of(state, now_s=time.time()).cost
        if cost is not None:
            self._cost.set(cost.amount, {"sweep": self._sweep, "currency": cost.currency})
        if math.isfinite(self._best):
            self._best_gauge.set(self._best, {"sweep": self._sweep, "metric": self._metric})

    def _hear(self, event: Event) -> None:
        if event.kind == "report":
            trial, value = self._journal.state.trials[event.values["trial"]], event.values["value"]
            self._take(trial, math.nan if value is None else value)

    def _take(self, trial: TrialState, value: float) -> None:
        self._epochs.inc(1, {"sweep": self._sweep, "family": trial.family})
        if math.isfinite(value):
            self._best = self._better(self._best, value) if math.isfinite(self._best) else value
