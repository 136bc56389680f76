import shutil
import subprocess

import numpy as np
import pytest
from data.plink_builders import default_bim, write_fileset
from genome.dosages import DTYPES, draw_dosage, exact, with_others_shuffled
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genotune.genome import ld
from genotune.genome.ld import Window, clump, prune, r_squared
from genotune.store import NO_POSITION
from genotype_builders import build_variants


def draw_linked(rng, n, m, *, missing=0.0, dtype=np.int8, share=0.4):
    """Dosages of which each variant takes after the one before, by a share that varies."""
    drawn = draw_dosage(rng, n, m, dtype=dtype)
    for column in range(1, m):
        keeps = rng.random(n) < rng.uniform(0, 2 * share)
        drawn[keeps, column] = drawn[keeps, column - 1]
    gone = rng.random(drawn.shape) < missing
    drawn[gone] = -1 if dtype == np.int8 else 65535
    return drawn


def r2_by_pairs(dosage):
    """Of each pair on the samples that have both, by numpy's correlation."""
    values = exact(dosage)
    found = np.full((values.shape[1],) * 2, np.nan)
    for i, one in enumerate(values.T):
        for j, other in enumerate(values.T):
            both = ~np.isnan(one) & ~np.isnan(other)
            if both.any() and np.ptp(one[both]) > 0 and np.ptp(other[both]) > 0:
                found[i, j] = np.corrcoef(one[both], other[both])[0, 1] ** 2
    return found


def is_near(variants, i, j, window, places):
    if NO_POSITION in (variants.starts[i], variants.starts[j]) or variants.contigs[i] != variants.contigs[j]:
        return False
    apart = abs(variants.starts[i] - variants.starts[j]) if window.unit == "bp" else abs(places[i] - places[j])
    return apart <= window.size if window.unit == "bp" else apart < window.size


def prune_by_pairs(r2, variants, *, window, max_r2, priority):
    """All pairs in their order along the line, as PLINK's manual tells it."""
    line = [i for i in np.lexsort((variants.starts, variants.contigs)) if variants.starts[i] != NO_POSITION]
    places = {variant: place for place, variant in enumerate(line)}
    gone = set()
    for i in line:
        for j in line[places[i] + 1 :]:
            if i in gone or j in gone or not is_near(variants, i, j, window, places) or not r2[i, j] > max_r2:
                continue
            gone.add(i if priority[i] < priority[j] else j)
    return [i for i in range(len(r2)) if i not in gone]


def clump_by_pairs(r2, variants, *, log10_p, window_bp, min_r2):
    left = [i for i in np.argsort(log10_p, kind="stable") if not np.isnan(log10_p[i])]
    of = {}
    while left:
        index = left[0]
        clumped = [
            j
            for j in left
            if j == index or (is_near(variants, index, j, Window(window_bp), {}) and r2[index, j] >= min_r2)
        ]
        of |= dict.fromkeys(clumped, index)
        left = [j for j in left if j not in clumped]
    return [of.get(i, -1) for i in range(len(r2))]


def scattered(rng, m):
    """Variants on two contigs in any order, some at one place, some without a position."""
    starts = np.where(rng.random(m) < 0.1, NO_POSITION, rng.integers(0, 40, m) * 500)
    return build_variants(m)._replace(contigs=rng.choice(["1", "X"], m), starts=starts)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("missing", [0.0, 0.1, 0.6])
def test_r_squared_is_that_of_the_samples_that_have_both(missing, dtype):
    dosage = draw_linked(np.random.default_rng(0), 50, 12, missing=missing, dtype=dtype)
    dosage[:, 7] = 1
    expected = r2_by_pairs(dosage)
    found = r_squared(dosage, np.arange(50), rows=np.arange(12), columns=np.array([3, 0, 7]))
    np.testing.assert_allclose(found, expected[:, [3, 0, 7]], rtol=1e-10, atol=1e-14)
    assert np.isnan(found[:, 2]).all()
    assert np.nanmax(found[4:]) > 0.1


