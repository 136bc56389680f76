import numpy as np
import pytest
from genome import association_oracle as oracle
from genome.dosages import DTYPES, draw_dosage, exact, with_others_shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.genome import logistic_association
from genotune.genome.association import scan_linear, scan_logistic_score
from genotune.genome.logistic_association import scan_logistic

N = 90
SCANS = {"linear": scan_linear, "score": scan_logistic_score, "wald": scan_logistic}


def draw_cohort(seed, *, kind="linear", n_covariates=2, n_traits=1, missing=0.0, dtype=np.int8, n=N, n_variants=15):
    rng = np.random.default_rng(seed)
    dosage = draw_dosage(rng, n, n_variants, missing=missing, dtype=dtype)
    covariates = (rng.normal(size=(n, n_covariates)) + 0.3 * exact(dosage[:, :1]).clip(0)).astype(np.float32)
    covariates = np.nan_to_num(covariates)
    liability = 1.5 * np.nan_to_num(exact(dosage))[:, :n_traits] + rng.normal(size=(n, n_traits))
    traits = 100 + 7 * liability if kind == "linear" else (liability > np.median(liability)).astype(np.float64)
    return dosage, traits, covariates


def everyone(dosage):
    return np.arange(len(dosage))


def test_linear_regression_by_hand():
    # Dosage 0 0 1 1 2 2, trait 1 3 2 4 6 8: slope 10 / 4, rest 34 - 25 = 9 on four degrees of freedom.
    dosage = np.array([[0], [0], [1], [1], [2], [2]], dtype=np.int8)
    trait = np.array([[1.0], [3], [2], [4], [6], [8]])
    found = scan_linear(dosage, np.arange(6), traits=trait, covariates=np.empty((6, 0), np.float32))
    np.testing.assert_allclose(found.effect, [[2.5]])
    np.testing.assert_allclose(found.standard_error, [[0.75]])
    np.testing.assert_allclose(found.statistic, [[10 / 3]])
    # The tail of t on four degrees of freedom: 1 - sin (1 + cos^2 / 2), tan being t / 2.
    sine = (10 / 3) / np.sqrt((10 / 3) ** 2 + 4)
    np.testing.assert_allclose(found.p, [[1 - sine * (1 + (1 - sine**2) / 2)]], rtol=1e-10)
    assert found.n_samples.tolist() == [[6]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("missing", [0.0, 0.02, 0.4])
@pytest.mark.parametrize("n_covariates", [0, 1, 4])
def test_linear_regression_equals_least_squares(n_covariates, missing, dtype):
    dosage, traits, covariates = draw_cohort(1, n_covariates=n_covariates, missing=missing, dtype=dtype)
    found = scan_linear(dosage, everyone(dosage), traits=traits, covariates=covariates)
    expected = [oracle.linear(variant, traits[:, 0], covariates) for variant in exact(dosage).T]
    np.testing.assert_allclose(np.stack([found.effect[0], found.standard_error[0], found.p[0]], 1), expected, rtol=1e-7)
    assert found.n_samples[0].tolist() == (~np.isnan(exact(dosage))).sum(axis=0).tolist()
    assert found.p.min() < 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("missing", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("n_covariates", [0, 1, 4])
def test_logistic_regression_equals_newtons_method_on_each_variant(n_covariates, missing, dtype):
    dosage, traits, covariates = draw_cohort(2, kind="wald", n_covariates=n_covariates, missing=missing, dtype=dtype)
    found = scan_logistic(dosage, everyone(dosage), traits=traits, covariates=covariates)
    expected = [oracle.wald(variant, traits[:, 0], covariates) for variant in exact(dosage).T]
    np.testing.assert_allclose(
        np.stack([found.effect[0], found.standard_error[0], found.p[0]], 1), expected, rtol=1e-7, atol=1e-12
    )
    assert found.p.min() < 0.05


def test_many_covariates_are_not_held_as_products(monkeypatch):
    dosage, traits, covariates = draw_cohort(15, kind="wald", n_covariates=4, missing=0.05)
    one = scan_logistic(dosage, everyone(dosage), traits=traits, covariates=covariates)
    monkeypatch.setattr(logistic_association, "_MOST_PAIRS", 0)
    other = scan_logistic(dosage, everyone(dosage), traits=traits, covariates=covariates)
    for held, made in zip(one, other, strict=True):
        np.testing.assert_allclose(held, made, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_covariates", [0, 1, 4])
def test_score_test_equals_that_of_the_whole_model(n_covariates):
    dosage, traits, covariates = draw_cohort(3, kind="score", n_covariates=n_covariates)
    found = scan_logistic_score(dosage, everyone(dosage), traits=traits, covariates=covariates)
    expected = [oracle.score(variant, traits[:, 0], covariates) for variant in exact(dosage).T]
    np.testing.assert_allclose(found.p[0], expected, rtol=1e-7, atol=1e-12)
    assert found.p.min() < 0.05


def test_score_test_with_missing_genotypes_comes_near_that_of_the_known_samples_alone():
    """The covariates' effects are those of all samples: equal only in large cohorts."""
    dosage, traits, covariates = draw_cohort(4, kind="score", missing=0.1, n=4000, n_variants=30)
    found = scan_logistic_score(dosage, everyone(dosage), traits=traits, covariates=covariates)
    expected = [oracle.score(variant, traits[:, 0], covariates) for variant in exact(dosage).T]
    np.testing.assert_allclose(found.log10_p[0, 1:], np.log10(expected[1:]), atol=0.01)


def test_the_effect_of_the_score_test_is_near_the_fitted_one_where_it_is_small():
    dosage, traits, covariates = draw_cohort(5, kind="score", n=3000, n_variants=20)
    one, other = (
        scan(dosage, everyone(dosage), traits=traits, covariates=covariates)
        for scan in (scan_logistic_score, scan_logistic)
    )
    np.testing.assert_allclose(one.effect[0, 1:], other.effect[0, 1:], atol=0.01)
    np.testing.assert_allclose(one.standard_error[0, 1:], other.standard_error[0, 1:], rtol=0.01)


@pytest.mark.parametrize("name", SCANS)
def test_several_traits_at_once_are_each_tested_on_the_samples_they_are_known_for(name):
    dosage, traits, covariates = draw_cohort(6, kind=name, n_traits=4, missing=0.05)
    traits[::5, 1] = np.nan
    traits[::5, 2] = np.nan
    traits[3, 3] = np.nan
    scan = SCANS[name]
    together = scan(dosage, everyone(dosage), traits=traits, covariates=covariates)
    for index in range(4):
        known = np.flatnonzero(~np.isnan(traits[:, index]))
        alone = scan(dosage[known], everyone(known), traits=traits[known][:, [index]], covariates=covariates[known])
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[index], other[0], rtol=1e-9)
    assert together.n_samples[1].max() <= N - 18


@pytest.mark.parametrize("name", SCANS)
def test_a_trait_that_nobody_has_or_that_does_not_vary_has_no_p(name):
    dosage, traits, covariates = draw_cohort(7, kind=name, n_traits=3)
    traits[:, 0], traits[:, 1] = np.nan, 1
    found = SCANS[name](dosage, everyone(dosage), traits=traits, covariates=covariates)
    assert np.isnan(found.log10_p[:2]).all()
    assert np.isfinite(found.log10_p[2]).all()


@pytest.mark.parametrize("name", SCANS)
def test_a_variant_without_variation_or_that_the_covariates_know_has_no_p(name):
    dosage, traits, covariates = draw_cohort(8, kind=name)
    dosage[:, 1], dosage[:, 2], dosage[:, 3] = 2, -1, -1
    dosage[5, 3] = 1
    covariates[:, 1] = 0.5 - dosage[:, 4]
    found = SCANS[name](dosage, everyone(dosage), traits=traits, covariates=covariates)
    assert np.flatnonzero(np.isnan(found.log10_p[0])).tolist() == [1, 2, 3, 4]
    assert np.isnan(found.effect[0, 1:5]).all()
    assert found.n_samples[0, :5].tolist() == [N, N, 0, 1, N]


def test_a_covariate_that_does_not_vary_where_the_genotype_is_known_costs_no_degree_of_freedom():
    dosage, traits, covariates = draw_cohort(9, n_covariates=1)
    marked = np.zeros((N, 1), np.float32)
    marked[:3] = 1
    dosage[:3, 0] = -1
    both = np.hstack([covariates, marked])
    found = scan_linear(dosage, everyone(dosage), traits=traits, covariates=both)
    without = oracle.linear(exact(dosage)[:, 0], traits[:, 0], covariates)
    np.testing.assert_allclose([found.effect[0, 0], found.standard_error[0, 0], found.p[0, 0]], without, rtol=1e-8)


def test_cases_that_a_variant_separates_have_no_logistic_model():
    dosage, traits, covariates = draw_cohort(10, kind="wald", n_covariates=0)
    dosage[:, 3] = 2 * traits[:, 0]
    dosage[:, 4] = np.where(traits[:, 0] == 1, dosage[:, 4], 0)
    found = scan_logistic(dosage, everyone(dosage), traits=traits, covariates=covariates)
    assert np.flatnonzero(np.isnan(found.p[0])).tolist() == [3, 4]
    by_score = scan_logistic_score(dosage, everyone(dosage), traits=traits, covariates=covariates)
    assert by_score.p[0, 3] < 1e-15


def test_without_a_degree_of_freedom_there_is_no_p():
    dosage, traits, covariates = draw_cohort(11, n=4, n_covariates=2)
    found = scan_linear(dosage, everyone(dosage), traits=traits, covariates=covariates)
    assert np.isnan(found.log10_p).all()


def test_a_strong_association_of_many_samples_does_not_underflow():
    dosage, _, covariates = draw_cohort(12, n=5000)
    trait = dosage[:, :1] + np.random.default_rng(0).normal(0, 0.3, (5000, 1))
    found = scan_linear(dosage, everyone(dosage), traits=trait, covariates=covariates)
    r2 = found.statistic[0, 0] ** 2 / (found.statistic[0, 0] ** 2 + 5000 - 4)
    assert found.p[0, 0] == 0
    # The tail of r2 is (1 - r2)^(df / 2) but for a factor of a few.
    np.testing.assert_allclose(found.log10_p[0, 0], (5000 - 4) / 2 * np.log10(1 - r2), rtol=0.002)


@pytest.mark.parametrize(("origin", "unit"), [(1e9, 1.0), (-5.0, 1e-6), (0.0, 1e12)])
def test_neither_origin_nor_unit_of_the_trait_matters(origin, unit):
    dosage, traits, covariates = draw_cohort(13, missing=0.05)
    plain = scan_linear(dosage, everyone(dosage), traits=traits, covariates=covariates)
    moved = scan_linear(dosage, everyone(dosage), traits=traits * unit + origin, covariates=covariates)
    np.testing.assert_allclose(moved.statistic, plain.statistic, rtol=1e-5)
    np.testing.assert_allclose(moved.effect, plain.effect * unit, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(list(SCANS)), dtype=st.sampled_from(DTYPES))
def test_nothing_outside_of_the_samples_is_looked_at(seed, name, dtype):
    dosage, traits, covariates = draw_cohort(seed, kind=name, missing=0.03, dtype=dtype, n_traits=2)
    rng = np.random.default_rng(seed)
    samples = np.sort(rng.choice(N, 60, replace=False))
    others = np.setdiff1d(np.arange(N), samples)
    before = SCANS[name](dosage, samples, traits=traits, covariates=covariates)
    traits[others], covariates[others] = rng.permutation(traits[others]), np.nan
    after = SCANS[name](with_others_shuffled(rng, dosage, samples), samples, traits=traits, covariates=covariates)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 300), missing=st.sampled_from([0.0, 0.1]))
