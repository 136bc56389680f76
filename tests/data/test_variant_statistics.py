import itertools

import numpy as np
import pytest
from data.one_training_set import block_statistics
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.data.variant_statistics import join_statistics, joint_statistics, training_sets, trait_basis
from genotune.store import DOSAGE_STEPS, MISSING_STEPS

N = 60


def no_covariates(n):
    return np.empty((n, 0), dtype=np.float32)


def draw_dosage(rng, n_samples, n_variants, *, missing=0.1):
    dosage = rng.binomial(2, rng.uniform(0.1, 0.9, n_variants), (n_samples, n_variants)).astype(np.int8)
    dosage[rng.random(dosage.shape) < missing] = -1
    return dosage


def draw_trait(rng, kind, n):
    if kind == "binary":
        return (rng.random(n) < 0.4).astype(np.float64)
    if kind == "multiclass":
        return rng.permutation(np.arange(n) % 4).astype(np.float64)
    return rng.poisson(3, n).astype(np.float64) if kind == "count" else rng.normal(170, 5, n)


def residuals(columns, design):
    """What least squares leaves of the columns."""
    return columns - design @ np.linalg.lstsq(design, columns, rcond=None)[0]


def association_by_least_squares(dosage, trait, covariates, *, kind):
    """Share of the dosage's variance that the trait explains, the covariates taken out of both, variant by variant.

    For one column this is the squared partial correlation, which is the same whichever of both is explained.
    """
    beside = np.column_stack([np.ones(len(trait)), covariates.astype(np.float64)])
    columns = trait[:, None] if kind != "multiclass" else np.eye(int(trait.max()) + 1)[trait.astype(int)]
    found = []
    for variant in dosage.T.astype(np.float64):
        called = variant >= 0
        filled = np.where(called, variant, variant[called].mean())
        left = residuals(filled, beside)
        unexplained = residuals(left, residuals(columns, beside))
        found.append(1 - (unexplained @ unexplained) / (left @ left))
    return np.array(found)


def test_genotypes_are_counted_and_missing_ones_are_not():
    dosage = np.array([[2, 0, -1], [1, 0, -1], [-1, 1, -1], [2, 0, -1]], dtype=np.int8)
    found = block_statistics(dosage, trait_basis(np.arange(4.0), no_covariates(4), kind="quantitative"))
    assert found.n_two.tolist() == [2, 0, 0]
    assert found.n_one.tolist() == [1, 1, 0]
    assert found.n_none.tolist() == [0, 3, 0]
    assert found.n_called.tolist() == [3, 4, 0]
    np.testing.assert_array_equal(found.frequency, [5 / 6, 1 / 8, np.nan])


def test_association_is_the_squared_correlation_by_hand():
    trait = np.array([1.0, 2.0, 4.0, 5.0])
    dosage = np.array([[0, 2, 0], [0, 2, 2], [1, 1, 2], [1, 1, 0]], dtype=np.int8)
    found = block_statistics(dosage, trait_basis(trait, no_covariates(4), kind="quantitative"))
    # Sums of squares: trait 10, dosages 1, 1 and 4; sums of products 3, -3 and 0.
    np.testing.assert_allclose(found.association, [0.9, 0.9, 0.0], atol=1e-12)


def test_a_missing_dosage_counts_as_the_mean():
    trait = np.array([0.0, 1.0, 2.0, 3.0, 9.0])
    dosage = np.array([[0], [1], [1], [2], [-1]], dtype=np.int8)
    found = block_statistics(dosage, trait_basis(trait, no_covariates(5), kind="quantitative"))
    # The fifth sample adds nothing to the sum of products (3) and of squares (2), but 36 to the trait's (50).
    np.testing.assert_allclose(found.association, [9 / (2 * 50)], rtol=1e-9)


