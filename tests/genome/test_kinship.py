"""Kinship by hand, by a slow second implementation, and by PLINK 2."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bed_reader import open_bed
from data.plink_builders import MAGIC, packed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from genotune.genome import kinship
from genotune.genome.kinship import KinPairs, find_kin, hard_calls, kin_groups
from genotune.store import DOSAGE_STEPS, MISSING_STEPS

PLINK = shutil.which("plink2")
MICE = Path(__file__).parents[2] / "search_spaces" / "demo" / "mouse_hs1940" / "mouse_hs1940"


def dosages(*rows):
    return np.array(rows, dtype=np.int8)


def slow(dosage):
    """Equation 11, pair by pair: {(first, second): kinship} of all above the third degree."""
    found = {}
    for i, one in enumerate(dosage.tolist()):
        for j in range(i + 1, len(dosage)):
            both = [(a, b) for a, b in zip(one, dosage[j].tolist(), strict=True) if a >= 0 and b >= 0]
            hets = [sum(pair[side] == 1 for pair in both) for side in (0, 1)]
            if not both:
                continue
            if min(hets) == 0:
                value = 0.5 if all(a == b for a, b in both) else -1.0
            else:
                het_het = sum(pair == (1, 1) for pair in both)
                opposite = sum({*pair} == {0, 2} for pair in both)
                value = (het_het - 2 * opposite) / (2 * min(hets)) + 0.5 - sum(hets) / (4 * min(hets))
            if value > 0.0442:
                found[i, j] = value
    return found


def as_dict(pairs):
    return {(i, j): k for i, j, k in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.kinship, strict=True)}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[pair] for pair in expected], [*expected.values()], rtol=1e-12)


def family(n_variants, *, seed=0):
    """Father, mother, two children, a half sibling by another mother, that mother, and the first child again."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.1, 0.5, n_variants)
    founders = rng.random((3, 2, n_variants)) < frequency

    def child(*parents):
        chosen = [np.where(rng.random(n_variants) < 0.5, *founders[parent]) for parent in parents]
        return np.array(chosen)

    father, mother, other = founders
    first, second, half = child(0, 1), child(0, 1), child(0, 2)
    people = [father, mother, first, second, half, other, first]
    return np.array([person.sum(axis=0) for person in people]).astype(np.int8)


def test_kinship_by_hand():
    """Four heterozygotes in both, three shared, one opposite homozygote: 1/8 + 1/2 - 8/16 = 1/8."""
    pairs = find_kin(dosages([1, 1, 1, 1, 0, 2, 0], [1, 1, 1, 0, 1, 0, 0]))
    assert as_dict(pairs) == {(0, 1): (3 - 2) / 8 + 0.5 - 8 / 16}
    assert pairs.n_variants == 7
    assert pairs.degrees.tolist() == [2]


def test_a_missing_genotype_counts_for_no_pair_that_has_it():
    with_gaps = dosages([1, 1, 0, 2, 1, -1, 1, -1], [1, 1, 0, 2, 0, 1, -1, -1])
    assert as_dict(find_kin(with_gaps)) == as_dict(find_kin(with_gaps[:, :5]))


def test_without_heterozygotes_only_the_same_genotypes_are_kin():
    """Inbred lines: the estimator is 0 / 0, and one line twice still one line."""
    pairs = find_kin(dosages([0, 2, 0, 2], [0, 2, 0, 2], [0, 2, 0, 0], [-1, -1, -1, -1]))
    assert as_dict(pairs) == {(0, 1): 0.5}


