"""A trial on several traits: one value for all of them, alone and on folds, and no trace of a death."""

import numpy as np
import pytest

from genotune.judging import Judge
from genotune.store import Splits
from genotune.trainables import load_model
from genotune.trainables.kept import keep_for_folds
from genotune.trainables.trainable import FitPlan
from genotune.trial import TrialSetup, fit_trial
from genotune.trial_folds import fit_on_folds
from genotype_builders import build_traits

TASKS = [
    {"trial": 1, "family": "boosted_trees", "params": {"rounds_per_epoch": 5, "subsample": 0.7}},
    {"trial": 2, "family": "genotype_cnn", "params": {"channels": 4, "n_blocks": 1, "prepare": {"components": 1}}},
    {"trial": 3, "family": "ridge", "params": {}},
]
FOLDS = tuple(Splits(np.setdiff1d(np.arange(150), held), held) for held in np.split(np.arange(150), 3))
MEMBERS = Splits(np.arange(100), np.arange(100, 150))


@pytest.fixture(scope="module")
def store():
    return build_traits(150, 20, gaps=0.2)


@pytest.fixture(autouse=True)
def _one_fold_again():
    yield
    keep_for_folds(1)


def reports_of(task, store, folder, *, folds=(), splits=MEMBERS, die_after=None):
    setup = TrialSetup(
        splits=splits,
        judge=Judge("pearson", kind="quantitative"),
        folder=folder,
        best=1,
        last=1,
        timeout_s=600,
        reproducible=False,
        folds=folds,
    )
    reports, plan = [], FitPlan(seed=11, max_epochs=1 if task["family"] == "ridge" else 3)

    def send(report):
        kept = {name: value for name, value in report.metrics.items() if "_per_s" not in name}
        reports.append(report._replace(metrics=kept))
        if len(reports) == die_after:
            raise KeyboardInterrupt("the process died")

    fit, data = (fit_on_folds, [store] * len(folds)) if folds else (fit_trial, store)
    try:
        fit(task, data, setup=setup, plan=plan, send=send)
    except KeyboardInterrupt:
        assert die_after is not None
    return reports


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["family"])
def test_a_trial_is_worth_the_mean_over_its_traits_and_its_checkpoint_predicts_them_all(store, tmp_path, task):
    reports = reports_of(task, store, tmp_path)
    for report in reports:
        own = [report.metrics[f"validation.pearson/{trait}"] for trait in ("height", "weight")]
        assert report.value == report.metrics["validation.pearson"] == pytest.approx(np.mean(own))
    model = load_model(tmp_path / reports[-1].checkpoint / "model")
    predictions = model.by_trait(model.predict_samples(store, MEMBERS.validation))
    for one, predicted in zip(store.each, predictions, strict=True):
        observed = one.phenotype[MEMBERS.validation]
        known = ~np.isnan(observed)
        found = np.corrcoef(observed[known], predicted[known])[0, 1]
        assert found == pytest.approx(reports[-1].metrics[f"validation.pearson/{one.trait}"], abs=1e-6)


@pytest.mark.parametrize("folds", [(), FOLDS], ids=["alone", "on folds"])
@pytest.mark.parametrize("task", TASKS[:2], ids=lambda task: task["family"])
def test_a_trial_on_several_traits_that_died_reports_what_it_would_have(store, tmp_path, task, folds):
    whole = reports_of(task, store, tmp_path / "whole", folds=folds)
    reports_of(task, store, tmp_path / "died", folds=folds, die_after=2)
    assert reports_of(task, store, tmp_path / "died", folds=folds) == whole[1:]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["family"])
def test_each_fold_of_several_traits_is_what_a_trial_on_it_alone_would_be(store, tmp_path, task):
    together = reports_of(task, store, tmp_path / "folds", folds=FOLDS)
    alone = [reports_of(task, store, tmp_path / str(index), splits=fold) for index, fold in enumerate(FOLDS)]
    for epoch, report in enumerate(together):
        for name in ("validation.pearson", "validation.pearson/height", "validation.mse/weight", "train_loss"):
            assert report.metrics[name] == pytest.approx(np.mean([each[epoch].metrics[name] for each in alone]))
        assert report.metrics["fold_2.pearson"] == alone[1][epoch].value