@pytest.mark.parametrize("n_covariates", [0, 1, 5])
@pytest.mark.parametrize("kind", ["quantitative", "binary", "count", "multiclass"])
def test_association_equals_least_squares(kind, n_covariates):
    rng = np.random.default_rng(n_covariates)
    dosage, trait = draw_dosage(rng, N, 30), draw_trait(rng, kind, N)
    covariates = (rng.normal(size=(N, n_covariates)) + dosage[:, :1]).astype(np.float32)
    found = block_statistics(dosage, trait_basis(trait, covariates, kind=kind)).association
    expected = association_by_least_squares(dosage, trait, covariates, kind=kind)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert expected.max() > 0.05


@pytest.mark.parametrize(("origin", "unit"), [(0, 1e10), (0, 1e-12), (2000, 1), (1e6, 1), (1.7e9, 1e5), (-300, 0.01)])
def test_neither_origin_nor_unit_of_a_covariate_matters(origin, unit):
    rng = np.random.default_rng(0)
    dosage, trait = draw_dosage(rng, N, 5), draw_trait(rng, "quantitative", N)
    trait += 10 * dosage[:, 0]
    own = (rng.normal(size=(N, 2)) + 2 * dosage[:, :1]) * [unit, 1] + [origin, 0]
    covariates = own.astype(np.float32)  # what is rounded here is rounded for the oracle too
    exact = covariates.astype(np.float64)
    standardized = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    found = block_statistics(dosage, trait_basis(trait, covariates, kind="quantitative")).association
    expected = association_by_least_squares(dosage, trait, standardized, kind="quantitative")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("origin", "unit"), [(1e9, 1), (-5, 1e-6), (0, 1e12)])
def test_neither_origin_nor_unit_of_the_trait_matters(origin, unit):
    rng = np.random.default_rng(0)
    dosage, trait = draw_dosage(rng, N, 5), rng.normal(size=N)
    covariates = rng.normal(size=(N, 1)).astype(np.float32)
    plain, moved = (
        block_statistics(dosage, trait_basis(values, covariates, kind="quantitative")).association
        for values in (trait, trait * unit + origin)
    )
    np.testing.assert_allclose(moved, plain, rtol=1e-5)


def test_covariates_that_say_the_same_twice_or_nothing_change_nothing():
    rng = np.random.default_rng(0)
    dosage, trait = draw_dosage(rng, N, 5), draw_trait(rng, "quantitative", N)
    one = rng.normal(size=(N, 1)).astype(np.float32)
    more = np.column_stack([one, 4 * one, np.full(N, 0.1)]).astype(np.float32)
    plain, redundant = (trait_basis(trait, covariates, kind="quantitative") for covariates in (one, more))
    assert redundant.covariates.shape == plain.covariates.shape == (N, 2)
    np.testing.assert_allclose(
        block_statistics(dosage, redundant).association, block_statistics(dosage, plain).association, rtol=1e-6
    )


def test_a_variant_that_does_not_vary_has_no_association():
    rng = np.random.default_rng(0)
    dosage = np.tile(np.array([0, 1, 2, -1, 1], dtype=np.int8), (N, 1))
    dosage[::7, 4] = -1
    dosage[0, 2] = -1
    covariates = rng.normal(size=(N, 2)).astype(np.float32)
    found = block_statistics(dosage, trait_basis(rng.normal(size=N), covariates, kind="quantitative"))
    assert np.isnan(found.association).all()
    np.testing.assert_array_equal(found.frequency, [0, 0.5, 1, np.nan, 0.5])


def test_a_variant_that_the_covariates_know_wholly_has_no_association():
    rng = np.random.default_rng(0)
    dosage = draw_dosage(rng, N, 2, missing=0)
    covariates = (3 * dosage[:, :1] + 0.1).astype(np.float32)
    found = block_statistics(dosage, trait_basis(rng.normal(size=N), covariates, kind="quantitative"))
    assert np.isnan(found.association).tolist() == [True, False]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 / 3])
def test_a_trait_that_does_not_vary_is_associated_with_nothing(value):
    rng = np.random.default_rng(0)
    basis = trait_basis(np.full(N, value), rng.normal(size=(N, 1)).astype(np.float32), kind="quantitative")
    assert basis.trait.shape == (N, 0)
    np.testing.assert_array_equal(block_statistics(draw_dosage(rng, N, 3), basis).association, np.zeros(3))


