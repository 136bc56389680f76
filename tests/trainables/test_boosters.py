"""Other boosters than plain trees: they learn, go on exactly, and are XGBoost's own."""

from dataclasses import replace

import numpy as np
import pytest
import xgboost
from pydantic import ValidationError

from genotune.settings import build
from genotune.store import GenotypeOutline
from genotune.trainables.boosted_trees_genotypes import GenotypeTrees
from genotune.trainables.boosters import Dart, booster_params
from genotune.trainables.trainable import FitError, FitPlan
from genotype_builders import build_genotypes, split_samples

BOOSTERS = {
    "dart": {"kind": "dart", "rate_drop": 0.5, "skip_drop": 0.1, "sample_type": "weighted", "normalize_type": "forest"},
    "gblinear": "gblinear",
}
KINDS = ("quantitative", "binary", "multiclass", "count")


def trainable(booster, **settings):
    chosen = BOOSTERS.get(booster, booster) if isinstance(booster, str) else booster
    values = {"family": "boosted_trees", "rounds_per_epoch": 6, "booster": chosen, **settings}
    return build(GenotypeTrees, values)


def fit(booster, store, *, seed=1, report=lambda progress: None, resume=None, **settings):
    plan = FitPlan(seed=seed, max_epochs=3)
    return trainable(booster, **settings).fit(store, split_samples(store), report=report, plan=plan, resume=resume)


def predict(model, store):
    return model.predict_samples(store, split_samples(store).validation)


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("booster", BOOSTERS)
def test_a_resumed_fit_is_the_uninterrupted_one_bit_for_bit(booster, kind, epoch, tmp_path):
    store = build_genotypes(150, 12, kind=kind, covariates=1, missing=0.05)

    def report(progress):
        if progress.epoch == epoch:
            progress.save_state(tmp_path)

    whole = fit(booster, store, report=report)
    resumed = fit(booster, store, resume=tmp_path)
    assert resumed.booster.save_raw("ubj") == whole.booster.save_raw("ubj")
    (tmp_path / "model").mkdir()
    whole.save(tmp_path / "model")
    np.testing.assert_array_equal(predict(GenotypeTrees.load_model(tmp_path / "model"), store), predict(whole, store))


@pytest.mark.parametrize("booster", BOOSTERS)
def test_a_planted_trait_is_learned(booster):
    store = build_genotypes(500, 20, missing=0.03)
    truth = store.phenotype[split_samples(store).validation]
    assert np.corrcoef(predict(fit(booster, store, learning_rate=0.5), store), truth)[0, 1] > 0.6


def test_dart_drops_trees_and_weighs_them():
    store = build_genotypes(200, 12)
    dropped, plain = predict(fit("dart", store), store), predict(fit("gbtree", store), store)
    assert not np.allclose(dropped, plain)
    never = predict(fit({"kind": "dart", "rate_drop": 0.0}, store), store)
    np.testing.assert_allclose(never, plain, rtol=1e-5)
    assert not np.array_equal(dropped, predict(fit("dart", store, seed=2), store))


def test_a_linear_booster_is_xgboosts_own_on_imputed_dosages():
    store = build_genotypes(200, 12, covariates=1, missing=0.1)
    rows = store.dosage.astype(np.float32)
    rows[store.dosage < 0] = np.broadcast_to(2 * store.variants.frequency, rows.shape)[store.dosage < 0]
    rows = np.concatenate([rows, store.covariates], axis=1)
    splits = split_samples(store)
    params = {"booster": "gblinear", "updater": "coord_descent", "eta": 0.1, "lambda": 1.0, "nthread": 1}
    matrix = xgboost.DMatrix(rows[splits.train], label=store.phenotype[splits.train])
    oracle = xgboost.train(params, matrix, 18).predict(xgboost.DMatrix(rows[splits.validation]))
    np.testing.assert_allclose(predict(fit("gblinear", store), store), oracle, rtol=1e-4)


def test_settings_of_a_booster_are_those_of_xgboost():
    assert booster_params(Dart(rate_drop=0.2)) == {
        "booster": "dart",
        "rate_drop": 0.2,
        "skip_drop": 0.5,
        "sample_type": "uniform",
        "normalize_type": "tree",
    }
    assert booster_params(trainable("gblinear").booster) == {"booster": "gblinear", "updater": "coord_descent"}
    with pytest.raises(ValidationError, match="rate_drop"):
        trainable({"kind": "gbtree", "rate_drop": 0.1})


def test_a_linear_booster_that_fits_no_memory_is_refused():
    [problem] = trainable("gblinear").problems(GenotypeOutline(100_000, 50_000, "binary", 2, 3))
    assert problem.path == ("booster",)
    assert problem.message.startswith("found gblinear; it holds 50003 features of 100000 samples as floats, 18.6 GiB;")


def test_gradient_based_sampling_on_a_cpu_is_refused():
    with pytest.raises(FitError, match="sampling_method gradient_based needs a GPU"):
        fit("gbtree", build_genotypes(60, 5), sampling_method="gradient_based")


def test_a_weighted_class_counts_as_so_many_samples_of_it():
    store = build_genotypes(120, 10, kind="binary")
    train = split_samples(store).train
    again = np.concatenate([train, train[store.phenotype[train] == 1]])
    twice = trainable("gbtree", min_child_weight=0, reg_lambda=0).fit(
        replace(store), split_samples(store)._replace(train=again), report=lambda _: None, plan=FitPlan(1, 3)
    )
    weighted = fit("gbtree", store, class_weight=2.0, min_child_weight=0, reg_lambda=0)
    np.testing.assert_allclose(predict(weighted, store), predict(twice, store), rtol=1e-3)
