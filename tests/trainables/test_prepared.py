"""Genotypes prepared for a family: chosen, filled, adjusted, on training samples alone; and saved with the model."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.settings import build
from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, GenotypeOutline, Splits, copies
from genotune.trainables import build_trainable, load_model
from genotune.trainables.preparation import Preparation
from genotune.trainables.prepared import fit_prepared, prepare
from genotune.trainables.prepared_model import PreparedModel
from genotune.trainables.trainable import FitError, FitPlan
from genotype_builders import build_genotypes, split_samples, with_steps

PLAN = FitPlan(seed=1, max_epochs=2)
FAMILIES = {"ridge": {}, "boosted_trees": {"rounds_per_epoch": 5, "max_depth": 2}}


def preparation(**values):
    return build(Preparation, values)


def fit(store, splits, family, prepared, *, report=lambda progress: None, **params):
    trainable = build_trainable(family, {**FAMILIES[family], **params, "prepare": prepared}, store.columns)
    return fit_prepared(trainable, store, splits, report=report, plan=PLAN)


def p_of(store, samples, variant):
    """By scipy, without covariates, on the samples whose genotype is known."""
    known = samples[store.dosage[samples, variant] != MISSING_DOSAGE]
    return scipy.stats.linregress(store.dosage[known, variant], store.phenotype[known]).pvalue


def test_the_most_associated_variants_of_the_training_samples_come_first():
    store = build_genotypes(missing=0.05)
    samples = split_samples(store).train
    p = np.array([p_of(store, samples, variant) for variant in range(store.n_variants)])
    made = prepare(preparation(), store, samples, n_variants=7)
    expected = np.argsort(p)[:7]
    np.testing.assert_array_equal(made.store.variants.ids, store.variants.ids[expected])
    np.testing.assert_array_equal(made.store.dosage, store.dosage[:, expected])
    few = prepare(preparation(max_p=0.01), store, samples, n_variants=None)
    assert few.store.n_variants == np.count_nonzero(p <= 0.01) < store.n_variants


def test_rare_variants_are_left_out_by_their_frequency_among_training_samples():
    store = build_genotypes(n_samples=200)
    store.dosage[:140, 5] = 0
    store.dosage[:7, 5] = 1  # 7 of 280 alleles, and common among the others
    store.dosage[140:, 5] = 2
    samples = split_samples(store).train
    for least, is_there in ((0.025, True), (0.026, False)):
        made = prepare(preparation(min_maf=least), store, samples, n_variants=None)
        assert ("rs5" in made.store.variants.ids) == is_there


@pytest.mark.parametrize("kind", ["binary", "multiclass", "count"])
def test_every_kind_of_trait_ranks_what_matters_first(kind):
    store = build_genotypes(n_samples=600, kind=kind, covariates=2)
    made = prepare(preparation(), store, split_samples(store).train, n_variants=4)
    assert {*made.store.variants.ids} == {"rs0", "rs1", "rs2", "rs3"}


@pytest.mark.parametrize(("how", "dtype"), [("mode", np.int8), ("mean", np.uint16)])
def test_missing_dosages_are_filled_by_what_the_training_samples_say(how, dtype):
    store = build_genotypes(missing=0.1)
    samples = split_samples(store).train
    made = prepare(preparation(impute=how), store, samples, n_variants=None)
    assert made.store.dosage.dtype == dtype
    places = store.variants.places_of(made.store.variants)
    for column, place in enumerate(places):
        known = store.dosage[samples, place][store.dosage[samples, place] != MISSING_DOSAGE]
        expected = known.mean() if how == "mean" else np.bincount(known).argmax()
        is_missing = store.dosage[:, place] == MISSING_DOSAGE
        found = copies(made.store.dosage[:, column])
        np.testing.assert_allclose(found[is_missing], expected, atol=0.5 / DOSAGE_STEPS)
        np.testing.assert_array_equal(found[~is_missing], store.dosage[~is_missing, place])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "prepared",
    [
        {},
        {"max_p": 0.1, "impute": "mean"},
        {"min_maf": 0.3, "impute": "mode", "adjust": "residuals"},
    ],
    ids=str,
)
def test_a_saved_model_predicts_what_it_did_on_samples_of_any_store(tmp_path, family, prepared):
    store = build_genotypes(missing=0.05, covariates=2)
    splits = split_samples(store)
    model = fit(store, splits, family, prepared, n_variants=9)
    assert isinstance(model, PreparedModel)
    expected = model.predict_samples(store, splits.validation)
    model.save(tmp_path)
    again = load_model(tmp_path)
    np.testing.assert_array_equal(again.predict_samples(store, splits.validation), expected)
    shuffled = np.random.default_rng(0).permutation(store.n_variants)
    other = replace(store, dosage=store.dosage[:, shuffled], variants=store.variants.take(shuffled))
    np.testing.assert_array_equal(again.predict_samples(other, splits.validation), expected)
    assert again.facts() == model.facts()
    assert np.corrcoef(expected, store.phenotype[splits.validation])[0, 1] > 0.4


def test_what_is_reported_in_an_epoch_predicts_from_the_whole_store():
    store = build_genotypes(missing=0.05)
    splits = split_samples(store)
    seen = []

    def report(progress):
        seen.append(progress.model.predict_samples(store, splits.validation))

    model = fit(store, splits, "boosted_trees", {"max_p": 0.1}, report=report)
    assert len(seen) == 2
    np.testing.assert_array_equal(seen[1], model.predict_samples(store, splits.validation))
    assert (seen[0] != seen[1]).any()


def test_residuals_are_learned_and_what_covariates_say_is_added_again():
    store = build_genotypes(n_samples=400, covariates=2)
    splits = split_samples(store)
    design = np.column_stack([np.ones(400), store.covariates])
    effects = np.linalg.lstsq(design[splits.train], store.phenotype[splits.train], rcond=None)[0]
    made = prepare(preparation(adjust="residuals"), store, splits.train, n_variants=None)
    np.testing.assert_allclose(made.store.phenotype, store.phenotype - design @ effects, atol=1e-8)
    assert made.store.covariates.shape == (400, 0)
    model = fit(store, splits, "ridge", {"adjust": "residuals"})
    inner = model.inner.predict_samples(made.store, splits.validation)
    expected = inner + (design @ effects)[splits.validation]
    np.testing.assert_allclose(model.predict_samples(store, splits.validation), expected, rtol=1e-5)
    assert model.n_parameters == model.inner.n_parameters + len(effects)


PREPARATIONS = st.fixed_dictionaries(
    {
        "impute": st.sampled_from(["none", "mean", "mode"]),
        "rank_by": st.sampled_from(["association", "summary", {"kind": "trees", "rounds": 5}]),
        "max_p": st.sampled_from([None, 0.5]),
        "clump": st.sampled_from([None, {"r2": 0.4}]),
        "prune": st.sampled_from([None, {"r2": 0.6}, {"r2": 0.6, "window_variants": 4}]),
        "components": st.sampled_from([0, 2]),
    },
    optional={
        "min_maf": st.just(0.25),
        "min_call_rate": st.just(0.94),
        "min_hwe_p": st.just(0.2),
        "adjust": st.just("residuals"),
    },
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["quantitative", "binary"])
@settings(max_examples=50)
@given(values=PREPARATIONS, seed=st.integers(0, 1000), is_fractional=st.booleans())
def test_no_other_sample_changes_anything_that_is_fitted(family, kind, values, seed, is_fractional):
    store = linked(120, kind=kind)
    # About as rare as variants may be that components are made of: other samples could tip the scale.
    store.dosage[:, 40:] = np.random.default_rng(1).binomial(2, 0.05, (120, 20))
    if kind == "binary":
        values = {name: value for name, value in values.items() if name != "adjust"}
    store = with_steps(store, blur=0.2) if is_fractional else store
    splits = split_samples(store, train=0.6)
    others = np.setdiff1d(np.arange(120), splits.train)
    splits = splits._replace(validation=others[:20])  # and test
    rng = np.random.default_rng(seed)
    dosage, phenotype, covariates = store.dosage.copy(), store.phenotype.copy(), store.covariates.copy()
    shuffled = rng.permutation(others)
    dosage[others] = rng.permuted(store.dosage[shuffled], axis=1)
    phenotype[others], covariates[others] = store.phenotype[shuffled][::-1], 100 * store.covariates[shuffled]
    other = replace(store, dosage=dosage, phenotype=phenotype, covariates=covariates)
    found = [fit(each, splits, family, values, n_variants=6) for each in (store, other)]
    for mine, theirs in zip(parts_of(found[0].recipe), parts_of(found[1].recipe), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    predicted = [model.predict_samples(store, np.arange(120)) for model in found]
    np.testing.assert_array_equal(predicted[0], predicted[1])


def parts_of(recipe):
    """All arrays of a recipe."""
    components = () if recipe.components is None else recipe.components
    return [*recipe.variants, recipe.n_features, recipe.fill, recipe.in_components, *components, recipe.regression]


def test_it_is_made_once_for_trials_that_ask_for_the_same():
    store = build_genotypes()
    samples = split_samples(store).train
    first = prepare(preparation(max_p=0.5), store, samples, n_variants=5)
    assert prepare(preparation(max_p=0.5), store, samples, n_variants=5) is first
    assert prepare(preparation(max_p=0.5), store, samples, n_variants=4) is not first
    assert prepare(preparation(max_p=0.5), store, samples[:-1], n_variants=5) is not first


def test_where_nothing_is_left_a_person_is_told_why():
    store = build_genotypes(n_samples=60)
    store.dosage[:, 7] = 1
    message = (
        r"^prepare: none of 40 variants is left \(1 don't vary among the training samples; "
        r"39 are rarer than min_maf\)\. Loosen min_maf\.$"
    )
    with pytest.raises(FitError, match=message):
        fit(store, Splits(np.arange(50), np.arange(50, 60)), "ridge", {"min_maf": 0.5})


@pytest.mark.parametrize(
    ("values", "outline", "path"),
    [
        ({"components": 30}, {"n_samples": 30}, "components"),
        ({"adjust": "residuals"}, {"kind": "binary", "n_covariates": 1}, "adjust"),
        ({"adjust": "residuals"}, {}, "adjust"),
    ],
)
def test_what_does_not_fit_the_samples_is_said(values, outline, path):
    whole = {"n_samples": 100, "n_variants": 50, "kind": "quantitative", "n_classes": 0, "n_covariates": 0, **outline}
    (problem,) = preparation(**values).problems(GenotypeOutline(**whole))
    assert problem.path == (path,)
    good = {"components": 30, "adjust": "residuals"}
    assert preparation(**good).problems(GenotypeOutline(100, 50, "quantitative", 0, 1)) == []


def linked(n_samples=300, *, missing=0.03, kind="quantitative"):
    """Blocks of five variants, 1 kb apart, that carry nearly the same genotypes; the blocks are independent."""
    store = build_genotypes(n_samples=n_samples, n_variants=60, missing=missing, covariates=1, kind=kind)
    rng = np.random.default_rng(3)
    dosage = store.dosage.copy()
    for first in range(0, 60, 5):
        for column in range(first + 1, first + 5):
            copied = rng.random(n_samples) < 0.95
            dosage[copied, column] = store.dosage[copied, first]
    log10_p = np.log10(rng.random(60))
    log10_p[::7] = np.nan
    return replace(store, dosage=dosage, summary_log10_p=log10_p)


def test_of_variants_in_linkage_disequilibrium_the_most_associated_stays():
    store = linked()
    samples = split_samples(store).train
    everything = prepare(preparation(), store, samples, n_variants=None).store.variants.ids.tolist()
    clumped = prepare(preparation(clump={"r2": 0.5}), store, samples, n_variants=None).store.variants.ids.tolist()
    block = {name: int(name[2:]) // 5 for name in everything}
    best = list({block[name]: name for name in reversed(everything)}.values())
    assert sorted(clumped) == sorted(best)
    assert clumped == [name for name in everything if name in clumped]
    near = prepare(preparation(clump={"r2": 0.5, "window_bp": 999}), store, samples, n_variants=None)
    assert near.store.n_variants == 60, "they lie 1,000 bp apart"


def two_populations(n_samples=300):
    store = build_genotypes(n_samples=n_samples, n_variants=200, missing=0.02, covariates=1)
    rng = np.random.default_rng(1)
    population = np.arange(n_samples) % 2
    frequency = np.where(population[:, None], rng.uniform(0.1, 0.5, 200), rng.uniform(0.1, 0.5, 200))
    dosage = rng.binomial(2, frequency).astype(np.int8)
    dosage[rng.random(dosage.shape) < 0.02] = MISSING_DOSAGE
    return replace(store, dosage=dosage, phenotype=2.0 * population + rng.normal(size=n_samples)), population


def test_components_are_covariates_and_tell_populations_apart_in_samples_that_they_never_saw(tmp_path):
    store, population = two_populations()
    splits = split_samples(store)
    made = prepare(preparation(components=3), store, splits.train, n_variants=5)
    assert made.store.covariate_names == ("PC1", "component 1", "component 2", "component 3")
    np.testing.assert_array_equal(made.store.covariates[:, 0], store.covariates[:, 0])
    first = made.store.covariates[splits.validation, 1]
    assert abs(np.corrcoef(first, population[splits.validation])[0, 1]) > 0.95
    model = fit(store, splits, "ridge", {"components": 3}, n_variants=5)
    assert model.covariate_names == ("PC1",), "components are made of the genotypes that are given"
    assert len(model.variants.ids) > 100
    expected = model.predict_samples(store, splits.validation)
    model.save(tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).predict_samples(store, splits.validation), expected)
    assert np.corrcoef(expected, store.phenotype[splits.validation])[0, 1] > 0.5