def test_a_trait_that_is_a_covariate_is_associated_with_nothing():
    rng = np.random.default_rng(0)
    covariates = rng.normal(size=(N, 1)).astype(np.float32)
    basis = trait_basis(2.5 * covariates[:, 0].astype(np.float64) + 7, covariates, kind="quantitative")
    np.testing.assert_array_equal(block_statistics(draw_dosage(rng, N, 3), basis).association, np.zeros(3))


def test_which_allele_is_counted_does_not_matter():
    rng = np.random.default_rng(0)
    dosage = draw_dosage(rng, N, 20)
    other = np.where(dosage < 0, -1, 2 - dosage).astype(np.int8)
    basis = trait_basis(rng.normal(size=N), rng.normal(size=(N, 2)).astype(np.float32), kind="quantitative")
    one, two = block_statistics(dosage, basis), block_statistics(other, basis)
    np.testing.assert_allclose(one.association, two.association, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.frequency, 1 - two.frequency, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_samples=st.integers(3, 400), n_covariates=st.integers(0, 12))
def test_equal_genotypes_have_the_very_same_association_however_blocks_are_cut(seed, n_samples, n_covariates):
    """Ranks rest on it: BLAS sums a column in an order that depends on where in the block it stands."""
    rng = np.random.default_rng(seed)
    variants = np.repeat(draw_dosage(rng, n_samples, 3), 17, axis=1)[:, rng.permutation(51)]
    covariates = rng.normal(size=(n_samples, n_covariates)).astype(np.float32)
    basis = trait_basis(rng.normal(size=n_samples), covariates, kind="quantitative")
    whole = block_statistics(variants, basis)
    edges = [0, 1, 2, 9, 33, 51]
    blocks = [variants[:, first:last] for first, last in itertools.pairwise(edges)]
    parts = join_statistics([block_statistics(block, basis) for block in blocks])
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(np.unique(whole.association)) <= len(np.unique(variants.T, axis=0)) <= 3


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_samples=st.integers(4, 50),
    n_covariates=st.integers(0, 4),
    kind=st.sampled_from(["quantitative", "binary", "count", "multiclass"]),
)
def test_association_is_a_share(seed, n_samples, n_covariates, kind):
    rng = np.random.default_rng(seed)
    dosage = draw_dosage(rng, n_samples, 10, missing=0.2)
    covariates = rng.normal(size=(n_samples, n_covariates)).astype(np.float32)
    found = block_statistics(dosage, trait_basis(draw_trait(rng, kind, n_samples), covariates, kind=kind))
    has_one = ~np.isnan(found.association)
    assert ((found.association[has_one] >= 0) & (found.association[has_one] <= 1)).all()
    calls = [variant[variant >= 0] for variant in dosage.T]
    varies = [len(np.unique(called)) > 1 for called in calls]
    assert not (has_one & ~np.array(varies)).any()
    assert (found.n_called == [len(called) for called in calls]).all()


def test_one_block_of_the_counts_of_many_samples_stays_exact():
    """100,000 samples: sums in float32 would be off in the fourth digit."""
    rng = np.random.default_rng(0)
    n = 100_000
    dosage = draw_dosage(rng, n, 3, missing=0.02)
    trait = rng.normal(1000, 1, n) + 0.01 * dosage[:, 0]
    covariates = rng.normal(50, 3, size=(n, 2)).astype(np.float32)
    found = block_statistics(dosage, trait_basis(trait, covariates, kind="quantitative")).association
    expected = association_by_least_squares(dosage, trait, covariates, kind="quantitative")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_samples=st.integers(8, 200),
    n_sets=st.integers(1, 6),
    kind=st.sampled_from(["quantitative", "binary", "multiclass"]),
    is_fractional=st.booleans(),
)
def test_each_of_several_training_sets_has_the_very_statistics_that_it_has_alone(
    seed, n_samples, n_sets, kind, is_fractional
):
    rng = np.random.default_rng(seed)
    trait, covariates = draw_trait(rng, kind, n_samples), rng.normal(size=(n_samples, 2)).astype(np.float32)
    dosage = in_steps(some_fractions(rng, n_samples, 9)) if is_fractional else draw_dosage(rng, n_samples, 9)
    members = [np.sort(rng.permutation(n_samples)[: rng.integers(4, n_samples + 1)]) for _ in range(n_sets)]
    bases = [trait_basis(trait[rows], covariates[rows], kind=kind) for rows in members]
    sets = training_sets(bases, members, n_samples=n_samples, is_fractional=is_fractional)
    found = joint_statistics(dosage, sets)
    for rows, basis, one in zip(members, bases, found, strict=True):
        for mine, alone in zip(one, block_statistics(dosage[rows], basis), strict=True):
            np.testing.assert_array_equal(mine, alone)


