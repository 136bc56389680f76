import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.data.variant_selection import FilterSettings, select_variants
from genotune.data.variant_statistics import Statistics
from genotune.errors import DataError
from genotune.settings import build

NO_FILTERS = {"min_maf": 0, "min_call_rate": 0, "min_hwe_p": 0}


def select(*variants, n_samples=None, keep=None, **filters):
    """The selection of variants that are given by n_two, n_one, n_none and association; without filters by default."""
    n_two, n_one, n_none, association = zip(*variants, strict=True)
    counts = [np.array(column, dtype=np.int64) for column in (n_two, n_one, n_none)]
    return select_variants(
        Statistics(*counts, sum(counts), 2.0 * counts[0] + counts[1], np.array(association, dtype=np.float64)),
        filters=build(FilterSettings, NO_FILTERS | filters),
        keep=keep,
        n_samples=int(sum(counts).max()) if n_samples is None else n_samples,
        trait="CD8",
    )


def test_the_most_associated_variants_come_first():
    found = select((5, 5, 5, 0.1), (5, 5, 5, 0.3), (5, 5, 5, 0.2))
    assert found.variants.tolist() == [1, 2, 0]
    assert found.variants.dtype == np.int64


def test_of_equally_associated_variants_the_earlier_comes_first():
    found = select(*[(5, 5, 5, share) for share in (0.2, 0.7, 0.2, 0.7, 0.0, 0.2)])
    assert found.variants.tolist() == [1, 3, 0, 2, 5, 4]


def test_as_many_as_asked_for_are_kept_and_no_more():
    variants = [(5, 5, 5, share) for share in (0.2, 0.7, 0.1, 0.7)]
    assert select(*variants, keep=3).variants.tolist() == [1, 3, 0]
    assert select(*variants, keep=4).variants.tolist() == [1, 3, 0, 2]
    assert select(*variants, keep=99).variants.tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize(
    "still", [(0, 0, 9, np.nan), (9, 0, 0, np.nan), (0, 9, 0, np.nan), (0, 0, 0, np.nan), (3, 3, 3, np.nan)]
)
def test_what_does_not_vary_is_left_out_without_any_filter(still):
    found = select(still, (1, 2, 6, 0.0))
    assert found.variants.tolist() == [1]
    assert found.notes == (
        "1 of 2 variants pass the filters in 9 training samples (1 without variation); all of them are kept, the most "
        "associated first.",
    )


@pytest.mark.parametrize(
    ("min_call_rate", "n_called", "n_samples", "passes"),
    [
        (0.95, 19, 20, True),
        (0.95, 18, 20, False),
        (1, 20, 20, True),
        (1, 19, 20, False),
        # 0.55 * 100 is 55.00000000000001, 0.07 * 100 is 7.000000000000001.
        (0.55, 55, 100, True),
        (0.07, 7, 100, True),
        (0.55, 54, 100, False),
    ],
)
def test_call_rate_is_the_share_of_training_samples_that_are_called(min_call_rate, n_called, n_samples, passes):
    variants = [(1, 1, n_called - 2, 0.5), (1, 1, n_samples - 2, 0.1)]
    found = select(*variants, n_samples=n_samples, min_call_rate=min_call_rate)
    assert found.variants.tolist() == ([0, 1] if passes else [1])


@pytest.mark.parametrize(
    ("min_maf", "n_two", "n_none", "passes"),
    [
        (0.1, 1, 9, True),
        (0.1, 9, 1, True),  # 1 - 0.9 is 0.09999999999999998
        (0.11, 1, 9, False),
        (0.11, 9, 1, False),
        (0.5, 5, 5, True),
        (0.5, 4, 6, False),
        (0.05, 19, 1, True),
        (0.3, 7, 3, True),
    ],
)
def test_minor_allele_frequency_is_that_of_the_rarer_allele_whichever_is_counted(min_maf, n_two, n_none, passes):
    found = select((n_two, 0, n_none, 0.5), (5, 0, 5, 0.1), min_maf=min_maf)
    assert found.variants.tolist() == ([0, 1] if passes else [1])


def test_minor_allele_frequency_is_reckoned_among_called_genotypes():
    assert select((1, 0, 3, 0.5), n_samples=100, min_maf=0.25).variants.tolist() == [0]


