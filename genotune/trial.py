"""One trial: a draw fitted, scored on the sweep's validation split, and reported at every epoch.

`fit_trial` needs no Ray; `run_in_tune` is its wrapper for a Ray Tune actor, the only one.
"""

import faulthandler
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genotune.checkpoints import Checkpoint, CheckpointFolder
from genotune.columns import TargetKind
from genotune.metrics import METRICS, RECORDED, Direction
from genotune.scoring import score, score_samples
from genotune.store import GenotypeStore, IntArray, SequenceStore, Splits, Store
from genotune.trainables import build_trainable
from genotune.trainables.model import GenotypeModel, Model, SequenceModel
from genotune.trainables.trainable import FitPlan, Progress


class Judge(NamedTuple):
    """How every trial of a sweep is judged.

    Attributes:
        metric: the objective.
        kind: what is predicted.
        bin_bp: width of the bins of a signal; None of anything else.
    """

    metric: str
    kind: TargetKind = "signal"
    bin_bp: int | None = None

    @property
    def direction(self) -> Direction:
        """Whether higher or lower is better."""
        return METRICS[self.metric].direction

    @property
    def metrics(self) -> tuple[str, ...]:
        """The objective first, then what is recorded beside it."""
        return tuple(dict.fromkeys((self.metric, *RECORDED[self.kind])))

    def higher_is_better(self, value: float) -> float:
        """The objective, turned so that higher is better."""
        return value if self.direction == "maximize" else -value


class TrialSetup(NamedTuple):
    """What all trials of a sweep have in common.

    Attributes:
        folder: the trials' own folders lie in it.
        timeout_s: a process that reports nothing for so long ends itself.
    """

    splits: Splits
    judge: Judge
    folder: Path
    best: int
    last: int
    timeout_s: float
    reproducible: bool


class EpochReport(NamedTuple):
    """What a trial says at the end of an epoch.

    Attributes:
        value: the objective, in its own direction; NaN where it is not a number.
        checkpoint: path relative to `TrialSetup.folder`.
    """

    epoch: int
    value: float
    metrics: Mapping[str, float]
    checkpoint: str


class NotFiniteError(ArithmeticError):
    """A loss that is no number: the trial has diverged, and would not come back."""


def fit_trial(
    task: Mapping[str, Any],
    store: Store,
    *,
    setup: TrialSetup,
    plan: FitPlan,
    send: Callable[[EpochReport], None],
) -> None:
    """Fit one draw, from its last checkpoint if it has one.

    Args:
        task: trial, family, params, as the controller gave them.
        store: the data.
        setup: of the sweep.
        plan: seed, epochs, device and threads of this trial.
        send: takes each epoch's report; raises to end the trial.

    Raises:
        NotFiniteError: the training loss is not a number.
    """
    trainable = build_trainable(task["family"], task["params"], store.columns)
    folder = CheckpointFolder(setup.folder / trial_name(task["trial"]), best=setup.best, last=setup.last)
    last = folder.latest()
    if last is not None:
        send(_report_again(last, setup))

    def report(progress: Progress) -> float:
        loss = progress.metrics.get("train_loss", 0.0)
        if not math.isfinite(loss):
            raise NotFiniteError(
                f"the training loss is {loss} at epoch {progress.epoch}; a lower learning rate may help."
            )
        scores = validate(progress.model, store, setup=setup)
        value = scores[setup.judge.metric]
        metrics = {**progress.metrics, **{f"validation.{name}": number for name, number in scores.items()}}
        checkpoint = folder.write(progress, score=setup.judge.higher_is_better(value), metrics=metrics)
        send(EpochReport(progress.epoch, value, metrics, str(checkpoint.path.relative_to(setup.folder))))
        return setup.judge.higher_is_better(value)

    trainable.fit(store, setup.splits, report=report, plan=plan, resume=last.state if last else None)


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
            raise _ReachedError(score_model(progress.model, store, members=splits.validation, judge=judge))

    trainable = build_trainable(task["family"], task["params"], store.columns)
    try:
        trainable.fit(store, splits, report=report, plan=plan)
    except _ReachedError as reached:
        return reached.metrics
    raise AssertionError(f"{task['family']} ended before epoch {task['epoch']}")


