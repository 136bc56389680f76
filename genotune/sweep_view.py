"""What can be seen of sweeps from outside: how far they are, what was best, what their trials did.

All of it is read from the journal: it works while a sweep runs, after it died, and without Ray or MLflow.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from genotune.errors import SweepError
from genotune.events import JOURNAL_FILE
from genotune.front import Front, Objective, checkpoint_of, front_of, objectives_of, standing_of
from genotune.generations import generation_words
from genotune.journal import JournalReader, is_held
from genotune.limits import Spent, spent_of
from genotune.settings import build
from genotune.spec.schema import Budget
from genotune.sweep_state import SweepState, TrialState

SweepStatus = Literal["starting", "running", "interrupted", "died", "complete", "failed"]
"""'died': no driver is at work, and the last one left no word."""


class SweepView(NamedTuple):
    """A sweep, as it stands.

    Attributes:
        metric: the objective; '' before the sweep has begun.
        direction: of the objective.
        seen_s: when this was seen, in seconds since 1970.
        budget: as it is now; None before the sweep has begun.
        n_undelivered: events that MLflow doesn't have yet.
    """

    folder: Path
    status: SweepStatus
    state: SweepState
    metric: str
    direction: Literal["maximize", "minimize"]
    seen_s: float
    budget: Budget | None
    n_undelivered: int

    @property
    def name(self) -> str:
        """The sweep's own."""
        return self.folder.name

    @property
    def active_s(self) -> float:
        """Seconds that drivers have been at work on it."""
        since_s = max(0.0, self.seen_s - self.state.last_s) if self.status == "running" else 0.0
        return self.state.active_s + since_s

    @property
    def spent(self) -> Spent:
        """What it has spent so far."""
        return spent_of(self.state, now_s=self.seen_s if self.status == "running" else self.state.last_s)

    @property
    def counts(self) -> Mapping[str, int]:
        """Trials by status."""
        return Counter(self.status_of(trial) for trial in self.state.trials.values())

    def status_of(self, trial: TrialState) -> str:
        """Of a trial; one that no driver holds any more waits to go on."""
        runs_nowhere = trial.status == "killed" or self.status != "running"
        return "waiting" if trial.ended_s is None and runs_nowhere else trial.status

    @property
    def generations(self) -> list[str]:
        """How far the population of each family is, in words; nothing where trials don't wait for each other."""
        return [generation_words(family, ended) for family, ended in self.state.generations.items()]

    def best(self, trial: TrialState) -> float:
        """A trial's best objective; NaN if it has none."""
        finite = [value for value in trial.curve.values() if math.isfinite(value)]
        return (max if self.direction == "maximize" else min)(finite, default=math.nan)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives, the primary one first; none before the sweep has begun."""
        return objectives_of(self.state.facts)

    @property
    def front(self) -> Front | None:
        """The trials that no other beats in all objectives; None where there is one objective."""
        return front_of(self.state)

    @property
    def leader(self) -> TrialState | None:
        """The trial that won, or that is the best so far; of equal ones the earlier."""
        if self.state.winner is not None:
            return self.state.trials[self.state.winner["trial"]]
        sign = 1.0 if self.direction == "maximize" else -1.0
        finite = [trial for trial in self.state.trials.values() if math.isfinite(self.best(trial))]
        return max(finite, key=lambda trial: (sign * self.best(trial), -trial.number), default=None)


class Watch:
    """Looks at a sweep again and again, reading each time only what is new.

    Args:
        folder: of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader = JournalReader(folder)

    def look(self, *, at_work: bool | None = None) -> SweepView:
        """The sweep as it stands now.

        Args:
            at_work: whether a driver is; None: as the journal's lock tells.

        Raises:
            SweepError: a line of its journal is no event.
        """
        if at_work is None:
            at_work = is_held(self._folder)  # asked first: a driver writes its last word, then lets go
        self._reader.read_on()
        state = self._reader.state
        objective = state.facts.get("objective", {})
        return SweepView(
            folder=self._folder,
            status=_status(state, at_work=at_work),
            state=state,
            metric=objective.get("metric", ""),
            direction=objective.get("direction", "maximize"),
            seen_s=time.time(),
            budget=_budget(state),
            n_undelivered=self._reader.last_news - state.delivered if self._reader.last_news > state.delivered else 0,
        )


def view_of(folder: Path, *, at_work: bool | None = None) -> SweepView:
    """A sweep as it stands; arguments and errors are those of `Watch.look`."""
    return Watch(folder).look(at_work=at_work)


