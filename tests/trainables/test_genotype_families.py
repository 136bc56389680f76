"""What every family on genotypes keeps: nothing leaks, signal is learned, noise isn't, and odd data are borne."""

from dataclasses import replace

import numpy as np
import pytest

from genotune.errors import UserError
from genotune.metrics import METRICS
from genotune.store import DOSAGE_STEPS, MISSING_STEPS, GenotypeOutline, GenotypeStore, Splits
from genotune.trainables import FAMILIES, build_trainable, load_model, settings_of
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, split_samples, with_tables

KINDS = ("quantitative", "binary", "multiclass", "count")
SMALL = {
    "boosted_trees": {"rounds_per_epoch": 10, "max_depth": 2},
    "ridge": {},
    "elastic_net": {"penalty": 0.2},
    "genotype_cnn": {"channels": 8, "n_blocks": 1, "kernel_width": 3, "pool": 1, "learning_rate": 0.003},
    "covariates_only": {},
}
EPOCHS = {"genotype_cnn": 20}
GENOMIC = [name for name in SMALL if name != "covariates_only"]
WEIGHTED = [name for name in SMALL if name != "ridge"]
REFUSED = {"ridge": "determine|constant or a sum|fixed effects"}
"""Families that refuse covariates which can't be told apart, and what they say."""


def fit(family, store, splits=None, **params):
    trainable = build_trainable(family, {**SMALL[family], **params}, GenotypeStore.columns)
    plan = FitPlan(seed=3, max_epochs=trainable.own_epochs or EPOCHS.get(family, 4))
    return trainable.fit(store, splits or split_samples(store), report=lambda progress: None, plan=plan)


def fit_with_tables(family, store, splits=None, **params):
    """As a trial fits it: with what is prepared of further tables and unknown covariates."""
    trainable = build_trainable(family, {**SMALL[family], **params}, GenotypeStore.columns)
    plan = FitPlan(seed=3, max_epochs=trainable.own_epochs or EPOCHS.get(family, 4))
    return fit_prepared(trainable, store, splits or split_samples(store), report=lambda progress: None, plan=plan)


def predict(model, store, splits=None):
    return model.predict_samples(store, (splits or split_samples(store)).validation)


def in_steps(store):
    """The same store with dosages in fractions of a copy."""
    steps = np.where(store.dosage < 0, MISSING_STEPS, store.dosage.astype(np.int64) * DOSAGE_STEPS).astype(np.uint16)
    return replace(store, dosage=steps)


def skill(model, store, splits=None):
    """How well other samples are ranked: a correlation, an area under the curve, or an accuracy."""
    splits = splits or split_samples(store)
    metric = {"binary": "auroc", "multiclass": "auroc_macro"}.get(store.kind, "pearson")
    return METRICS[metric].compute(store.phenotype[splits.validation], predict(model, store, splits))


def test_every_family_on_genotypes_is_here():
    assert set(SMALL) == {name for name in FAMILIES if settings_of(name, GenotypeStore.columns)}


