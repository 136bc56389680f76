"""A second relationship by further tables, held to the mixed model written out with whole matrices."""

import numpy as np
import pytest

from genotune.store import Splits
from genotune.trainables import build_trainable
from genotune.trainables.gblup_solver import decompose, log_likelihood, rotate
from genotune.trainables.gblup_tables import choose_share, join
from genotune.trainables.prepared import fit_prepared, prepare
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, split_samples, with_tables

PLAN = FitPlan(seed=1, max_epochs=1)


def fit(store, splits, **params):
    metrics = {}
    trainable = build_trainable("ridge", params, store.columns)
    report = lambda progress: metrics.update(progress.metrics)  # noqa: E731
    return fit_prepared(trainable, store, splits, report=report, plan=PLAN), metrics


def relation(values, train):
    """(sample, training sample) products of centred values, of mean one on the diagonal of the training samples."""
    centred = values - values[train].mean(axis=0)
    return centred @ centred[train].T / np.mean(np.sum(centred[train] ** 2, axis=1))


@pytest.mark.parametrize("n_columns", [3, 400], ids=["fewer columns than samples", "more columns than samples"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_predictions_are_those_of_the_mixed_model_with_both_relationships(n_columns, share):
    store = with_tables(build_genotypes(150, 60, covariates=2), n_columns=n_columns)
    splits = split_samples(store)
    train = splits.train
    columns = prepare(None, store, train, n_variants=None).store.covariates[:, 2:].astype(float)
    genomic, of_tables = relation(store.dosage.astype(float), train), relation(columns, train)
    both = (1 - share) * genomic + share * of_tables
    fixed = np.column_stack([np.ones(150), store.covariates])
    inverse = np.linalg.inv(both[train] + 0.7 * np.eye(len(train)))
    left = fixed[train].T @ inverse
    effects = np.linalg.solve(left @ fixed[train], left @ store.phenotype[train])
    expected = fixed @ effects + both @ inverse @ (store.phenotype[train] - fixed[train] @ effects)
    model, _ = fit(store, splits, penalty=0.7, table_share=share)
    np.testing.assert_allclose(model.predict_samples(store, np.arange(150)), expected, rtol=1e-4)


def test_the_share_has_the_highest_likelihood_of_those_that_are_tried():
    store = with_tables(build_genotypes(120, 300, covariates=1), n_columns=50)
    made = prepare(None, store, np.arange(120), n_variants=None).store
    relationship = decompose(store.dosage, np.arange(120), standardize=False)
    columns, fixed = made.covariates[:, 1:], np.column_stack([np.ones(120), store.covariates])
    targets = store.phenotype[:, None]
    heights = {
        share: log_likelihood(rotate(join(relationship, columns, share=share), fixed, targets=targets), 0.5)[0]
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    }
    assert choose_share(relationship, columns, fixed, targets=targets, penalty=0.5) == max(heights, key=heights.get)
    assert len({round(height, 3) for height in heights.values()}) == 5


@pytest.mark.parametrize("kind", ["quantitative", "binary", "multiclass", "count"])
def test_a_trait_of_tables_alone_has_its_variance_there_and_one_of_variants_alone_has_not(kind):
    store = build_genotypes(400, 40, kind=kind)
    mute = with_tables(store, missing=0.0, n_columns=40)
    mute.features[:, 0] = np.random.default_rng(2).normal(size=400)
    _, of_variants = fit(mute, split_samples(store))
    assert of_variants["table_variance"] <= 0.5 * of_variants["heritability"]
    telling = with_tables(build_genotypes(400, 40, kind=kind), n_columns=4)
    telling.dosage[:] = np.random.default_rng(3).binomial(2, 0.4, telling.dosage.shape)
    _, of_tables = fit(telling, split_samples(store))
    assert of_tables["table_variance"] > 0.8 * (of_tables["heritability"] + of_tables["table_variance"])


def test_a_share_of_tables_that_are_not_there_is_refused():
    trainable = build_trainable("ridge", {"table_share": 0.2}, build_genotypes(20, 5).columns)
    from genotune.store import GenotypeOutline

    [problem] = trainable.problems(GenotypeOutline(100, 50, "quantitative", 0, 1))
    assert problem == (("table_share",), "found 0.2; there are no further tables (data.tables). Remove it.")
    assert trainable.problems(GenotypeOutline(100, 50, "quantitative", 0, 1, n_features=3)) == []


def test_more_columns_than_samples_still_leave_room_for_covariates():
    store = with_tables(build_genotypes(60, 30, covariates=3), n_columns=2000)
    model, metrics = fit(store, Splits(np.arange(50), np.arange(50, 60)))
    assert np.isfinite(model.predict_samples(store, np.arange(60))).all()
    assert 0 < metrics["table_variance"] + metrics["heritability"] < 1
