"""One model of several traits beside further tables: each trait's own columns and levels, wherever it was learned."""

from dataclasses import replace

import numpy as np
import pytest

from genotune.store import GenotypeStore, Splits, TableColumn, TraitsStore
from genotune.trainables import build_trainable, load_model
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, with_tables

PARAMS = {
    "boosted_trees": {"rounds_per_epoch": 5, "max_depth": 2},
    "ridge": {"penalty": 1.0, "table_share": 0.5},
    "elastic_net": {"penalty": 0.2},
}
SPLITS = Splits(np.arange(120), np.arange(120, 200))


@pytest.fixture
def store():
    """Two traits of 200 samples; who lives in Kiel has no first trait, who lives in Ulm no second one."""
    one = with_tables(build_genotypes(200, 20, covariates=1, seed=4), missing=0.0)
    rng = np.random.default_rng(5)
    site = np.arange(200) % 4 % 3  # Bonn, Kiel, Ulm, Bonn, ...
    features = np.column_stack([one.features[:, :-1], site]).astype(np.float32)
    features[rng.random(features.shape) < 0.05] = np.nan
    one = replace(one, features=features)
    height, weight = one.phenotype.copy(), 2 * one.phenotype + rng.normal(size=200)
    height[site == 1], weight[site == 2] = np.nan, np.nan
    return TraitsStore.of(
        [replace(one, trait="height", phenotype=height), replace(one, trait="weight", phenotype=weight)]
    )


def fitted(family, store, splits=SPLITS):
    trainable = build_trainable(family, PARAMS[family], GenotypeStore.columns)
    plan = FitPlan(seed=3, max_epochs=trainable.own_epochs or 2)
    return fit_prepared(trainable, store, splits, report=lambda _: None, plan=plan)


@pytest.mark.parametrize("family", PARAMS)
def test_each_trait_is_predicted_as_by_a_model_of_its_own_also_once_it_is_loaded(family, store, tmp_path):
    model = fitted(family, store)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    everyone = np.arange(200)
    together = model.predict_samples(store, everyone)
    np.testing.assert_array_equal(loaded.predict_samples(store, everyone), together)
    for index, one in enumerate(store.each):
        alone = replace(one, twin=None)
        mine = fitted(family, alone, Splits(alone.known(SPLITS.train), alone.known(SPLITS.validation)))
        np.testing.assert_allclose(together[:, index], mine.predict_samples(alone, everyone), rtol=1e-5, atol=1e-5)


def test_levels_of_a_category_that_only_one_trait_was_learned_with_are_all_the_models(store):
    model = fitted("boosted_trees", store)
    site = model.table_columns[-1]
    assert site.name == "clinical:site"
    assert {*site.levels} == {"Bonn", "Kiel", "Ulm"}
    each = [{*one.table_columns[-1].levels} for one in model.models]
    assert each == [{"Bonn", "Ulm"}, {"Bonn", "Kiel"}]


def test_a_cohort_whose_levels_stand_in_another_order_is_predicted_the_same(store):
    model = fitted("ridge", store)
    genotypes = store.genotypes
    turned = ("Ulm", "Paris", "Kiel", "Bonn")
    code = np.array([turned.index(level) for level in genotypes.table_columns[-1].levels], dtype=np.float32)
    features = genotypes.features.copy()
    known = ~np.isnan(features[:, -1])
    features[known, -1] = code[features[known, -1].astype(int)]
    columns = (*genotypes.table_columns[:-1], TableColumn("clinical:site", turned))
    other = replace(genotypes, features=features, table_columns=columns)
    everyone = np.arange(200)
    np.testing.assert_allclose(
        model.predict_samples(other, everyone), model.predict_samples(store, everyone), rtol=1e-6
    )


def test_its_parameters_are_those_of_the_models_of_all_traits(store):
    model = fitted("elastic_net", store)
    each = [one.n_parameters for one in model.models]
    assert model.n_parameters == sum(each)
    assert len(each) == 2
    assert min(each) > 0
