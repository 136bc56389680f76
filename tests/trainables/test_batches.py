"""What an epoch draws and gathers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genotune.store import SequenceStore
from genotune.trainables.batches import EpochDraw, batches, bin_means, draw_epoch, mean_signal, reverse_complement

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


def tiles_of(store, contigs=(0, 1), *, length_bp=256, stride_bp=128):
    return store.tile_starts(np.array(contigs), length_bp=length_bp, stride_bp=stride_bp)


def draw(store, tiles, *, jitter_bp=0, both_strands=True, seed=0):
    rng = np.random.default_rng(seed)
    return draw_epoch(store, tiles, length_bp=256, jitter_bp=jitter_bp, both_strands=both_strands, rng=rng)


def test_an_epoch_holds_every_tile_once_in_another_order(store):
    tiles = tiles_of(store)
    drawn = draw(store, tiles)
    assert sorted(drawn.starts) == sorted(tiles)
    assert list(drawn.starts) != list(tiles)
    assert 0.3 < drawn.reversed.mean() < 0.7
    assert not draw(store, tiles, both_strands=False).reversed.any()


@given(jitter=st.integers(0, 40), seed=st.integers(0, 100))
def test_jitter_moves_a_window_by_no_more_than_asked_and_never_off_its_contig(store, jitter, seed):
    tiles = tiles_of(store)
    still, moved = draw(store, tiles, seed=seed), draw(store, tiles, jitter_bp=jitter * 16, seed=seed)
    assert (np.abs(moved.starts - still.starts) <= jitter).all()
    first, last = (np.searchsorted(store.offsets, bins, side="right") for bins in (moved.starts, moved.starts + 15))
    np.testing.assert_array_equal(first, last)
    np.testing.assert_array_equal(first, np.searchsorted(store.offsets, still.starts, side="right"))


def test_both_ends_of_the_jitter_are_reached(store):
    tiles = np.full(200, 100)
    assert set(draw(store, tiles, jitter_bp=32).starts) == {98, 99, 100, 101, 102}


def test_batches_hold_the_counts_of_their_windows(store):
    drawn = EpochDraw(np.array([0, 5, 9]), np.array([False, True, False]))
    first, second = batches(store, drawn, batch_size=2, length_bp=256, bin_bp=32)
    assert (len(first.codes), len(second.codes)) == (2, 1)
    np.testing.assert_array_equal(first.codes[0], store.sequence[:256])
    np.testing.assert_array_equal(first.codes[1], reverse_complement(store.sequence[80 : 80 + 256]))
    cuts = store.signal[0] * 16
    np.testing.assert_allclose(first.counts[0, 0], cuts[:16].reshape(8, 2).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(first.counts[1, 0], cuts[5:21].reshape(8, 2).sum(axis=1)[::-1], rtol=1e-6)


def test_the_mean_leaves_out_what_has_no_value(make_store):
    store = make_store([1600, 1600], tracks=("a", "b"))
    store.signal[0] = np.arange(200)
    store.signal[0, 50:] = np.nan
    store.signal[1, :100] = np.nan
    means = mean_signal(store, np.array([0]))
    assert means[0] == pytest.approx(24.5)
    assert np.isnan(means[1])


def test_reading_the_whole_store_costs_no_memory_of_its_size():
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
    drawn = EpochDraw(np.arange(0, n_bins - 64, 4000), np.zeros(1000, dtype=np.bool_))
    tracemalloc.start()
    try:
        mean_signal(store, np.array([0]))
        n_windows = sum(len(batch.codes) for batch in batches(store, drawn, batch_size=64, length_bp=256, bin_bp=4))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_windows == 1000
    assert peak < store.nbytes / 10
