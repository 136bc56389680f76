"""k-mer counts, held to an oracle that counts strings."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.trainables.kmers import Span, canonical_kmers, count_kmers, kmer_features, nested_spans

LETTERS = "ACGTN"
OTHER = str.maketrans("ACGTN", "TGCAN")


def codes_of(text):
    return np.array([LETTERS.index(letter) for letter in text], dtype=np.uint8)


def turned(text):
    return text.translate(OTHER)[::-1]


def counted(text, k, gap_bp=0):
    """Counts of a whole text; the k-mers with an N, which come last, are left out."""
    index, spans = canonical_kmers(k, gap_bp=gap_bp), [Span(0, len(text))]
    return count_kmers(codes_of(text), np.array([0]), spans=spans, index=index)[0, 0, :-1]


def all_words(k):
    return [""] if k == 0 else [word + letter for word in all_words(k - 1) for letter in "ACGT"]


def words(text, k, gap_bp):
    """A slow and obvious second way: strings, with dots for a gap, the smaller one of the two strands.

    Where a gap splits an odd k unevenly, the strand on which the longer half comes first.
    """
    found = Counter()
    for before in {k - k // 2, k // 2} if gap_bp else {k}:
        for start in range(len(text) - k - gap_bp + 1):
            word = text[start : start + before] + "." * gap_bp + text[start + before + gap_bp :][: k - before]
            if "N" not in word:
                halves = {word, turned(word)}
                if k % 2 and gap_bp:
                    halves = {half for half in halves if half[k - k // 2] == "." and half[k // 2] != "."}
                found[min(halves)] += 1
    return found


def oracle(text, k, gap_bp=0):
    counts = []
    for gap in range(gap_bp + 1):
        before, behind = k - k // 2, k // 2
        everything = all_words(k)
        if gap == 0 or k % 2 == 0:
            everything = [word for word in everything if word <= turned(word)]
        found = words(text, k, gap)
        counts += [found[word if gap == 0 else word[:before] + "." * gap + word[k - behind :]] for word in everything]
    return counts


@pytest.mark.parametrize(("k", "n_features"), [(1, 2), (2, 10), (3, 32), (4, 136), (5, 512), (6, 2080)])
def test_there_are_so_many_canonical_kmers(k, n_features):
    assert canonical_kmers(k).n_features == n_features


def test_with_gaps_there_are_as_many_again_for_each_and_all_words_where_the_halves_differ():
    assert canonical_kmers(4, gap_bp=3).n_features == 4 * 136
    assert canonical_kmers(3, gap_bp=2).n_features == 32 + 2 * 64


def test_acgt_holds_two_dinucleotides_of_which_one_lies_on_both_strands():
    assert dict(zip(["AA", "AC", "AG", "AT", "CA", "CC", "CG", "GA", "GC", "TA"], counted("ACGT", 2), strict=True)) == {
        **dict.fromkeys(["AA", "AG", "AT", "CA", "CC", "GA", "GC", "TA"], 0),
        "AC": 2,
        "CG": 1,
    }


def test_a_gap_lies_in_the_middle_and_what_lies_in_it_does_not_count():
    names = ["AA", "AC", "AG", "AT", "CA", "CC", "CG", "GA", "GC", "TA"]
    gapped = dict(zip(names, counted("ANGTC", 2, 1)[10:], strict=True))  # A.G, N.T, G.C
    assert {name: count for name, count in gapped.items() if count} == {"AG": 1, "GC": 1}
    both = dict(zip(all_words(3), counted("ACNG", 3, 1)[32:], strict=True))
    assert {name: count for name, count in both.items() if count} == {"ACG": 1}  # AC.G; A.NG holds an N
    both = dict(zip(all_words(3), counted("ANCG", 3, 1)[32:], strict=True))
    assert {name: count for name, count in both.items() if count} == {"CGT": 1}  # A.CG, on the other strand CG.T


def test_a_kmer_with_an_n_is_not_counted():
    assert counted("ACNGT", 2).sum() == 2
    assert counted("NNNN", 2).sum() == 0


def test_how_many_hold_an_n_comes_last():
    counts = count_kmers(codes_of("ACNGT"), np.array([0]), spans=[Span(0, 5)], index=canonical_kmers(2))
    assert counts.shape == (1, 1, 11)
    assert counts[0, 0, -1] == 2


@given(st.text(LETTERS, min_size=3, max_size=60), st.integers(1, 3))
def test_counts_are_those_of_the_oracle(text, k):
    np.testing.assert_array_equal(counted(text, k), oracle(text, k))


@given(st.text(LETTERS, min_size=8, max_size=60), st.integers(2, 4), st.integers(1, 4))
def test_counts_with_gaps_are_those_of_the_oracle(text, k, gap_bp):
    np.testing.assert_array_equal(counted(text, k, gap_bp), oracle(text, k, gap_bp))


@given(st.text(LETTERS, min_size=8, max_size=60), st.integers(2, 4), st.integers(0, 4))
def test_both_strands_have_the_same_counts(text, k, gap_bp):
    np.testing.assert_array_equal(counted(text, k, gap_bp), counted(turned(text), k, gap_bp))


def test_each_span_of_each_bin_is_counted_on_its_own():
    text = "ACGTTGCANACG"
    spans = nested_spans(4, flanks_bp=(0, 2))
    assert spans == (Span(0, 4), Span(-2, 6))
    counts = count_kmers(codes_of(text), np.array([2, 5, 6]), spans=spans, index=canonical_kmers(2, gap_bp=1))
    for row, start in zip(counts, (2, 5, 6), strict=True):
        np.testing.assert_array_equal(row[0, :-1], counted(text[start : start + 4], 2, 1))
        np.testing.assert_array_equal(row[1, :-1], counted(text[start - 2 : start + 6], 2, 1))


def test_many_bins_are_counted_as_few_are():
    rng = np.random.default_rng(1)
    codes, spans, index = rng.integers(0, 5, 9000).astype(np.uint8), [Span(-40, 60)], canonical_kmers(4)
    starts = rng.integers(40, 8900, 3000)  # more than are added up at a time
    counts = count_kmers(codes, starts, spans=spans, index=index)
    for row in (0, 1, 1500, 2047, 2048, 2999):
        alone = count_kmers(codes, starts[row : row + 1], spans=spans, index=index)
        np.testing.assert_array_equal(counts[row], alone[0])


@pytest.mark.parametrize(
    ("span_bp", "kind"), [(127, np.uint8), (200, np.uint16), (32_000, np.uint16), (40_000, np.uint32)]
)
def test_counts_are_of_a_type_that_holds_the_longest_span(span_bp, kind):
    counts = count_kmers(
        np.zeros(span_bp, dtype=np.uint8), np.array([0]), spans=[Span(0, span_bp)], index=canonical_kmers(1)
    )
    assert counts.dtype == kind
    assert counts[0, 0, 0] == span_bp


def test_no_bin_has_no_counts():
    counts = count_kmers(codes_of("ACGT"), np.empty(0, dtype=np.int64), spans=[Span(0, 4)], index=canonical_kmers(1))
    assert counts.shape == (0, 1, 3)


def test_features_of_any_shape_are_found_along_the_last_axis():
    codes = np.stack([codes_of("ACGTA"), codes_of("NGTAC")])
    index = canonical_kmers(2)
    found = kmer_features(codes, index)
    assert found.shape == (2, 4)
    assert found[1, 0] == index.n_features
    np.testing.assert_array_equal(found[0], kmer_features(codes[0], index))
