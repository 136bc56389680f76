"""A trial on folds: each fold as it would be alone, the mean as its value, and no trace of a death."""

import math

import numpy as np
import pytest

from genotune.checkpoints import CheckpointFolder
from genotune.judging import Judge
from genotune.store import SequenceStore, Splits
from genotune.trainables.kept import Kept, keep_for_folds
from genotune.trainables.trainable import FitPlan, Progress
from genotune.trial import NotFiniteError, TrialSetup, fit_trial
from genotune.trial_folds import fit_on_folds

CNN = {
    "windows": {"length_bp": 128, "stride_bp": 128, "select": "tiles"},
    "bin_bp": 16,
    "channels": 4,
    "n_blocks": 1,
    "stem_width": 9,
    "schedule": {"kind": "plateau", "patience": 1},
}
TREES = {"rounds_per_epoch": 3, "bin_bp": 16, "k": 2, "flank_bp": 16, "subsample": 0.7}
TASKS = [
    {"trial": 3, "family": "poisson_cnn", "params": CNN},
    {"trial": 4, "family": "boosted_trees", "params": TREES},
]
FOLDS = tuple(
    Splits(np.array([contig for contig in range(3) if contig != held]), np.array([held])) for held in range(3)
)
PLAN = FitPlan(seed=11, max_epochs=3)


@pytest.fixture(scope="module")
def store():
    rng = np.random.default_rng(0)
    n_bins = np.array([150, 100, 120])
    return SequenceStore(
        sequence=rng.integers(0, 4, n_bins.sum() * 16).astype(np.uint8),
        signal=rng.poisson(0.5, (1, n_bins.sum())).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(n_bins)]),
        lengths=n_bins * 16,
        contigs=("chrA", "chrB", "chrC"),
        tracks=("sites",),
        resolution_bp=16,
    )


@pytest.fixture
def setup(tmp_path):
    return TrialSetup(
        splits=Splits(np.array([0, 1]), np.array([2])),
        judge=Judge("pearson", bin_bp=16),
        folder=tmp_path / "trials",
        best=1,
        last=1,
        timeout_s=600,
        reproducible=False,
        folds=FOLDS,
    )


@pytest.fixture(autouse=True)
def _one_fold_again():
    yield
    keep_for_folds(1)


def reports_of(task, store, *, setup, fit=fit_on_folds, die_after=None, plan=PLAN):
    reports = []

    def send(report):
        reports.append(report)
        if len(reports) == die_after:
            raise KeyboardInterrupt("the process died")

    try:
        fit(task, [store] * 3 if fit is fit_on_folds else store, setup=setup, plan=plan, send=send)
    except KeyboardInterrupt:
        assert die_after is not None
    return reports


def timeless(report):
    kept = {name: value for name, value in report.metrics.items() if not name.endswith("_per_s")}
    return report._replace(metrics=kept)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["family"])
def test_each_fold_is_what_a_trial_on_it_alone_would_be(store, setup, tmp_path, task):
    together = reports_of(task, store, setup=setup)
    alone = [
        reports_of(
            task,
            store,
            setup=setup._replace(folder=tmp_path / f"alone-{fold}", splits=splits, folds=()),
            fit=fit_trial,
        )
        for fold, splits in enumerate(FOLDS)
    ]
    assert [report.epoch for report in together] == [1, 2, 3]
    for epoch, report in enumerate(together):
        values = [reports[epoch].value for reports in alone]
        assert [report.metrics[f"fold_{fold + 1}.pearson"] for fold in range(3)] == values
        assert report.value == pytest.approx(np.mean(values), abs=1e-12)
        assert report.metrics["validation.pearson"] == report.value
        assert report.metrics["validation.pearson_sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
        for name in ("train_loss", "validation.mse"):
            assert report.metrics[name] == pytest.approx(np.mean([each[epoch].metrics[name] for each in alone]))


@pytest.mark.parametrize("die_after", [1, 2])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["family"])
def test_a_trial_that_died_goes_on_and_reports_what_it_would_have(store, setup, tmp_path, task, die_after):
    whole = reports_of(task, store, setup=setup._replace(folder=tmp_path / "whole"))
    before = reports_of(task, store, setup=setup, die_after=die_after)
    after = reports_of(task, store, setup=setup)
    assert [timeless(report) for report in after] == [timeless(report) for report in whole[die_after - 1 :]]
    assert timeless(before[-1]) == timeless(after[0])


def test_a_checkpoint_has_a_state_of_each_fold_and_no_model(store, setup):
    (*_, last) = reports_of(TASKS[1], store, setup=setup)
    path = setup.folder / last.checkpoint
    assert sorted(child.name for child in (path / "state").iterdir()) == ["fold-1", "fold-2", "fold-3"]
    assert not (path / "model").exists()
    found = CheckpointFolder(setup.folder / "trial-0004", best=1, last=1).latest()
    assert found.score == pytest.approx(max(last.value, -math.inf))


def test_a_fold_that_ends_by_itself_keeps_its_scores_and_the_trial_ends_with_the_last(store, setup):
    """Of noise the objective is best by luck, at another epoch on each fold."""
    task = {**TASKS[1], "params": {**TREES, "patience": 2}}
    reports = reports_of(task, store, setup=setup, plan=PLAN._replace(max_epochs=40, seed=0))
    n_fitted = []
    for fold in range(3):
        curve = [report.metrics[f"fold_{fold + 1}.pearson"] for report in reports]
        n_fitted.append(len({*curve}))
        assert curve[n_fitted[-1] - 1 :] == curve[-1:] * (len(curve) - n_fitted[-1] + 1)
    assert len({*n_fitted}) == 3, "each fold ends at another epoch"
    assert len(reports) == max(n_fitted) < 40


def test_a_loss_that_is_no_number_on_one_fold_fails_the_trial(store, setup, monkeypatch):
    from genotune.trainables.poisson_cnn import PoissonCNN

    fit = PoissonCNN.fit

    def diverge(self, store, splits, **rest):
        if splits is FOLDS[2]:
            rest["report"](Progress(1, None, {"train_loss": math.nan}, None))
        return fit(self, store, splits, **rest)

    monkeypatch.setattr(PoissonCNN, "fit", diverge)  # a divergence at will can't be had otherwise
    with pytest.raises(NotFiniteError, match="the training loss is nan at epoch 1; a lower learning rate may help"):
        reports_of(TASKS[0], store, setup=setup)


def test_as_much_is_kept_for_each_fold(store):
    kept, made = Kept[int](most=1), []

    def get(key):
        return kept.get(store, key, make=lambda: made.append(key) or key)

    keep_for_folds(3)
    for key in (1, 2, 3, 1, 2, 3):
        assert get(key) == key
    assert made == [1, 2, 3]
    keep_for_folds(1)
    assert [get(key) for key in (1, 4, 4, 1)] == [1, 4, 4, 1]
    assert made == [1, 2, 3, 4, 1]
