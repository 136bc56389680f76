"""Arithmetic on windows."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genotune.store import SequenceStore
from genotune.trainables.batches import bin_means, mean_signal, reverse_complement

CODES = arrays(np.uint8, st.integers(1, 50), elements=st.integers(0, 4))


def test_the_reverse_complement_of_aacgn_is_ncgtt():
    codes = np.array([0, 0, 1, 2, 4], dtype=np.uint8)
    np.testing.assert_array_equal(reverse_complement(codes), [4, 1, 2, 3, 3])


@given(CODES)
def test_reverse_complement_twice_is_the_identity(codes):
    np.testing.assert_array_equal(reverse_complement(reverse_complement(codes)), codes)


def test_a_bin_mean_with_a_nan_in_it_is_nan():
    signal = np.array([[1, 3, np.nan, 4, 5, 7]], dtype=np.float32)
    np.testing.assert_array_equal(bin_means(signal, 2), [[2, np.nan, 6]])
    np.testing.assert_array_equal(bin_means(signal, 1), signal)


def test_the_mean_leaves_out_what_has_no_value(make_store):
    store = make_store([1600, 1600], tracks=("a", "b"))
    store.signal[0] = np.arange(200)
    store.signal[0, 50:] = np.nan
    store.signal[1, :100] = np.nan
    means = mean_signal(store, np.array([0]))
    assert means[0] == pytest.approx(24.5)
    assert np.isnan(means[1])


def test_the_mean_of_the_whole_store_costs_no_memory_of_its_size():
    n_bins = 4_000_000
    store = SequenceStore(
        sequence=np.zeros(n_bins * 4, dtype=np.uint8),
        signal=np.ones((1, n_bins), dtype=np.float32),
        offsets=np.array([0, n_bins]),
        lengths=np.array([n_bins * 4]),
        contigs=("chr1",),
        tracks=("cuts",),
        resolution_bp=4,
    )
    tracemalloc.start()
    try:
        mean_signal(store, np.array([0]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < store.nbytes / 10
