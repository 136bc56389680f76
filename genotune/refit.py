"""The winner, fitted once more: on training and validation together, for as many epochs as won.

Where trials are fitted on folds none of their models is the winner's, so it is made here; else it is a choice of the
spec (`evaluation.refit`). The number of epochs is that at which the trial was best; nothing is validated any more.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from genotune.finalists import RETRIES, plan_in_task, task_options
from genotune.genome.fold import Fold
from genotune.journal import Journal
from genotune.judging import lesson_of
from genotune.plan import SweepPlan
from genotune.shared_store import SharedStore
from genotune.spec import Resources
from genotune.storage import Storage, sizes_in
from genotune.store import IntArray, Splits, Store, TrackSplits
from genotune.trainables import build_trainable
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import Progress
from genotune.trial import check_finite

_FOLDER: Final = "refitted"


def refit_winner(plan: SweepPlan, journal: Journal, store: SharedStore, *, storage: Storage | None) -> None:
    """Fit the winner's draw on all that isn't test, unless the journal says that this was done; then say so there.

    It lies in the sweep's folder on the machine that fitted it, and in the storage where there is one.

    Ray must have been started: the fit is a task with the resources of a worker of its family's trials.
    """
    import ray

    state = journal.state
    assert state.winner is not None
    trial, epoch = state.trials[state.winner["trial"]], state.winner["epoch"]
    before = state.refitted
    if before is not None and (before["trial"], before["epoch"]) == (trial.number, epoch):
        return
    forecast = plan.families[trial.family]
    task = {"family": trial.family, "params": trial.params, "seed": trial.seed, "epoch": epoch}
    remote = cast(Any, ray.remote)(_fit).options(**task_options(forecast.resources), max_retries=RETRIES)
    folder = journal.path.parent / _FOLDER
    ray.get(
        remote.remote(
            task,
            store,
            splits=whole(plan.fold),
            folder=folder,
            max_epochs=forecast.max_epochs,
            resources=forecast.resources,
            code=plan.spec.code,
            storage=storage,
        )
    )
    journal.append("refitted", trial=trial.number, epoch=epoch, model=f"{_FOLDER}/model")


def whole(fold: Fold) -> Splits:
    """Splits whose training part is all that isn't test; their validation part is a part of it too."""
    train = _together(fold.train, fold.validation)
    tracks = None
    if fold.tracks is not None:
        tracks = TrackSplits(_together(fold.tracks.train, fold.tracks.validation), fold.tracks.validation)
    return Splits(train, fold.validation, tracks)


def _together(train: IntArray, validation: IntArray) -> IntArray:
    return np.unique(np.concatenate([train, validation]))


class _Reached(Exception):  # noqa: N818 - no error: the way out of a fit
    """The epoch that won has ended, and the model is on disk."""


def _fit(
    task: Mapping[str, Any],
    shared: SharedStore,
    *,
    splits: Splits,
    folder: Path,
    max_epochs: int,
    resources: Resources,
    code: Mapping[str, str],
    storage: Storage | None,
) -> None:
    store: Store = shared.get()
    plan = plan_in_task(task, max_epochs=max_epochs, resources=resources, code=code)
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "model").mkdir(parents=True)

    def report(progress: Progress) -> None:
        check_finite(progress)
        if progress.epoch == task["epoch"]:
            progress.model.save(draft / "model")
            raise _Reached

    lesson = lesson_of(store, splits)
    trainable = build_trainable(task["family"], task["params"], store.columns)
    try:
        fit_prepared(trainable, lesson.store, lesson.splits, report=report, plan=plan)
    except _Reached:
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        if storage is not None:
            storage.put(folder, folder.name, files=sizes_in(folder), facts={})
        return
    raise AssertionError(f"{task['family']} ended before epoch {task['epoch']}")
