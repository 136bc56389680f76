"""Families on several traits: each as it would be alone or on one trunk, in step, and nothing of held-out samples."""

import math
from dataclasses import replace

import numpy as np
import pytest

from genotune.metrics import METRICS
from genotune.store import GenotypeStore, Splits, TraitsStore
from genotune.trainables import build_trainable, load_model
from genotune.trainables.gblup import _RELATIONSHIPS
from genotune.trainables.prepared import fit_prepared, splits_of
from genotune.trainables.trainable import FitError, FitPlan
from genotype_builders import build_traits

KINDS = ("quantitative", "binary", "multiclass", "count")
ALONE = {
    "boosted_trees": {"rounds_per_epoch": 5, "max_depth": 2, "subsample": 0.8},
    "ridge": {},
    "elastic_net": {"penalty": 0.1},
    "covariates_only": {},
}
CNN = {"channels": 8, "n_blocks": 1, "kernel_width": 3, "pool": 1, "learning_rate": 0.003}
FAMILIES = {**ALONE, "genotype_cnn": CNN}
PREPARE = {"max_p": 0.5, "impute": "mean", "components": 2}
SPLITS = Splits(np.arange(140), np.arange(140, 170))


class DiedError(Exception):
    """The process is gone."""


def fit(family, store, splits=SPLITS, *, report=lambda progress: None, resume=None, max_epochs=3, **params):
    trainable = build_trainable(family, {**FAMILIES[family], **params}, GenotypeStore.columns)
    plan = FitPlan(seed=3, max_epochs=trainable.own_epochs or max_epochs)
    return fit_prepared(trainable, store, splits, report=report, plan=plan, resume=resume)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("family", "params"),
    [(family, {}) for family in ALONE]
    + [(family, {"prepare": PREPARE}) for family in ALONE if family != "covariates_only"],
)
def test_each_trait_is_learned_as_it_would_be_alone_from_the_samples_that_have_it(family, params, kind):
    store = build_traits(200, 20, kind=kind, covariates=1, missing=0.03, gaps=0.2)
    seen = []
    model = fit(family, store, report=lambda progress: seen.append(dict(progress.metrics)), **params)
    predictions = model.by_trait(model.predict_samples(store, SPLITS.validation))
    losses = []
    for one, predicted in zip(store.each, predictions, strict=True):
        alone = []
        splits = splits_of(one, SPLITS)
        assert len(splits.train) < len(SPLITS.train)
        single = fit(family, one, splits, report=lambda progress, alone=alone: alone.append(progress.metrics), **params)
        np.testing.assert_allclose(predicted, single.predict_samples(one, SPLITS.validation), rtol=1e-5)
        assert [metrics[f"train_loss/{one.trait}"] for metrics in seen] == [metrics["train_loss"] for metrics in alone]
        losses.append(alone[-1]["train_loss"])
    assert seen[-1]["train_loss"] == pytest.approx(np.mean(losses))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_says_of_every_trait_what_it_said_before(family, kind, tmp_path):
    store = build_traits(200, 12, kind=kind, covariates=1, gaps=0.1)
    model = fit(family, store, **({} if family == "covariates_only" else {"prepare": PREPARE}))
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    samples = np.arange(200)
    np.testing.assert_array_equal(loaded.predict_samples(store, samples), model.predict_samples(store, samples))
    assert loaded.facts() == model.facts()
    assert [trait.name for trait in loaded.traits] == [one.trait for one in store.each]
    assert {trait.kind for trait in loaded.traits} == {kind}
    width = 3 if kind == "multiclass" else 1
    assert loaded.predict_samples(store, samples).shape == (200, 2 * width)
    assert len(loaded.output_names) == 2 * width
    assert [*loaded.importances()] == ([] if family == "genotype_cnn" else [one.trait for one in store.each])


@pytest.mark.parametrize("kind", ["quantitative", "binary"])
@pytest.mark.parametrize("params", [{}, {"prepare": {"max_p": 0.5, "rank_by": "trees"}}], ids=["plain", "prepared"])
@pytest.mark.parametrize("family", FAMILIES)
def test_whatever_the_other_samples_are_the_model_is_the_same(family, params, kind):
    if family == "covariates_only":
        params = {}
    store = build_traits(170, 20, kind=kind, covariates=1, missing=0.03, gaps=0.2)
    order = np.concatenate([np.arange(140), np.random.default_rng(1).permutation(np.arange(140, 170))])
    dosage, covariates = store.dosage[order].copy(), store.covariates[order].copy()
    dosage[160:], covariates[140:] = 2, 50
    others = []
    for one in store.each:
        phenotype = one.phenotype[order[::1]].copy()
        phenotype[140:] = 1 - phenotype[140:] if kind == "binary" else 3 * phenotype[140:]
        phenotype[150:155] = np.nan
        others.append(replace(one, dosage=dosage, covariates=covariates, phenotype=phenotype, twin=None))
    other = TraitsStore.of(others)
    asked = store.dosage[:140], store.covariates[:140]
    before, after = (fit(family, data, **params) for data in (store, other))
    assert after.variants.ids.tolist() == before.variants.ids.tolist()
    np.testing.assert_array_equal(after.predict(*asked), before.predict(*asked))


