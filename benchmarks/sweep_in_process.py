"""A sweep on folds in this process, without Ray or MLflow: one trial after the other, for benchmarks of many sweeps.

The searcher, the scheduler, the journal and the choice of the winner are the sweep's own.
"""

import contextlib
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

from genotune.controller import Controller, Task
from genotune.evaluation import Candidate, choose_winner, fold_mean
from genotune.journal import Journal
from genotune.limits import Limits
from genotune.plan import SweepPlan
from genotune.sweep_state import TrialState
from genotune.trainables.trainable import FitPlan
from genotune.trial import EpochReport, TrialSetup
from genotune.trial_folds import fit_on_folds


class Winner(NamedTuple):
    """What a sweep came to.

    Attributes:
        trial: that won, at
        epoch: of its curve.
        best: the best mean over the folds of each family.
    """

    trial: TrialState
    epoch: int
    best: dict[str, float]


class _StoppedError(Exception):
    """The scheduler has stopped the trial."""


def sweep_in_process(plan: SweepPlan) -> Winner:
    """The winner of a sweep whose spec asks for `trials.folds`; the test split is not looked at."""
    assert plan.trial_folds, "the spec has no trials.folds"
    settings, judge = plan.spec.settings, plan.judge
    stores = [plan.data.read_store_here(fold).store for fold in plan.trial_folds]
    with tempfile.TemporaryDirectory() as name, Journal(Path(name)) as journal:
        journal.append("sweep_started")
        epochs = {family: forecast.max_epochs for family, forecast in plan.families.items()}
        controller = Controller(
            journal,
            searcher=settings.search.build(plan.spec.space, judge.direction),
            scheduler=settings.scheduler.build(judge.direction, own_epochs=epochs),
            limits=Limits(settings.budget.trials),
            seed=settings.search.seed,
        )
        folds = tuple(fold.splits for fold in plan.trial_folds)
        setup = TrialSetup(plan.trial_splits, judge, Path(name), 1, 1, 3600.0, False, folds)
        while not isinstance(task := controller.next_task(), str):
            controller.started(task.trial, device="cpu")
            with contextlib.suppress(_StoppedError):
                fit_on_folds(
                    task._asdict(),
                    stores,
                    setup=setup,
                    plan=FitPlan(task.seed, epochs[task.family]),
                    send=partial(_send, controller, task),
                )
            controller.ended(task.trial)
        winner = choose_winner(journal.state, Path(name), judge)
        assert winner is not None, "no trial has a checkpoint"
        best: dict[str, float] = {}
        for trial in journal.state.trials.values():
            for epoch in trial.curve:
                mean = fold_mean(journal.state, Candidate(trial.number, epoch, 0.0, ""), judge)
                best[trial.family] = max(mean, best.get(trial.family, mean), key=judge.higher_is_better)
        return Winner(journal.state.trials[winner.trial], winner.epoch, best)


def _send(controller: Controller, task: Task, report: EpochReport) -> None:
    action = controller.report(
        task.trial, report.epoch, value=report.value, metrics=report.metrics, checkpoint=report.checkpoint
    )
    if action == "stop":
        raise _StoppedError