@given(
    arrays(np.int8, st.tuples(st.integers(0, 9), st.integers(0, 40)), elements=st.sampled_from([-1, 0, 1, 2])),
    st.sampled_from([0.0, 1.0]),
)
def test_it_is_what_the_formula_says(dosage, many):
    """Whether the pairs that the bound leaves are reckoned one by one or with their whole block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinship, "_MANY", many)
        assert_same(as_dict(find_kin(dosage)), slow(dosage))


@pytest.mark.parametrize("missing", [0.0, 0.01, 0.2])
def test_pairs_one_by_one_are_those_of_whole_blocks(monkeypatch, missing):
    rng = np.random.default_rng(8)
    dosage = np.concatenate([family(600, seed=seed) for seed in range(20)])
    dosage[rng.random(dosage.shape) < missing] = -1
    found = []
    for many in (0.0, 1.0):
        monkeypatch.setattr(kinship, "_MANY", many)
        monkeypatch.setattr(kinship, "_PAIRS_AT_ONCE", 7)
        monkeypatch.setattr(kinship, "_BLOCK", 50)
        found.append(as_dict(find_kin(dosage)))
    assert found[0] == found[1]
    assert len(found[0]) > 100


def test_blocks_change_nothing(monkeypatch):
    dosage = np.random.default_rng(3).choice([-1, 0, 1, 2], (23, 60), p=[0.1, 0.3, 0.4, 0.2]).astype(np.int8)
    dosage[17] = dosage[2]
    whole = find_kin(dosage)
    monkeypatch.setattr(kinship, "_BLOCK", 5)
    parts = find_kin(dosage)
    assert len(whole.first) > 3
    assert as_dict(whole) == as_dict(parts)
    assert [*as_dict(parts)] == sorted(as_dict(whole))


def test_relatives_are_of_their_degree():
    pairs = find_kin(family(20_000))
    found = dict(zip(as_dict(pairs), pairs.degrees.tolist(), strict=True))
    first = [(0, 2), (0, 3), (0, 4), (0, 6), (1, 2), (1, 3), (1, 6), (2, 3), (3, 6), (4, 5)]
    assert found == dict.fromkeys(first, 1) | dict.fromkeys([(2, 4), (3, 4), (4, 6)], 2) | {(2, 6): 0}
    assert as_dict(pairs)[2, 6] == 0.5
    assert [*as_dict(pairs.up_to(0))] == [(2, 6)]
    assert as_dict(find_kin(family(20_000), degree=1)) == as_dict(pairs.up_to(1))


def test_a_dosage_near_a_whole_number_counts_as_it():
    steps = np.array([0, 0.1, 0.11, 0.89, 0.9, 1, 1.1, 1.2, 1.9, 2]) * DOSAGE_STEPS
    dosage = np.append(np.floor(steps), MISSING_STEPS).astype(np.uint16)
    # 0.9 lies a little below nine tenths in steps of 1/16384, as PLINK's own comparison has it.
    assert hard_calls(dosage).tolist() == [0, 0, -1, -1, -1, 1, 1, -1, -1, 2, -1]
    assert hard_calls(np.ceil(steps).astype(np.uint16))[[4, 8]].tolist() == [1, 2]


def test_fractions_of_copies_give_what_their_hard_calls_give():
    dosage = family(500)
    dosage[1, :20] = -1
    fractions = np.where(dosage < 0, MISSING_STEPS, dosage.astype(np.int64) * DOSAGE_STEPS).astype(np.uint16)
    assert as_dict(find_kin(fractions)) == as_dict(find_kin(dosage))


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_groups_are_what_chains_of_pairs_join(n_samples, ends):
    ends = [(a, b) for a, b in ends if a < b < n_samples]
    first, second = (np.array([pair[side] for pair in ends], dtype=np.int64) for side in (0, 1))
    groups = kin_groups(KinPairs(first, second, np.full(len(ends), 0.25), 9), n_samples=n_samples, degree=1)
    graph = coo_array((np.ones(len(ends)), (first, second)), shape=(n_samples, n_samples))
    n_groups, expected = connected_components(graph, directed=False)
    assert len({*zip(groups.tolist(), expected.tolist(), strict=True)}) == n_groups == len({*groups.tolist()})
    assert [*dict.fromkeys(groups.tolist())] == [*range(n_groups)]


def test_pairs_of_a_farther_degree_join_no_group():
    pairs = KinPairs(np.array([0, 1]), np.array([1, 2]), np.array([0.25, 0.1]), 9)
    assert kin_groups(pairs, n_samples=4, degree=1).tolist() == [0, 0, 1, 2]
    assert kin_groups(pairs, n_samples=4, degree=2).tolist() == [0, 0, 0, 1]


def test_more_pairs_than_memory_should_hold_lose_the_farthest(monkeypatch):
    monkeypatch.setattr(kinship, "_MOST_PAIRS", 11)
    pairs = find_kin(family(20_000))
    assert pairs.farthest == 1
    assert len(pairs.first) == 11
    assert {*pairs.degrees.tolist()} == {0, 1}


def test_duplicates_are_found_though_some_genotypes_differ():
    """Of 300 people 5 twice with 3 in 100 genotypes other or missing, one of them three times; kin are none."""
    rng = np.random.default_rng(0)
    dosage = rng.binomial(2, rng.uniform(0.05, 0.5, 2048), (300, 2048)).astype(np.int8)
    dosage[290] = (dosage[288] + dosage[289]) // 2
    again = {200: 7, 201: 7, 202: 100, 203: 150, 299: 0}
    for copy, of in again.items():
        dosage[copy] = np.where(rng.random(2048) < 0.03, rng.choice([-1, 0, 1, 2], 2048), dosage[of])
    found, every = kinship.find_duplicates(dosage), find_kin(dosage).up_to(0)
    assert found.farthest == 0
    groups = [kin_groups(pairs, n_samples=300, degree=0).tolist() for pairs in (found, every)]
    assert groups[0] == groups[1]
    assert {pair: as_dict(every)[pair] for pair in as_dict(found)} == as_dict(found)
    assert {copy for copy, of in again.items() if groups[0][copy] == groups[0][of]} == {*again}


@pytest.mark.parametrize("shape", [(0, 64), (1, 64), (5, 0), (5, 31)])
def test_without_samples_or_variants_there_are_no_duplicates(shape):
    assert len(kinship.find_duplicates(np.zeros(shape, dtype=np.int8)).first) == 0


@pytest.mark.slow
@pytest.mark.skipif(PLINK is None, reason="needs plink2")
@pytest.mark.parametrize("missing", [0.0, 0.03])
def test_it_is_what_plink_says_of_mice(tmp_path, missing):
    """PLINK leaves out variants without a position; so does this test."""
    with open_bed(MICE.with_suffix(".bed")) as bed:
        dosage, placed = bed.read(dtype="int8"), bed.bp_position > 0
        ids = bed.iid.tolist()
    prefix = MICE
    if missing:
        dosage[np.random.default_rng(1).random(dosage.shape) < missing] = -1
        prefix = tmp_path / "gaps"
        shutil.copy(MICE.with_suffix(".bim"), tmp_path / "gaps.bim")
        shutil.copy(MICE.with_suffix(".fam"), tmp_path / "gaps.fam")
        prefix.with_suffix(".bed").write_bytes(MAGIC + packed(dosage))
    command = [PLINK, "--bfile", prefix, "--chr-set", "19", "--threads", "1", "--make-king-table"]
    command += ["--king-table-filter", "0.0442", "--out", tmp_path / "king"]
    subprocess.run([*map(str, command)], check=True, capture_output=True, timeout=120)
    place = {iid: index for index, iid in enumerate(ids)}
    rows = [line.split("\t") for line in (tmp_path / "king.kin0").read_text().splitlines()[1:]]
    expected = {tuple(sorted((place[row[1]], place[row[3]]))): float(row[-1]) for row in rows}
    found = as_dict(find_kin(dosage[:, placed]))
    assert len(expected) > 200_000
    near = {pair for pair in found.keys() ^ expected.keys() if abs(found.get(pair, 0.0442) - 0.0442) > 1e-6}
    assert near == set()
    both = [*(found.keys() & expected.keys())]
    np.testing.assert_allclose([found[pair] for pair in both], [expected[pair] for pair in both], atol=1e-6)
