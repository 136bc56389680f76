import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.data.cells import DEFAULT_MISSING, read_cells
from genotune.data.phenotypes import read_trait
from genotune.errors import DataError


def trait_of(*cells, kind=None, missing=DEFAULT_MISSING, is_fam=False):
    return read_trait(
        np.array(cells, dtype=np.str_),
        name="phenotype" if is_fam else "CD8",
        label="x.fam" if is_fam else "t.tsv",
        places=[f"x.fam:{row + 1}" if is_fam else f"t.tsv:{row + 2}" for row in range(len(cells))],
        kind=kind,
        missing=missing,
        is_fam=is_fam,
    )


def refuse(cells, message, **options):
    with pytest.raises(DataError, match=f"^{message}$"):
        trait_of(*cells, **options)


def same(values, expected):
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, np.array(expected, dtype=np.float64))


def test_numbers_are_quantitative_and_need_no_note():
    trait = trait_of("0.5", " -1.25 ", "1e-3", "+.5", "7.")
    same(trait.values, [0.5, -1.25, 0.001, 0.5, 7])
    assert (trait.kind, trait.classes, trait.notes) == ("quantitative", (), ())


def test_missing_values_are_nan_and_each_mark_is_counted():
    trait = trait_of("0.5", "NA", "1.5", " NA", "-9", ".", "2.5", "")
    same(trait.values, [0.5, np.nan, 1.5, np.nan, np.nan, np.nan, 2.5, np.nan])
    assert trait.notes == (
        "CD8: missing in 5 of 8 samples (NA 2, empty 1, -9 1, . 1); they are left out. "
        "If -9 is a value, set data.missing: [NA].",
    )


def test_without_minus_nine_among_the_marks_nothing_is_said_of_it():
    assert trait_of("0.5", "NA", "1.5", "2.5").notes == ("CD8: missing in 1 of 4 samples (NA 1); they are left out.",)


def test_minus_nine_may_be_a_value():
    trait = trait_of("-9", "NA", "1.5", "2.5", missing=("NA",))
    same(trait.values, [-9, np.nan, 1.5, 2.5])


def test_a_mark_that_is_a_number_stands_for_all_its_spellings():
    trait = trait_of("-9.0", "-9", "1.5", "2.5", "3")
    same(trait.values, [np.nan, np.nan, 1.5, 2.5, 3])
    assert "(-9 2)" in trait.notes[0]


def test_an_empty_cell_is_missing_whatever_the_spec_says():
    same(trait_of("", "1.5", "2.5", missing=("NA",)).values, [np.nan, 1.5, 2.5])


@pytest.mark.parametrize("mark", DEFAULT_MISSING)
def test_each_usual_mark_is_missing(mark):
    same(trait_of("0.5", mark, "1.5", "2.5").values, [0.5, np.nan, 1.5, 2.5])


def test_zero_and_one_are_control_and_case():
    trait = trait_of("1", "0", "NA", "1.0")
    same(trait.values, [1, 0, np.nan, 1])
    assert (trait.kind, trait.classes, len(trait.notes)) == ("binary", ("0", "1"), 1)


def test_one_and_two_are_control_and_case_as_plink_codes_them():
    trait = trait_of("1", "2", "2")
    same(trait.values, [0, 1, 1])
    assert (trait.kind, trait.classes) == ("binary", ("1", "2"))
    assert trait.notes == ("CD8: coded 1 and 2, as PLINK does: 2 is the case (class 1), 1 the control (class 0).",)


def test_a_few_whole_numbers_without_a_gap_are_classes_and_a_note_says_so():
    trait = trait_of("3", "1", "2", "1")
    same(trait.values, [2, 0, 1, 0])
    assert (trait.kind, trait.classes) == ("multiclass", ("1", "2", "3"))
    assert trait.notes == (
        "CD8: whole numbers from 1 to 3 without a gap: taken as 3 classes (multiclass). "
        "If they aren't, set data.trait_kind: quantitative or count.",
    )


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        (range(10), "multiclass"),
        (range(11), "count"),
        ((0, 1, 3), "count"),
        ((0, 5, 212), "count"),
        ((-1, 0, 1), "quantitative"),
        ((0, 1, 2.5), "quantitative"),
    ],
)
def test_a_kind_is_told_from_the_numbers(numbers, kind):
    assert trait_of(*map(str, numbers)).kind == kind


