"""How good the winner is on the test split, beside the baseline. Each winner of a sweep is scored there once.

A sweep has one winner, unless a person extends it after its end and another one wins.
"""

import math
import statistics
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from genotune.genome.fold import Fold
from genotune.journal import Journal
from genotune.judging import Judge, fold_metric, lesson_of, score_model
from genotune.store import Splits, Store
from genotune.sweep_state import SweepState
from genotune.trainables import FAMILIES, build_trainable, load_model, settings_of
from genotune.trainables.model import Model
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitPlan

BASELINE: Final = "ridge"
"""The family whose defaults every winner has to beat."""

COVARIATES: Final = "covariates_only"
"""The family that says what is predicted without the genome, on data that have covariates."""

_FEWEST_FOLDS: Final = 3
"""On fewer, a spread says nothing."""


class Candidate(NamedTuple):
    """A checkpoint that may win.

    Attributes:
        value: the objective on validation.
        checkpoint: its folder, relative to the trials' folder.
    """

    trial: int
    epoch: int
    value: float
    checkpoint: str


def candidates(
    state: SweepState, folder: Path, judge: Judge, *, stored: Collection[str] = frozenset()
) -> list[Candidate]:
    """The best checkpoint of each trial, the best first; the earlier epoch and trial where two are equal.

    Of trials that are equal in the primary of several objectives, those that are better in the further ones come first.

    Args:
        state: of the sweep.
        folder: the trials' folder; a checkpoint that is no longer there can't win.
        judge: the objective and its direction.
        stored: checkpoints that lie in the sweep's storage, so that they may.
    """
    found = []
    for trial in state.trials.values():
        there = [
            Candidate(trial.number, epoch, trial.curve[epoch], path)
            for epoch, path in trial.checkpoints.items()
            if math.isfinite(trial.curve[epoch]) and (path in stored or (folder / path).exists())
        ]
        if there:
            found.append(min(there, key=lambda one: (-judge.higher_is_better(one.value), one.epoch)))

    def place(one: Candidate) -> tuple[float, ...]:
        further = judge.further_losses(state.trials[one.trial].metrics[one.epoch])
        return (-judge.higher_is_better(one.value), *further, one.trial)

    return sorted(found, key=place)


def choose_finalists(
    state: SweepState, folder: Path, judge: Judge, *, per_family: int, stored: Collection[str] = frozenset()
) -> list[Candidate]:
    """The best of each family, no two of them with the same hyperparameters; see `candidates`."""
    chosen: dict[str, list[Candidate]] = {}
    for one in candidates(state, folder, judge, stored=stored):
        trial = state.trials[one.trial]
        others = chosen.setdefault(trial.family, [])
        is_new = all(state.trials[other.trial].params != trial.params for other in others)
        if is_new and len(others) < per_family:
            others.append(one)
    return sorted((one for ones in chosen.values() for one in ones), key=lambda one: one.trial)


def choose_winner(
    state: SweepState, folder: Path, judge: Judge, *, stored: Collection[str] = frozenset()
) -> Candidate | None:
    """The best on validation over all families; of finalists that were compared on folds, the simplest of the best.

    That is the one of the simplest family among those whose mean over the folds is at most one standard error of the
    paired difference behind the best mean: what is no better than chance says is not worth a more complex model.
    Source: Breiman et al. 1984 (CART), section 3.4.3, the one-standard-error rule, here on paired differences.

    Args:
        state: of the sweep.
        folder: the trials' folder; a checkpoint that is no longer there can't win.
        judge: the objective and its direction.
        stored: as for `candidates`.
    """
    there = candidates(state, folder, judge, stored=stored)
    compared = [one for one in there if fold_values(state, one, judge)]
    if not compared:
        return there[0] if there else None
    best = min(compared, key=lambda one: (-judge.higher_is_better(fold_mean(state, one, judge)), one.trial))
    good = [one for one in compared if one is best or _is_within_error(state, one, best, judge)]
    return min(
        good,
        key=lambda one: (
            FAMILIES[state.trials[one.trial].family][0].complexity,
            -judge.higher_is_better(fold_mean(state, one, judge)),
            one.trial,
        ),
    )


