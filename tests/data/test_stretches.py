import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genotune.data.stretches import StoreBuilder, bin_mean, cut_into_stretches
from genotune.genome.intervals import Interval

GAPS = st.just(np.nan) | st.integers(0, 50).map(float)
VALUES = st.integers(1, 200).flatmap(lambda size: arrays(np.float64, size, elements=GAPS))
NAN = np.nan


@pytest.mark.parametrize(("missing", "expected"), [("zero", [1.5, 0.0, 4.0]), ("nan", [3.0, NAN, 4.0])])
def test_a_gap_counts_as_zero_or_not_at_all(missing, expected):
    values = np.array([3.0, NAN, NAN, NAN, 4.0])
    np.testing.assert_array_equal(bin_mean(values, 2, missing=missing), expected)


@given(VALUES, st.integers(1, 40))
def test_binning_keeps_the_total(values, resolution_bp):
    means = bin_mean(values, resolution_bp, missing="zero")
    widths = np.diff(np.arange(0, len(values), resolution_bp), append=len(values))
    assert np.isclose((means * widths).sum(), np.nansum(values))


@given(VALUES, st.integers(1, 40))
def test_a_bin_has_no_value_exactly_if_none_of_its_bases_has(values, resolution_bp):
    means = bin_mean(values, resolution_bp, missing="nan")
    parts = [values[start : start + resolution_bp] for start in range(0, len(values), resolution_bp)]
    assert np.isnan(means).tolist() == [bool(np.isnan(part).all()) for part in parts]


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5_000_000), min_size=1),
    st.sampled_from([1, 32, 1000]),
    st.integers(1, 3),
)
def test_stretches_cover_each_contig_once_in_whole_bins(contigs, resolution_bp, n_tracks):
    stretches = cut_into_stretches(contigs, names=[{}] * n_tracks, excluded=[], resolution_bp=resolution_bp)
    for index, (name, length) in enumerate(contigs.items()):
        mine = [stretch for stretch in stretches if stretch.contig == index]
        assert [stretch.name for stretch in mine] == [name] * len(mine)
        assert [stretch.start for stretch in mine] == [0, *(stretch.end for stretch in mine[:-1])]
        assert mine[-1].end == length
        assert all(stretch.start % resolution_bp == 0 for stretch in mine)
        assert all(0 < stretch.end - stretch.start <= 1_000_000 for stretch in mine)


def test_a_stretch_carries_the_intervals_that_touch_it():
    excluded = [Interval("a", 999_990, 1_000_010), Interval("a", 5, 10), Interval("b", 0, 10)]
    stretches = cut_into_stretches({"a": 2_000_000}, names=[{"a": "A"}], excluded=excluded, resolution_bp=10)
    assert [stretch.excluded for stretch in stretches] == [tuple(excluded[:2]), (excluded[0],)]
    assert stretches[0].names == ("A",)


def test_a_store_with_bins_left_empty_is_a_defect():
    builder = StoreBuilder({"a": 10}, tracks=["t"], resolution_bp=5)
    with pytest.raises(AssertionError, match="0 of 2 bins were filled"):
        builder.finish()