@pytest.mark.parametrize("family", ["boosted_trees", "genotype_cnn"])
def test_a_fit_that_died_goes_on_as_if_nothing_had_been(family, tmp_path):
    store = build_traits(200, 12, gaps=0.2)
    whole = fit(family, store, max_epochs=4)

    def die(progress):
        if progress.epoch == 2:
            progress.save_state(tmp_path, value=0.5)
            raise DiedError
        return 0.4

    with pytest.raises(DiedError):
        fit(family, store, max_epochs=4, report=die)
    epochs = []
    again = fit(family, store, max_epochs=4, resume=tmp_path, report=lambda progress: epochs.append(progress.epoch))
    assert epochs == [3, 4]
    samples = np.arange(200)
    np.testing.assert_array_equal(again.predict_samples(store, samples), whole.predict_samples(store, samples))


def test_all_traits_are_steered_by_the_one_value_that_judges_them(tmp_path):
    epochs = []

    def report(progress):
        epochs.append(progress.epoch)
        if progress.epoch == 3:
            progress.save_state(tmp_path, value=0.1)
        return 1 / progress.epoch

    model = fit("boosted_trees", build_traits(200, 12), report=report, max_epochs=9, patience=2)
    assert epochs == [1, 2, 3], "after the first no epoch is better"
    assert {one.booster.num_boosted_rounds() for one in model.models} == {15}
    fit("boosted_trees", build_traits(200, 12), report=report, max_epochs=9, patience=2, resume=tmp_path)
    assert epochs == [1, 2, 3], "a fit that had ended is not begun again"


def test_a_trait_that_can_not_be_fitted_is_named():
    store = build_traits(200, 12)
    noise = np.random.default_rng(0).normal(size=200)
    silent = TraitsStore.of([store.each[0], replace(store.each[1], phenotype=noise, twin=None)])
    with pytest.raises(FitError, match=r"^weight: prepare: none of 12 variants is left \(12 have a p above max_p\)"):
        fit("ridge", silent, prepare={"max_p": 1e-6})


def test_traits_of_the_same_samples_share_one_decomposition_and_others_do_not():
    for gaps, is_shared in ((0.0, True), (0.2, False)):
        store = build_traits(200, 12, gaps=gaps)
        fit("ridge", store)
        key = (12, False, splits_of(store.each[1], SPLITS).train.tobytes())
        assert (_RELATIONSHIPS.peek(store.each[1], key) is None) == is_shared
        assert (_RELATIONSHIPS.peek(store.each[0], key) is not None) == is_shared


@pytest.mark.parametrize("kind", KINDS)
def test_one_network_learns_both_traits_though_many_samples_have_but_one(kind):
    store = build_traits(600, 16, kind=kind, gaps=0.35)
    splits = Splits(np.arange(450), np.arange(450, 600))
    seen = []
    model = fit("genotype_cnn", store, splits, max_epochs=25, report=lambda progress: seen.append(progress.metrics))
    assert all(math.isfinite(metrics["train_loss"]) for metrics in seen)
    assert seen[-1]["train_loss"] < seen[0]["train_loss"]
    metric, chance = {"binary": ("auroc", 0.5), "multiclass": ("auroc_macro", 0.5)}.get(kind, ("pearson", 0.0))
    predictions = model.by_trait(model.predict_samples(store, splits.validation))
    for one, predicted in zip(store.each, predictions, strict=True):
        known = ~np.isnan(one.phenotype[splits.validation])
        observed = one.phenotype[splits.validation][known]
        assert METRICS[metric].compute(observed, predicted[known]) > chance + 0.25
    assert len([*model.network.blocks]) == 5, "one trunk"


def test_a_network_of_several_traits_ranks_variants_by_the_trait_that_each_goes_with_best():
    model = fit(
        "genotype_cnn", build_traits(600, 40), Splits(np.arange(500), np.arange(500, 600)), n_variants=8, prepare={}
    )
    assert sorted(model.variants.ids.tolist()) == [f"rs{index}" for index in range(8)]


def test_residuals_of_several_traits_are_learned_beside_what_covariates_explain_of_each():
    store = build_traits(400, 16, covariates=1, gaps=0.1)
    splits = Splits(np.arange(300), np.arange(300, 400))
    model = fit("genotype_cnn", store, splits, prepare={"adjust": "residuals"}, max_epochs=1)
    regression = model.recipe.regression
    for one, effects in zip(store.each, regression.T, strict=True):
        train = one.known(splits.train)
        design = np.column_stack([np.ones(len(train)), one.covariates[train]])
        np.testing.assert_allclose(effects, np.linalg.lstsq(design, one.phenotype[train], rcond=None)[0], rtol=1e-6)