def in_steps(copies):
    """uint16 codes of copies of an allele, NaN where missing."""
    return np.where(np.isnan(copies), MISSING_STEPS, np.rint(copies * DOSAGE_STEPS)).astype(np.uint16)


def some_fractions(rng, n_samples, n_variants, *, missing=0.1):
    """Whole multiples of a step."""
    copies = np.rint(rng.uniform(0, 2, (n_samples, n_variants)) * DOSAGE_STEPS) / DOSAGE_STEPS
    copies[rng.random(copies.shape) < missing] = np.nan
    return copies


def test_whole_dosages_in_steps_say_what_they_say_as_copies():
    rng = np.random.default_rng(0)
    dosage = draw_dosage(rng, N, 20)
    basis = trait_basis(rng.normal(size=N), rng.normal(size=(N, 2)).astype(np.float32), kind="quantitative")
    steps = in_steps(np.where(dosage < 0, np.nan, dosage))
    whole, found = block_statistics(dosage, basis), block_statistics(steps, basis)
    for name in ("n_two", "n_one", "n_none", "n_known", "copies"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    np.testing.assert_allclose(found.association, whole.association, rtol=1e-6, atol=1e-9)


def test_fractions_near_a_whole_number_are_called_and_all_of_them_count_in_the_frequency():
    copies = np.array([[0, 0.1, 0.11, 0.5, 0.89], [0.9, 1, 1.1, 1.11, 1.89], [1.9, 1.95, 2, np.nan, 0.25]]).ravel()
    basis = trait_basis(np.arange(15.0), no_covariates(15), kind="quantitative")
    found = block_statistics(in_steps(copies)[:, None], basis)
    # 0 and 0.1; 0.9, 1 and 1.1; 1.9, 1.95 and 2: the ends are rounded to a step inwards, 0.1 is 1638.4 of them.
    assert (found.n_none.tolist(), found.n_one.tolist(), found.n_two.tolist()) == ([2], [3], [3])
    assert found.n_known.tolist() == [14]
    assert found.n_called.tolist() == [8]
    assert found.frequency[0] == pytest.approx(np.nanmean(copies) / 2, abs=1e-5)


@pytest.mark.parametrize("kind", ["quantitative", "binary", "multiclass"])
def test_the_association_of_fractions_equals_least_squares(kind):
    rng = np.random.default_rng(5)
    copies = some_fractions(rng, N, 12)
    trait, covariates = draw_trait(rng, kind, N), rng.normal(size=(N, 2)).astype(np.float32)
    found = block_statistics(in_steps(copies), trait_basis(trait, covariates, kind=kind)).association
    oracle = association_by_least_squares(np.nan_to_num(copies, nan=-1), trait, covariates, kind=kind)
    np.testing.assert_allclose(found, oracle, rtol=1e-6)


def test_the_same_fractions_have_the_same_association_however_blocks_are_cut():
    rng = np.random.default_rng(6)
    dosage = np.tile(in_steps(some_fractions(rng, N, 7)), 3)
    basis = trait_basis(rng.normal(size=N), rng.normal(size=(N, 2)).astype(np.float32), kind="quantitative")
    whole = block_statistics(dosage, basis)
    cut = join_statistics([block_statistics(dosage[:, first : first + 4], basis) for first in range(0, 21, 4)])
    for name in whole._fields:
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))
        np.testing.assert_array_equal(getattr(whole, name)[:7], getattr(whole, name)[14:])
