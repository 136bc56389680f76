"""A/T and C/G variants near a half are used only where all others show that both tables are on one strand."""

import numpy as np
import pytest

from genotune.genome.allele_matching import ABSENT, VariantTable, match_alleles
from genotune.genome.strand_evidence import is_palindrome, keep_sure_strands

N = 120
COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}


def table(n=N):
    """The first ten are A/T of a frequency of a half, the next ten C/G of 0.2, the others A/G."""
    counted = np.full(n, "A")
    other = np.full(n, "G")
    other[:10], counted[10:20], other[10:20] = "T", "C", "G"
    frequency = np.full(n, 0.3, dtype=np.float32)
    frequency[:10], frequency[10:20] = 0.5, 0.2
    return VariantTable(
        np.array([f"rs{i}" for i in range(n)]), np.full(n, "1"), np.arange(n) * 1000, counted, other, frequency
    )


def reconciled(wanted, found):
    zeros = np.zeros(len(wanted.ids), dtype=np.float32)
    rows = match_alleles(wanted._replace(frequency=zeros), found._replace(frequency=np.zeros(len(found.ids)))).rows
    return keep_sure_strands(match_alleles(wanted, found), wanted, found, rows=rows)


def test_of_the_same_table_all_variants_are_used_and_that_is_said():
    match, notes = reconciled(table(), table())
    assert match.n_found == N
    assert not match.is_swapped.any()
    assert notes == (
        "10 A/T or C/G variants, whose frequency doesn't tell the strand, are taken as they are named: all 100 others "
        "that could show another strand have the same ID and letters.",
    )


def test_letters_tell_which_allele_is_counted_where_strands_agree():
    found = table()
    swap = np.arange(0, N, 3)
    found.counted[swap], found.other[swap] = found.other[swap], found.counted[swap]
    found.frequency[swap] = 1 - found.frequency[swap]
    match, _ = reconciled(table(), found)
    assert match.n_found == N
    assert np.flatnonzero(match.is_swapped).tolist() == swap.tolist()
    assert not match.is_flipped.any()


def flip_one(found):
    found.counted[50], found.other[50] = (COMPLEMENT[letter] for letter in (found.counted[50], found.other[50]))


def rename_one(found):
    found.ids[50] = "kgp7"


def other_alleles_of_one(found):
    found.other[50] = "C"


def turn_one_that_frequency_tells(found):
    found.frequency[15] = 0.8


@pytest.mark.parametrize("change", [flip_one, rename_one, other_alleles_of_one, turn_one_that_frequency_tells])
def test_a_single_sign_of_another_table_leaves_them_ambiguous(change):
    found = table()
    change(found)
    match, notes = reconciled(table(), found)
    assert (match.rows[:10] == ABSENT).all()
    assert match.is_ambiguous[:10].all()
    assert notes == ()


def test_a_few_others_are_no_evidence():
    match, notes = reconciled(table(119), table(119))
    assert match.n_found == 109
    assert notes == ()


def test_absent_variants_are_no_sign():
    wanted = table(130)
    match, _ = reconciled(wanted, VariantTable(*(column[:125] for column in wanted)))
    assert match.n_found == 125


def test_letters_of_either_case_are_palindromes():
    some = table(4)._replace(counted=np.array(["a", "c", "A", "AT"]), other=np.array(["T", "G", "C", "AT"]))
    assert is_palindrome(some).tolist() == [True, True, False, False]