def test_other_whole_numbers_are_counts_and_a_note_says_so():
    trait = trait_of("0", "7", "3")
    same(trait.values, [0, 7, 3])
    assert trait.notes == (
        "CD8: whole numbers from 0 to 7: taken as counts. "
        "If they aren't, set data.trait_kind: quantitative or multiclass.",
    )


@pytest.mark.parametrize(("low", "high"), [("0.3", "0.7"), ("5", "10"), ("0", "2")])
def test_two_other_numbers_are_quantitative_and_a_note_says_so(low, high):
    trait = trait_of(high, low)
    assert trait.kind == "quantitative"
    assert trait.notes == (
        f"CD8: two values, {low} and {high}, that are neither 0/1 nor 1/2: taken as quantitative. "
        "If they are classes, set data.trait_kind: binary.",
    )


def test_two_words_are_classes_in_sorted_order_when_the_kind_is_set():
    trait = trait_of("control", "case", "NA", "case", kind="binary")
    same(trait.values, [1, 0, np.nan, 0])
    assert trait.classes == ("case", "control")
    assert trait.notes[1:] == (
        "CD8: in sorted order 'case' is class 0 and 'control' class 1, whose probability is predicted.",
    )


def test_two_numbers_are_classes_in_their_order_when_the_kind_is_set():
    trait = trait_of("10", "5", kind="binary")
    same(trait.values, [1, 0])
    assert trait.classes == ("5", "10")
    assert trait.notes == ("CD8: in sorted order '5' is class 0 and '10' class 1, whose probability is predicted.",)


def test_classes_may_be_numbers_or_words_when_the_kind_is_set():
    numbers = trait_of("10", "9", "0.5", kind="multiclass")
    same(numbers.values, [2, 1, 0])
    assert numbers.classes == ("0.5", "9", "10")
    words = trait_of("b", "10", "a", "9", kind="multiclass")
    same(words.values, [3, 0, 2, 1])
    assert words.classes == ("10", "9", "a", "b")
    assert (numbers.notes, words.notes) == ((), ())


def test_a_set_kind_is_taken_without_a_note_of_guessing():
    assert trait_of("0", "1", "2", kind="count").notes == ()
    same(trait_of("0", "1", "2", kind="quantitative").values, [0, 1, 2])
    assert trait_of("0", "1", kind="quantitative").classes == ()


@pytest.mark.parametrize(
    ("cells", "kind", "message"),
    [
        (
            ["0.5", "high", "low", "1.5", "mid", "high"],
            None,
            r"t\.tsv: CD8: text where numbers are wanted: 'high' \(t\.tsv:3\), 'low' \(t\.tsv:4\), 'mid' \(t\.tsv:6\) "
            r"and 1 more\. Mark missing values by NA, or set data\.trait_kind: multiclass if these are classes\.",
        ),
        (
            ["case", "control", "NA"],
            None,
            r"t\.tsv: CD8: text where .*'case' \(t\.tsv:2\), 'control' \(t\.tsv:3\)\. .*"
            r"data\.trait_kind: binary if these are classes\.",
        ),
        (["1", "0,5", "2"], "quantitative", r"t\.tsv: CD8: text where numbers are wanted: '0,5' \(t\.tsv:3\)\. .*"),
        (["1", "1_000", "2"], "count", r"t\.tsv: CD8: text where numbers are wanted: '1_000' \(t\.tsv:3\)\. .*"),
        (
            ["1", "inf", "-Infinity", "1e999"],
            None,
            r"t\.tsv: CD8: infinite values: 'inf' \(t\.tsv:3\), '-Inf.*5\)\. Mark .*",
        ),
        (
            ["1", "1", "NA", "1.0"],
            None,
            r"t\.tsv: CD8: all 3 values are 1; a trait that doesn't vary can't be learned\.",
        ),
        (["a", "a"], "multiclass", r"t\.tsv: CD8: all 2 values are a; a trait that doesn't vary can't be learned\."),
        (["NA", "", "NA"], None, r"t\.tsv: CD8: all 3 values are missing \(NA 2, empty 1\)\. Name another column\."),
        (
            ["a", "b", "c"],
            "binary",
            r"t\.tsv: CD8: 3 values, 'a', 'b' and 'c'; data\.trait_kind: binary needs two\. "
            r"Mark missing values by NA, or set data\.trait_kind: multiclass\.",
        ),
        (["0", "1", "0.5"], "binary", r"t\.tsv: CD8: 3 values, .* set data\.trait_kind: multiclass or quantitative\."),
        (
            ["0", "1"],
            "multiclass",
            r"t\.tsv: CD8: two values, '0' and '1'; data\.trait_kind: multiclass needs three or more\. "
            r"Set data\.trait_kind: binary\.",
        ),
        (
            ["3", "-1", "0.5", "NA"],
            "count",
            r"t\.tsv: CD8: no counts: '-1' \(t\.tsv:3\), '0\.5' \(t\.tsv:4\); data\.trait_kind: count needs whole "
            r"numbers, 0 or more\. Set data\.trait_kind: quantitative\.",
        ),
    ],
)
def test_what_the_kind_cant_use_is_refused_with_the_place(cells, kind, message):
    refuse(cells, message, kind=kind)