@pytest.mark.parametrize("kind", ["quantitative", "binary"])
@pytest.mark.parametrize("family", SMALL)
def test_whatever_the_other_samples_are_the_model_is_the_same(family, kind):
    store = build_genotypes(150, 40, kind=kind, covariates=2, missing=0.03)
    splits = Splits(np.arange(100), np.arange(100, 125))
    order = np.arange(150)
    order[100:] = np.random.default_rng(1).permutation(order[100:])
    other = replace(
        store,
        dosage=store.dosage[order][:, ::1].copy(),
        phenotype=store.phenotype[order[::1]].copy(),
        covariates=store.covariates[order].copy() * np.where(np.arange(150) < 100, 1, 50)[:, None].astype(np.float32),
    )
    other.phenotype[100:] = 1 - other.phenotype[100:] if kind == "binary" else 3 * other.phenotype[100:]
    other.dosage[110:] = 2
    asked = store.dosage[:100], store.covariates[:100]
    np.testing.assert_array_equal(
        fit(family, other, splits).predict(*asked), fit(family, store, splits).predict(*asked)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", GENOMIC)
def test_planted_variants_are_learned_and_a_permuted_trait_is_not(family, kind):
    store = build_genotypes(500, 40, kind=kind, missing=0.02)
    chance = 0.5 if kind in ("binary", "multiclass") else 0.0
    assert skill(fit(family, store), store) > chance + 0.25
    shuffled = replace(store, phenotype=np.random.default_rng(8).permutation(store.phenotype))
    permuted = skill(fit(family, shuffled), shuffled)
    # Of 150 samples a correlation has a standard error of 0.08, an area under the curve one of 0.05.
    assert np.isnan(permuted) or abs(permuted - chance) < 0.22


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", SMALL)
def test_dosages_in_fractions_of_a_copy_are_learned_as_whole_ones_are(family, kind, tmp_path):
    store = build_genotypes(160, 20, kind=kind, missing=0.05)
    model = fit(family, in_steps(store))
    assert model.predict(store.dosage, store.covariates) == pytest.approx(
        model.predict(in_steps(store).dosage, store.covariates), rel=1e-5, abs=1e-6
    )
    assert predict(model, store) == pytest.approx(predict(fit(family, store), store), rel=1e-3, abs=1e-4)
    model.save(tmp_path)
    np.testing.assert_array_equal(predict(load_model(tmp_path), store), predict(model, store))


@pytest.mark.parametrize("family", GENOMIC)
def test_more_variants_than_samples_are_no_trouble(family):
    store = build_genotypes(120, 700, kind="binary", covariates=1, missing=0.02)
    splits = split_samples(store)
    model = fit(family, store, splits)
    assert skill(model, store, splits._replace(validation=splits.train)) > 0.75
    assert np.isfinite(predict(model, store)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", SMALL)
def test_covariates_that_determine_each_other_are_borne_or_refused_in_words(family, kind):
    store = build_genotypes(120, 20, kind=kind, covariates=4)
    covariates = store.covariates.copy()
    covariates[:, 1], covariates[:, 2] = 1958.0, 2 * covariates[:, 0]
    store = replace(store, covariates=covariates)
    if family in REFUSED:
        with pytest.raises(UserError, match=REFUSED[family]):
            fit(family, store)
        return
    assert np.isfinite(predict(fit(family, store), store)).all()


@pytest.mark.parametrize("family", SMALL)
def test_more_covariates_than_samples_are_borne_or_refused_in_words(family):
    store = build_genotypes(60, 20, covariates=50)
    if family in REFUSED:
        with pytest.raises(UserError, match=REFUSED[family]):
            fit(family, store)
        return
    assert np.isfinite(predict(fit(family, store), store)).all()


@pytest.mark.parametrize("family", SMALL)
def test_five_cases_are_enough_to_fit(family):
    store = build_genotypes(300, 30, kind="binary", covariates=1, missing=0.02)
    phenotype = np.zeros(300)
    phenotype[[3, 40, 77, 120, 180]] = 1
    store = replace(store, phenotype=phenotype)
    found = predict(fit(family, store), store)
    assert np.isfinite(found).all()
    assert ((found > 0) & (found < 1)).all()
    assert found.mean() < 0.2


@pytest.mark.parametrize("family", SMALL)
def test_a_class_without_a_training_sample_is_predicted_as_unlikely(family):
    store = build_genotypes(160, 20, kind="multiclass", n_classes=4, covariates=1)
    train = np.flatnonzero(store.phenotype != 3)
    found = predict(fit(family, store, Splits(train, train)), store, Splits(train, train))
    assert (found[:, 3] < 0.1).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("family", WEIGHTED)
def test_balanced_classes_make_the_rare_one_likelier(family):
    store = build_genotypes(300, 20, kind="binary", covariates=1)
    rare = replace(store, phenotype=store.phenotype * (np.arange(300) % 4 == 0))
    plain, balanced, weighted = (
        predict(fit(family, rare, class_weight=weight), rare).mean() for weight in ("none", "balanced", 50.0)
    )
    assert plain < balanced < weighted


@pytest.mark.parametrize("family", WEIGHTED)
def test_weights_of_classes_are_refused_where_there_are_none(family):
    def problem(weight, kind, n_classes):
        trainable = build_trainable(family, {**SMALL[family], "class_weight": weight}, GenotypeStore.columns)
        return trainable.problems(GenotypeOutline(100, 900, kind, n_classes, 1))

    assert problem("balanced", "binary", 2) == problem(3.0, "binary", 2) == problem("balanced", "multiclass", 3) == []
    [of_count] = problem("balanced", "count", 0)
    assert of_count.path == ("class_weight",)
    assert of_count.message == "found balanced; a count trait has no classes. Remove it."
    [of_many] = problem(3.0, "multiclass", 3)
    assert of_many.message.endswith("the trait has 3. Write balanced, or none.")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", GENOMIC)
def test_what_a_further_table_tells_is_learned_beside_the_variants(family, kind, tmp_path):
    store = with_tables(build_genotypes(400, 30, kind=kind, covariates=1, missing=0.02), n_columns=30)
    rng = np.random.default_rng(4)
    store.dosage[:], store.covariates[:] = rng.binomial(2, 0.4, store.dosage.shape), rng.normal(size=(400, 1))
    # The variants are noise here, of which the network would else learn more.
    params = {"learning_rate": 0.01, "dropout": 0.8} if family == "genotype_cnn" else {}
    model = fit_with_tables(family, store, **params)
    alone = replace(store, features=None, table_columns=())
    assert skill(model, store) > skill(fit(family, alone), alone) + 0.15
    assert skill(model, store) > 0.65
    model.save(tmp_path)
    again = load_model(tmp_path)
    np.testing.assert_array_equal(predict(again, store), predict(model, store))
    assert (again.table_columns, again.facts()) == (model.table_columns, model.facts())
    shuffled = np.random.default_rng(5).permutation(len(store.table_columns))
    other = replace(
        store, features=store.features[:, shuffled], table_columns=tuple(store.table_columns[i] for i in shuffled)
    )
    np.testing.assert_array_equal(predict(again, other), predict(model, store))


@pytest.mark.parametrize("family", GENOMIC)
def test_thousands_of_columns_are_no_trouble_for_fewer_samples(family):
    store = with_tables(build_genotypes(100, 30, kind="binary", covariates=1), n_columns=2000)
    splits = split_samples(store)
    model = fit_with_tables(family, store, splits)
    assert skill(model, store, splits._replace(validation=splits.train)) > 0.75
    assert np.isfinite(predict(model, store)).all()


def test_covariates_alone_are_told_from_further_tables():
    store = with_tables(build_genotypes(200, 10, covariates=2))
    alone = replace(store, features=None, table_columns=())
    model = fit_with_tables("covariates_only", store)
    np.testing.assert_array_equal(predict(model, store), predict(fit("covariates_only", alone), alone))
    assert model.table_columns == ()


@pytest.mark.parametrize("prepare", [None, {"components": 2, "impute": "mean"}, {"tables": {"categories": "level"}}])
@pytest.mark.parametrize("family", SMALL)
def test_whatever_tables_and_covariates_of_other_samples_hold_the_model_is_the_same(family, prepare):
    store = with_tables(build_genotypes(150, 40, covariates=2, missing=0.03))
    store.covariates[::7, 0] = np.nan
    store = replace(store, fills_covariates=True)
    splits = Splits(np.arange(100), np.arange(100, 125))
    other = replace(store, **{name: getattr(store, name).copy() for name in ("dosage", "phenotype", "features")})
    covariates = store.covariates.copy()
    covariates[100:] = [np.nan, 1e6]
    other = replace(other, covariates=covariates)
    other.dosage[100:], other.phenotype[100:], other.features[100:, :5] = 2, -1, 1e5
    other.features[100:, 5] = np.nan
    params = {} if prepare is None or family == "covariates_only" else {"prepare": prepare}
    models = [fit_with_tables(family, each, splits, **params) for each in (store, other)]
    asked = np.arange(100)
    np.testing.assert_array_equal(*(model.predict_samples(store, asked) for model in models))
    np.testing.assert_array_equal(*(model.recipe.covariate_fill for model in models))


@pytest.mark.parametrize("family", SMALL)
def test_unknown_covariates_are_filled_in_by_the_training_samples(family, tmp_path):
    store = build_genotypes(200, 20, covariates=2)
    splits = split_samples(store)
    holes = store.covariates.copy()
    holes[[3, 150, 199], 0] = np.nan
    filled = store.covariates.copy()
    filled[[3, 150, 199], 0] = np.median(np.delete(store.covariates[splits.train, 0], 3))
    model = fit_with_tables(family, replace(store, covariates=holes, fills_covariates=True), splits)
    by_hand = fit(family, replace(store, covariates=filled), splits)
    asked = replace(store, covariates=holes, fills_covariates=True)
    np.testing.assert_array_equal(predict(model, asked), predict(by_hand, replace(store, covariates=filled)))
    model.save(tmp_path)
    again = load_model(tmp_path)
    assert again.fills_covariates
    np.testing.assert_array_equal(predict(again, asked), predict(model, asked))


@pytest.mark.parametrize("family", [name for name in GENOMIC if name != "boosted_trees"])
def test_unknown_numbers_are_refused_by_families_that_have_no_use_for_them(family):
    chosen = {"prepare": {"tables": {"numbers": "none"}}}
    trainable = build_trainable(family, {**SMALL[family], **chosen}, GenotypeStore.columns)
    [problem] = trainable.problems(GenotypeOutline(100, 900, "quantitative", 0, 1, n_features=4))
    assert problem.path == ("prepare", "tables", "numbers")
    assert problem.message.endswith("learn from unknown numbers. Write median or mean.")


def test_trees_learn_from_unknown_numbers_as_such():
    store = with_tables(build_genotypes(300, 10), missing=0.0)
    # That it is unknown tells the trait: any value in its place would hide that.
    hidden = store.features[:, 1].copy()
    hidden[store.phenotype > np.median(store.phenotype)] = np.nan
    store.features[:, 1], store.features[:, 0] = hidden, 0
    store.dosage[:] = 1
    store.dosage[0] = 0
    left, filled = (
        skill(fit_with_tables("boosted_trees", store, prepare={"tables": {"numbers": how}}), store)
        for how in ("none", "median")
    )
    assert left > 0.7
    assert left > filled
