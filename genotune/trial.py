"""One trial: a draw fitted, scored on the sweep's validation split, and reported at every epoch.

`fit_trial` needs no Ray; `run_in_tune` wraps it for a Ray Tune actor, and `trial_workers` for several workers.
"""

import faulthandler
import logging
import math
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genotune.checkpoints import Checkpoint, CheckpointFolder, checkpoint_of_another, epoch_of
from genotune.full_disk import full_disk
from genotune.judging import Judge, lesson_of, recorded_name, validate
from genotune.shared_store import SharedStore
from genotune.storage import Storage
from genotune.store import Splits, Store
from genotune.trainables import build_trainable
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitError, FitPlan, Progress

log = logging.getLogger(__name__)


class TrialSetup(NamedTuple):
    """What all trials of a sweep have in common.

    Attributes:
        folder: the trials' own folders lie in it.
        timeout_s: a process that reports nothing for so long ends itself.
        folds: on which each draw is fitted and judged; none: on `splits`.
        code: text of the Python files that the spec names.
        storage: where checkpoints go too; None: the folder is all, and all machines see it.
        generation_epochs: after so many epochs trials wait for each other; None: never.
    """

    splits: Splits
    judge: Judge
    folder: Path
    best: int
    last: int
    timeout_s: float
    reproducible: bool
    folds: tuple[Splits, ...] = ()
    code: Mapping[str, str] = {}
    storage: Storage | None = None
    generation_epochs: int | None = None

    def checkpoints(self, trial: int) -> CheckpointFolder:
        """Those of a trial, by its number."""
        name = trial_name(trial)
        return CheckpointFolder(
            self.folder / name,
            best=self.best,
            last=self.last,
            storage=self._place(name),
            generation_epochs=self.generation_epochs,
        )

    def give_space_back(self, trials: Iterable[int]) -> None:
        """Let go of the checkpoints that were kept for other trials only; none goes on any more."""
        for trial in trials:
            self._replace(generation_epochs=None).checkpoints(trial).tidy()

    def checkpoint(self, path: str) -> Checkpoint:
        """One of another trial, by its path relative to the folder."""
        return checkpoint_of_another(self.folder / path, self._place(path.partition("/")[0]))

    def _place(self, name: str) -> Storage | None:
        """Of a trial in the storage."""
        return None if self.storage is None else self.storage.part(name)


class EpochReport(NamedTuple):
    """What a trial says at the end of an epoch.

    Attributes:
        value: the objective, in its own direction; of several the primary one. NaN where one is not a number.
        checkpoint: path relative to `TrialSetup.folder`.
    """

    epoch: int
    value: float
    metrics: Mapping[str, float]
    checkpoint: str


class NotFiniteError(ArithmeticError):
    """A loss that is no number: the trial has diverged, and would not come back."""


def _alone(value: Any) -> Any:
    return value


def fit_trial(
    task: Mapping[str, Any],
    store: Store,
    *,
    setup: TrialSetup,
    plan: FitPlan,
    send: Callable[[EpochReport], None],
    share: Callable[[Any], Any] = _alone,
) -> None:
    """Fit one draw, from its last checkpoint if it has one; of several workers rank 0 alone validates and reports.

    Args:
        task: trial, family, params, start_from, as the controller gave them.
        store: the data.
        setup: of the sweep.
        plan: seed, epochs, device and threads of this trial.
        send: takes each epoch's report; raises to end the trial.
        share: gives on every worker what rank 0 calls it with.

    Raises:
        NotFiniteError: the training loss is not a number.
        FitError: the checkpoint of another trial that it is to go on from is gone.
    """
    trainable = build_trainable(task["family"], task["params"], store.columns)
    is_first = plan.rank == 0
    folder = setup.checkpoints(task["trial"]) if is_first else None
    last = folder.latest() if folder is not None else None
    if last is not None:
        send(report_again(last, setup))
    start = _start_of(task, last, setup) if is_first else None

    def report(progress: Progress) -> float:
        check_finite(progress)
        value: float = share(keep(progress) if is_first else None)
        return value

    def keep(progress: Progress) -> float:
        assert folder is not None, "rank 0 has one"
        scores = validate(progress.model, store, splits=setup.splits, judge=setup.judge)
        value = setup.judge.value(scores)
        metrics = {**progress.metrics, **{recorded_name(name): number for name, number in scores.items()}}
        checkpoint = folder.write(progress, score=setup.judge.higher_is_better(value), metrics=metrics)
        send(EpochReport(progress.epoch, value, metrics, str(checkpoint.path.relative_to(setup.folder))))
        return setup.judge.higher_is_better(value)

    lesson = lesson_of(store, setup.splits)
    resume = share(start.state if start else None)
    fit_prepared(trainable, lesson.store, lesson.splits, report=report, plan=plan, resume=resume)


def _start_of(task: Mapping[str, Any], last: Checkpoint | None, setup: TrialSetup) -> Checkpoint | None:
    """Where a fit goes on: its own last checkpoint, or another trial's that is no older; None: at the beginning."""
    start_from = task.get("start_from")
    if start_from is None or (last is not None and last.epoch > epoch_of(start_from)):
        return last
    log.info("goes on from %s", start_from)
    return setup.checkpoint(start_from)


