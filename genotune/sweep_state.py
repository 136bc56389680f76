"""A sweep and its trials, as the events of a journal tell them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genotune.events import Event, Kind

Status = Literal["proposed", "running", "complete", "stopped", "failed", "killed"]


@dataclass
class TrialState:
    """A trial, as the events so far tell it.

    Attributes:
        number: from 0, in the order of proposal.
        curve: objective by epoch; NaN where it was not a number.
        checkpoints: path relative to the sweep's folder, by epoch. Older ones may have been deleted.
        rung: the highest rung (an epoch) that it reached, 0 if none.
        reason: why it ended.
    """

    number: int
    family: str
    picks: Mapping[str, Any]
    params: Mapping[str, Any]
    seed: int
    status: Status = "proposed"
    curve: dict[int, float] = field(default_factory=dict)
    metrics: dict[int, Mapping[str, float]] = field(default_factory=dict)
    decisions: dict[int, str] = field(default_factory=dict)
    checkpoints: dict[int, str] = field(default_factory=dict)
    rung: int = 0
    reason: str = ""
    device: str = ""
    proposed_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None  # None: not ended; a killed trial has not ended, it goes on after a resume
    running_since_s: float | None = None
    ran_before_s: float = 0.0

    def ran_s(self, now_s: float) -> float:
        """Seconds that it has run until now; between deaths and resumes nothing is counted."""
        running_s = 0.0 if self.running_since_s is None else max(0.0, now_s - self.running_since_s)
        return self.ran_before_s + running_s

    def stop_clock(self, now_s: float) -> None:
        """It runs no more."""
        self.ran_before_s, self.running_since_s = self.ran_s(now_s), None

    @property
    def epoch(self) -> int:
        """The last epoch that was reported; 0 if none."""
        return max(self.curve, default=0)

    @property
    def is_live(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("proposed", "running")


@dataclass
class SweepState:
    """A sweep, as the events so far tell it."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    trials: dict[int, TrialState] = field(default_factory=dict)
    stop_asked: set[int | None] = field(default_factory=set)
    """Trials that a person wants to stop; None: all."""
    delivered: int = 0
    n_events: int = 0
    active_s: float = 0.0
    """Seconds during which a driver was at work: between deaths and resumes nothing is counted."""
    last_s: float = 0.0
    quality: Mapping[str, Any] | None = None
    winner: Mapping[str, Any] | None = None
    baselines: dict[str, Mapping[str, float]] = field(default_factory=dict)
    folds: dict[int, dict[int, Mapping[str, float]]] = field(default_factory=dict)
    """Metrics of each finalist by its trial's number, by fold."""
    refitted: Mapping[str, Any] | None = None
    scores: dict[str, Mapping[str, float]] = field(default_factory=dict)
    tables: Mapping[str, Any] | None = None
    registered: Mapping[str, Any] | None = None
    status: str = "running"

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        self.n_events = event.number
        if event.kind in ("driver_started", "interrupted", "sweep_ended"):
            # Of a driver that died without a word, nothing is known after its last event.
            end_s = self.last_s if event.kind == "driver_started" else event.time_s
            for trial in self.trials.values():
                trial.stop_clock(end_s)
        if event.kind != "driver_started" and self.last_s:
            self.active_s += max(0.0, event.time_s - self.last_s)
        self.last_s = event.time_s
        if event.kind in ("proposed", "started", "report", "decision", "ended"):
            self._apply_to_trial(event)
        else:
            self._apply_to_sweep(event.kind, event.values)

    def _apply_to_sweep(self, kind: Kind, values: Mapping[str, Any]) -> None:
        match kind:
            case "sweep_started":
                self.facts = values
            case "driver_started":
                self.status = "running"
            case "stop_asked":
                self.stop_asked.add(values["trial"])
            case "delivered":
                self.delivered = values["upto"]
            case "baseline":
                self.baselines[values["name"]] = values["metrics"]
            case "fold_scored":
                self.folds.setdefault(values["trial"], {})[values["fold"]] = values["metrics"]
            case "winner" | "refitted" | "quality" | "tables" | "registered":
                setattr(self, kind, values)
            case "scored":
                self.scores[values["subject"]] = values["metrics"]
            case "sweep_ended":
                self.status = values["status"]
            case "interrupted":
                self.status = "interrupted"
                for trial in self.trials.values():
                    if trial.is_live:
                        trial.status = "killed"

    def _apply_to_trial(self, event: Event) -> None:
        values = event.values
        number = values["trial"]
        if event.kind == "proposed":
            self.trials[number] = TrialState(
                number=number,
                family=values["family"],
                picks=values["picks"],
                params=values["params"],
                seed=values["seed"],
                proposed_s=event.time_s,
            )
            return
        trial = self.trials[number]
        if event.kind == "started":
            trial.status, trial.device = "running", values["device"]
            trial.started_s = trial.started_s or event.time_s
            trial.running_since_s = trial.running_since_s or event.time_s
        elif event.kind == "report":
            epoch = values["epoch"]
            trial.curve[epoch] = float("nan") if values["value"] is None else values["value"]
            trial.metrics[epoch] = values["metrics"]
            if values["checkpoint"]:
                trial.checkpoints[epoch] = values["checkpoint"]
        elif event.kind == "decision":
            trial.decisions[values["epoch"]] = values["action"]
            if values["rung"] is not None:
                trial.rung = max(trial.rung, values["rung"])
            trial.reason = values["reason"]
        else:
            trial.status, trial.reason, trial.ended_s = values["status"], values["reason"], event.time_s
            trial.stop_clock(event.time_s)
