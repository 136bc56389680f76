import numpy as np
import pytest
from genome.dosages import DTYPES, draw_dosage, exact, with_others_shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.genome import genotype_moments as module
from genotune.genome.genotype_moments import genotype_moments
from genotune.genome.hardy_weinberg import hardy_weinberg_p
from genotune.store import DOSAGE_STEPS, MISSING_STEPS


def test_moments_by_hand():
    dosage = np.array([[2, 0, -1], [1, 0, -1], [-1, 2, -1], [1, 2, -1], [0, 0, -1]], dtype=np.int8)
    found = genotype_moments(dosage, np.arange(5))
    assert found.n_samples == 5
    assert found.n_called.tolist() == [4, 5, 0]
    assert found.call_rate.tolist() == [0.8, 1, 0]
    np.testing.assert_array_equal(found.mean, [1, 0.8, np.nan])
    np.testing.assert_array_equal(found.frequency, [0.5, 0.4, np.nan])
    np.testing.assert_allclose(found.std, [0.5**0.5, 0.96**0.5, np.nan], rtol=1e-15)
    np.testing.assert_array_equal(found.mode, [1, 0, np.nan])
    assert (found.n_two.tolist(), found.n_one.tolist(), found.n_none.tolist()) == ([1, 2, 0], [2, 0, 0], [1, 3, 0])
    assert found.varies.tolist() == [True, True, False]
    np.testing.assert_allclose(
        found.hardy_weinberg_p, hardy_weinberg_p(*np.array([[1, 2, 0], [2, 0, 0]]), n_none=np.array([1, 3, 0]))
    )


def test_fractions_of_a_copy_by_hand():
    half = DOSAGE_STEPS // 2
    steps = [[0, half - 1], [half, 3 * half - 1], [3 * half, MISSING_STEPS], [4 * half, MISSING_STEPS]]
    found = genotype_moments(np.array(steps, dtype=np.uint16), np.arange(4))
    np.testing.assert_array_equal(found.mean, [1, 1 - 1 / DOSAGE_STEPS])
    assert (found.n_two.tolist(), found.n_one.tolist(), found.n_none.tolist()) == ([2, 0], [1, 1], [1, 1])
    np.testing.assert_allclose(found.std, [0.625**0.5, 0.5], rtol=1e-14)
    assert found.mode.tolist() == [2, 0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 60),
    missing=st.sampled_from([0, 0.1, 0.9]),
    dtype=st.sampled_from(DTYPES),
)
def test_moments_are_those_of_numpy(seed, n, missing, dtype):
    rng = np.random.default_rng(seed)
    dosage = draw_dosage(rng, n + 5, 9, missing=missing, dtype=dtype)
    samples = rng.choice(n + 5, n, replace=False)
    found = genotype_moments(dosage, samples)
    for index, column in enumerate(exact(dosage)[samples].T):
        known = column[~np.isnan(column)]
        assert found.n_called[index] == len(known)
        if not len(known):
            assert np.isnan([found.mean[index], found.std[index], found.mode[index]]).all()
            continue
        np.testing.assert_allclose(found.mean[index], known.mean(), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found.std[index], known.std(), rtol=1e-9, atol=1e-12)
        assert found.varies[index] == (known.min() < known.max())
        np.testing.assert_allclose(found.minor_frequency[index], min(known.mean(), 2 - known.mean()) / 2, atol=1e-15)
        counts = np.bincount(np.floor(known + 0.5).astype(int), minlength=3)
        assert [found.n_none[index], found.n_one[index], found.n_two[index]] == counts.tolist()
        assert found.mode[index] == counts.argmax()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(DTYPES))
def test_nothing_outside_of_the_samples_is_looked_at(seed, dtype):
    rng = np.random.default_rng(seed)
    dosage = draw_dosage(rng, 40, 9, missing=0.1, dtype=dtype)
    samples = rng.choice(40, 25, replace=False)
    before, after = (genotype_moments(d, samples) for d in (dosage, with_others_shuffled(rng, dosage, samples)))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks_do_not_show(dtype, monkeypatch):
    dosage = draw_dosage(np.random.default_rng(0), 30, 100, missing=0.1, dtype=dtype)
    whole = genotype_moments(dosage, np.arange(30))
    monkeypatch.setattr(
        module, "variant_blocks", lambda n, *, n_samples: (slice(at, min(at + 7, n)) for at in range(0, n, 7))
    )
    for one, other in zip(whole, genotype_moments(dosage, np.arange(30)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_spread_stays_exact_where_sums_outgrow_64_bits():
    n, total, squares = np.array([4_000_000]), np.array([4_000_000 * 16384 + 1]), np.array([4_000_000 * 16384**2 + 5])
    exact_value = 4_000_000 * (4_000_000 * 16384**2 + 5) - (4_000_000 * 16384 + 1) ** 2
    assert module._exact_spread(n, total, squares).tolist() == [float(exact_value)]


def test_without_samples_nothing_is_known():
    found = genotype_moments(np.zeros((3, 2), np.int8), np.empty(0, np.int64))
    assert np.isnan(found.mean).all()
    assert np.isnan(found.call_rate).all()