class _ReachedError(Exception):
    """The epoch that was asked for has ended; with the metrics then."""

    def __init__(self, metrics: dict[str, float]) -> None:
        super().__init__()
        self.metrics = metrics


def score_draw(
    task: Mapping[str, Any], store: Store, *, splits: Splits, judge: Judge, plan: FitPlan
) -> dict[str, float]:
    """The sweep's metrics of a draw on the validation split, once it is fitted on the training split.

    Args:
        task: family, params, and the epoch after which it is scored; schedules run towards `plan.max_epochs`.
        store: the data.
        splits: what it is fitted and scored on.
        judge: the sweep's metrics.
        plan: seed, epochs, device and threads.
    """

    def report(progress: Progress) -> None:
        if progress.epoch == task["epoch"]:
            raise _ReachedError(validate(progress.model, store, splits=splits, judge=judge))

    trainable = build_trainable(task["family"], task["params"], store.columns)
    lesson = lesson_of(store, splits)
    try:
        fit_prepared(trainable, lesson.store, lesson.splits, report=report, plan=plan)
    except _ReachedError as reached:
        return reached.metrics
    raise AssertionError(f"{task['family']} ended before epoch {task['epoch']}")


def trial_name(number: int) -> str:
    """'trial-0007': its folder, and its name in Tune."""
    return f"trial-{number:04d}"


def check_finite(progress: Progress) -> None:
    """Nothing, if a fit has not diverged.

    Raises:
        NotFiniteError: its training loss is not a number.
    """
    loss = progress.metrics.get("train_loss", 0.0)
    if not math.isfinite(loss):
        raise NotFiniteError(f"the training loss is {loss} at epoch {progress.epoch}; a lower learning rate may help.")


def report_again(last: Checkpoint, setup: TrialSetup) -> EpochReport:
    """What a trial said at its last checkpoint."""
    value = setup.judge.value({name: last.metrics[recorded_name(name)] for name in setup.judge.objectives})
    return EpochReport(last.epoch, value, last.metrics, str(last.path.relative_to(setup.folder)))


def run_in_tune(config: Mapping[str, Any], *, shared: SharedStore, setup: TrialSetup, fit: Callable[..., None]) -> None:
    """Run a trial in a Ray Tune actor, which may have run others before.

    Args:
        config: trial, family, params, seed, max_epochs, cpus, gpus.
        shared: the store.
        setup: of the sweep.
        fit: called with the configuration and the shared store, and as `fit_trial` is.
    """
    from ray import tune

    plan, node = plan_of(config, setup), this_node()

    def send(report: EpochReport) -> None:
        faulthandler.cancel_dump_traceback_later()
        log.info("epoch %d of %d: %s %.6g", report.epoch, plan.max_epochs, setup.judge.metric, report.value)
        tune.report({**report._asdict(), "device": plan.device, "node": node})
        faulthandler.dump_traceback_later(setup.timeout_s, exit=True)

    # A hung process can't be asked to stop: this ends it from a thread of C, and Tune starts the trial again.
    faulthandler.dump_traceback_later(setup.timeout_s, exit=True)
    try:
        fit(config, shared, setup=setup, plan=plan, send=send)
    except (NotFiniteError, FitError) as error:
        faulthandler.cancel_dump_traceback_later()
        log.info("gives up: %s", error)
        tune.report({"failure": str(error)})  # raised, it would be tried again, to the same end
    finally:
        faulthandler.cancel_dump_traceback_later()


def this_node() -> str:
    """Ray's id of the machine that this process is on."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def report_halt(error: BaseException, setup: TrialSetup) -> bool:
    """Whether an error is one that no trial gets past; then the driver is told, and ends the sweep to be resumed."""
    from ray import tune

    halt = full_disk(error, folder=setup.folder)
    if halt is None:
        return False
    tune.report({"halt": f"{socket.gethostname()}: {halt}"})
    return True


def plan_of(config: Mapping[str, Any], setup: TrialSetup, *, rank: int = 0, n_workers: int = 1) -> FitPlan:
    """What a worker of a trial is given to fit with; for `config` see `run_in_tune`."""
    return FitPlan(
        seed=config["seed"],
        max_epochs=config["max_epochs"],
        device=device_for(config["gpus"]),
        n_threads=max(1, int(config["cpus"])),
        reproducible=setup.reproducible,
        rank=rank,
        n_workers=n_workers,
        gpu_share=min(1.0, config["gpus"]) or 1.0,
        code=setup.code,
    )


def device_for(gpus: float) -> str:
    """'cuda' for a trial that has (a part of) a GPU, else 'cpu'.

    Raises:
        RuntimeError: a GPU was given that torch doesn't see.
    """
    if not gpus:
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError(
            "this trial was given a GPU, but torch finds none: its build has no CUDA, or the driver is missing."
        )
    return "cuda"
