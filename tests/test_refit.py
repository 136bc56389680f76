"""Sweeps whose winner is fitted once more, on training and validation together."""

import numpy as np
import pytest

from genotune.errors import SpecError
from genotune.genome.fold import Fold, TrackFold
from genotune.journal import read_events, read_state
from genotune.plan import make_plan
from genotune.refit import whole
from genotune.spec import read_spec
from genotune.trainables import build_trainable, load_model
from genotune.trainables.trainable import FitPlan
from sweeps import assert_record_is_complete, sweep_folder


def test_all_that_is_not_test_is_learned_from():
    fold = Fold(np.array([0, 4]), np.array([2]), np.array([1, 3]))
    assert whole(fold).train.tolist() == [0, 2, 4]
    assert whole(fold).validation.tolist() == [2]
    tracks = TrackFold(np.array([3]), np.array([0, 1]), np.array([2]))
    assert whole(Fold(*fold, tracks=tracks)).tracks.train.tolist() == [0, 1, 3]


def test_what_does_not_go_with_trials_on_folds_is_said(edited):
    spec = edited(("trials: {concurrent: 1}", "trials: {concurrent: 1, folds: 2}\nevaluation: {folds: 2}"))
    with pytest.raises(SpecError, match=r"evaluation\.folds: the trials are fitted on folds already \(trials\.folds\)"):
        make_plan(read_spec(spec))


def test_workers_that_share_a_trial_on_folds_are_refused(edited):
    spec = edited(
        ("trials: {concurrent: 1}", "trials: {concurrent: 1, folds: 2}\nresources: {poisson_cnn: {workers: 2}}")
    )
    with pytest.raises(
        SpecError,
        match=r"resources\.poisson_cnn\.workers: found 2; a trial on folds \(trials\.folds\) is fitted by one\.",
    ):
        make_plan(read_spec(spec))


def test_more_folds_than_contigs_are_refused(edited):
    spec = edited(("trials: {concurrent: 1}", "trials: {concurrent: 1, folds: 5}"))
    with pytest.raises(
        SpecError, match=r"trials\.folds: found 5; training and validation have 2 groups to hold out\. Ask for fewer\."
    ):
        make_plan(read_spec(spec))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["folds", "refit"])
def test_the_winner_is_fitted_again_on_all_but_test_and_it_is_that_model_which_is_kept(genotune, edited, tmp_path, how):
    changes = {
        "folds": ("trials: {concurrent: 1}", "trials: {concurrent: 1, folds: 2}"),
        "refit": ("trials: {concurrent: 1}", "trials: {concurrent: 1}\nevaluation: {refit: true}"),
    }
    path = edited(changes[how], ("budget: {trials: 5}", "budget: {trials: 3}"))
    result = genotune("run", path)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    state = read_state(folder)
    assert_record_is_complete(tmp_path, state)
    winner = state.trials[state.winner["trial"]]
    plan = make_plan(read_spec(path))
    store = plan.data.read_store_here(plan.fold).store
    models = []
    trainable = build_trainable(winner.family, winner.params, store.columns)
    trainable.fit(
        store,
        whole(plan.fold),
        report=lambda progress: (
            models.append(progress.epoch) or progress.model.save(made(tmp_path / f"m{progress.epoch}"))
        ),
        plan=FitPlan(winner.seed, plan.families[winner.family].max_epochs),
    )
    codes = np.random.default_rng(0).integers(0, 4, (2, trainable.windows.length_bp)).astype(np.uint8)
    expected = load_model(tmp_path / f"m{state.winner['epoch']}").predict(codes)
    np.testing.assert_array_equal(load_model(folder / "refitted" / "model").predict(codes), expected)
    assert {"winner", "ridge"} == {*state.scores}
    if how == "folds":
        metrics = winner.metrics[state.winner["epoch"]]
        values = [metrics["fold_1.pearson"], metrics["fold_2.pearson"]]
        assert state.winner["value"] == pytest.approx(np.mean(values))
        assert "2 folds of training and validation: pearson" in result.stdout
    kinds = [event.kind for event in read_events(folder / "journal.jsonl")]
    assert kinds.index("winner") < kinds.index("refitted") < kinds.index("scored")
    again = genotune("resume", folder.name)
    assert again.returncode == 0, again.stderr
    assert [event.kind for event in read_events(folder / "journal.jsonl")].count("refitted") == 1


def made(folder):
    folder.mkdir()
    return folder
