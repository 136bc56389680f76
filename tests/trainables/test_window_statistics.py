"""Signal and GC of windows, beside what a loop over windows finds."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from genotune.store import SequenceStore
from genotune.trainables import window_statistics
from genotune.trainables.window_statistics import gc_shares, window_signal


@pytest.fixture(params=[7, 1 << 20])
def chunk(request, monkeypatch):
    """Values that are looked at together: few, so that windows lie across stretches, and as many as in earnest."""
    monkeypatch.setattr(window_statistics, "_CHUNK_VALUES", request.param)


@pytest.fixture
def patchy(make_store):
    """Three tracks of other scales, with gaps and a stretch of zeros."""
    rng = np.random.default_rng(3)
    store = make_store([3000, 2000], tracks=("a", "b", "c"))
    signal = rng.normal(1, 1, store.signal.shape).astype(np.float32) * np.array([[1], [100], [0]], dtype=np.float32)
    signal[:, 40:80] = 0
    signal[0, rng.random(signal.shape[1]) < 0.3] = np.nan
    signal[1, 100:150] = np.nan
    sequence = np.where(rng.random(len(store.sequence)) < 0.2, 4, store.sequence).astype(np.uint8)
    sequence[500:900] = 4
    return replace(store, signal=signal, sequence=sequence)


STARTS = np.array([0, 7, 8, 100, 101, 640, 641, 645, 700, 1600, 1800, 2700, 3008 + 1744])


def test_the_signal_of_a_window_leaves_out_what_has_no_value(patchy, chunk):
    found = window_signal(patchy, STARTS, length_bp=256)
    windows = patchy.gather(STARTS, length_bp=256).signal
    means = np.array(
        [[row[~np.isnan(row)].mean() if not np.isnan(row).all() else np.nan for row in w] for w in windows]
    )
    np.testing.assert_allclose(found.highest, np.nanmax(means, axis=1), rtol=1e-5)
    usual = np.nanmean(np.abs(means), axis=0)
    usual[2] = 1  # the third track is zero throughout
    np.testing.assert_allclose(found.level, np.nanmean(means / usual, axis=1), rtol=1e-4, atol=1e-6)
    assert found.is_zero.sum() == 4
    np.testing.assert_array_equal(found.is_zero, [not np.nan_to_num(w).any() for w in windows])
    np.testing.assert_array_equal(found.is_labelled, [(np.nan_to_num(w) >= 0.5).any() for w in windows])


def test_signals_that_cancel_out_are_not_zero(make_store):
    store = make_store([256])
    store.signal[0] = [1, -1] * 8
    assert not window_signal(store, np.array([0]), length_bp=256).is_zero[0]


def test_a_signal_below_zero_keeps_its_order(make_store):
    store = make_store([512])
    store.signal[0, :16], store.signal[0, 16:] = -3, 1
    np.testing.assert_allclose(window_signal(store, np.array([0, 256]), length_bp=256).level, [-1.5, 0.5])


def test_n_is_neither_gc_nor_at(patchy, chunk):
    found = gc_shares(patchy, STARTS, length_bp=200)
    for start, share in zip(STARTS, found, strict=True):
        codes = patchy.sequence[start : start + 200]
        known = codes[codes < 4]
        wanted = np.isin(known, (1, 2)).mean() if len(known) else np.nan
        np.testing.assert_allclose(share, wanted, rtol=1e-6)
    assert np.isnan(found).sum() == 4


def test_a_genome_is_looked_at_without_memory_of_its_size():
    n_bases = 40_000_000
    store = SequenceStore(
        np.zeros(n_bases, dtype=np.uint8),
        np.ones((1, n_bases // 4), dtype=np.float32),
        np.array([0, n_bases // 4]),
        np.array([n_bases]),
        ("chr1",),
        ("cuts",),
        4,
    )
    starts = np.arange(0, n_bases - 256, 4096)
    tracemalloc.start()
    try:
        window_signal(store, starts, length_bp=256)
        gc_shares(store, starts, length_bp=256)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60e6 < store.nbytes
