"""Choosing the winner, and scoring the test split once."""

import math

import numpy as np
import pytest

from genotune.evaluation import (
    Candidate,
    choose_finalists,
    choose_winner,
    finite,
    fold_mean,
    score_once,
    winner_folder,
)
from genotune.genome.fold import Fold
from genotune.journal import Journal
from genotune.judging import Judge
from genotune.store import SequenceStore
from genotune.trainables.model import SequenceModel


@pytest.fixture
def journal(tmp_path):
    """Three trials; the checkpoints that were kept lie beside the journal."""
    with Journal(tmp_path) as journal:
        for number, family in enumerate(("poisson_cnn", "ridge", "poisson_cnn")):
            journal.append("proposed", trial=number, family=family, picks={}, params={}, seed=0)
        yield journal


def report(journal, trial, epoch, value, *, kept=True, folds=()):
    path = f"trial-{trial:04d}/epoch-{epoch:04d}"
    metrics = {f"fold_{fold + 1}.pearson": found for fold, found in enumerate(folds)}
    journal.append("report", trial=trial, epoch=epoch, value=value, metrics=metrics, checkpoint=path)
    if kept:
        (journal.path.parent / path).mkdir(parents=True)


def chosen(journal, metric="pearson"):
    winner = choose_winner(journal.state, journal.path.parent, Judge(metric, bin_bp=32))
    return winner and (winner.trial, winner.epoch)


def test_the_best_epoch_of_any_family_wins(journal):
    report(journal, 0, 1, 0.3)
    report(journal, 0, 2, 0.6)
    report(journal, 0, 3, 0.5)
    report(journal, 1, 1, 0.55)
    assert chosen(journal) == (0, 2)


def test_lower_wins_where_lower_is_better(journal):
    report(journal, 0, 1, 0.3)
    report(journal, 1, 1, 0.2)
    assert chosen(journal, "mse") == (1, 1)


def test_a_checkpoint_that_is_gone_or_no_number_cannot_win(journal):
    report(journal, 0, 1, 0.9, kept=False)
    report(journal, 1, 1, None)
    report(journal, 2, 1, 0.1)
    assert chosen(journal) == (2, 1)


def test_of_two_equal_the_earlier_trial_and_epoch_wins(journal):
    report(journal, 2, 1, 0.5)
    report(journal, 0, 2, 0.5)
    report(journal, 0, 1, 0.5)
    assert chosen(journal) == (0, 1)


def one(trial):
    return Candidate(trial, 1, 0.0, "")


def score_folds(journal, trial, *values, epoch=1):
    for fold, value in enumerate(values):
        metrics = {} if value is None else {"pearson": value}
        journal.append("fold_scored", trial=trial, epoch=epoch, fold=fold, n_folds=len(values), metrics=metrics)


def test_finalists_are_the_best_of_each_family(journal):
    journal.append("proposed", trial=3, family="poisson_cnn", picks={}, params={"channels": 8}, seed=0)
    for trial, value in ((0, 0.5), (1, 0.2), (2, 0.4), (3, 0.6)):
        report(journal, trial, 1, value)
    report(journal, 0, 2, 0.7)
    folder, judge = journal.path.parent, Judge("pearson", bin_bp=32)
    chosen = [(one.trial, one.epoch) for one in choose_finalists(journal.state, folder, judge, per_family=1)]
    assert chosen == [(0, 2), (1, 1)]
    # Trial 2 has the hyperparameters of trial 0, and would tell nothing new.
    chosen = [(one.trial, one.epoch) for one in choose_finalists(journal.state, folder, judge, per_family=3)]
    assert chosen == [(0, 2), (1, 1), (3, 1)]


def test_finalists_that_were_compared_on_folds_win_by_their_mean_there(journal):
    report(journal, 0, 1, 0.9)
    report(journal, 1, 1, 0.5)
    report(journal, 2, 1, 0.8)
    score_folds(journal, 0, 0.4, 0.5)
    score_folds(journal, 1, 0.7, 0.3)
    assert fold_mean(journal.state, one(1), Judge("pearson")) == pytest.approx(0.5)
    assert chosen(journal) == (1, 1)


@pytest.mark.parametrize(
    ("cnn", "ridge", "winner"),
    [
        # The CNN leads by 0.02, 0.00, 0.04: 0.02 on average, with a standard error of 0.0115.
        ((0.52, 0.50, 0.54), (0.50, 0.50, 0.50), 0),
        # By 0.06, -0.04, 0.01: 0.01 on average, with a standard error of 0.029.
        ((0.56, 0.46, 0.51), (0.50, 0.50, 0.50), 1),
        ((0.50, 0.50, 0.50), (0.50, 0.50, 0.50), 1),
        # On two folds a spread says nothing.
        ((0.56, 0.46), (0.50, 0.50), 0),
    ],
)
def test_a_simpler_family_wins_if_it_is_within_one_standard_error_of_the_best(journal, cnn, ridge, winner):
    report(journal, 0, 1, 0.9)
    report(journal, 1, 1, 0.5)
    score_folds(journal, 0, *cnn)
    score_folds(journal, 1, *ridge)
    assert chosen(journal) == (winner, 1)


