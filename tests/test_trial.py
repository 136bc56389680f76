"""One trial without Ray: scored on the sweep's bins, checkpointed every epoch, and resumed as if nothing were."""

import json
import math

import numpy as np
import pytest

from genotune.judging import Judge, score_model
from genotune.store import SequenceStore, Splits
from genotune.trainables import build_trainable, load_model
from genotune.trainables.trainable import FitError, FitPlan, Progress
from genotune.trial import NotFiniteError, TrialSetup, device_for, fit_trial, score_draw, trial_name

PARAMS = {
    "windows": {"length_bp": 128, "stride_bp": 128, "select": "tiles"},
    "bin_bp": 16,
    "channels": 4,
    "n_blocks": 1,
    "stem_width": 9,
    "schedule": {"kind": "plateau", "patience": 1},
}
TASK = {"trial": 3, "family": "poisson_cnn", "params": PARAMS}


@pytest.fixture(scope="module")
def store():
    rng = np.random.default_rng(0)
    n_bins = (400, 100)
    sequence = rng.integers(0, 4, sum(n_bins) * 16).astype(np.uint8)
    signal = rng.poisson(0.5, (1, sum(n_bins))).astype(np.float32)
    return SequenceStore(
        sequence=sequence,
        signal=signal,
        offsets=np.array([0, 400, 500]),
        lengths=np.array([6400, 1600]),
        contigs=("chrA", "chrB"),
        tracks=("sites",),
        resolution_bp=16,
    )


@pytest.fixture
def setup(tmp_path):
    return TrialSetup(
        splits=Splits(np.array([0]), np.array([1])),
        judge=Judge("pearson", bin_bp=16),
        folder=tmp_path / "trials",
        best=1,
        last=1,
        timeout_s=600,
        reproducible=False,
    )


PLAN = FitPlan(seed=11, max_epochs=4)


def reports_of(task, store, *, setup, die_after=None):
    """What a trial reports; it may die after so many reports."""
    reports = []

    def send(report):
        reports.append(report)
        if len(reports) == die_after:
            raise KeyboardInterrupt("the process died")

    try:
        fit_trial(task, store, setup=setup, plan=PLAN, send=send)
    except KeyboardInterrupt:
        assert die_after is not None
    return reports


def without_clock(report):
    return report._replace(metrics={name: value for name, value in report.metrics.items() if name != "windows_per_s"})


def test_every_epoch_is_reported_with_the_objective_and_a_checkpoint_that_gives_it(store, setup):
    reports = reports_of(TASK, store, setup=setup)
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert all(report.metrics["validation.pearson"] == report.value for report in reports)
    last = reports[-1]
    assert last.checkpoint == f"{trial_name(3)}/epoch-0004"
    model = load_model(setup.folder / last.checkpoint / "model")
    again = score_model(model, store, members=setup.splits.validation, judge=setup.judge)
    assert again["pearson"] == pytest.approx(last.value, abs=1e-6)


@pytest.mark.parametrize("die_after", [1, 2, 3])
def test_a_trial_that_died_goes_on_and_reports_what_it_would_have(store, setup, die_after):
    expected = [
        without_clock(one) for one in reports_of(TASK, store, setup=setup._replace(folder=setup.folder / "whole"))
    ]
    before = reports_of(TASK, store, setup=setup, die_after=die_after)
    after = reports_of(TASK, store, setup=setup)
    assert after[0] == before[-1], "the last report is given again: the driver may not have heard it"
    assert [without_clock(one) for one in before[:-1] + after] == expected


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_draw_that_is_fitted_again_scores_what_the_trial_did_at_that_epoch(store, setup, epoch):
    reports = reports_of(TASK | {"params": {**PARAMS, "schedule": {"kind": "cosine"}}}, store, setup=setup)
    task = {"family": "poisson_cnn", "params": {**PARAMS, "schedule": {"kind": "cosine"}}, "epoch": epoch}
    metrics = score_draw(task, store, splits=setup.splits, judge=setup.judge, plan=PLAN)
    assert metrics["pearson"] == reports[epoch - 1].value


