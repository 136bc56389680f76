"""Near-identical sequences, held to k-mers that are counted as text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.genome.homology import K, group_alike, sketch
from genotune.genome.sequence import decode, encode, reverse_complement


def random_codes(n_bases, seed):
    return np.random.default_rng(seed).integers(0, 4, n_bases).astype(np.uint8)


def mutated(codes, share, seed=0):
    """A copy in which so large a share of the bases is another one."""
    rng = np.random.default_rng(seed)
    changed = rng.random(len(codes)) < share
    return np.where(changed, (codes + rng.integers(1, 4, len(codes))) % 4, codes).astype(np.uint8)


def groups_of(*sequences, identity=0.9):
    return group_alike(sequences, n_bases=sum(map(len, sequences)), identity=identity).tolist()


def kmers_as_text(codes):
    """Canonical k-mers without an N, by slicing text."""
    text, other = decode(codes), decode(reverse_complement(codes))
    both = {text[i : i + K]: other[len(text) - K - i : len(text) - i] for i in range(len(text) - K + 1)}
    return {min(one, two) for one, two in both.items() if "N" not in one}


@settings(max_examples=50, deadline=None)
@given(n_bases=st.integers(0, 120), seed=st.integers(0, 99), n_share=st.sampled_from([0, 0.02]))
def test_a_whole_sketch_has_a_hash_for_each_canonical_kmer(n_bases, seed, n_share):
    codes = random_codes(n_bases, seed)
    codes[np.random.default_rng(seed).random(n_bases) < n_share] = 4
    hashes = sketch(codes, density=1.0)
    assert len(hashes) == len(kmers_as_text(codes))
    np.testing.assert_array_equal(hashes, sketch(reverse_complement(codes), density=1.0))


def test_two_sketches_share_what_the_sequences_share():
    first = random_codes(3000, 0)
    second = np.concatenate([random_codes(500, 1), reverse_complement(first[1000:2500])])
    shared = np.intersect1d(sketch(first, density=1.0), sketch(second, density=1.0))
    assert len(shared) == len(kmers_as_text(first) & kmers_as_text(second)) == 1480


def test_a_sketch_of_a_density_is_a_part_of_the_whole_and_about_so_large():
    codes = random_codes(100_000, 2)
    whole, part = sketch(codes, density=1.0), sketch(codes, density=0.1)
    assert np.isin(part, whole).all()
    assert len(part) == pytest.approx(10_000, rel=0.05)


def test_a_sketch_is_the_same_however_long_the_chunks_are(monkeypatch):
    codes = random_codes(1000, 3)
    whole = sketch(codes, density=1.0)
    for chunk in (1, 7, 979, 980, 981):
        monkeypatch.setattr("genotune.genome.homology._CHUNK_BASES", chunk)
        np.testing.assert_array_equal(sketch(codes, density=1.0), whole)


def test_near_identical_sequences_belong_together_and_others_do_not():
    first, other = random_codes(20_000, 4), random_codes(20_000, 5)
    assert groups_of(first, other, mutated(first, 0.05), reverse_complement(mutated(other, 0.02))) == [0, 1, 0, 1]


@pytest.mark.parametrize(("share", "together"), [(0.03, True), (0.07, True), (0.13, False), (0.2, False)])
def test_the_identity_decides(share, together):
    """An identity of 0.9 leaves 0.9 ** 21 = 11 % of the k-mers."""
    first = random_codes(50_000, 6)
    assert groups_of(first, mutated(first, share)) == ([0, 0] if together else [0, 1])


def test_a_higher_identity_parts_more():
    first = random_codes(20_000, 7)
    assert groups_of(first, mutated(first, 0.05), identity=0.9) == [0, 0]
    assert groups_of(first, mutated(first, 0.05), identity=0.99) == [0, 1]


def test_a_short_sequence_that_lies_in_a_long_one_belongs_to_it():
    long = random_codes(50_000, 8)
    assert groups_of(long, long[30_000:30_500], random_codes(500, 9)) == [0, 0, 1]


def test_a_small_common_part_of_two_long_sequences_does_not_bind_them():
    repeat = random_codes(1000, 10)
    first, second = (np.concatenate([random_codes(20_000, seed), repeat]) for seed in (11, 12))
    assert groups_of(first, second) == [0, 1]


def test_two_common_kmers_of_short_sequences_are_chance():
    """Of 30 bases 22 or 23 are common, which is 2 or 3 of 10 k-mers."""
    first = random_codes(30, 18)
    other = (first + 1) % 4
    assert groups_of(first, np.concatenate([first[:22], other[22:]])) == [0, 1]
    assert groups_of(first, np.concatenate([first[:23], other[23:]])) == [0, 0]


def test_whoever_is_like_one_of_a_group_belongs_to_it():
    first, last = random_codes(5000, 13), random_codes(5000, 14)
    bridge = np.concatenate([first, last])
    assert groups_of(first, last, bridge, random_codes(5000, 15)) == [0, 0, 0, 1]


def test_what_has_no_kmers_is_alone():
    unknown = np.full(500, 4, dtype=np.uint8)
    assert groups_of(unknown, unknown, np.zeros(10, dtype=np.uint8), np.zeros(0, dtype=np.uint8)) == [0, 1, 2, 3]


def test_a_repeat_of_the_whole_genome_binds_nobody(monkeypatch):
    repeat = random_codes(400, 16)
    sequences = [np.concatenate([random_codes(600, 20 + seed), repeat]) for seed in range(6)]
    assert len({*groups_of(*sequences)}) == 1
    monkeypatch.setattr("genotune.genome.homology._MOST_COMMON", 5)
    assert len({*groups_of(*sequences)}) == 6


def test_groups_do_not_depend_on_how_pairs_are_chunked(monkeypatch):
    sequences = [mutated(random_codes(2000, index // 3), 0.02, seed=index) for index in range(12)]
    expected = np.repeat(np.arange(4), 3).tolist()
    assert groups_of(*sequences) == expected
    monkeypatch.setattr("genotune.genome.homology._CHUNK_PAIRS", 5)
    assert groups_of(*sequences) == expected


@settings(max_examples=40, deadline=None)
@given(links=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=14))
def test_groups_are_the_connected_components(links):
    """Each link is a sequence of its own that lies in both of its ends."""
    own = [random_codes(300, 100 + index) for index in range(12)]
    shared = [random_codes(150, 200 + index) for index in range(len(links))]
    sequences = [
        np.concatenate([own[index], *(part for part, ends in zip(shared, links, strict=True) if index in ends)])
        for index in range(12)
    ]
    group = list(range(12))
    for first, second in links:
        group = [min(group[first], group[second]) if one in (group[first], group[second]) else one for one in group]
    found = groups_of(*sequences, identity=0.8)
    assert [[a == b for b in found] for a in found] == [[a == b for b in group] for a in group]


def test_soft_masked_bases_count_as_others():
    text = decode(random_codes(1000, 17))
    np.testing.assert_array_equal(
        sketch(encode(text.lower().encode()), density=1), sketch(encode(text.encode()), density=1)
    )
