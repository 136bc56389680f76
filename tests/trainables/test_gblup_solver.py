"""The solver, held to dense linear algebra in which nothing is rotated or decomposed."""

import numpy as np
import pytest

from genotune.errors import DataError
from genotune.store import DOSAGE_STEPS, MISSING_STEPS
from genotune.trainables.gblup_solver import (
    centred,
    decompose,
    estimate_penalties,
    log_likelihood,
    rotate,
    solve,
    variant_weights,
)
from genotype_builders import build_genotypes

MANY, FEW = (60, 90), (60, 9)
"""Samples and variants with which the samples, and the variants, are decomposed."""
SHAPES = pytest.mark.parametrize("shape", [MANY, FEW], ids=["many variants", "few variants"])
STANDARDIZE = pytest.mark.parametrize("standardize", [False, True])


def dosages(shape, *, missing=0.1, seed=1):
    return build_genotypes(*shape, seed=seed, missing=missing).dosage


def filled(dosage, samples):
    """(sample, variant) dosages of all samples less the mean of those given; missing ones at it."""
    called = np.where(dosage >= 0, dosage.astype(np.float64), np.nan)
    return np.nan_to_num(called - np.nanmean(called[samples], axis=0), nan=0.0)


def dense_relationship(dosage, samples, *, standardize):
    """K between all samples and those given, from the definition."""
    z = filled(dosage, samples)
    if standardize:
        spread = np.sqrt(np.mean(z[samples] ** 2, axis=0))
        z = np.divide(z, spread, out=np.zeros_like(z), where=spread > 0)
    product = z @ z[samples].T
    return product / np.mean(np.diag(product[samples]))


def some_problem(shape, *, seed=2, n_outputs=2):
    rng = np.random.default_rng(seed)
    n = shape[0]
    dosage, samples = dosages((n + 20, shape[1])), np.sort(rng.permutation(n + 20)[:n])
    fixed = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    targets = filled(dosage, samples)[samples, :3].sum(axis=1)[:, None] + rng.normal(3, 1, (n, n_outputs))
    return dosage, samples, fixed, targets


def dense_log_likelihood(k, fixed, target, penalty):
    """Restricted log likelihood, as that of contrasts that no fixed effect reaches."""
    n, q = fixed.shape
    contrasts = np.linalg.svd(fixed)[0][:, q:]
    h = contrasts.T @ (k + penalty * np.eye(n)) @ contrasts
    e = contrasts.T @ target
    variance = e @ np.linalg.solve(h, e) / (n - q)
    return -(np.linalg.slogdet(h)[1] + (n - q) * (np.log(2 * np.pi * variance) + 1)) / 2


def test_centred_dosages_of_a_known_case():
    dosage = np.array([[0, 2], [-1, 1], [2, -1]], dtype=np.int8)
    np.testing.assert_array_equal(centred(dosage, np.array([1, 1.5], np.float32)), [[-1, 0.5], [0, -0.5], [1, 0]])


@SHAPES
@STANDARDIZE
def test_the_decomposition_is_that_of_the_relationship_matrix(shape, standardize):
    dosage, samples, _, _ = some_problem(shape)
    found = decompose(dosage, samples, standardize=standardize)
    expected = dense_relationship(dosage, samples, standardize=standardize)[samples]
    np.testing.assert_allclose(found.vectors * found.values @ found.vectors.T, expected, atol=1e-5)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(len(found.values)), atol=1e-10)
    assert len(found.values) == min(shape)
    assert (found.values >= 0).all()
    assert found.values.sum() / len(samples) == pytest.approx(1)


@STANDARDIZE
def test_blocks_of_variants_are_put_together_in_their_order(standardize):
    dosage, samples = dosages((12, 2500)), np.arange(10)
    found = decompose(dosage, samples, standardize=standardize)
    expected = dense_relationship(dosage, samples, standardize=standardize)
    np.testing.assert_allclose(found.vectors * found.values @ found.vectors.T, expected[:10], atol=1e-5)
    alpha = np.random.default_rng(0).normal(size=(10, 1))
    weights = variant_weights(found, dosage, samples, alpha=alpha)
    np.testing.assert_allclose(filled(dosage, samples) @ weights, expected @ alpha, atol=1e-4)