def test_equal_genotypes_have_the_very_same_association_wherever_they_stand(seed, n, missing):
    """Ranks rest on it: BLAS sums a column in an order that depends on where in the block it stands."""
    rng = np.random.default_rng(seed)
    dosage = np.repeat(draw_dosage(rng, n, 3, missing=missing), 23, axis=1)[:, rng.permutation(69)]
    trait, covariates = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)).astype(np.float32)
    found = scan_linear(dosage, everyone(dosage), traits=trait, covariates=covariates)
    alone = scan_linear(dosage[:, :1], everyone(dosage), traits=trait, covariates=covariates)
    same = (dosage == dosage[:, :1]).all(axis=0)
    for whole, one in zip(found, alone, strict=True):
        np.testing.assert_array_equal(whole[:, same], np.repeat(one, same.sum(), axis=1))


@pytest.mark.parametrize("name", SCANS)
def test_which_allele_is_counted_turns_the_sign_alone(name):
    dosage, traits, covariates = draw_cohort(14, kind=name, missing=0.05)
    other = np.where(dosage < 0, -1, 2 - dosage).astype(np.int8)
    one, two = (SCANS[name](codes, everyone(dosage), traits=traits, covariates=covariates) for codes in (dosage, other))
    np.testing.assert_allclose(one.effect, -two.effect, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(one.log10_p, two.log10_p, rtol=1e-8, atol=1e-10)
