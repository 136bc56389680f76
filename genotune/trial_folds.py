"""One trial on folds: its draw is fitted without each fold in turn, epoch by epoch, and judged by the mean over them.

All folds reach an epoch before any goes on, so that a scheduler sees them together. Between two epochs a fit lies on
disk as its family saved it: a family goes on from there exactly as if nothing had happened, so the folds need no more
memory than one fit, and a trial that died goes on as any other.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.judging import Judge, fold_metric, lesson_of, recorded_name, validate
from genotune.store import Splits, Store
from genotune.trainables import build_trainable
from genotune.trainables.kept import keep_for_folds
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitPlan, Progress, Trainable
from genotune.trial import EpochReport, TrialSetup, check_finite, report_again

_SCORES: Final = "scores.json"


class _FoldEpoch(NamedTuple):
    """What a fold came to at the end of an epoch.

    Attributes:
        metrics: what the family measured.
        scores: on the fold that is held out.
    """

    metrics: Mapping[str, float]
    scores: Mapping[str, float]


class _EpochEnded(Exception):  # noqa: N818 - no error: the way out of a fit
    """The epoch has ended, and its state is on disk."""

    def __init__(self, found: _FoldEpoch) -> None:
        super().__init__()
        self.found = found


def fit_on_folds(
    task: Mapping[str, Any],
    stores: Sequence[Store],
    *,
    setup: TrialSetup,
    plan: FitPlan,
    send: Callable[[EpochReport], None],
) -> None:
    """Fit one draw on each of `setup.folds`, from its last checkpoint if it has one.

    A fold whose fit has ended by itself (out of patience) keeps its last scores; the trial ends when all have.

    Args:
        task: trial, family, params, as the controller gave them.
        stores: the data of each fold; the same one for all of them, unless a source learns from training samples.
        setup: of the sweep.
        plan: seed, epochs, device and threads of this trial.
        send: takes each epoch's report; raises to end the trial.

    Raises:
        NotFiniteError: the training loss is not a number on one of the folds.
    """
    keep_for_folds(len(setup.folds))
    trainable = build_trainable(task["family"], task["params"], stores[0].columns)
    folder = setup.checkpoints(task["trial"])
    last = folder.latest()
    if last is not None:
        send(report_again(last, setup))
    for epoch in range(1 if last is None else last.epoch + 1, plan.max_epochs + 1):
        draft = folder.draft(epoch)
        before = [None if last is None else last.state / _name(fold) for fold in range(len(setup.folds))]
        after = [draft / "state" / _name(fold) for fold in range(len(setup.folds))]
        moved = [
            _advance(trainable, store, splits, judge=setup.judge, plan=plan, state=state, into=into)
            for store, splits, state, into in zip(stores, setup.folds, before, after, strict=True)
        ]
        if not any(moved):
            shutil.rmtree(draft)
            return
        metrics = _together([_read(state) for state in after], setup.judge)
        value = setup.judge.value({name: metrics[recorded_name(name)] for name in setup.judge.objectives})
        last = folder.finish(draft, epoch, score=setup.judge.higher_is_better(value), metrics=metrics)
        send(EpochReport(epoch, value, metrics, str(last.path.relative_to(setup.folder))))


def _advance(
    trainable: Trainable[Any, Any],
    store: Store,
    splits: Splits,
    *,
    judge: Judge,
    plan: FitPlan,
    state: Path | None,
    into: Path,
) -> bool:
    """Fit one more epoch on a fold; whether there was one. Its state and scores lie in `into` afterwards."""

    def report(progress: Progress) -> None:
        check_finite(progress)
        scores = validate(progress.model, store, splits=splits, judge=judge)
        progress.save_state(into, value=judge.higher_is_better(judge.value(scores)))
        raise _EpochEnded(_FoldEpoch(progress.metrics, scores))

    into.mkdir()
    lesson = lesson_of(store, splits)
    try:
        fit_prepared(trainable, lesson.store, lesson.splits, report=report, plan=plan, resume=state)
    except _EpochEnded as ended:
        (into / _SCORES).write_text(json.dumps(ended.found._asdict()))  # NaN is kept as NaN: it is read here alone
        return True
    assert state is not None, f"{trainable} ended before its first epoch"
    shutil.copytree(state, into, dirs_exist_ok=True)
    return False


def _name(fold: int) -> str:
    return f"fold-{fold + 1}"


def _read(folder: Path) -> _FoldEpoch:
    return _FoldEpoch(**json.loads((folder / _SCORES).read_text()))


def _together(folds: Sequence[_FoldEpoch], judge: Judge) -> dict[str, float]:
    """Means over the folds; of the objective its standard deviation, and each fold's own too."""
    metrics = _means([fold.metrics for fold in folds])
    metrics |= {recorded_name(name): value for name, value in _means([fold.scores for fold in folds]).items()}
    values = [fold.scores[judge.metric] for fold in folds]
    metrics[f"validation.{judge.metric}_sd"] = float(np.std(values, ddof=1))
    return metrics | {fold_metric(fold, judge.metric): value for fold, value in enumerate(values)}


def _means(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for fold in folds for name in fold)
    return {name: float(np.mean([fold.get(name, np.nan) for fold in folds])) for name in names}