def test_hardy_weinberg_is_tested_where_it_is_asked_for():
    # All heterozygous but two: p is far below 1e-6; the other fits its proportions.
    variants = [(1, 48, 1, 0.9), (12, 25, 13, 0.1)]
    assert select(*variants, min_hwe_p=1e-6).variants.tolist() == [1]
    assert select(*variants, min_hwe_p=1e-300).variants.tolist() == [0, 1]
    assert select(*variants).variants.tolist() == [0, 1]


def test_a_hardy_weinberg_p_value_at_the_limit_passes():
    assert select((0, 2, 0, np.nan), (0, 1, 1, 0.5), n_samples=2, min_hwe_p=1).variants.tolist() == [1]


def test_the_note_says_what_each_filter_took_and_counts_no_variant_twice():
    passing = (30, 50, 20, 0.2)
    variants = [
        passing,
        (0, 0, 40, np.nan),  # doesn't vary, and called too seldom
        (0, 0, 100, np.nan),
        (1, 1, 40, 0.9),  # called too seldom, and too rare
        (1, 1, 98, 0.9),
        (1, 98, 1, 0.9),
        passing,
    ]
    found = select(*variants, min_call_rate=0.95, min_maf=0.05, min_hwe_p=1e-6)
    assert found.notes == (
        "2 of 7 variants pass the filters in 100 training samples (2 without variation; 1 with a call rate below 0.95; "
        "1 with a minor allele frequency below 0.05; 1 with a Hardy-Weinberg p-value below 1e-06); all of them are "
        "kept, the most associated first.",
    )


def test_the_note_says_that_only_the_most_associated_are_kept():
    found = select((5, 5, 5, 0.1), (5, 5, 5, 0.3), keep=1)
    assert found.notes == (
        "2 of 2 variants pass the filters in 15 training samples; the 1 most associated with CD8 are kept.",
    )
    assert found.counts == {
        "in all": 2,
        "without variation": 0,
        "with a call rate below 0": 0,
        "with a minor allele frequency below 0": 0,
        "left": 2,
        "kept": 1,
    }


def test_thousands_are_written_as_such():
    notes = select(*[(500, 500, 500, 0.1)] * 1200, keep=1100).notes
    assert notes == (
        "1,200 of 1,200 variants pass the filters in 1,500 training samples; "
        "the 1,100 most associated with CD8 are kept.",
    )


def test_where_nothing_is_left_the_message_says_what_took_it():
    message = (
        r"^none of the 2 variants passes the filters in 100 training samples "
        r"\(1 without variation; 1 with a minor allele frequency below 0\.2\)\. Loosen data\.filters\.$"
    )
    with pytest.raises(DataError, match=message):
        select((0, 0, 100, np.nan), (1, 1, 98, 0.5), min_maf=0.2)


@pytest.mark.parametrize(
    "wrong", [{"min_maf": 0.6}, {"min_maf": -0.1}, {"min_call_rate": 95}, {"min_hwe_p": 2}, {"max_missing": 0.1}]
)
def test_a_filter_out_of_its_range_is_refused(wrong):
    with pytest.raises(pydantic.ValidationError, match=next(iter(wrong))):
        build(FilterSettings, wrong)


COUNTS = st.tuples(*[st.integers(1, 30)] * 3, st.sampled_from([0.0, 0.1, 0.2, 0.9]))


@given(
    st.lists(COUNTS, min_size=1, max_size=20),
    st.none() | st.integers(1, 25),
    st.sampled_from([0, 0.1, 0.3]),
    st.sampled_from([0, 0.3, 0.9]),
    st.sampled_from([0, 1e-3]),
)
def test_what_is_kept_passes_and_nothing_better_is_left_out(variants, keep, min_maf, min_call_rate, min_hwe_p):
    filters = {"min_maf": min_maf, "min_call_rate": min_call_rate, "min_hwe_p": min_hwe_p}
    try:
        kept = select(*variants, keep=keep, **filters).variants.tolist()
        passing = select(*variants, **filters).variants.tolist()
    except DataError as error:
        assert "Loosen data.filters" in str(error)  # noqa: PT017 - whether it is raised depends on what was drawn
        return
    assert kept == passing[:keep]
    assert passing == sorted(passing, key=lambda index: (-variants[index][3], index))
    for index in passing:
        n_two, n_one, n_none, _ = variants[index]
        copies, n_called = 2 * n_two + n_one, n_two + n_one + n_none
        assert min(copies, 2 * n_called - copies) >= min_maf * 2 * n_called - 1e-9