@pytest.mark.parametrize("die_after", [None, 1, 2])
def test_a_copy_goes_on_from_the_other_trials_checkpoint_with_params_of_its_own(store, setup, die_after):
    """What it comes to is what the other trial would, had its learning rate been changed there; dead or not."""
    setup = setup._replace(generation_epochs=2)
    changed = TASK | {"params": {**PARAMS, "learning_rate": 0.01}}
    reports_of(TASK, store, setup=setup, die_after=2)
    expected = reports_of(changed, store, setup=setup)[1:]
    setup = setup._replace(folder=setup.folder.with_name("copied"))
    other, own = TASK | {"trial": 5}, TASK | {"params": {**PARAMS, "channels": 8}}
    reports_of(other, store, setup=setup, die_after=2)
    before = reports_of(own, store, setup=setup, die_after=2)
    copy = changed | {"start_from": f"{trial_name(5)}/epoch-0002"}
    if die_after is not None:
        reports_of(copy, store, setup=setup, die_after=die_after)
        assert (setup.folder / trial_name(5) / "epoch-0002").exists()
    reports = reports_of(copy, store, setup=setup)
    if die_after is None or die_after == 1:
        assert reports[0] == before[-1], "its own last report is given again"
    assert [one.epoch for one in reports] == ([3, 4] if die_after == 2 else [2, 3, 4])
    assert [without_clock(one) for one in reports[-len(expected) :]] == [without_clock(one) for one in expected]
    assert [one.epoch for one in expected] == [3, 4]


def test_what_was_kept_for_copies_is_let_go_of_when_none_goes_on(store, setup):
    waiting = setup._replace(generation_epochs=2)
    reports_of(TASK, store, setup=waiting, die_after=3)
    names = {path.name for path in (setup.folder / trial_name(3)).glob("epoch-*")}
    assert {"epoch-0002", "epoch-0003"} <= names
    waiting.give_space_back([3])
    left = setup.checkpoints(3).all()
    assert len(left) <= 2
    assert max(left).epoch == 3
    assert max(left, key=lambda one: one.score).score == max(one.score for one in left)


def test_a_copy_whose_origin_is_gone_fails_and_says_so(store, setup):
    with pytest.raises(FitError, match=r"trial-0005/epoch-0002: this checkpoint, which the trial is to go on from, is"):
        reports_of(TASK | {"start_from": f"{trial_name(5)}/epoch-0002"}, store, setup=setup)


def test_a_trial_that_had_ended_only_reports_its_end_again(store, setup):
    whole = reports_of(TASK, store, setup=setup)
    assert reports_of(TASK, store, setup=setup) == whole[-1:]


def test_a_loss_that_is_no_number_fails_the_trial_and_says_what_may_help(store, setup, monkeypatch):
    from genotune.trainables.poisson_cnn import PoissonCNN

    def diverge(self, store, splits, *, report, plan, resume=None):
        report(Progress(1, None, {"train_loss": math.nan}, None))

    monkeypatch.setattr(PoissonCNN, "fit", diverge)  # a divergence at will can't be had otherwise
    with pytest.raises(NotFiniteError, match="the training loss is nan at epoch 1; a lower learning rate may help"):
        reports_of(TASK, store, setup=setup)


def test_the_first_of_several_workers_shares_where_it_goes_on_from_and_each_value(store, setup):
    shared = []

    def share(value):
        shared.append(value)
        return value

    reports = []
    fit_trial(TASK, store, setup=setup, plan=PLAN._replace(max_epochs=2), send=reports.append, share=share)
    assert shared == [None, reports[0].value, reports[1].value]
    shared.clear()
    fit_trial(TASK, store, setup=setup, plan=PLAN._replace(max_epochs=2), send=reports.append, share=share)
    assert shared == [setup.folder / trial_name(3) / "epoch-0002" / "state"]


