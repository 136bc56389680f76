"""Held to an obvious second implementation, variant by variant."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.genome.allele_matching import ABSENT, VariantTable, match_alleles, turned_round
from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, MISSING_STEPS, NO_POSITION, Variants

COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}


def table(*variants, frequency=None):
    """Of (contig, position, counted, other) or (ID, contig, position, counted, other); position 0 is none."""
    rows = [(f"v{i}", *row) if len(row) == 4 else row for i, row in enumerate(variants)]
    ids, contigs, positions, counted, other = zip(*rows, strict=True) if rows else ([],) * 5
    return VariantTable(
        np.array(ids, dtype=np.str_),
        np.array(contigs, dtype=np.str_),
        np.array(positions, dtype=np.int64) - 1,
        np.array(counted, dtype=np.str_),
        np.array(other, dtype=np.str_),
        None if frequency is None else np.array(frequency, dtype=np.float32),
    )


def found_as(match):
    return list(zip(match.rows.tolist(), match.is_swapped.tolist(), match.is_flipped.tolist(), strict=True))


def test_alleles_may_be_swapped_flipped_or_both():
    wanted = table(*[("1", i, "A", "G") for i in range(1, 6)])
    found = table(("1", 1, "A", "G"), ("1", 2, "G", "A"), ("1", 3, "T", "C"), ("1", 4, "C", "T"), ("1", 5, "A", "C"))
    match = match_alleles(wanted, found)
    assert found_as(match) == [
        *((0, False, False), (1, True, False), (2, False, True), (3, True, True)),
        (ABSENT, False, False),
    ]
    assert match.has_other_alleles.tolist() == [False] * 4 + [True]
    assert match.n_found == 4
    assert match.words() == (
        "4 of 5 variants are found; of these 1 count the other allele, 1 are named on the other strand, 1 are both. "
        "Of the others 1 have other alleles there."
    )


def test_what_is_found_wholly_is_told_in_few_words():
    wanted = table(("1", 1, "A", "G"))
    assert match_alleles(wanted, wanted).words() == "1 of 1 variants are found."


def test_contigs_may_be_spelled_with_chr():
    wanted = table(("1", 5, "A", "G"), ("chrX", 5, "A", "G"), ("MT", 5, "A", "G"), ("2", 5, "A", "G"))
    found = table(("chrM", 5, "A", "G"), ("X", 5, "A", "G"), ("chr1", 5, "A", "G"), ("chr22", 5, "A", "G"))
    assert match_alleles(wanted, found).rows.tolist() == [2, 1, 0, ABSENT]


@pytest.mark.parametrize(("ours", "theirs"), [("X", "23"), ("24", "chrY"), ("25", "XY"), ("chrM", "26")])
def test_x_y_and_the_mitochondrion_are_found_under_the_numbers_of_plink(ours, theirs):
    wanted, found = table((ours, 5, "A", "G")), table(("1", 5, "A", "G"), (theirs, 5, "A", "G"))
    assert match_alleles(wanted, found).rows.tolist() == [1]
    assert match_alleles(found, wanted).rows.tolist() == [ABSENT, 0]


def test_23_is_no_x_where_either_table_has_more_autosomes():
    wanted = table(("X", 5, "A", "G"), ("38", 5, "A", "G"), ("23", 9, "A", "G"))
    assert match_alleles(wanted, table(("23", 5, "A", "G"), ("23", 9, "A", "G"))).rows.tolist() == [ABSENT, ABSENT, 1]


def test_lower_case_alleles_are_the_same():
    assert found_as(match_alleles(table(("1", 5, "a", "g")), table(("1", 5, "G", "A")))) == [(0, True, False)]


def test_insertions_are_matched_as_they_are_written_but_have_no_other_strand():
    wanted = table(("1", 5, "AT", "A"), ("1", 6, "AC", "A"), ("1", 7, "TA", "T"))
    found = table(("1", 5, "A", "AT"), ("1", 6, "AC", "A"), ("1", 7, "AT", "A"))
    match = match_alleles(wanted, found)
    assert found_as(match) == [(0, True, False), (1, False, False), (ABSENT, False, False)]


def test_of_several_variants_at_a_place_the_most_alike_is_taken():
    wanted = table(("1", 5, "A", "G"))
    every = [("1", 5, "A", "C"), ("1", 5, "C", "T"), ("1", 5, "T", "C"), ("1", 5, "G", "A"), ("1", 5, "A", "G")]
    for n, expected in zip(
        range(5, 1, -1), [(4, False, False), (3, True, False), (2, False, True), (1, True, True)], strict=True
    ):
        assert found_as(match_alleles(wanted, table(*every[:n]))) == [expected]
    twice = table(("1", 5, "A", "G"), ("1", 5, "A", "G"))
    assert match_alleles(wanted, twice).rows.tolist() == [0]


def test_without_a_position_the_id_and_the_alleles_tell():
    wanted = table(
        ("rs1", "1", 0, "A", "G"), ("rs2", "1", 7, "A", "G"), ("rs3", "1", 0, "A", "G"), ("rs4", "1", 8, "A", "C")
    )
    found = table(
        ("rs3", "5", 9, "A", "T"), ("rs2", "0", 0, "G", "A"), ("rs1", "2", 3, "T", "C"), ("rs4", "1", 9, "A", "C")
    )
    match = match_alleles(wanted, found)
    # rs4 has a place in both, and they differ.
    assert found_as(match) == [(2, False, True), (1, True, False), (ABSENT, False, False), (ABSENT, False, False)]
    assert match.has_other_alleles.tolist() == [False, False, True, False]


@pytest.mark.parametrize(("counted", "other"), [("A", "T"), ("G", "C")])
def test_complementary_alleles_are_ambiguous_without_frequencies(counted, other):
    wanted = table(("1", 5, counted, other))
    for found in (wanted, table(("1", 5, other, counted))):
        match = match_alleles(wanted, found)
        assert found_as(match) == [(ABSENT, False, False)]
        assert match.is_ambiguous.tolist() == [True]
        assert "1 are ambiguous" in match.words()


@pytest.mark.parametrize(
    ("ours", "theirs", "letters", "expected"),
    [
        (0.1, 0.15, "AT", (0, False, False)),
        (0.1, 0.85, "AT", (0, True, True)),
        (0.1, 0.85, "TA", (0, True, False)),
        (0.1, 0.15, "TA", (0, False, True)),
        (0.1, 0.45, "AT", None),
        (0.45, 0.1, "AT", None),
        (np.nan, 0.1, "AT", None),
        (0.1, np.nan, "TA", None),
    ],
)
def test_frequency_tells_the_strand_of_complementary_alleles(ours, theirs, letters, expected):
    match = match_alleles(table(("1", 5, "A", "T"), frequency=[ours]), table(("1", 5, *letters), frequency=[theirs]))
    assert found_as(match) == [expected or (ABSENT, False, False)]
    assert match.is_ambiguous.tolist() == [expected is None]


def test_how_near_to_a_half_is_ambiguous_can_be_set():
    wanted = table(("1", 5, "A", "T"), frequency=[0.45])
    assert match_alleles(wanted, wanted, ambiguous_maf=0.46).rows.tolist() == [0]
    assert match_alleles(wanted, wanted, ambiguous_maf=0.44).rows.tolist() == [ABSENT]


def test_the_variants_of_a_store_are_such_a_table():
    own = table(("1", 5, "A", "T"), ("1", 9, "C", "A"), frequency=[0.2, 0.5])
    assert match_alleles(VariantTable(*Variants(*own)), own).rows.tolist() == [0, 1]


def test_nothing_is_found_in_nothing():
    some, none = table(("1", 5, "A", "C")), table()
    assert match_alleles(some, none).rows.tolist() == [ABSENT]
    assert match_alleles(none, some).rows.tolist() == []
    assert match_alleles(none, none).words() == "0 of 0 variants are found."


def by_hand(wanted, found):
    """(row, swapped, flipped) of each, without frequencies: the obvious way."""
    answers = []
    for name, contig, start, counted, other in zip(*wanted[:5], strict=True):
        places = [
            start != NO_POSITION and (contig, start) == place for place in zip(found.contigs, found.starts, strict=True)
        ]
        names = [name == each and NO_POSITION in (start, at) for each, at in zip(found.ids, found.starts, strict=True)]
        rows = np.flatnonzero(places) if any(places) else np.flatnonzero(names)
        best = None
        for is_flipped, is_swapped in itertools.product((False, True), repeat=2):
            for row in rows:
                theirs = [str(found.counted[row]), str(found.other[row])]
                theirs = [COMPLEMENT.get(allele, "?") for allele in theirs] if is_flipped else theirs
                theirs = theirs[::-1] if is_swapped else theirs
                if best is None and theirs == [counted, other]:
                    best = (int(row), is_swapped, is_flipped)
        ambiguous = COMPLEMENT.get(str(counted)) == other
        answers.append((ABSENT, False, False) if best is None or ambiguous else best)
    return answers


VARIANT = st.tuples(
    st.sampled_from(["r1", "r2", "r3"]),
    st.sampled_from(["1", "2"]),
    st.integers(0, 3),
    st.sampled_from(["A", "C", "G", "T", "AT"]),
    st.sampled_from(["A", "C", "G", "T", "AT"]),
).filter(lambda row: row[3] != row[4])


@settings(max_examples=200)
@given(st.lists(VARIANT, max_size=6), st.lists(VARIANT, max_size=6))
def test_matches_are_those_that_are_found_one_by_one(wanted, found):
    ours, theirs = table(*wanted), table(*found)
    assert found_as(match_alleles(ours, theirs)) == by_hand(ours, theirs)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([0, 1, 2, 3]))
def test_turning_dosages_by_the_match_gives_back_those_of_the_first_table(seed, way):
    """However the second file spells the same people's genotypes."""
    rng = np.random.default_rng(seed)
    letters = [pair for pair in itertools.permutations("ACGT", 2) if COMPLEMENT[pair[0]] != pair[1]]
    pairs = [letters[i] for i in rng.integers(0, len(letters), 12)]
    wanted = table(*[("1", i + 1, *pair) for i, pair in enumerate(pairs)])
    dosage = rng.choice([0, 1, 2, MISSING_DOSAGE], size=(5, 12)).astype(np.int8)
    order, theirs, copies = rng.permutation(12), [], dosage.copy()
    for i, (counted, other) in enumerate(pairs):
        if way & 1:
            counted, other = other, counted  # noqa: PLW2901
            copies[:, i] = [2 - each if each >= 0 else each for each in dosage[:, i]]
        if way & 2:
            counted, other = COMPLEMENT[counted], COMPLEMENT[other]  # noqa: PLW2901
        theirs.append(("chr1", i + 1, counted, other))
    match = match_alleles(wanted, table(*[theirs[i] for i in order]))
    matched = copies[:, order][:, match.rows]
    np.testing.assert_array_equal(np.where(match.is_swapped, turned_round(matched), matched), dosage)


def test_turning_round_counts_the_other_allele_in_either_code():
    whole = np.array([0, 1, 2, MISSING_DOSAGE], dtype=np.int8)
    assert turned_round(whole).tolist() == [2, 1, 0, MISSING_DOSAGE]
    steps = np.array([0, 1, DOSAGE_STEPS, 2 * DOSAGE_STEPS, MISSING_STEPS], dtype=np.uint16)
    assert turned_round(steps).tolist() == [2 * DOSAGE_STEPS, 2 * DOSAGE_STEPS - 1, DOSAGE_STEPS, 0, MISSING_STEPS]
    for dosage in (whole, steps):
        assert turned_round(dosage).dtype == dosage.dtype
        np.testing.assert_array_equal(turned_round(turned_round(dosage)), dosage)
