"""Features of bins, held to counts by hand and to a slow count."""

import numpy as np
import pytest

from genotune.trainables.bin_features import FeatureSet, bin_features, feature_parts
from genotune.trainables.kmers import canonical_kmers, nested_spans
from genotune.trainables.training_bins import training_bins


def features_of(k, *, bin_bp, flanks_bp, gap_bp=0, n_gc_cells=0):
    spans = nested_spans(bin_bp, flanks_bp=flanks_bp)
    return FeatureSet(canonical_kmers(k, gap_bp=gap_bp), spans, bin_bp, n_gc_cells)


def codes_of(text):
    return np.array(["ACGTN".index(base) for base in text], dtype=np.uint8)


def test_features_are_counts_of_kmers_and_of_g_or_c_by_hand():
    features = features_of(1, bin_bp=2, flanks_bp=(0, 2))  # A or T, then C or G, then G or C
    found = bin_features(codes_of("ACGTACNNGGGGAAAA"), np.array([2, 4, 10, 12]), features)
    np.testing.assert_array_equal(
        found,
        [
            [1, 1, 1, 3, 3, 3],  # GT in ACGTAC
            [1, 1, 1, 2, 2, 2],  # AC in GTACNN
            [0, 2, 2, 2, 4, 4],  # GG in GGGGAA
            [2, 0, 0, 4, 2, 2],  # AA in GGAAAA
        ],
    )
    assert found.dtype == np.uint8


@pytest.mark.parametrize("k", [1, 3, 6])
@pytest.mark.parametrize("flank", [0, 5])
def test_features_of_spans_are_those_of_a_slow_count(k, flank):
    rng, index = np.random.default_rng(k), canonical_kmers(k)
    codes = rng.choice(5, 90, p=[0.24, 0.24, 0.24, 0.24, 0.04]).astype(np.uint8)
    starts = np.array([5, 13, 27, 70])
    found = bin_features(codes, starts, features_of(k, bin_bp=8, flanks_bp=(flank,)))
    slow = np.zeros_like(found)
    for row, first in zip(slow, starts, strict=True):
        span = codes[first - flank : first + 8 + flank]
        for start in range(len(span) - k + 1):
            kmer = span[start : start + k]
            if 4 not in kmer:
                row[index.readings[0].feature[int("".join(map(str, kmer)), 4)]] += 1
        row[-1] = np.isin(span, (1, 2)).sum()
    np.testing.assert_array_equal(found, slow)


def test_counts_that_need_it_take_two_bytes():
    codes = np.zeros(700, dtype=np.uint8)
    features = features_of(2, bin_bp=100, flanks_bp=(0, 300))
    found = bin_features(codes, np.array([300]), features)
    assert found.dtype == np.uint16
    assert found[0, 11] == 699
    codes[:] = np.random.default_rng(0).integers(0, 2, 700)  # 350 or so are C
    assert bin_features(codes, np.array([300]), features).dtype == np.uint16
    codes[:] = np.random.default_rng(0).integers(0, 4, 700)
    codes[np.isin(codes, (1, 2)) & (np.arange(700) % 2 == 0)] = 4
    assert bin_features(codes, np.array([300]), features).dtype == np.uint8


def test_features_of_a_store_are_those_of_each_of_its_contigs(make_store):
    store = make_store([1000, 333, 500])
    bins = training_bins(store, np.array([0, 2]), bin_bp=32, max_bins=1000)
    features = features_of(3, bin_bp=32, flanks_bp=(0, 40), gap_bp=2)
    assert features.n_features == 2 * (32 + 2 * 64 + 1)
    assert features.flank_bp == 40
    expected = []
    for contig, n_bins in ((0, 31), (2, 16)):
        codes = np.pad(store.contig_sequence(contig), 40, constant_values=4)
        expected.append(bin_features(codes, 40 + 32 * np.arange(n_bins), features))
    np.testing.assert_array_equal(np.concatenate(list(feature_parts(store, bins, features))), np.concatenate(expected))


def test_cells_are_counted_on_both_sides_from_the_bin_on_the_lower_count_first():
    features = features_of(1, bin_bp=2, flanks_bp=(0, 7), n_gc_cells=2)  # cells of 3 bp; the outermost base is in none
    codes = codes_of("GGGGGCAACGCGGANG")
    assert features.n_features == 2 * 3 + 2 * 2
    found = bin_features(codes, np.array([7]), features)
    # G|GGG|GCA|AC|GCG|GAN|G
    np.testing.assert_array_equal(found[0, 6:], [2, 1, 3, 3])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(
        found[0, :6], bin_features(codes, np.array([7]), features_of(1, bin_bp=2, flanks_bp=(0, 7)))[0]
    )
