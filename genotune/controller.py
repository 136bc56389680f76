"""What a sweep does next: the journal, the searcher, the scheduler and the budget together. No Ray in it.

The controller is told what trials report and says whether they go on; it is asked for the next trial. Each step is in
the journal before anyone acts on it, and a controller that is built from a journal stands where the last one stood.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from genotune.errors import SweepError
from genotune.journal import Event, Journal, TrialState
from genotune.tuning.placing import Point
from genotune.tuning.schedulers import Decision, Scheduler
from genotune.tuning.searchers import Searcher
from genotune.tuning.sharing import family_behind
from genotune.tuning.space import Draw

log = logging.getLogger(__name__)

BY_HAND: Final = "stopped by hand"
"""Why a trial or a sweep ended that a person stopped with `genotune stop`."""

FAILED_AT_FIRST: Final = 3
"""A sweep whose first trials all fail, this many of them, is ended: the next would fail too."""


class Limits(NamedTuple):
    """Where a sweep ends.

    Attributes:
        n_trials: proposals at most.
        hours: of a driver at work, resumes added up; None: no limit.
        concurrent: live trials at most; None: as many as Ray has room for.
    """

    n_trials: int
    hours: float | None = None
    concurrent: int | None = None


class Task(NamedTuple):
    """One trial to run: a draw with its number and seed."""

    trial: int
    family: str
    params: Mapping[str, Any]
    seed: int


Next = Task | Literal["wait", "finished"]


class Controller:
    """Decides, and writes down what it decided.

    Args:
        journal: of this sweep; what it holds already is replayed.
        searcher: fresh, it learns the journal's trials.
        scheduler: fresh, it learns the journal's reports.
        limits: where the sweep ends.
        seed: of the sweep; each trial's own comes from it and the trial's number.

    Raises:
        SweepError: the journal was written under another spec: its trials are not of this space, or its decisions
            are not those of this scheduler.
    """

    def __init__(
        self, journal: Journal, *, searcher: Searcher, scheduler: Scheduler, limits: Limits, seed: int
    ) -> None:
        self.journal = journal
        self.limits = limits
        self._searcher = searcher
        self._scheduler = scheduler
        self._seed = seed
        self._stopping = ""
        self._running: set[int] = set()
        for event in journal.events:
            self._learn(event)
        self._finish_what_was_cut_off()

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler, for who wants to see its rungs."""
        return self._scheduler

    def next_task(self) -> Next:
        """The trial to start now: one that was left unfinished, else the searcher's next proposal.

        'wait' as long as a trial runs, even when nothing is left to propose: it may be given back.
        """
        nothing: Next = "wait" if self._running else "finished"
        if self._is_over():
            return nothing
        if self.limits.concurrent is not None and len(self._running) >= self.limits.concurrent:
            return "wait"
        waiting = self.unfinished()
        if waiting:
            return self._start(waiting[0])
        if len(self.journal.state.trials) >= self.limits.n_trials or self._all_fail():
            return nothing
        draw = self._searcher.ask(self._family_behind())
        if draw is None:
            return nothing
        number = len(self.journal.state.trials)
        self.journal.append(
            "proposed",
            trial=number,
            family=draw.family,
            picks=draw.picks,
            params=draw.params,
            seed=trial_seed(self._seed, number),
        )
        return self._start(self.journal.state.trials[number])

    def give_back(self, trial: int) -> None:
        """A trial's process died before it began to fit: the trial is to be started again."""
        self._running.discard(trial)

    def unfinished(self) -> list[TrialState]:
        """Live trials that run nowhere, in order."""
        return [
            trial
            for trial in self.journal.state.trials.values()
            if self._is_open(trial) and trial.number not in self._running
        ]

    def started(self, trial: int, *, device: str) -> None:
        """A process has begun to fit the trial (again, after a death)."""
        self.journal.append("started", trial=trial, device=device)

    def report(
        self, trial: int, epoch: int, *, value: float, metrics: Mapping[str, float], checkpoint: str | None
    ) -> Literal["continue", "stop"]:
        """Take in the end of an epoch and say whether the trial goes on.

        An epoch that is in the journal already (the trial went on from a checkpoint) gets the same answer again.
        """
        state = self.journal.state.trials[trial]
        if epoch in state.decisions:
            return "stop" if state.decisions[epoch] == "stop" else "continue"
        if epoch not in state.curve:
            self.journal.append(
                "report",
                trial=trial,
                epoch=epoch,
                value=value if math.isfinite(value) else None,
                metrics={name: number for name, number in metrics.items() if math.isfinite(number)},
                checkpoint=checkpoint,
            )
        decision = self._decide(state, epoch)
        if decision.action == "continue" and trial in self.journal.state.stop_asked:
            decision = Decision("stop", decision.rung, BY_HAND)
        if decision.action == "continue" and self._is_over():
            decision = Decision("stop", decision.rung, self._stopping)
        self._write_decision(trial, epoch, decision)
        return decision.action

    def ended(self, trial: int, *, failure: str | None = None) -> None:
        """A trial's process is done with it: all epochs fitted, stopped by a decision, or given up after retries."""
        state = self.journal.state.trials[trial]
        self._running.discard(trial)
        if not self._is_open(state):
            return
        status: Literal["complete", "stopped", "failed"]
        if failure is not None:
            status, reason = "failed", failure
        elif state.decisions.get(state.epoch) == "stop":
            status, reason = "stopped", state.reason
        else:
            status, reason = "complete", "1 epoch" if state.epoch == 1 else f"{state.epoch} epochs"
        self.journal.append("ended", trial=trial, status=status, reason=reason)
        self._searcher.tell(trial, curve=state.curve, status=status)

    def stop_trials(self, trials: Iterable[int]) -> None:
        """These trials stop at their next report, or are not started again: a person asked for it.

        A number that no open trial has is passed over.
        """
        state = self.journal.state
        for number in sorted(trials):
            trial = state.trials.get(number)
            if trial is None or not self._is_open(trial):
                continue
            if number not in state.stop_asked:
                self.journal.append("stop_asked", trial=number)
            if number not in self._running:
                self.journal.append("ended", trial=number, status="stopped", reason=BY_HAND)
                self._searcher.tell(number, curve=trial.curve, status="stopped")

    def stop_all(self) -> None:
        """No trial begins any more, and each that runs stops at its next report: a person asked for it."""
        if None not in self.journal.state.stop_asked:
            self.journal.append("stop_asked", trial=None)

    def interrupt(self, reason: str) -> None:
        """The driver ends before its time; what is live now goes on after a resume."""
        self.journal.append("interrupted", reason=reason)

    def check_outcome(self) -> None:
        """Nothing, if a trial has something to show.

        Raises:
            SweepError: every trial failed; the first failure is in the message.
        """
        trials = self.journal.state.trials.values()
        failed = [trial for trial in trials if trial.status == "failed"]
        if any(math.isfinite(value) for trial in trials for value in trial.curve.values()):
            return
        if failed:
            raise SweepError(
                f"All {len(failed)} trials failed. The first (trial {failed[0].number}):\n{failed[0].reason}"
            )
        raise SweepError("No trial reported a finite objective; nothing can be chosen.")

    def _learn(self, event: Event) -> None:
        """Take one event of an earlier driver into searcher and scheduler."""
        values = event.values
        if event.kind == "learned_before":
            for one in values["trials"]:
                curve = {epoch: math.nan if value is None else value for epoch, value in one["curve"]}
                self._searcher.learn(Point(one["family"], dict(one["picks"])), curve=curve, status=one["status"])
        elif event.kind == "proposed":
            self._searcher.remember(Draw(values["family"], dict(values["picks"]), dict(values["params"])))
        elif event.kind == "decision":
            state = self.journal.state.trials[values["trial"]]
            again = self._decide(state, values["epoch"])
            if again.action != values["action"] and again.action == "stop":
                message = (
                    f"trial {state.number}, epoch {values['epoch']}: the journal says {values['action']!r}, "
                    f"the scheduler {again.action!r}. The spec's scheduler is not the one that the sweep began with."
                )
                raise SweepError(message)
        elif event.kind == "ended":
            state = self.journal.state.trials[values["trial"]]
            self._searcher.tell(state.number, curve=state.curve, status=values["status"])

    def _finish_what_was_cut_off(self) -> None:
        """Decide and end what the last driver had begun to: a report without its decision, a stop without its end."""
        for state in list(self.journal.state.trials.values()):
            if not self._is_open(state) or not state.curve:
                continue
            if state.epoch not in state.decisions:
                self._write_decision(state.number, state.epoch, self._decide(state, state.epoch))
            if state.decisions[state.epoch] == "stop":
                self.ended(state.number)

    def _decide(self, state: TrialState, epoch: int) -> Decision:
        return self._scheduler.decide(state.number, state.family, epoch, state.curve[epoch])

    def _write_decision(self, trial: int, epoch: int, decision: Decision) -> None:
        self.journal.append(
            "decision", trial=trial, epoch=epoch, action=decision.action, rung=decision.rung, reason=decision.reason
        )

    def _start(self, state: TrialState) -> Task:
        self._running.add(state.number)
        return Task(state.number, state.family, state.params, state.seed)

    @staticmethod
    def _is_open(trial: TrialState) -> bool:
        return trial.ended_s is None

    def _is_over(self) -> bool:
        """Whether nothing new may begin; then `_stopping` says why."""
        state, hours = self.journal.state, self.limits.hours
        if None in state.stop_asked:
            self._stopping = BY_HAND
            return True
        if hours is None:
            return False
        spent_s = state.active_s + max(0.0, time.time() - state.last_s)
        if spent_s < hours * 3600:
            return False
        self._stopping = f"the budget of {hours:g} h is spent"
        return True

    def _family_behind(self) -> str | None:
        """The family whose turn it is under a budget in hours; None: the searcher is free."""
        if self.limits.hours is None or len(self._searcher.families) < 2:
            return None
        spent_s, n_trials = dict.fromkeys(self._searcher.families, 0.0), Counter[str]()
        now_s = time.time()
        for trial in self.journal.state.trials.values():
            spent_s[trial.family] += trial.ran_s(now_s)
            n_trials[trial.family] += 1
        return family_behind(spent_s, n_trials, most_trials=self.limits.n_trials)

    def _all_fail(self) -> bool:
        ended = [trial for trial in self.journal.state.trials.values() if not self._is_open(trial)]
        return len(ended) >= FAILED_AT_FIRST and all(trial.status == "failed" for trial in ended)


def trial_seed(sweep_seed: int, number: int) -> int:
    """The seed of a trial: 31 bits that depend on nothing but the sweep's seed and the trial's number."""
    import numpy as np

    return int(np.random.SeedSequence([sweep_seed, number]).generate_state(1)[0] >> 1)
