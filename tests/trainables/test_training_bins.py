"""Which bins are learned from, and the bases around them, by hand and by a slow walk."""

import numpy as np
import pytest

from genotune.store import SequenceOutline
from genotune.trainables.bins import n_bins_taken
from genotune.trainables.trainable import FitError
from genotune.trainables.training_bins import surroundings, training_bins


def test_a_bin_without_a_value_in_one_track_is_left_out(make_store):
    store = make_store([1000, 320, 320], tracks=("a", "b"))
    store.signal[0, 3], store.signal[1, 7] = np.nan, np.nan
    bins = training_bins(store, np.array([0, 2]), bin_bp=16, max_bins=1000)
    kept = [bin_ for bin_ in range(63) if bin_ not in (3, 7)] + list(range(83, 103))
    np.testing.assert_array_equal(bins.starts, np.array(kept) * 16)
    np.testing.assert_array_equal(bins.means, store.signal[:, kept].T)
    np.testing.assert_array_equal(bins.contigs, [0] * 61 + [2] * 20)


def test_a_wide_bin_is_the_mean_of_its_narrow_ones(make_store):
    store = make_store([160, 320])
    bins = training_bins(store, np.array([1, 0]), bin_bp=48, max_bins=1000)
    np.testing.assert_array_equal(bins.starts, np.array([10, 13, 16, 19, 22, 25, 0, 3, 6]) * 16)
    np.testing.assert_array_equal(bins.contigs, [1] * 6 + [0] * 3)
    np.testing.assert_allclose(bins.means[0, 0], store.signal[0, 10:13].mean(), rtol=1e-6)


def test_of_too_many_bins_evenly_spaced_ones_are_taken(make_store):
    store = make_store([1600, 800, 320])
    bins = training_bins(store, np.array([0, 1]), bin_bp=16, max_bins=50)
    np.testing.assert_array_equal(bins.starts, np.arange(0, 150, 3) * 16)
    outline = SequenceOutline(16, ("cuts",), (1600, 800))
    for most in (1, 7, 50, 149, 150, 1000):
        n = len(training_bins(store, np.array([0, 1]), bin_bp=16, max_bins=most).starts)
        assert n_bins_taken(outline, bin_bp=16, max_bins=most) == n <= most


def test_contigs_without_a_value_are_said(make_store):
    store = make_store([320, 320])
    store.signal[:, :20] = np.nan
    with pytest.raises(
        FitError, match=r"no bin of 16 bp with a value in every track; there is nothing to learn from\."
    ):
        training_bins(store, np.array([0]), bin_bp=16, max_bins=100)


def test_parts_hold_all_bins_in_order_and_never_two_contigs(make_store):
    store = make_store([1000, 320, 320])
    bins = training_bins(store, np.array([0, 1, 2]), bin_bp=16, max_bins=1000)
    parts = list(bins.parts(30))
    assert [part.stop - part.start for part in parts] == [30, 30, 3, 20, 20]
    assert [number for part in parts for number in range(part.start, part.stop)] == list(range(103))


@pytest.mark.parametrize("max_bins", [7, 23, 1000])
@pytest.mark.parametrize("flank_bp", [0, 5, 100, 2000])
def test_the_bases_around_a_bin_are_its_own_contigs_and_beyond_lies_n(make_store, max_bins, flank_bp):
    store = make_store([1000, 333, 500])
    bins = training_bins(store, np.array([2, 0, 1]), bin_bp=16, max_bins=max_bins)
    seen = 0
    for part in bins.parts(11):
        codes, starts = surroundings(store, bins, part, bin_bp=16, flank_bp=flank_bp)
        for number, start in zip(range(part.start, part.stop), starts, strict=True):
            contig = int(bins.contigs[number])
            first = bins.starts[number] - store.offsets[contig] * 16
            around = np.pad(store.contig_sequence(contig), flank_bp, constant_values=4)
            expected = around[first : first + 16 + 2 * flank_bp]
            np.testing.assert_array_equal(codes[start - flank_bp : start + 16 + flank_bp], expected)
            seen += 1
    assert seen == len(bins.starts)


def test_of_bins_that_lie_far_apart_only_what_is_around_them_is_taken(make_store):
    store = make_store([16_000])
    bins = training_bins(store, np.array([0]), bin_bp=16, max_bins=10)
    codes, _ = surroundings(store, bins, slice(0, 10), bin_bp=16, flank_bp=8)
    assert len(codes) == 10 * 32
    bins = training_bins(store, np.array([0]), bin_bp=16, max_bins=1000)
    codes, _ = surroundings(store, bins, slice(0, 10), bin_bp=16, flank_bp=8)
    assert len(codes) == 10 * 16 + 2 * 8