def sweeps_in(workspace: Path) -> list[SweepView]:
    """All sweeps of a workspace, the last that something happened to first.

    Raises:
        SweepError: a line of a journal is no event.
    """
    views = [view_of(path.parent) for path in (workspace / "sweeps").glob(f"*/{JOURNAL_FILE}")]
    return sorted(views, key=lambda view: (-view.state.last_s, view.name))


def trial_of(view: SweepView, number: int) -> TrialState:
    """A trial by its number.

    Raises:
        SweepError: the sweep has none of that number.
    """
    trial = view.state.trials.get(number)
    if trial is None:
        n = len(view.state.trials)
        there = f"its {n} trials are numbered from 0 to {n - 1}" if n else "it has no trials yet"
        raise SweepError(f"{view.name}: there is no trial {number}; {there}.")
    return trial


def plain_sweep(view: SweepView, *, with_trials: bool) -> dict[str, Any]:
    """A sweep as plain values, for machines; what is no number is null.

    Args:
        view: the sweep.
        with_trials: with a list of its trials, each with its curve.
    """
    state, leader = view.state, view.leader
    found: dict[str, Any] = {
        "sweep": view.name,
        "folder": str(view.folder),
        "status": view.status,
        "objective": {"metric": view.metric, "direction": view.direction},
        "further_objectives": [{"metric": one.name, "direction": one.direction} for one in view.objectives[1:]],
        "budget": None if view.budget is None else view.budget.model_dump(mode="json"),
        "spent": {"hours": round(view.active_s / 3600, 6), "epochs": state.n_epochs, "cost": _cost(view)},
        "trials": {"proposed": len(state.trials), **view.counts},
        "active_s": round(view.active_s, 3),
        "last_event_s": state.last_s,
        "best": None
        if leader is None
        else {"trial": leader.number, "family": leader.family, "value": _finite(view.best(leader))},
        "front": _plain_front(view),
        "winner": None if state.winner is None else dict(state.winner),
        "scores": {subject: dict(metrics) for subject, metrics in state.scores.items()},
        "registered": None if state.registered is None else dict(state.registered),
        "undelivered_events": view.n_undelivered,
    }
    if with_trials:
        found["each_trial"] = [_plain_trial(view, trial) for trial in state.trials.values()]
    return found


def _plain_trial(view: SweepView, trial: TrialState) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "family": trial.family,
        "status": view.status_of(trial),
        "epoch": trial.epoch,
        "best": _finite(view.best(trial)),
        "objectives": _plain_objectives(view, trial),
        "curve": {epoch: _finite(value) for epoch, value in sorted(trial.curve.items())},
        "params": dict(trial.params),
        "stretches": [
            {"after_epoch": after, "parent": one.parent, "params": dict(one.params)}
            for after, one in sorted(trial.stretches.items())
        ],
        "seed": trial.seed,
        "reason": trial.reason,
        "device": trial.device,
        "ran_s": round(trial.ran_s(view.seen_s), 3),
    }


def _plain_front(view: SweepView) -> list[dict[str, Any]] | None:
    """None of a sweep with one objective."""
    front = view.front
    if front is None:
        return None
    return [
        {
            "trial": one.trial,
            "family": view.state.trials[one.trial].family,
            "epoch": one.epoch,
            "objectives": _by_name(view.objectives, one.values),
            "checkpoint": checkpoint_of(view.state.trials[one.trial], one.epoch) or None,
        }
        for one in front.standings
    ]


def _plain_objectives(view: SweepView, trial: TrialState) -> dict[str, float] | None:
    """At the epoch that the trial stands for; None if it has nothing to show."""
    standing = standing_of(trial, view.objectives) if view.objectives else None
    return None if standing is None else _by_name(view.objectives, standing.values)


def _by_name(objectives: tuple[Objective, ...], values: tuple[float, ...]) -> dict[str, float]:
    return {objective.name: value for objective, value in zip(objectives, values, strict=True)}


def _budget(state: SweepState) -> Budget | None:
    if not state.facts:
        return None
    kept = state.facts.get("budget") or yaml.safe_load(state.facts["resolved_text"])["budget"]
    budget: Budget = build(Budget, {**kept, **state.extended})
    return budget


def _cost(view: SweepView) -> str | None:
    cost = view.spent.cost
    return None if cost is None else str(cost)


def _status(state: SweepState, *, at_work: bool) -> SweepStatus:
    if not state.facts:
        return "starting" if at_work else "died"
    if at_work:
        return "running"
    if state.status == "running":
        return "died"
    assert state.status in ("interrupted", "complete", "failed"), state.status
    return state.status  # type: ignore[return-value]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
