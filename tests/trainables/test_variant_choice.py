"""Variants of a trial: filtered, pruned, ranked by association, an outside study or trees, clumped."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import xgboost
from pydantic import ValidationError

from genotune.settings import build
from genotune.store import MISSING_DOSAGE, GenotypeOutline, copies
from genotune.trainables.preparation import Preparation
from genotune.trainables.trainable import FitError
from genotune.trainables.variant_choice import choose_variants
from genotype_builders import build_genotypes, build_variants, split_samples, with_steps


def preparation(**values):
    return build(Preparation, values)


def chosen(store, *, covariates=None, **values):
    """Columns by name, on the training samples."""
    covariates = store.covariates if covariates is None else covariates
    samples = split_samples(store).train
    return choose_variants(preparation(**values), store, samples, covariates=covariates, n_threads=1).tolist()


def test_call_rates_are_those_of_training_samples():
    store = build_genotypes(n_samples=100)
    store.dosage[:7, 3] = MISSING_DOSAGE  # 63 of 70 are called
    store.dosage[70:, 4] = MISSING_DOSAGE
    assert {*chosen(store, min_call_rate=0.9)} == {*range(40)}
    assert {*range(40)} - {*chosen(store, min_call_rate=0.91)} == {3}


def exact_hwe_p(n_one, n_two, n_none):
    """By the definition: the chance of all counts of heterozygotes that are no likelier than the one found."""
    n, a = n_one + n_two + n_none, 2 * n_two + n_one
    ways = {
        h: math.factorial(n)
        * 2**h
        / (math.factorial((a - h) // 2) * math.factorial(h) * math.factorial((2 * n - a - h) // 2))
        for h in range(a % 2, min(a, 2 * n - a) + 1, 2)
    }
    return sum(way for way in ways.values() if way <= ways[n_one] * (1 + 1e-9)) / sum(ways.values())


@pytest.mark.parametrize("is_fractional", [False, True])
def test_hardy_weinberg_is_tested_on_training_samples(is_fractional):
    store = build_genotypes(n_samples=200)
    store.dosage[:140, 5] = np.repeat([0, 1, 2], [60, 20, 60])
    store.dosage[140:, 6] = 1
    called = store.dosage[:140]
    p = [exact_hwe_p(*(int(np.count_nonzero(called[:, v] == n)) for n in (1, 2, 0))) for v in range(40)]
    given = with_steps(store, blur=0.4) if is_fractional else store
    for least in (1e-10, 0.05, 0.5):
        expected = {v for v in range(40) if p[v] >= least}
        assert {*chosen(given, min_hwe_p=least)} == expected
        assert 5 not in expected
        assert least > 0.1 or 6 in expected


def in_blocks(n_samples=300):
    """Ten blocks of four variants in a row, the copies of a block differing in a few samples."""
    store = build_genotypes(n_samples=n_samples)
    rng = np.random.default_rng(2)
    dosage = store.dosage.copy()
    for first in range(0, 40, 4):
        for column in range(first + 1, first + 4):
            same = rng.random(n_samples) < 0.95
            dosage[same, column] = dosage[same, first]
    return replace(store, dosage=dosage)


@pytest.mark.parametrize("window", [{}, {"window_bp": 3000}, {"window_variants": 4}], ids=str)
def test_pruning_leaves_the_commonest_of_a_block_whatever_the_trait(window):
    store = in_blocks()
    frequency = store.dosage[:210].mean(axis=0) / 2
    minor = np.minimum(frequency, 1 - frequency).reshape(10, 4)
    expected = {int(4 * block + row.argmax()) for block, row in enumerate(minor)}
    pruned = chosen(store, prune={"r2": 0.3, **window})
    assert {*pruned} == expected
    assert pruned == [variant for variant in chosen(store) if variant in expected], "ranked as they are without"


def test_variants_beyond_the_window_are_not_pruned():
    assert len(chosen(in_blocks(), prune={"r2": 0.3, "window_bp": 999})) == 40
    assert 10 < len(chosen(in_blocks(), prune={"r2": 0.3, "window_variants": 2})) < 40


def test_two_windows_are_refused():
    with pytest.raises(ValidationError, match="window_bp and window_variants are two ways to say one thing"):
        preparation(prune={"window_bp": 5, "window_variants": 5})


def with_study(store, log10_p):
    return replace(store, summary_log10_p=np.array(log10_p))


def test_another_study_ranks_whatever_the_trait_here():
    log10_p = np.linspace(-0.1, -3, 40)
    log10_p[[2, 39]] = np.nan
    log10_p[10] = -np.inf
    store = with_study(build_genotypes(), log10_p)
    expected = [10, *(v for v in range(38, -1, -1) if v not in (2, 10))]
    assert chosen(store, rank_by="summary") == expected
    turned = replace(store, phenotype=store.phenotype[::-1].copy())
    assert chosen(turned, rank_by="summary") == expected
    assert chosen(store, rank_by="summary", max_p=0.01) == [v for v in expected if log10_p[v] <= -2]
    store.dosage[:210, 38] = 1
    assert 38 not in chosen(store, rank_by="summary")


def test_clumps_are_led_by_what_the_other_study_ranks_first():
    log10_p = np.full(40, -1.0)
    log10_p[np.arange(2, 40, 4)] = np.arange(-2, -12, -1)
    assert chosen(with_study(in_blocks(), log10_p), rank_by="summary", clump={"r2": 0.3}) == [*range(38, 0, -4)]


def test_without_another_study_a_fit_is_refused():
    with pytest.raises(FitError, match=r"rank_by: summary: there is no other study\. Name it in data\.summary_stat"):
        chosen(build_genotypes(), rank_by="summary")


@pytest.mark.parametrize("kind", ["quantitative", "binary", "multiclass", "count"])
def test_trees_rank_by_the_gain_of_all_splits_on_training_samples(kind):
    store = build_genotypes(n_samples=500, kind=kind, covariates=2, missing=0.02)
    objective = {
        "quantitative": {"objective": "reg:squarederror"},
        "binary": {"objective": "binary:logistic"},
        "multiclass": {"objective": "multi:softprob", "num_class": 3},
        "count": {"objective": "count:poisson"},
    }[kind]
    rows = np.column_stack([copies(store.dosage), store.covariates])[:350]
    matrix = xgboost.QuantileDMatrix(rows, label=store.phenotype[:350], max_bin=32, nthread=1)
    params = {**objective, "max_depth": 2, "learning_rate": 0.3, "colsample_bynode": 0.5, "seed": 0, "max_bin": 32}
    trees = xgboost.train({**params, "nthread": 1}, matrix, num_boost_round=20).trees_to_dataframe()
    gain = trees[trees["Feature"] != "Leaf"].groupby("Feature")["Gain"].sum().sort_values(ascending=False)
    expected = [int(name[1:]) for name in gain.index if int(name[1:]) < 40]
    by = {"kind": "trees", "rounds": 20, "max_depth": 2, "learning_rate": 0.3}
    assert chosen(store, rank_by=by) == expected
    assert {*expected[:4]} == {0, 1, 2, 3}
    assert len(expected) < 40


def test_trees_find_variants_that_matter_only_together():
    store = build_genotypes(n_samples=900, n_variants=30)
    carries = store.dosage[:, [20, 21]] > 0
    noise = np.random.default_rng(0).normal(scale=0.3, size=900)
    # As many carriers of both or none as of one, so that neither alone says anything.
    store = replace(store, phenotype=np.logical_xor(*carries.T) - 0.0 + noise)
    samples = split_samples(store).train
    alone = [scipy.stats.linregress(store.dosage[samples, v], store.phenotype[samples]).pvalue for v in range(30)]
    assert chosen(store) == np.argsort(alone, kind="stable").tolist()
    assert {*chosen(store, rank_by={"kind": "trees", "max_depth": 4})[:2]} == {20, 21}


def test_trees_see_what_filters_and_the_p_value_leave():
    store = build_genotypes(n_samples=400)
    associated = {*chosen(store, max_p=0.2)}
    by_trees = chosen(store, max_p=0.2, rank_by="trees")
    assert {*by_trees} <= associated
    assert {*chosen(store, rank_by="trees")} - associated
    assert chosen(with_steps(store), max_p=0.2, rank_by="trees") == by_trees, "whatever the code of dosages"


def test_components_are_taken_out_of_the_association_as_covariates_are():
    store = build_genotypes(n_samples=300, covariates=1)
    rng = np.random.default_rng(4)
    beside = np.column_stack([store.covariates, rng.normal(size=(300, 2))]).astype(np.float32)
    store = replace(store, phenotype=store.phenotype + 20 * beside[:, 1])
    design = np.column_stack([np.ones(210), beside[:210]])

    def p(variant):
        both = np.column_stack([store.dosage[:210, variant], design])
        _, (squares,), *_ = np.linalg.lstsq(both, store.phenotype[:210])
        _, (before,), *_ = np.linalg.lstsq(design, store.phenotype[:210])
        return scipy.stats.f.sf((before - squares) / (squares / (210 - 5)), 1, 210 - 5)

    expected = np.argsort([p(variant) for variant in range(40)]).tolist()
    assert chosen(store, covariates=beside, components=2) == expected
    assert chosen(store) != expected


def test_what_took_the_variants_is_told_with_what_to_loosen():
    store = with_study(build_genotypes(n_samples=60, n_variants=4), [np.nan, -1, -1, -3])
    store.dosage[:, 3] = 1
    message = (
        r"^prepare: none of 4 variants is left \(1 don't vary among the training samples; 1 are not in the summary "
        r"statistics; 2 have a p above max_p\)\. Loosen max_p\.$"
    )
    with pytest.raises(FitError, match=message):
        chosen(store, rank_by="summary", max_p=0.01)
    still = replace(store, dosage=np.ones_like(store.dosage), variants=build_variants(4))
    with pytest.raises(FitError, match=r"4 don't vary among the training samples\)\. Give it more training samples\.$"):
        chosen(still)


OUTLINE = GenotypeOutline(100, 50, "quantitative", 0, 60)


@pytest.mark.parametrize(
    ("values", "outline", "path", "message"),
    [
        ({"rank_by": "summary"}, OUTLINE, "rank_by", "Name its table in data.summary_statistics"),
        ({"components": 38}, OUTLINE, "components", "nothing is left to test an association with"),
        ({"components": 38, "rank_by": "trees", "max_p": 0.1}, OUTLINE, "components", "nothing is left"),
    ],
)
def test_what_the_data_lack_is_said_before_anything_is_read(values, outline, path, message):
    (problem,) = preparation(**values).problems(outline)
    assert problem.path == (path,)
    assert message in problem.message


@pytest.mark.parametrize("values", [{"components": 37}, {"components": 38, "rank_by": "trees"}, {"rank_by": "trees"}])
def test_nothing_is_said_of_what_fits(values):
    assert preparation(**values).problems(OUTLINE) == []
    assert preparation(rank_by="summary").problems(OUTLINE._replace(has_summary=True)) == []
