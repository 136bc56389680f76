"""k-mer counts, held to an oracle that counts strings."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.trainables.kmers import canonical_kmers, count_kmers, kmer_features

LETTERS = "ACGTN"
OTHER = str.maketrans("ACGTN", "TGCAN")


def codes_of(text):
    return np.array([LETTERS.index(letter) for letter in text], dtype=np.uint8)


def counted(text, k):
    index = canonical_kmers(k)
    features = kmer_features(codes_of(text), index)
    return count_kmers(features, np.array([0]), span_bp=len(text), index=index)[0]


def oracle(text, k):
    """A slow and obvious second way: strings, and the smaller one of the two strands."""
    words = sorted({min(word, word.translate(OTHER)[::-1]) for word in all_words(k)})
    found = Counter()
    for start in range(len(text) - k + 1):
        word = text[start : start + k]
        if "N" not in word:
            found[min(word, word.translate(OTHER)[::-1])] += 1
    return [found[word] for word in words]


def all_words(k):
    return [""] if k == 0 else [word + letter for word in all_words(k - 1) for letter in "ACGT"]


@pytest.mark.parametrize(("k", "n_features"), [(1, 2), (2, 10), (3, 32), (4, 136), (5, 512), (6, 2080)])
def test_there_are_so_many_canonical_kmers(k, n_features):
    assert canonical_kmers(k).n_features == n_features


def test_acgt_holds_two_dinucleotides_of_which_one_lies_on_both_strands():
    assert dict(zip(["AA", "AC", "AG", "AT", "CA", "CC", "CG", "GA", "GC", "TA"], counted("ACGT", 2), strict=True)) == {
        **dict.fromkeys(["AA", "AG", "AT", "CA", "CC", "GA", "GC", "TA"], 0),
        "AC": 2,
        "CG": 1,
    }


def test_a_kmer_with_an_n_is_not_counted():
    assert counted("ACNGT", 2).sum() == 2
    assert counted("NNNN", 2).sum() == 0


@given(st.text(LETTERS, min_size=3, max_size=60), st.integers(1, 3))
def test_counts_are_those_of_the_oracle(text, k):
    np.testing.assert_array_equal(counted(text, k), oracle(text, k))


@given(st.text(LETTERS, min_size=4, max_size=60), st.integers(1, 4))
def test_both_strands_have_the_same_counts(text, k):
    np.testing.assert_array_equal(counted(text, k), counted(text.translate(OTHER)[::-1], k))


def test_each_span_is_counted_on_its_own():
    text = "ACGTTGCANACG"
    index = canonical_kmers(2)
    counts = count_kmers(kmer_features(codes_of(text), index), np.array([0, 3, 8]), span_bp=4, index=index)
    np.testing.assert_array_equal(counts, [counted(text[start : start + 4], 2) for start in (0, 3, 8)])
