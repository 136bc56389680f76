"""How good the winner is on the test split, beside the baseline. The test split is scored once in a sweep's life."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from genotune.journal import Journal, SweepState
from genotune.store import IntArray, Splits, Store
from genotune.trainables import build_trainable, load_model, settings_of
from genotune.trainables.model import Model
from genotune.trainables.trainable import FitPlan
from genotune.trial import Judge, score_model

BASELINE: Final = "ridge"
"""The family whose defaults every winner has to beat."""


class Winner(NamedTuple):
    """The best checkpoint of a sweep.

    Attributes:
        value: the objective on validation.
        checkpoint: its folder, relative to the trials' folder.
    """

    trial: int
    epoch: int
    value: float
    checkpoint: str


def choose_winner(state: SweepState, folder: Path, judge: Judge) -> Winner | None:
    """The checkpoint with the best objective over all families; the earlier trial and epoch where two are equal.

    Args:
        state: of the sweep.
        folder: the trials' folder; a checkpoint that is no longer there can't win.
        judge: the objective and its direction.
    """
    candidates = [
        Winner(trial.number, epoch, trial.curve[epoch], path)
        for trial in state.trials.values()
        for epoch, path in trial.checkpoints.items()
        if math.isfinite(trial.curve[epoch]) and (folder / path).exists()
    ]
    return min(candidates, key=lambda one: (-judge.higher_is_better(one.value), one.trial, one.epoch), default=None)


def load_winner(winner: Winner, folder: Path) -> Model:
    """The winner's model, on the CPU."""
    return load_model(folder / winner.checkpoint / "model")


def baseline_title(columns: frozenset[str]) -> str:
    """What a person calls the baseline on data with these columns."""
    kind = settings_of(BASELINE, columns)
    assert kind is not None, "every kind of data has a baseline"
    return kind.title


def fit_baseline(store: Store, splits: Splits, *, seed: int) -> Model:
    """The baseline with its defaults (k-mer ridge on tracks, GBLUP on genotypes), fitted as a trial is."""
    plan = FitPlan(seed=seed, max_epochs=1, n_threads=1)
    return build_trainable(BASELINE, {}, store.columns).fit(store, splits, report=lambda _: None, plan=plan)


def score_once(
    journal: Journal,
    subjects: Mapping[str, Callable[[], Model]],
    *,
    store: Store,
    test: IntArray,
    judge: Judge,
) -> None:
    """Write the metrics of each subject on the test split; what the journal holds already is not scored again.

    Args:
        journal: takes each score at once.
        subjects: by name, how to get the model.
        store: the data.
        test: contigs or samples that no trial saw.
        judge: the sweep's metrics.
    """
    for name, model in subjects.items():
        if name not in journal.state.scores:
            metrics = score_model(model(), store, members=test, judge=judge)
            journal.append("scored", split="test", subject=name, metrics=finite(metrics))


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those that are defined: the journal holds no NaN."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