def test_equal_variants_correlate_wholly_and_opposite_ones_too():
    dosage = np.array([[0, 2, 0], [1, 1, 1], [2, 0, 1], [1, 1, 0]], dtype=np.int8)
    found = r_squared(dosage, np.arange(4), rows=np.array([0]), columns=np.arange(3))
    # Sums of squares 2 and 1, of products 1.
    np.testing.assert_array_equal(found, [[1, 1, 0.5]])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    window=st.sampled_from([Window(2000), Window(0), Window(100_000), Window(3, "variants"), Window(50, "variants")]),
    max_r2=st.sampled_from([0.02, 0.1, 0.5, 0.9]),
    missing=st.sampled_from([0.0, 0.1]),
    is_ranked=st.booleans(),
    width=st.integers(1, 9),
)
@example(seed=1000, window=Window(100_000), max_r2=0.02, missing=0.0, is_ranked=False, width=1)
def test_pruning_is_that_of_all_pairs_in_their_order(*, seed, window, max_r2, missing, is_ranked, width):
    rng = np.random.default_rng(seed)
    dosage, variants = draw_linked(rng, 60, 16, missing=missing), scattered(rng, 16)
    mean = np.nanmean(exact(dosage), axis=0)
    # 0.9 and 2 - 1.1 are one frequency.
    frequency = np.minimum(mean, 2 - mean).round(9)
    priority = rng.integers(0, 5, 16).astype(float) if is_ranked else frequency
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ld, "_MOST_BAND", width)
        patch.setattr(ld, "_LEAST_BAND", 1)
        found = prune(
            dosage,
            np.arange(60),
            variants=variants,
            window=window,
            max_r2=max_r2,
            priority=priority if is_ranked else None,
        )
    expected = prune_by_pairs(r2_by_pairs(dosage), variants, window=window, max_r2=max_r2, priority=priority)
    assert found.tolist() == expected


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    window_bp=st.sampled_from([0, 2000, 100_000]),
    min_r2=st.sampled_from([0.05, 0.5, 1.0]),
    width=st.integers(1, 9),
)
def test_clumping_is_that_of_all_pairs_by_p(seed, window_bp, min_r2, width):
    rng = np.random.default_rng(seed)
    dosage, variants = draw_linked(rng, 60, 16, missing=0.05), scattered(rng, 16)
    log10_p = np.round(-rng.exponential(2, 16), 1)
    log10_p[rng.random(16) < 0.1] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ld, "_MOST_BAND", width)
        patch.setattr(ld, "_LEAST_BAND", 1)
        found = clump(dosage, np.arange(60), variants=variants, log10_p=log10_p, window_bp=window_bp, min_r2=min_r2)
    expected = clump_by_pairs(r2_by_pairs(dosage), variants, log10_p=log10_p, window_bp=window_bp, min_r2=min_r2)
    assert found.belongs_to.tolist() == expected
    assert {*found.leaders.tolist()} == {*expected} - {-1}
    assert (np.diff(log10_p[found.leaders]) >= 0).all()


def test_a_limit_lets_only_strong_variants_lead_and_still_take_weak_ones():
    rng = np.random.default_rng(0)
    dosage = np.repeat(draw_dosage(rng, 50, 2), 2, axis=1)
    found = clump(
        dosage,
        np.arange(50),
        variants=build_variants(4),
        log10_p=np.array([-9.0, -1, -1, -2]),
        window_bp=10_000,
        min_r2=0.9,
        max_log10_p=-5,
    )
    assert found.leaders.tolist() == [0]
    assert found.belongs_to.tolist() == [0, 0, -1, -1]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(DTYPES))
def test_nothing_outside_of_the_samples_is_looked_at(seed, dtype):
    rng = np.random.default_rng(seed)
    dosage, variants = draw_linked(rng, 80, 20, missing=0.05, dtype=dtype), scattered(rng, 20)
    samples = np.sort(rng.choice(80, 50, replace=False))
    log10_p = -rng.exponential(2, 20)
    results = []
    for codes in (dosage, with_others_shuffled(rng, dosage, samples)):
        kept = prune(codes, samples, variants=variants, window=Window(5000), max_r2=0.2)
        clumps = clump(codes, samples, variants=variants, log10_p=log10_p, window_bp=5000, min_r2=0.2)
        results.append([kept.tolist(), clumps.leaders.tolist(), clumps.belongs_to.tolist()])
    assert results[0] == results[1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("plink2") is None, reason="needs plink2")
@pytest.mark.parametrize("missing", [0.0, 0.08])
@pytest.mark.parametrize(
    ("window", "arguments"),
    [(Window(20, "variants"), ["20", "1"]), (Window(15_000), ["15kb", "1"]), (Window(2, "variants"), ["2", "1"])],
)
def test_pruning_is_that_of_plink(window, arguments, missing, tmp_path):
    rng = np.random.default_rng(1)
    n, m = 200, 800
    dosage = draw_linked(rng, n, m, missing=missing)
    starts = np.sort(rng.choice(1_000_000, m, replace=False))
    contigs = np.where(np.arange(m) < 500, "1", "2")
    bim = [
        (contig, row[1], 0, start, *row[4:]) for contig, start, row in zip(contigs, starts, default_bim(m), strict=True)
    ]
    bed = write_fileset(tmp_path, "x", dosage, bim=bim)
    command = ["plink2", "--bfile", bed.with_suffix(""), "--indep-pairwise", *arguments, "0.2", "--out", tmp_path / "o"]
    subprocess.run([*map(str, command), "--threads", "1"], check=True, capture_output=True, timeout=60)
    theirs = (tmp_path / "o.prune.in").read_text().split()
    variants = build_variants(m)._replace(contigs=contigs, starts=starts - 1)
    found = prune(dosage, np.arange(n), variants=variants, window=window, max_r2=0.2)
    ids = np.array([row[1] for row in bim])
    if window.unit == "variants":
        assert ids[found].tolist() == theirs
    assert len({*ids[found].tolist()} ^ {*theirs}) <= 0.005 * m
    assert 100 < len(theirs) < 750
