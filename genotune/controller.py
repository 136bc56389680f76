"""What a sweep does next: the journal, the searcher, the scheduler and the budget together. No Ray in it.

The controller is told what trials report and says whether they go on; it is asked for the next trial. Each step is in
the journal before anyone acts on it, and a controller that is built from a journal stands where the last one stood.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from genotune.errors import SweepError
from genotune.events import Event
from genotune.failing import FAILED_AT_FIRST, failing
from genotune.generations import end_generations, origin
from genotune.journal import Journal
from genotune.limits import Limits, spent_budget
from genotune.sweep_state import TrialState
from genotune.tuning.placing import Point
from genotune.tuning.plateau import Plateau
from genotune.tuning.population import Population
from genotune.tuning.schedulers import Action, Decision, Scheduler
from genotune.tuning.searchers import Searcher
from genotune.tuning.space import Draw
from genotune.turns import family_to_fill, family_under_budget

log = logging.getLogger(__name__)

BY_HAND: Final = "stopped by hand"
"""Why a trial or a sweep ended that a person stopped with `genotune stop`."""


class Task(NamedTuple):
    """One trial to run: a draw with its number and seed.

    Attributes:
        start_from: the checkpoint of another trial, relative to the trials' folder, that it goes on from unless it has
            come further than that; None: it goes on from its own last one.
    """

    trial: int
    family: str
    params: Mapping[str, Any]
    seed: int
    start_from: str | None = None


Next = Task | Literal["wait", "finished"]


class Controller:
    """Decides, and writes down what it decided.

    Args:
        journal: of this sweep; what it holds already is replayed.
        searcher: fresh, it learns the journal's trials.
        scheduler: fresh, it learns the journal's reports.
        limits: where the sweep ends.
        seed: of the sweep; each trial's own comes from it and the trial's number.
        plateau: fresh, it learns the journal's trials; None: the sweep ends on none.
        further_losses: of an epoch's metrics those that are further objectives, turned so that lower is better.
        population: says how trials go on that have waited for each other; None: none waits.

    Raises:
        SweepError: the journal was written under another spec: its trials are not of this space, or its decisions
            are not those of this scheduler.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        searcher: Searcher,
        scheduler: Scheduler,
        limits: Limits,
        seed: int,
        plateau: Plateau | None = None,
        further_losses: Callable[[Mapping[str, float]], tuple[float, ...]] = lambda _: (),
        population: Population | None = None,
    ) -> None:
        self.journal = journal
        self.limits = limits
        self._searcher = searcher
        self._scheduler = scheduler
        self._seed = seed
        self._plateau = plateau
        self._further_losses = further_losses
        self._population = population
        self._ends: dict[str, Counter[str]] = {family: Counter() for family in searcher.families}
        self._running: set[int] = set()
        for event in journal.events():
            self._learn(event)
        self._finish_what_was_cut_off()

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler, for who wants to see its rungs."""
        return self._scheduler

    @property
    def n_handed_out(self) -> int:
        """Trials that were given to be run and are not back: those that run, and those that wait for a process."""
        return len(self._running)

    def next_task(self) -> Next:
        """The trial to start now: one that was left unfinished, else the searcher's next proposal.

        'wait' as long as a trial runs, even when nothing is left to propose: it may be given back.
        """
        if self.limits.concurrent is not None and len(self._running) >= self.limits.concurrent:
            return "wait"
        over = self._over()
        if over:
            self._end_paused(over)
            return self._nothing(over)
        waiting = self._waiting()
        if waiting is not None:
            return self._start(waiting)
        exhausted = self._exhausted()
        draw = None if exhausted else self._searcher.ask(self._family_due())
        if draw is None:
            nothing = self._nothing(exhausted or "the search has tried all that there is")
            waiting = self._waiting()  # for what would have been proposed
            return nothing if waiting is None else self._start(waiting)
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
        return [trial for trial in self.journal.state.unended.values() if trial.number not in self._running]

    def _waiting(self) -> TrialState | None:
        """The first live trial that runs nowhere and may; a generation that all of its trials have reached ends."""
        if self._population is not None:
            end_generations(self.journal, self._population)
        return next((trial for trial in self.unfinished() if not trial.is_paused), None)

    def _end_paused(self, reason: str) -> None:
        """Trials that wait for others don't go on any more."""
        for trial in list(self.journal.state.unended.values()):
            if trial.is_paused:
                self._end(trial, "stopped", reason)

    def started(self, trial: int, *, device: str) -> None:
        """A process has begun to fit the trial (again, after a death)."""
        self.journal.append("started", trial=trial, device=device)

    def report(
        self, trial: int, epoch: int, *, value: float, metrics: Mapping[str, float], checkpoint: str | None
    ) -> Action:
        """Take in the end of an epoch and say whether the trial goes on.

        A trial that is to pause is given back by `ended`, and is a task again when it may go on. An epoch that is in
        the journal already (the trial went on from a checkpoint) gets the same answer again.
        """
        state = self.journal.state.trials[trial]
        if epoch in state.decisions:
            if state.decisions[epoch] == "stop":
                return "stop"
            return "pause" if state.is_paused else "continue"
        if epoch not in state.curve:
            self.journal.append(
                "report",
                trial=trial,
                epoch=epoch,
                value=value if math.isfinite(value) else None,
                metrics={name: number for name, number in metrics.items() if math.isfinite(number)},
                checkpoint=checkpoint,
            )
        return self._decide_for_good(state, epoch)

    def ended(self, trial: int, *, failure: str | None = None) -> None:
        """A trial's process is done with it: all epochs fitted, stopped by a decision, or given up after retries.

        A trial that pauses has not ended, whatever became of its process since.
        """
        state = self.journal.state.trials[trial]
        self._running.discard(trial)
        if not self._is_open(state) or state.is_paused:
            return
        status: Literal["complete", "stopped", "failed"]
        if failure is not None:
            status, reason = "failed", failure
        elif state.decisions.get(state.epoch) == "stop":
            status, reason = "stopped", state.reason
        else:
            status, reason = "complete", "1 epoch" if state.epoch == 1 else f"{state.epoch} epochs"
        self._end(state, status, reason)

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
                self._end(trial, "stopped", BY_HAND)

    def stop_all(self) -> None:
        """No trial begins any more, and each that runs stops at its next report: a person asked for it."""
        if None not in self.journal.state.stop_asked:
            self.journal.append("stop_asked", trial=None)

    def interrupt(self, reason: str) -> None:
        """The driver ends before its time; what is live now goes on after a resume."""
        self.journal.append("interrupted", reason=reason)

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
            if again.action != values["action"] and values["action"] != "stop":
                message = (
                    f"trial {state.number}, epoch {values['epoch']}: the journal says {values['action']!r}, "
                    f"the scheduler {again.action!r}. The spec's scheduler is not the one that the sweep began with."
                )
                raise SweepError(message)
        elif event.kind == "ended":
            self._learn_end(self.journal.state.trials[values["trial"]], values["status"])
        elif event.kind == "dropped":
            self._searcher.drop(values["family"])
        elif event.kind == "extended" and self._plateau is not None:
            self._plateau.forget()

    def _finish_what_was_cut_off(self) -> None:
        """Do what the last driver had begun to: decide on a report, end what is to stop, drop a family that fails."""
        self._drop_what_fails()
        for state in list(self.journal.state.unended.values()):
            if state.curve and state.epoch not in state.decisions:
                self._decide_for_good(state, state.epoch)
            if state.decisions.get(state.epoch) == "stop":
                self.ended(state.number)
            elif state.number in self.journal.state.stop_asked:
                self._end(state, "stopped", BY_HAND)

    def _decide_for_good(self, state: TrialState, epoch: int) -> Action:
        """Write down what happens to a trial after an epoch."""
        decision = self._decide(state, epoch)
        if decision.action != "stop" and state.number in self.journal.state.stop_asked:
            decision = Decision("stop", decision.rung, BY_HAND)
        if decision.action != "stop" and (over := self._over()):
            decision = Decision("stop", decision.rung, over)
        self.journal.append(
            "decision",
            trial=state.number,
            epoch=epoch,
            action=decision.action,
            rung=decision.rung,
            reason=decision.reason,
        )
        return decision.action

    def _decide(self, state: TrialState, epoch: int) -> Decision:
        value, further = state.curve[epoch], self._further_losses(state.metrics[epoch])
        return self._scheduler.decide(state.number, state.family, epoch, value, further)

    def _end(self, state: TrialState, status: Literal["complete", "stopped", "failed"], reason: str) -> None:
        """Write down how a trial ended, and learn from it."""
        self.journal.append("ended", trial=state.number, status=status, reason=reason)
        self._learn_end(state, status)
        self._drop_what_fails()

    def _learn_end(self, state: TrialState, status: Literal["complete", "stopped", "failed"]) -> None:
        losses = {epoch: self._further_losses(metrics) for epoch, metrics in state.metrics.items()}
        further = {epoch: values for epoch, values in losses.items() if values}
        self._searcher.tell(state.number, curve=state.curve, status=status, further=further)
        self._ends[state.family][status] += 1
        if self._plateau is not None:
            self._plateau.tell(list(state.curve.values()))

    def _drop_what_fails(self) -> None:
        """No more trials for a family that has had its first ones, all of which failed."""
        for family, reason in failing(self._ends, self.journal.state).items():
            self.journal.append("dropped", family=family, reason=reason)
            self._searcher.drop(family)

    def _start(self, state: TrialState) -> Task:
        self._running.add(state.number)
        return Task(state.number, state.family, state.params, state.seed, origin(self.journal.state, state))

    @staticmethod
    def _is_open(trial: TrialState) -> bool:
        return trial.ended_s is None

    def _over(self) -> str:
        """Why nothing new may begin, no trial and no epoch; '' while it may."""
        if None in self.journal.state.stop_asked:
            return BY_HAND
        return spent_budget(self.journal.state, self.limits, now_s=time.time())

    def _exhausted(self) -> str:
        """Why no trial may be proposed, though those that are may go on; '' while one may."""
        state = self.journal.state
        if len(state.trials) >= self.limits.n_trials:
            return f"the budget of {self.limits.n_trials} trials is spent"
        if state.dropped.keys() >= set(self._searcher.families):
            each = " of each family" if len(state.dropped) > 1 else ""
            return f"the first {FAILED_AT_FIRST} trials{each} all failed"
        if self._population is not None and self._family_due() is None:
            return "each family that is left has its population"
        return "" if self._plateau is None else self._plateau.reason

    def _nothing(self, reason: str) -> Next:
        """No trial to start, for a reason that is written down once."""
        if not self.journal.state.proposals_ended:
            self.journal.append("proposals_ended", reason=reason)
        return "wait" if self._running else "finished"

    def _family_due(self) -> str | None:
        """The family that the next proposal should be of; None: the searcher is free."""
        state, families = self.journal.state, self._searcher.families
        if self._population is not None:
            return family_to_fill(state, families, self._population.size)
        return family_under_budget(state, families, self.limits)


def trial_seed(sweep_seed: int, number: int) -> int:
    """The seed of a trial: 31 bits that depend on nothing but the sweep's seed and the trial's number."""
    import numpy as np

    return int(np.random.SeedSequence([sweep_seed, number]).generate_state(1)[0] >> 1)