@pytest.mark.parametrize(
    ("cnn", "ridge", "winner"),
    [((0.52, 0.50, 0.54), (0.50, 0.50, 0.50), 0), ((0.56, 0.46, 0.51), (0.50, 0.50, 0.50), 1)],
)
def test_trials_that_were_fitted_on_folds_are_compared_in_the_same_way(journal, cnn, ridge, winner):
    report(journal, 0, 1, sum(cnn) / 3, folds=cnn)
    report(journal, 1, 1, sum(ridge) / 3, folds=ridge)
    report(journal, 2, 1, 0.1, folds=(0.1, 0.1, 0.1))
    assert chosen(journal) == (winner, 1)


def test_the_winners_model_is_the_one_that_was_fitted_again(journal):
    report(journal, 0, 1, 0.9)
    journal.append("winner", trial=0, epoch=1, value=0.9, checkpoint="trial-0000/epoch-0001")
    folder = journal.path.parent
    assert winner_folder(journal.state, folder) == folder / "trials" / "trial-0000" / "epoch-0001" / "model"
    journal.append("refitted", trial=0, epoch=1, model="refitted/model")
    assert winner_folder(journal.state, folder) == folder / "refitted" / "model"


def test_the_better_of_a_family_wins_however_near_the_other_is(journal):
    report(journal, 0, 1, 0.9)
    report(journal, 2, 1, 0.9)
    score_folds(journal, 0, 0.50, 0.60, 0.40)
    score_folds(journal, 2, 0.51, 0.59, 0.41)
    assert chosen(journal) == (2, 1)


def test_a_finalist_without_a_value_on_a_fold_cannot_win(journal):
    report(journal, 0, 1, 0.9)
    report(journal, 1, 1, 0.5)
    score_folds(journal, 0, 0.9, None)
    score_folds(journal, 1, 0.1, 0.1)
    assert chosen(journal) == (1, 1)
    assert fold_mean(journal.state, one(0), Judge("pearson")) == -math.inf
    assert fold_mean(journal.state, one(0), Judge("mse")) == math.inf


def test_without_any_there_is_no_winner(journal):
    assert chosen(journal) is None


class Flat(SequenceModel):
    """Predicts the number of the bin; counts how often it was asked."""

    tracks, bin_bp, input_bp, crop_bp = ("sites",), 16, 16, 0

    def __init__(self):
        self.asked = 0

    n_parameters = 0

    def predict(self, codes):
        self.asked += 1
        return np.arange(len(codes), dtype=np.float32).reshape(-1, 1, 1)

    def save(self, folder):
        raise AssertionError("not saved here")

    load = save


def test_the_test_split_is_scored_once_in_a_sweeps_life(journal):
    store = SequenceStore(
        sequence=np.zeros(160, np.uint8),
        signal=np.arange(10, dtype=np.float32).reshape(1, -1) * 2,
        offsets=np.array([0, 10]),
        lengths=np.array([160]),
        contigs=("chrT",),
        tracks=("sites",),
        resolution_bp=16,
    )
    model, fold = Flat(), Fold(*(np.arange(n) for n in (0, 0, 1)))
    for _ in range(2):
        score_once(journal, {"winner": lambda: model}, store=store, fold=fold, judge=Judge("pearson", bin_bp=16))
    assert model.asked == 1
    assert journal.state.scores["winner"]["pearson"] == pytest.approx(1.0)


def test_what_is_not_defined_is_left_out_of_the_record():
    assert finite({"a": 1.0, "b": math.nan, "c": -math.inf}) == {"a": 1.0}


def test_of_trials_that_are_equal_in_the_primary_objective_one_that_is_not_beaten_wins(journal):
    for trial, mse in ((0, 0.5), (1, 0.25), (2, 0.4)):
        path = f"trial-{trial}/epoch-1"
        metrics = {"validation.pearson": 0.5, "validation.mse": mse}
        journal.append("report", trial=trial, epoch=1, value=0.5, metrics=metrics, checkpoint=path)
        (journal.path.parent / path).mkdir(parents=True)
    folder = journal.path.parent
    assert choose_winner(journal.state, folder, Judge("pearson", further=("mse",))).trial == 1
    assert choose_winner(journal.state, folder, Judge("pearson")).trial == 0
