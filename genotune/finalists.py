"""The finalists of a sweep: the best draws of each family, compared again on folds before one of them wins.

One validation split is small where samples are few; a family that was tried often wins on it by luck. So the finalists
are fitted again with each fold of training and validation held out in turn, and their means decide. Whatever is learned
from data (filters, ranks of variants) is learned from each fold's own training part. A family whose trials have several
workers is fitted here by one, with the resources of one: the same batches give the same steps, and the folds go side by
side instead.

Source: Cawley and Talbot 2010, section 4, on over-fitting the selection criterion.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final, cast

from genotune.evaluation import Candidate, finite
from genotune.full_disk import full_disk
from genotune.genome.splits import Fold
from genotune.journal import Journal
from genotune.judging import Judge
from genotune.plan import SweepPlan
from genotune.shared_store import SharedStore
from genotune.spec import Resources
from genotune.store import Splits
from genotune.trainables.trainable import FitPlan
from genotune.trial import device_for, score_draw

log = logging.getLogger(__name__)

RETRIES: Final = 2
"""Of a fit whose process died; what a fit itself raises is not tried again."""


def score_on_folds(plan: SweepPlan, journal: Journal, finalists: list[Candidate]) -> None:
    """Write the objective of each finalist on each fold to the journal; what it holds already is not fitted again.

    Ray must have been started: each fit is a task with the resources of a worker of its family's trials. A finalist
    that can't be fitted without a fold gets no value there, and so can't win.
    """
    import ray

    scored = journal.state.folds
    missing = {
        index: [one for one in finalists if index not in scored.get(one.trial, {})] for index in range(len(plan.folds))
    }
    wanted = [index for index, open_ones in missing.items() if open_ones]
    if not wanted:
        return
    stores = plan.data.read_stores([plan.folds[index] for index in wanted])
    for index, reference in zip(wanted, (ray.put(read.store) for read in stores), strict=True):
        fold, shared = plan.folds[index], SharedStore(reference)
        waiting = {_start(plan, journal, one, shared=shared, fold=fold): one for one in missing[index]}
        while waiting:
            (done, *_), _ = ray.wait(list(waiting))
            one = waiting.pop(done)
            metrics = _metrics(done, f"trial {one.trial} on fold {index + 1} of {len(plan.folds)}")
            journal.append(
                "fold_scored", trial=one.trial, epoch=one.epoch, fold=index, n_folds=len(plan.folds), metrics=metrics
            )


def _metrics(task: Any, what: str) -> Mapping[str, float]:
    """What a task found; nothing, so that the finalist can't win, if it could not be fitted there."""
    import ray
    from ray.exceptions import RayTaskError

    try:
        metrics: Mapping[str, float] = ray.get(task)
    except RayTaskError as error:
        if full_disk(error) is not None:
            raise
        log.warning("%s could not be fitted, so it can't win: %s", what, str(error.cause).strip())
        return {}
    return metrics


def _start(plan: SweepPlan, journal: Journal, one: Candidate, *, shared: SharedStore, fold: Fold) -> Any:
    """A task that fits a finalist without a fold and scores it there."""
    import ray

    trial = journal.state.trials[one.trial]
    forecast = plan.families[trial.family]
    task = {"family": trial.family, "params": trial.params, "seed": trial.seed, "epoch": one.epoch}
    remote = cast(Any, ray.remote)(_score).options(**task_options(forecast.resources), max_retries=RETRIES)
    return remote.remote(
        task,
        shared,
        splits=fold.splits,
        judge=plan.judge,
        max_epochs=forecast.max_epochs,
        resources=forecast.resources,
        code=plan.spec.code,
    )


def _score(
    task: Mapping[str, Any],
    shared: SharedStore,
    *,
    splits: Splits,
    judge: Judge,
    max_epochs: int,
    resources: Resources,
    code: Mapping[str, str],
) -> Mapping[str, float]:
    plan = plan_in_task(task, max_epochs=max_epochs, resources=resources, code=code)
    return finite(score_draw(task, shared.get(), splits=splits, judge=judge, plan=plan))


def task_options(resources: Resources) -> dict[str, Any]:
    """What Ray is asked for by a fit outside of Tune: the resources of one worker."""
    options: dict[str, Any] = {"num_cpus": resources.cpus, "num_gpus": resources.gpus}
    if resources.memory_gib is not None:
        options["memory"] = int(resources.memory_gib * 2**30)
    return options


def plan_in_task(task: Mapping[str, Any], *, max_epochs: int, resources: Resources, code: Mapping[str, str]) -> FitPlan:
    """What such a fit is given, once it is where its device is.

    Args:
        task: of which the seed is taken.
        max_epochs: that schedules run towards.
        resources: of the fit.
        code: text of the Python files that the spec names.
    """
    n_threads = max(1, int(resources.cpus))
    return FitPlan(task["seed"], max_epochs, device=device_for(resources.gpus), n_threads=n_threads, code=code)