def test_the_other_workers_report_nothing_and_take_what_the_first_shares(store, setup, monkeypatch):
    from genotune.trainables.poisson_cnn import PoissonCNN

    taken = []

    def fit(self, store, splits, *, report, plan, resume=None):
        taken.extend([resume, report(Progress(1, None, {"train_loss": 0.5}, None))])
        report(Progress(2, None, {"train_loss": math.inf}, None))

    reports_of(TASK, store, setup=setup, die_after=1)
    monkeypatch.setattr(PoissonCNN, "fit", fit)  # its workers would meet in torch.distributed
    shares = iter(["the state of epoch 7", 0.25])
    plan = PLAN._replace(rank=1, n_workers=2)
    with pytest.raises(NotFiniteError, match="the training loss is inf at epoch 2"):
        fit_trial(TASK, store, setup=setup, plan=plan, send=pytest.fail, share=lambda own: own or next(shares))
    assert taken == ["the state of epoch 7", 0.25]
    assert [path.name for path in (setup.folder / trial_name(3)).iterdir()] == ["epoch-0001"]


def test_a_metric_to_be_minimised_is_turned_for_the_family_and_the_checkpoints(store, setup):
    setup = setup._replace(judge=Judge("mse", bin_bp=16))
    reports = reports_of(TASK, store, setup=setup)
    kept = sorted(path.name for path in (setup.folder / trial_name(3)).iterdir())
    best = min(reports, key=lambda report: report.value)
    assert kept == sorted({f"epoch-{best.epoch:04d}", "epoch-0004"})
    assert json.loads((setup.folder / best.checkpoint / "report.json").read_text())["score"] == -best.value


def test_the_objective_does_not_depend_on_the_width_of_the_models_own_bins(store, setup):
    """A wide-bin model is judged on the same bins: on ones that it can't tell apart it can't win by averaging."""
    wide = {**TASK, "trial": 4, "params": {**PARAMS, "bin_bp": 64}}
    report = reports_of(wide, store, setup=setup)[-1]
    model = load_model(setup.folder / report.checkpoint / "model")
    contig = int(setup.splits.validation[0])
    spread = np.repeat(model.predict_contig(store, contig), 4, axis=1)[0, : store.n_bins(contig)]
    assert report.value == pytest.approx(np.corrcoef(spread, store.contig_signal(contig)[0])[0, 1], abs=1e-6)


def test_a_trial_that_has_no_part_of_a_gpu_runs_on_the_cpu():
    assert device_for(0) == "cpu"


def test_the_settings_of_a_trial_are_built_as_the_spec_built_them():
    assert build_trainable("poisson_cnn", PARAMS, SequenceStore.columns).schedule.patience == 1


def test_several_objectives_are_reported_at_each_epoch_and_again_after_a_death(store, setup):
    setup = setup._replace(judge=Judge("pearson", bin_bp=16, further=("mse", "n_parameters")))
    before = reports_of(TASK, store, setup=setup, die_after=2)
    last, *after = reports_of(TASK, store, setup=setup)
    assert last == before[-1]
    for report in (*before, *after):
        assert report.value == report.metrics["validation.pearson"]
        assert report.metrics["validation.mse"] > 0
        model = load_model(setup.folder / after[-1].checkpoint / "model")
        assert report.metrics["n_parameters"] == model.n_parameters > 0


def test_an_epoch_at_which_a_further_objective_is_no_number_counts_for_none(store, setup, monkeypatch):
    judge = Judge("pearson", bin_bp=16, further=("mse",))
    monkeypatch.setattr("genotune.trial.validate", lambda *_, **__: {"pearson": 0.5, "mse": math.nan})
    reports = reports_of(TASK, store, setup=setup._replace(judge=judge), die_after=1)
    assert math.isnan(reports[0].value)
    assert reports[0].metrics["validation.pearson"] == 0.5
    assert math.isnan(reports_of(TASK, store, setup=setup._replace(judge=judge), die_after=1)[0].value)
