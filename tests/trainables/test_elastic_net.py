"""The elastic net: few variants, one path for many draws, a small file."""

from dataclasses import replace

import numpy as np
import pydantic
import pytest

from genotune.store import GenotypeOutline
from genotune.trainables import elastic_net_path
from genotune.trainables.elastic_net import ElasticNet, ElasticNetModel
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, split_samples

KINDS = ("quantitative", "binary", "multiclass", "count")


def fit(store, *, report=lambda progress: None, **settings):
    plan = FitPlan(seed=1, max_epochs=1)
    return ElasticNet(**settings).fit(store, split_samples(store), report=report, plan=plan)


@pytest.mark.parametrize("kind", KINDS)
def test_the_planted_variants_have_the_largest_weights(kind):
    store = build_genotypes(600, 60, kind=kind, covariates=1, missing=0.02)
    model = fit(store, penalty=0.3, l1_ratio=1.0)
    sizes = np.zeros(60)
    # Of classes the first and the last: against the rest, the middle one is no sum of effects.
    sizes[model.terms.places] = np.abs(model.terms.weights[:, [0, -1]]).max(axis=1)
    assert set(np.argsort(-sizes)[:4]) == {0, 1, 2, 3}
    assert len(model.terms.places) < 45
    assert model.facts()["n_variants_used"] == len(model.terms.places)


def test_effects_come_in_units_of_the_trait():
    store = build_genotypes(600, 10, covariates=1)
    model = fit(store, penalty=0.001, l1_ratio=1.0)
    one = np.ones((1, 10), dtype=np.int8)
    two = one.copy()
    two[0, 0] = 2
    at = [model.predict(dosage, np.float32([[shift]]))[0] for dosage, shift in ((one, 0), (two, 0), (one, 1))]
    # The builder's first variant adds 1.0 and its covariate 1.0, each times the unit of its trait, 5.
    assert at[1] - at[0] == pytest.approx(5, abs=0.6)
    assert at[2] - at[0] == pytest.approx(5, abs=0.6)


def test_a_missing_dosage_is_as_good_as_the_training_mean():
    store = build_genotypes(200, 10)
    model = fit(store, penalty=0.05)
    at = []
    for code in (0, -1, 2):
        dosage = store.dosage[:1].copy()
        dosage[0, 0] = code
        at.append(float(model.predict(dosage, store.covariates[:1])[0]))
    share = store.dosage[split_samples(store).train, 0].mean() / 2
    assert at[1] == pytest.approx(at[0] + share * (at[2] - at[0]), abs=1e-3)
    assert at[2] - at[0] > 1


def test_the_highest_penalty_leaves_covariates_alone():
    store = build_genotypes(200, 10, covariates=1)
    model = fit(store, penalty=1.0)
    assert len(model.terms.places) == 0
    assert np.corrcoef(model.predict_samples(store, np.arange(200)), store.covariates[:, 0])[0, 1] > 0.999


@pytest.fixture
def paths(monkeypatch):
    """The problems of which a path was begun."""
    begun, begin = [], elastic_net_path.ElasticNetPath.__init__

    def counted(self, problem, variants):
        begun.append(problem.l1_ratio)
        begin(self, problem, variants)

    monkeypatch.setattr(elastic_net_path.ElasticNetPath, "__init__", counted)
    return begun


def test_one_path_serves_every_penalty_and_equals_one_of_its_own(paths):
    store = build_genotypes(150, 30, kind="binary", covariates=1)
    found = {penalty: fit(store, penalty=penalty) for penalty in (0.3, 0.05, 0.9)}
    assert paths == [0.5]
    fit(store, penalty=0.3, l1_ratio=0.9)
    fit(store, penalty=0.3, n_variants=20)
    assert paths == [0.5, 0.9, 0.5]
    for penalty, model in found.items():
        fresh = replace(store)
        np.testing.assert_array_equal(
            fit(fresh, penalty=penalty).predict_samples(fresh, np.arange(150)),
            model.predict_samples(store, np.arange(150)),
        )


def test_a_saved_model_holds_the_weights_of_the_used_variants_alone(tmp_path):
    store = build_genotypes(200, 400, kind="multiclass", missing=0.05)
    model = fit(store, penalty=0.5, l1_ratio=1.0)
    model.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.json", "variants.tsv"}
    assert (tmp_path / "model.safetensors").stat().st_size < 5000
    loaded = ElasticNetModel.load(tmp_path)
    asked = np.arange(200)
    np.testing.assert_array_equal(loaded.predict_samples(store, asked), model.predict_samples(store, asked))


def test_the_loss_and_the_number_of_variants_are_reported():
    store = build_genotypes(200, 30, kind="quantitative")
    seen = []
    model = fit(store, penalty=0.2, report=lambda progress: seen.append(progress.metrics))
    train = split_samples(store).train
    errors = model.predict_samples(store, train) - store.phenotype[train]
    assert seen[0]["train_loss"] == pytest.approx(np.mean(errors**2) / 2, rel=1e-3)
    assert seen[0]["variants_used"] == len(model.terms.places)


def test_more_variants_than_are_kept_are_a_problem():
    [problem] = ElasticNet(n_variants=9000).problems(GenotypeOutline(70, 5000, "count", 0, 3))
    assert problem.message == "found 9000; at most 5000 variants are kept (data.keep_variants). Use fewer."


@pytest.mark.parametrize("wrong", [{"penalty": 2.0}, {"penalty": 0.0}, {"l1_ratio": 0.0}, {"n_variants": 0}])
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError, match=next(iter(wrong))):
        ElasticNet(**wrong)
