"""Choosing the winner, and scoring the test split once."""

import math

import numpy as np
import pytest

from genotune.evaluation import choose_winner, finite, score_once
from genotune.journal import Journal
from genotune.store import SequenceStore
from genotune.trainables.model import SequenceModel
from genotune.trial import Judge


@pytest.fixture
def journal(tmp_path):
    """Three trials; the checkpoints that were kept lie beside the journal."""
    with Journal(tmp_path) as journal:
        for number, family in enumerate(("poisson_cnn", "ridge", "poisson_cnn")):
            journal.append("proposed", trial=number, family=family, picks={}, params={}, seed=0)
        yield journal


def report(journal, trial, epoch, value, *, kept=True):
    path = f"trial-{trial:04d}/epoch-{epoch:04d}"
    journal.append("report", trial=trial, epoch=epoch, value=value, metrics={}, checkpoint=path)
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


def test_without_any_there_is_no_winner(journal):
    assert chosen(journal) is None


class Flat(SequenceModel):
    """Predicts the number of the bin; counts how often it was asked."""

    tracks, bin_bp, input_bp, crop_bp = ("sites",), 16, 16, 0

    def __init__(self):
        self.asked = 0

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
    model = Flat()
    for _ in range(2):
        score_once(
            journal, {"winner": lambda: model}, store=store, test=np.array([0]), judge=Judge("pearson", bin_bp=16)
        )
    assert model.asked == 1
    assert journal.state.scores["winner"]["pearson"] == pytest.approx(1.0)


def test_what_is_not_defined_is_left_out_of_the_record():
    assert finite({"a": 1.0, "b": math.nan, "c": -math.inf}) == {"a": 1.0}
