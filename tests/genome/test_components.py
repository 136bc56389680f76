import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from genome.dosages import DTYPES, draw_dosage, exact, with_others_shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.data.plink_datasource import DosageReader
from genotune.data.plink_settings import PlinkSettings
from genotune.errors import DataError
from genotune.genome import components as module
from genotune.genome.components import fit_components, project
from genotune.settings import build
from genotune.store import NO_POSITION

MICE = Path(__file__).parents[2] / "search_spaces" / "demo" / "mouse_hs1940"


def fit(dosage, samples, n_components, seed=0):
    return fit_components(dosage, samples, n_components=n_components, generator=np.random.default_rng(seed))


def draw_groups(rng, n, m, *, missing=0.0, dtype=np.int8):
    """Samples of three populations, whose frequencies differ at every variant."""
    dosage = draw_dosage(rng, n, m, missing=missing, dtype=dtype)
    group = np.arange(n) % 3
    for one in range(2):
        other = draw_dosage(rng, n, m, missing=missing, dtype=dtype)
        dosage[group == one, : m // 2] = other[group == one, : m // 2]
    return dosage, group


def standardized(dosage):
    values = exact(dosage)
    mean = np.nanmean(values, axis=0)
    scale = np.sqrt(mean * (1 - mean / 2))
    return np.nan_to_num((values - mean) / np.where(scale > 0, scale, np.inf))


def up_to_sign(found, expected, **tolerance):
    sign = np.sign(np.sum(found * expected, axis=0))
    np.testing.assert_allclose(found * sign, expected, **tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("most_exact", [1000, 0], ids=["exact", "random"])
def test_components_are_those_of_a_singular_value_decomposition(most_exact, dtype, monkeypatch):
    monkeypatch.setattr(module, "MOST_EXACT", most_exact)
    dosage, _ = draw_groups(np.random.default_rng(0), 90, 250, dtype=dtype)
    dosage[:, 7] = dosage[0, 7]
    samples = np.arange(5, 85)
    found = fit(dosage, samples, 4)
    left, singular, right = np.linalg.svd(standardized(dosage[samples]), full_matrices=False)
    off = 1e-9 if most_exact else 1e-5
    np.testing.assert_allclose(found.values, singular[:4] ** 2 / 249, rtol=off)
    up_to_sign(found.loadings, right[:4].T, atol=off)
    up_to_sign(project(found, dosage, samples), (left * singular)[:, :4] / 249**0.5, atol=off)


def test_components_tell_populations_apart():
    dosage, group = draw_groups(np.random.default_rng(1), 120, 400)
    train = np.arange(80)
    scores = project(fit(dosage, train, 2), dosage, np.arange(80, 120))
    centres = np.stack([scores[group[80:] == one].mean(axis=0) for one in range(3)])
    nearest = np.argmin(((scores[:, None] - centres) ** 2).sum(axis=2), axis=1)
    assert (nearest == group[80:]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_with_missing_genotypes_the_mean_is_taken(dtype):
    dosage, _ = draw_groups(np.random.default_rng(2), 60, 150, missing=0.1, dtype=dtype)
    found = fit(dosage, np.arange(60), 3)
    _, singular, right = np.linalg.svd(standardized(dosage), full_matrices=False)
    np.testing.assert_allclose(found.values, singular[:3] ** 2 / 150, rtol=1e-9)
    up_to_sign(found.loadings, right[:3].T, atol=1e-7)


def test_a_projection_with_missing_genotypes_is_not_pulled_to_zero():
    rng = np.random.default_rng(3)
    dosage, _ = draw_groups(rng, 150, 2000)
    model = fit(dosage, np.arange(100), 2)
    whole = project(model, dosage, np.arange(100, 150))
    gapped = dosage.copy()
    gapped[100:, :][rng.random((50, 2000)) < 0.5] = -1
    found = project(model, gapped, np.arange(100, 150))
    slope = np.sum(found * whole, axis=0) / np.sum(whole**2, axis=0)
    np.testing.assert_allclose(slope, 1, atol=0.06)


def test_a_sample_without_genotypes_lies_at_the_mean():
    dosage, _ = draw_groups(np.random.default_rng(4), 40, 100)
    model = fit(dosage, np.arange(30), 2)
    dosage[35] = -1
    np.testing.assert_array_equal(project(model, dosage, np.array([35])), np.zeros((1, 2)))


def test_the_largest_loading_is_positive():
    dosage, _ = draw_groups(np.random.default_rng(5), 40, 100)
    loadings = fit(dosage, np.arange(40), 5).loadings
    assert (loadings.max(axis=0) == np.abs(loadings).max(axis=0)).all()


def test_there_are_no_more_components_than_dimensions():
    dosage, _ = draw_groups(np.random.default_rng(6), 6, 100)
    assert fit(dosage, np.arange(6), 20).values.shape == (5,)


def test_genotypes_that_do_not_vary_have_no_components():
    with pytest.raises(DataError, match="none of the 3 variants varies among the 4 training samples"):
        fit(np.ones((4, 3), dtype=np.int8), np.arange(4), 2)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(DTYPES), most_exact=st.sampled_from([0, 1000]))
def test_nothing_outside_of_the_samples_is_looked_at(seed, dtype, most_exact):
    rng = np.random.default_rng(seed)
    dosage, _ = draw_groups(rng, 50, 40, missing=0.05, dtype=dtype)
    samples = np.sort(rng.choice(50, 30, replace=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_EXACT", most_exact)
        before, after = (fit(codes, samples, 3) for codes in (dosage, with_others_shuffled(rng, dosage, samples)))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("plink2") is None, reason="needs plink2")
def test_components_of_the_mice_are_those_of_plink(tmp_path):
    values = {"kind": "plink", "genotypes": "mouse_hs1940.bed", "phenotypes": "phenotypes.tsv", "trait": "male"}
    plan = build(PlinkSettings, values).plan(MICE)
    placed = np.flatnonzero(plan.variants.starts != NO_POSITION)
    dosage = DosageReader(plan.genotypes.decoder, np.arange(1940)).decode(placed)
    command = ["plink2", "--bfile", MICE / "mouse_hs1940", "--chr-set", "19", "--threads", "1", "--pca", "5"]
    subprocess.run([*map(str, command), "--out", str(tmp_path / "o")], check=True, capture_output=True, timeout=120)
    rows = [line.split() for line in (tmp_path / "o.eigenvec").read_text().splitlines()]
    vectors = np.array([row[-5:] for row in rows[1:]], dtype=float)
    eigenvalues = np.loadtxt(tmp_path / "o.eigenval")
    found = fit(dosage, np.arange(1940), 5)
    # PLINK divides by all variants, of which some are the same in all mice; here those that vary are counted.
    share = np.count_nonzero(found.scales) / len(placed)
    assert 0.5 < share < 1
    np.testing.assert_allclose(found.values * share, eigenvalues, rtol=1e-5)
    up_to_sign(project(found, dosage, np.arange(1940)) / np.sqrt(found.values), vectors, atol=1e-5)
