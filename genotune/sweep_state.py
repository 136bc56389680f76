"""A sweep and its trials, as the events of a journal tell them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from genotune.events import Event, Kind

Status = Literal["proposed", "running", "paused", "complete", "stopped", "failed", "killed"]


class Stretch(NamedTuple):
    """What a trial was fitted with from some epoch on.

    Attributes:
        parent: the trial from whose checkpoint it went on there; None: it began so.
    """

    parent: int | None
    picks: Mapping[str, Any]
    params: Mapping[str, Any]


@dataclass
class TrialState:
    """A trial, as the events so far tell it.

    Attributes:
        number: from 0, in the order of proposal.
        picks: as they are now; see `stretches`.
        params: as they are now.
        curve: objective by epoch; NaN where it was not a number.
        checkpoints: path relative to the sweep's folder, by epoch. Older ones may have been deleted.
        rung: the highest rung (an epoch) that it reached, 0 if none.
        reason: why it ended.
        is_paused: whether it waits for the others of its generation.
        stretches: of a trial that went on as a copy of others, what it was fitted with after each epoch that is named
            here, from 0 on; of any other trial nothing.
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
    is_paused: bool = False
    stretches: dict[int, Stretch] = field(default_factory=dict)

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
        return self.status in ("proposed", "running", "paused")

    def fitted_with(self, epoch: int) -> Stretch:
        """What an epoch was fitted with."""
        begun = max((after for after in self.stretches if after < epoch), default=None)
        return Stretch(None, self.picks, self.params) if begun is None else self.stretches[begun]

    @property
    def parents(self) -> dict[int, int]:
        """The trials that it was a copy of, by the epoch after which it went on so."""
        return {after: one.parent for after, one in self.stretches.items() if one.parent is not None}

    def copy(self, epoch: int, parent: int, *, picks: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """After an epoch it goes on as a changed copy of another trial."""
        self.stretches.setdefault(0, Stretch(None, self.picks, self.params))
        self.stretches[epoch] = Stretch(parent, picks, params)
        self.picks, self.params = picks, params


class ScoredWinner(NamedTuple):
    """A winner, at the epoch that won, and its metrics on the test split."""

    trial: int
    epoch: int
    metrics: Mapping[str, float]


@dataclass
class SweepState:
    """A sweep, as the events so far tell it."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    trials: dict[int, TrialState] = field(default_factory=dict)
    unended: dict[int, TrialState] = field(default_factory=dict)
    """Those of the trials that wait, run, or were killed with their driver."""
    n_proposed: Counter[str] = field(default_factory=Counter)
    """Trials by family."""
    n_epochs: int = 0
    """Of all trials together."""
    ended_ran_s: dict[str, float] = field(default_factory=dict)
    """Seconds that ended trials have run, by family."""
    stop_asked: set[int | None] = field(default_factory=set)
    """Trials that a person wants to stop; None: all."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Why families get no more trials."""
    generations: dict[str, dict[int, dict[int, int]]] = field(default_factory=dict)
    """Of each family and by the epoch that it ended at: the parent of each trial that went on as a copy."""
    proposals_ended: str = ""
    """Why no trial begins any more; '' while some may."""
    extensions: list[Mapping[str, Any]] = field(default_factory=list)
    """Limits of the budget that a person raised, each time."""
    delivered: int = 0
    n_events: int = 0
    active_s: float = 0.0
    """Seconds during which a driver was at work: between deaths and resumes nothing is counted."""
    last_s: float = 0.0
    quality: Mapping[str, Any] | None = None
    learned_before: Mapping[str, Any] | None = None
    winner: Mapping[str, Any] | None = None
    baselines: dict[str, Mapping[str, float]] = field(default_factory=dict)
    folds: dict[int, dict[int, Mapping[str, float]]] = field(default_factory=dict)
    """Metrics of each finalist by its trial's number, by fold."""
    refitted: Mapping[str, Any] | None = None
    scores: dict[str, Mapping[str, float]] = field(default_factory=dict)
    """Metrics on the test split; of the winner the last."""
    tested: list[ScoredWinner] = field(default_factory=list)
    """Every winner that was scored on the test split; more than one where the sweep was extended after that."""
    tables: Mapping[str, Any] | None = None
    registered: Mapping[str, Any] | None = None
    status: str = "running"

    @property
    def extended(self) -> Mapping[str, Any]:
        """The limits of the budget that were raised, as they are now."""
        return {name: limit for extension in self.extensions for name, limit in extension.items()}

    def ran_s(self, now_s: float) -> dict[str, float]:
        """Seconds that trials have run until now, by family."""
        ran_s = dict(self.ended_ran_s)
        for trial in self.unended.values():
            ran_s[trial.family] = ran_s.get(trial.family, 0.0) + trial.ran_s(now_s)
        return ran_s

    @property
    def winner_is_tested(self) -> bool:
        """Whether the last winner that was scored on the test split is the one that won last."""
        if self.winner is None:
            return "winner" in self.scores
        return bool(self.tested) and _same_checkpoint(self.tested[-1]._asdict(), self.winner)

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        self.n_events = event.number
        if event.kind in ("driver_started", "interrupted", "sweep_ended"):
            # Of a driver that died without a word, nothing is known after its last event.
            end_s = self.last_s if event.kind == "driver_started" else event.time_s
            for trial in self.unended.values():
                trial.stop_clock(end_s)
        if event.kind not in ("driver_started", "extended") and self.last_s:
            self.active_s += max(0.0, event.time_s - self.last_s)
        self.last_s = event.time_s
        if event.kind in ("proposed", "started", "report", "decision", "ended"):
            self._apply_to_trial(event)
        else:
            self._apply_to_sweep(event.kind, event.values)

    def _apply_to_sweep(self, kind: Kind, values: Mapping[str, Any]) -> None:
        """Take in where the sweep stands, and what was asked of it."""
        match kind:
            case "sweep_started":
                self.facts = values
            case "driver_started":
                self.status = "running"
            case "stop_asked":
                self.stop_asked.add(values["trial"])
            case "delivered":
                self.delivered = values["upto"]
            case "dropped":
                self.dropped[values["family"]] = values["reason"]
            case "generation":
                self._apply_generation(values)
            case "proposals_ended":
                self.proposals_ended = values["reason"]
            case "extended":
                self.extensions.append(values["limits"])
                self.stop_asked.discard(None)
                self.status, self.proposals_ended = "running", ""
            case "sweep_ended":
                self.status = values["status"]
            case "interrupted":
                self.status = "interrupted"
                for trial in self.unended.values():
                    trial.status = "killed"
            case _:
                self._apply_result(kind, values)

    def _apply_generation(self, values: Mapping[str, Any]) -> None:
        """Take in how the trials of a family go on that waited for each other."""
        family, epoch, copies = values["family"], values["epoch"], values["copies"]
        self.generations.setdefault(family, {})[epoch] = {copy["trial"]: copy["parent"] for copy in copies}
        for trial in self.unended.values():
            if trial.family == family and trial.is_paused:
                trial.is_paused, trial.reason = False, f"goes on after epoch {epoch}"
                trial.status = "proposed" if trial.status == "paused" else trial.status
        for copy in copies:
            trial = self.trials[copy["trial"]]
            trial.copy(epoch, copy["parent"], picks=copy["picks"], params=copy["params"])
            trial.reason = f"goes on after epoch {epoch} as a changed copy of trial {copy['parent']}"

    def _apply_result(self, kind: Kind, values: Mapping[str, Any]) -> None:
        """Take in what came of it."""
        match kind:
            case "baseline":
                self.baselines[values["name"]] = values["metrics"]
            case "fold_scored":
                self.folds.setdefault(values["trial"], {})[values["fold"]] = values["metrics"]
            case "winner":
                if self.winner is not None and not _same_checkpoint(self.winner, values):
                    self.registered = None  # that was another
                self.winner = values
            case "learned_before" | "refitted" | "quality" | "tables" | "registered":
                setattr(self, kind, values)
            case "scored":
                self.scores[values["subject"]] = values["metrics"]
                if values["subject"] == "winner" and self.winner is not None and not self.winner_is_tested:
                    self.tested.append(ScoredWinner(self.winner["trial"], self.winner["epoch"], values["metrics"]))

    def _apply_to_trial(self, event: Event) -> None:
        values = event.values
        number = values["trial"]
        if event.kind == "proposed":
            self.proposals_ended = ""
            self.n_proposed[values["family"]] += 1
            self.trials[number] = self.unended[number] = TrialState(
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
            self.n_epochs += epoch not in trial.curve
            trial.curve[epoch] = float("nan") if values["value"] is None else values["value"]
            trial.metrics[epoch] = values["metrics"]
            if values["checkpoint"]:
                trial.checkpoints[epoch] = values["checkpoint"]
        elif event.kind == "decision":
            trial.decisions[values["epoch"]] = values["action"]
            if values["rung"] is not None:
                trial.rung = max(trial.rung, values["rung"])
            trial.reason = values["reason"]
            if values["action"] == "pause":
                trial.status, trial.is_paused = "paused", True
                trial.stop_clock(event.time_s)
        else:
            trial.is_paused = False
            trial.status, trial.reason, trial.ended_s = values["status"], values["reason"], event.time_s
            trial.stop_clock(event.time_s)
            if self.unended.pop(number, None) is not None:
                self.ended_ran_s[trial.family] = self.ended_ran_s.get(trial.family, 0.0) + trial.ran_before_s


def _same_checkpoint(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool((one["trial"], one["epoch"]) == (other["trial"], other["epoch"]))