def _is_within_error(state: SweepState, one: Candidate, best: Candidate, judge: Judge) -> bool:
    """Whether a candidate is at most one standard error behind the best, fold by fold."""
    values, of_best = fold_values(state, one, judge), fold_values(state, best, judge)
    behind = [
        judge.higher_is_better(value) - judge.higher_is_better(values.get(fold, math.nan))
        for fold, value in sorted(of_best.items())
    ]
    if len(behind) < _FEWEST_FOLDS or not all(map(math.isfinite, behind)):
        return False
    return statistics.mean(behind) <= statistics.stdev(behind) / math.sqrt(len(behind))


def fold_values(state: SweepState, one: Candidate, judge: Judge) -> dict[int, float]:
    """The objective of a candidate by fold, NaN where it is not defined; nothing of one that met no folds.

    A finalist met them after the trials, a trial on folds (`trials.folds`) as it was fitted.
    """
    if one.trial in state.folds:
        return {fold: metrics.get(judge.metric, math.nan) for fold, metrics in state.folds[one.trial].items()}
    metrics = state.trials[one.trial].metrics[one.epoch]
    found: dict[int, float] = {}
    while (name := fold_metric(len(found), judge.metric)) in metrics:
        found[len(found)] = metrics[name]
    return found


def fold_mean(state: SweepState, one: Candidate, judge: Judge) -> float:
    """Mean objective of a candidate over its folds; as bad as can be where it is not defined on one of them."""
    values = fold_values(state, one, judge).values()
    mean = sum(values) / len(values)
    return mean if math.isfinite(mean) else -judge.higher_is_better(math.inf)


def winner_folder(state: SweepState, sweep: Path) -> Path:
    """Where the winner's model lies: that of its checkpoint, or the one that was fitted on all that isn't test.

    Args:
        state: of a sweep that has a winner.
        sweep: its folder.
    """
    assert state.winner is not None
    if state.refitted is not None:
        return sweep / str(state.refitted["model"])
    return validated_folder(state, sweep)


def validated_folder(state: SweepState, sweep: Path) -> Path:
    """Where the model lies that won on validation."""
    assert state.winner is not None
    return sweep / "trials" / str(state.winner["checkpoint"]) / "model"


def load_winner(state: SweepState, sweep: Path) -> Model:
    """The winner's model, on the CPU; see `winner_folder`."""
    # The code, if there is any, is what the sweep's own spec named.
    return load_model(winner_folder(state, sweep), trust_code=True)


def load_validated(state: SweepState, sweep: Path) -> Model:
    """The model that won on validation, on the CPU, though it may have been fitted once more on validation since."""
    return load_model(validated_folder(state, sweep), trust_code=True)


def baselines_of(columns: frozenset[str]) -> tuple[str, ...]:
    """The families that stand beside every winner on data with these columns, fitted at no cost to the budget."""
    return tuple(family for family in (BASELINE, COVARIATES) if settings_of(family, columns) is not None)


def baseline_title(columns: frozenset[str]) -> str:
    """What a person calls the first baseline on data with these columns."""
    kind = settings_of(BASELINE, columns)
    assert kind is not None, "every kind of data has a baseline"
    return kind.title


def fit_baseline(family: str, store: Store, splits: Splits, *, seed: int) -> Model:
    """A baseline with its family's defaults, fitted as a trial is.

    Raises:
        UserError: the family can't learn from these data.
    """
    plan = FitPlan(seed=seed, max_epochs=1, n_threads=1)
    lesson = lesson_of(store, splits)
    trainable = build_trainable(family, {}, store.columns)
    return fit_prepared(trainable, lesson.store, lesson.splits, report=lambda _: None, plan=plan)


def score_once(
    journal: Journal,
    subjects: Mapping[str, Callable[[], Model]],
    *,
    store: Store,
    fold: Fold,
    judge: Judge,
) -> None:
    """Write the metrics of each subject on the test split; what the journal holds already is not scored again.

    Args:
        journal: takes each score at once.
        subjects: by name, how to get the model.
        store: the data.
        fold: its test split is what no trial saw.
        judge: the sweep's metrics.
    """
    for name, model in subjects.items():
        is_scored = journal.state.winner_is_tested if name == "winner" else name in journal.state.scores
        if not is_scored:
            metrics = score_model(model(), store, members=fold.test, judge=judge, tracks=fold.tracks_of("test"))
            journal.append("scored", split="test", subject=name, metrics=finite(metrics))


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those that are defined: the journal holds no NaN."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
