import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genotune.genome.runs import Runs, bin_mean

NAN = np.nan
NUMBERS = st.floats(-1e6, 1e6, width=32) | st.integers(0, 50).map(float)
LENGTHS = st.integers(1, 12) | st.integers(1, 300)


@st.composite
def pieces(draw):
    """Runs and gaps that follow each other: length and value, NaN for a gap."""
    return draw(st.lists(st.tuples(LENGTHS, NUMBERS | st.just(NAN)), min_size=1, max_size=40))


def runs_of(pieces):
    ends = np.cumsum([length for length, _ in pieces])
    starts = ends - [length for length, _ in pieces]
    values = np.array([value for _, value in pieces], dtype=np.float32)
    kept = ~np.isnan(values)
    return Runs(starts[kept].astype(np.int32), ends[kept].astype(np.int32), values[kept])


def binned_slowly(pieces, resolution_bp, missing):
    bases = np.repeat([np.float32(value) for _, value in pieces], [length for length, _ in pieces]).astype(float)
    means = []
    for start in range(0, len(bases), resolution_bp):
        part = bases[start : start + resolution_bp]
        if missing == "zero":
            means.append(np.nansum(part) / len(part))
        else:
            part = part[~np.isnan(part)]
            means.append(part.mean() if len(part) else NAN)
    return means


@pytest.mark.parametrize(("missing", "expected"), [("zero", [1.5, 0.0, 4.0]), ("nan", [3.0, NAN, 4.0])])
def test_a_gap_counts_as_zero_or_not_at_all(missing, expected):
    runs = runs_of([(1, 3.0), (3, NAN), (1, 4.0)])
    np.testing.assert_array_equal(bin_mean(runs, 2, n_bases=5, missing=missing), expected)


def test_a_run_over_many_bins_fills_those_between_and_a_part_of_its_first_and_last():
    runs = runs_of([(3, NAN), (10, 2.0), (2, 5.0), (1, NAN)])
    np.testing.assert_array_equal(bin_mean(runs, 4, n_bases=16, missing="zero"), [0.5, 2.0, 2.0, 3.0])


def test_the_last_bin_is_the_mean_over_the_bases_that_it_has():
    runs = runs_of([(6, 3.0), (1, NAN)])
    np.testing.assert_array_equal(bin_mean(runs, 5, n_bases=7, missing="zero"), [3.0, 1.5])
    np.testing.assert_array_equal(bin_mean(runs, 5, n_bases=7, missing="nan"), [3.0, 3.0])


def test_a_bin_wider_than_all_that_there_is_takes_it_all():
    runs = runs_of([(6, 3.0), (2, NAN)])
    np.testing.assert_array_equal(bin_mean(runs, 2**40, n_bases=8, missing="zero"), [2.25])


@pytest.mark.parametrize("resolution_bp", [1, 4])
@pytest.mark.parametrize(("missing", "expected"), [("zero", 0.0), ("nan", NAN)])
def test_no_run_at_all_is_one_gap(resolution_bp, missing, expected):
    means = bin_mean(runs_of([(8, NAN)]), resolution_bp, n_bases=8, missing=missing)
    np.testing.assert_array_equal(means, np.full(8 // resolution_bp, expected))


@given(pieces(), st.integers(1, 40) | st.integers(1, 4000), st.sampled_from(["zero", "nan"]))
def test_means_are_those_of_single_bases(pieces, resolution_bp, missing):
    means = bin_mean(runs_of(pieces), resolution_bp, n_bases=sum(length for length, _ in pieces), missing=missing)
    np.testing.assert_allclose(means, binned_slowly(pieces, resolution_bp, missing), rtol=1e-12, atol=1e-6)


@given(pieces(), st.integers(1, 40))
def test_binning_keeps_the_total(pieces, resolution_bp):
    n_bases = sum(length for length, _ in pieces)
    means = bin_mean(runs_of(pieces), resolution_bp, n_bases=n_bases, missing="zero")
    widths = np.diff(np.append(np.arange(0, n_bases, resolution_bp), n_bases))
    total = sum(length * np.float64(np.float32(value)) for length, value in pieces if not np.isnan(value))
    assert np.isclose((means * widths).sum(), total, rtol=1e-9, atol=1e-3)


@given(arrays(np.float32, 60, elements=st.sampled_from([0.0, 1.0, NAN])), st.integers(1, 40))
def test_a_bin_has_no_value_exactly_if_none_of_its_bases_has(bases, resolution_bp):
    runs = runs_of([(1, value) for value in bases])
    means = bin_mean(runs, resolution_bp, n_bases=60, missing="nan")
    parts = [bases[start : start + resolution_bp] for start in range(0, 60, resolution_bp)]
    assert np.isnan(means).tolist() == [bool(np.isnan(part).all()) for part in parts]


def test_a_great_value_costs_its_neighbours_nothing():
    runs = runs_of([(5, 3.0e38), (5, 1.0e-30), (7, NAN)])
    np.testing.assert_array_equal(
        bin_mean(runs, 5, n_bases=17, missing="zero"), np.array([3.0e38, 1.0e-30, 0.0, 0.0], dtype=np.float32)
    )