def test_a_constant_variant_changes_nothing():
    dosage = dosages((30, 20), missing=0)
    more = np.column_stack([dosage, np.full(30, 2), np.full(30, -1)]).astype(np.int8)
    first, second = (decompose(part, np.arange(30), standardize=True) for part in (dosage, more))
    np.testing.assert_allclose(first.values, second.values, atol=1e-5)
    np.testing.assert_array_equal(second.scales[-2:], 0)
    np.testing.assert_array_equal(variant_weights(second, more, np.arange(30), alpha=np.ones((30, 1)))[-2:], 0)


@pytest.mark.parametrize("n_variants", [0, 4])
def test_variants_that_are_all_constant_are_the_users_error(n_variants):
    dosage = np.full((9, n_variants), 2, dtype=np.int8)
    dosage[8] = 0
    with pytest.raises(DataError, match=rf"none of the {n_variants} variants varies among the 8 training samples"):
        decompose(dosage, np.arange(8), standardize=False)


@SHAPES
@pytest.mark.parametrize("penalty", [1e-3, 0.7, 300.0])
def test_the_likelihood_is_that_of_contrasts(shape, penalty):
    dosage, samples, fixed, targets = some_problem(shape)
    rotated = rotate(decompose(dosage, samples, standardize=False), fixed, targets=targets)
    k = dense_relationship(dosage, samples, standardize=False)[samples]
    expected = [dense_log_likelihood(k, fixed, target, penalty) for target in targets.T]
    np.testing.assert_allclose(log_likelihood(rotated, penalty), expected, rtol=1e-4)


@SHAPES
def test_the_estimated_penalty_has_the_highest_likelihood_of_all(shape):
    dosage, samples, fixed, targets = some_problem(shape)
    rotated = rotate(decompose(dosage, samples, standardize=False), fixed, targets=targets)
    k = dense_relationship(dosage, samples, standardize=False)[samples]
    found = estimate_penalties(rotated)
    penalties = np.exp(np.linspace(-10, 10, 801))
    for target, penalty in zip(targets.T, found, strict=True):
        heights = [dense_log_likelihood(k, fixed, target, other) for other in penalties]
        assert 0 < np.argmax(heights) < 800
        assert np.log(penalty) == pytest.approx(np.log(penalties[np.argmax(heights)]), abs=0.03)
        assert dense_log_likelihood(k, fixed, target, penalty) >= max(heights) - 1e-5


@SHAPES
@STANDARDIZE
@pytest.mark.parametrize("penalty", [0.02, 5.0])
def test_effects_are_those_of_dense_algebra(shape, standardize, penalty):
    dosage, samples, fixed, targets = some_problem(shape)
    found = solve(decompose(dosage, samples, standardize=standardize), fixed, targets=targets, penalty=penalty)
    k = dense_relationship(dosage, samples, standardize=standardize)[samples]
    inverse = np.linalg.inv(k + penalty * np.eye(len(k)))
    effects = np.linalg.inv(fixed.T @ inverse @ fixed) @ fixed.T @ inverse @ targets
    np.testing.assert_allclose(found.fixed, effects, atol=1e-4)
    np.testing.assert_allclose(found.alpha, inverse @ (targets - fixed @ effects), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found.penalties, penalty)
    # alpha is the residual, divided by the penalty.
    fitted = fixed @ found.fixed + k @ found.alpha
    np.testing.assert_allclose(targets - fitted, penalty * found.alpha, atol=1e-4)