def validate(model: Model, store: Store, *, setup: TrialSetup) -> dict[str, float]:
    """The sweep's metrics of a model on the validation split, the same bins or samples for every model."""
    return score_model(model, store, members=setup.splits.validation, judge=setup.judge)


def score_model(model: Model, store: Store, *, members: IntArray, judge: Judge) -> dict[str, float]:
    """The sweep's metrics of a model on these contigs, in bins of `judge.bin_bp`, or on these samples."""
    if isinstance(store, GenotypeStore):
        assert isinstance(model, GenotypeModel), type(model)
        predicted = model.predict_samples(store, members)
        return score_samples(store.phenotype[members], predicted, metrics=judge.metrics)
    assert isinstance(model, SequenceModel), type(model)
    assert judge.bin_bp is not None, "a signal is scored in bins"
    return _score_contigs(model, store, contigs=members, judge=judge, bin_bp=judge.bin_bp)


def _score_contigs(
    model: SequenceModel, store: SequenceStore, *, contigs: IntArray, judge: Judge, bin_bp: int
) -> dict[str, float]:
    return score(
        lambda contig: model.predict_contig(store, contig),
        store,
        contigs,
        model_bin_bp=model.bin_bp,
        bin_bp=bin_bp,
        metrics=judge.metrics,
    )


def trial_name(number: int) -> str:
    """'trial-0007': its folder, and its name in Tune."""
    return f"trial-{number:04d}"


def _report_again(last: Checkpoint, setup: TrialSetup) -> EpochReport:
    value = last.metrics[f"validation.{setup.judge.metric}"]
    return EpochReport(last.epoch, value, last.metrics, str(last.path.relative_to(setup.folder)))


_stores: dict[str, Store] = {}
"""The store of this process, by the id of its Ray object: read once, kept from trial to trial."""


class SharedStore(NamedTuple):
    """A store behind one Ray object; hidden in a tuple, so that Ray hands on the reference and not the arrays."""

    reference: Any

    def get(self) -> Store:
        """The store, its arrays lying in the node's shared memory."""
        import ray

        key = self.reference.hex()
        if key not in _stores:
            _stores.clear()
            _stores[key] = ray.get(self.reference)
        return _stores[key]


def run_in_tune(config: Mapping[str, Any], *, shared: SharedStore, setup: TrialSetup) -> None:
    """Run a trial in a Ray Tune actor, which may have run others before.

    Args:
        config: trial, family, params, seed, max_epochs, cpus, gpus.
        shared: the store.
        setup: of the sweep.
    """
    from ray import tune

    device = device_for(config["gpus"])
    n_threads = max(1, int(config["cpus"]))
    plan = FitPlan(
        seed=config["seed"],
        max_epochs=config["max_epochs"],
        device=device,
        n_threads=n_threads,
        reproducible=setup.reproducible,
    )

    def send(report: EpochReport) -> None:
        faulthandler.cancel_dump_traceback_later()
        tune.report({**report._asdict(), "device": device})
        faulthandler.dump_traceback_later(setup.timeout_s, exit=True)

    # A hung process can't be asked to stop: this ends it from a thread of C, and Tune starts the trial again.
    faulthandler.dump_traceback_later(setup.timeout_s, exit=True)
    try:
        fit_trial(config, shared.get(), setup=setup, plan=plan, send=send)
    except NotFiniteError as error:
        faulthandler.cancel_dump_traceback_later()
        tune.report({"failure": str(error)})  # raised, it would be tried again, to the same end
    finally:
        faulthandler.cancel_dump_traceback_later()


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