def test_nan_is_no_number_where_it_marks_nothing():
    refuse(["1", "nan", "2"], r"t\.tsv: CD8: text where numbers are wanted: 'nan' .*", missing=("NA",))


def test_in_a_fam_minus_nine_is_always_missing_and_no_advice_is_given():
    trait = trait_of("0.5", "-9", "1.5", "2.5", missing=("NA",), is_fam=True)
    same(trait.values, [0.5, np.nan, 1.5, 2.5])
    assert trait.notes == ("phenotype: missing in 1 of 4 samples (-9 1); they are left out.",)


def test_in_a_fam_zero_is_missing_beside_control_and_case():
    trait = trait_of("0", "1", "2", "-9", "0", is_fam=True)
    same(trait.values, [np.nan, 0, 1, np.nan, np.nan])
    assert (trait.kind, trait.classes) == ("binary", ("1", "2"))
    assert trait.notes[0] == "phenotype: missing in 3 of 5 samples (0 2, -9 1); they are left out."


def test_in_a_fam_zero_is_a_value_beside_others():
    same(trait_of("0", "1", "2", "0.5", is_fam=True).values, [0, 1, 2, 0.5])
    assert trait_of("0", "1", "2", "3", is_fam=True).kind == "multiclass"


def test_in_a_fam_zero_is_a_value_of_a_kind_that_is_no_case_and_control():
    assert trait_of("0", "1", "2", kind="multiclass", is_fam=True).classes == ("0", "1", "2")
    same(trait_of("0", "1", "2", kind="quantitative", is_fam=True).values, [0, 1, 2])


def test_in_a_table_zero_is_a_value_beside_one_and_two():
    same(trait_of("0", "1", "2", kind="count").values, [0, 1, 2])


@pytest.mark.parametrize(
    ("cells", "found"), [(["-9", "-9"], "-9"), (["-9", "0", "-9"], "-9 and 0"), (["NA", "-9", "NA"], "NA and -9")]
)
def test_a_fam_without_a_phenotype_asks_for_a_table(cells, found):
    message = (
        rf"x\.fam: column 6 holds only {found} \(missing\); name a table in data\.phenotypes and its column "
        r"in data\.trait\."
    )
    refuse(cells, message, is_fam=True)


def test_a_fam_of_zeros_and_ones_tells_how_zero_was_taken():
    message = (
        r"x\.fam: phenotype: all 2 values are 1; .* 0 was taken as missing, as PLINK does; if it is the control, "
        r"write the trait into a table and name it in data\.phenotypes\."
    )
    refuse(["0", "1", "1"], message, is_fam=True)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_number_comes_back_exactly(numbers):
    cells = read_cells(np.array([repr(number) for number in numbers], dtype=np.str_), ("NA",))
    np.testing.assert_array_equal(cells.numbers, numbers)
    assert cells.are_numbers


@given(st.lists(st.sampled_from(["a", "b", "10", "9", "NA", "1.0"]), min_size=1))
def test_a_class_is_the_cell_it_came_from(cells):
    values = {cell for cell in cells if cell != "NA"}
    if len(values) < 3:
        return
    trait = trait_of(*cells, kind="multiclass")
    named = [None if np.isnan(value) else trait.classes[int(value)] for value in trait.values]
    is_numeric = values <= {"10", "9", "1.0"}
    assert named == [None if cell == "NA" else "1" if cell == "1.0" and is_numeric else cell for cell in cells]