@SHAPES
def test_the_effects_are_those_of_ridge_regression_on_variants(shape):
    dosage, samples, fixed, targets = some_problem(shape)
    penalty = 0.4
    relationship = decompose(dosage, samples, standardize=False)
    found = solve(relationship, fixed, targets=targets, penalty=penalty)
    weights = variant_weights(relationship, dosage, samples, alpha=found.alpha)
    z = filled(dosage, samples)[samples]
    both = np.concatenate([fixed, z], axis=1)
    # Only variants are penalised, by the penalty on the scale of their products.
    penalties = np.diag(np.repeat([0, penalty * np.mean(np.sum(z**2, axis=1))], [fixed.shape[1], z.shape[1]]))
    expected = np.linalg.solve(both.T @ both + penalties, both.T @ targets)
    np.testing.assert_allclose(found.fixed, expected[: fixed.shape[1]], atol=1e-4)
    np.testing.assert_allclose(weights, expected[fixed.shape[1] :], atol=1e-4)


def test_each_output_is_estimated_on_its_own():
    dosage, samples, fixed, targets = some_problem(MANY, n_outputs=3)
    relationship = decompose(dosage, samples, standardize=False)
    together = solve(relationship, fixed, targets=targets, penalty=None)
    for output in range(3):
        alone = solve(relationship, fixed, targets=targets[:, [output]], penalty=None)
        np.testing.assert_allclose(alone.penalties[0], together.penalties[output], rtol=1e-5)
        np.testing.assert_allclose(alone.alpha[:, 0], together.alpha[:, output], rtol=1e-3, atol=1e-5)


@SHAPES
def test_a_target_that_the_fixed_effects_explain_has_no_genetic_part(shape):
    dosage, samples, fixed, targets = some_problem(shape)
    targets = np.column_stack([np.full(len(samples), 7.0), fixed @ [3.0, 1.0, 2.0], np.zeros(len(samples)), targets])
    found = solve(decompose(dosage, samples, standardize=False), fixed, targets=targets, penalty=None)
    np.testing.assert_allclose(found.penalties[:3], np.exp(10))
    np.testing.assert_allclose(found.alpha[:, :3], 0, atol=1e-12)
    np.testing.assert_allclose(found.fixed[:, :3], [[7, 3, 0], [0, 1, 0], [0, 2, 0]], atol=1e-9)
    assert (found.penalties[3:] < np.exp(9)).all()


def simulated_heritability(*, heritability, seed, shape=(400, 600)):
    """1 / (1 + penalty) of a trait to which every variant contributes."""
    dosage, rng = dosages(shape, missing=0.02, seed=seed), np.random.default_rng(seed + 1)
    n, m = shape
    z = filled(dosage, np.arange(n))
    genetic = z @ rng.normal(0, 1, m) / np.sqrt(np.sum(z.var(axis=0)))
    trait = np.sqrt(heritability) * genetic + np.sqrt(1 - heritability) * rng.normal(size=n)
    relationship = decompose(dosage, np.arange(n), standardize=False)
    found = solve(relationship, np.ones((n, 1)), targets=trait[:, None], penalty=None)
    return 1 / (1 + found.penalties[0])


@pytest.mark.parametrize("heritability", [0.1, 0.5, 0.8])
def test_reml_recovers_the_heritability_that_was_simulated(heritability):
    found = [simulated_heritability(heritability=heritability, seed=seed) for seed in range(5)]
    assert np.mean(found) == pytest.approx(heritability, abs=0.13)


def test_centred_dosages_in_steps_are_copies_less_the_mean():
    dosage = np.array([[0, 32_768], [MISSING_STEPS, 4096], [24_576, MISSING_STEPS]], dtype=np.uint16)
    found = centred(dosage, np.array([1, 1.5], np.float32))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[-1, 0.5], [0, -1.25], [0.5, 0]])


@STANDARDIZE
def test_whole_dosages_in_steps_are_decomposed_as_copies_are(standardize):
    dosage, samples = dosages((30, 50)), np.arange(0, 30, 2)
    steps = np.where(dosage < 0, MISSING_STEPS, dosage * np.int64(DOSAGE_STEPS)).astype(np.uint16)
    whole, found = (decompose(codes, samples, standardize=standardize) for codes in (dosage, steps))
    for one, other in zip(whole, found, strict=True):
        np.testing.assert_array_equal(one, other)
