"""Finalists are fitted again on folds, in tasks of Ray; what happens is in the journal."""

import logging

import pytest

from genotune.evaluation import Candidate, choose_winner
from genotune.finalists import score_on_folds
from genotune.journal import Journal
from genotune.plan import make_plan
from genotune.spec import read_spec

# ray.data 2.60 warns about its own defaults when its context is made.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


def params(length_bp):
    windows = {"length_bp": length_bp, "stride_bp": length_bp, "select": "tiles"}
    return {"windows": windows, "bin_bp": 16, "channels": 2, "n_blocks": 0, "stem_width": 9}


def test_a_finalist_that_can_not_be_fitted_without_a_fold_can_not_win(ray_on_two_cpus, edited, tmp_path, caplog):
    """Windows of 16,384 bp fit chrA (40,000 bp) and not chrB (12,000 bp), which is all that is left without chrA."""
    spec = edited(("budget: {trials: 5}", "budget: {trials: 5}\nevaluation: {folds: 2}"))
    plan = make_plan(read_spec(spec))
    folder = tmp_path / "sweep"
    (folder / "trials").mkdir(parents=True)
    with Journal(folder) as journal, caplog.at_level(logging.WARNING, "genotune"):
        finalists = []
        for trial, (length_bp, value) in enumerate(((16_384, 0.9), (256, 0.1))):
            journal.append("proposed", trial=trial, family="poisson_cnn", picks={}, params=params(length_bp), seed=1)
            path = f"trial-{trial}"
            (folder / "trials" / path).mkdir()
            journal.append("report", trial=trial, epoch=2, value=value, metrics={}, checkpoint=path)
            finalists.append(Candidate(trial, 2, value, path))
        score_on_folds(plan, journal, finalists)
        n_events = len([*journal.events()])
        score_on_folds(plan, journal, finalists)
        assert len([*journal.events()]) == n_events, "what is known is not fitted again"
        without_a = next(index for index, fold in enumerate(plan.folds) if fold.validation.tolist() == [0])
        assert journal.state.folds[0][without_a] == {}
        assert "pearson" in journal.state.folds[0][1 - without_a]
        assert all("pearson" in metrics for metrics in journal.state.folds[1].values())
        winner = choose_winner(journal.state, folder / "trials", plan.judge)
        assert winner.trial == 1
    assert "trial 0 on fold" in caplog.text
    assert "so it can't win: found windows of 16384 bp; the longest training contig" in caplog.text


def test_a_finalist_whose_trial_had_several_workers_is_fitted_by_one_of_them(ray_on_two_cpus, edited, tmp_path):
    """On two CPUs there is room for one worker only, and it gives what a trial of one worker does."""
    text = "budget: {trials: 5}\nevaluation: {folds: 2}\nresources: {poisson_cnn: {%s cpus: 2}}"
    spec = edited(("budget: {trials: 5}", text % "workers: 2,"))
    found = {}
    for workers in (2, 1):
        folder = tmp_path / f"sweep-{workers}"
        folder.mkdir()
        with Journal(folder) as journal:
            journal.append("proposed", trial=0, family="poisson_cnn", picks={}, params=params(256), seed=1)
            score_on_folds(make_plan(read_spec(spec)), journal, [Candidate(0, 2, 0.1, "trial-0")])
            found[workers] = journal.state.folds[0]
        spec.write_text(spec.read_text().replace("workers: 2,", ""))
    assert found[2] == found[1]
    assert all("pearson" in metrics for metrics in found[2].values())
