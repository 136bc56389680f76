"""Where windows may begin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.store import SequenceStore
from genotune.trainables import window_places
from genotune.trainables.window_places import Places, places_on, places_with_values, without

STRETCHES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=6)


def bases(places):
    """Every first base, one by one."""
    return {base for low, high in zip(*places, strict=True) for base in range(low, high + 1)}


def of_stretches(stretches):
    lows = np.array([low for low, _ in stretches], dtype=np.int64)
    return lows, lows + np.array([size - 1 for _, size in stretches], dtype=np.int64)


@settings(deadline=None)
@given(allowed=STRETCHES, left_out=STRETCHES)
def test_what_is_left_out_is_left_out_base_by_base(allowed, left_out):
    whole = Places(np.array([0]), np.array([90]))
    places = without(whole, *of_stretches(allowed))
    found = without(places, *of_stretches(left_out))
    wanted = set(range(91)) - bases(of_stretches(allowed)) - bases(of_stretches(left_out))
    assert bases(found) == wanted
    assert (found.highs >= found.lows).all()
    assert (found.lows[1:] > found.highs[:-1] + 1).all()
    np.testing.assert_array_equal(found.hold(np.arange(-3, 95)), [base in wanted for base in range(-3, 95)])


def test_a_window_fits_a_contig_of_its_own_length_and_none_that_is_shorter(make_store):
    store = make_store([300, 250, 256])
    places = places_on(store, np.array([2, 0, 1]), length_bp=256)
    np.testing.assert_array_equal(places.lows, [0, 304 + 256])
    np.testing.assert_array_equal(places.highs, [44, 304 + 256])


@pytest.mark.parametrize("chunk", [3, 1 << 20])
@pytest.mark.parametrize("resolution_bp", [1, 3, 4])
@settings(deadline=None)
@given(
    empty=st.lists(st.tuples(st.integers(0, 2), STRETCHES), max_size=4), contigs=st.sets(st.integers(0, 1), min_size=1)
)
def test_every_place_has_a_value_and_every_window_with_a_value_its_place(chunk, resolution_bp, empty, contigs):
    lengths = np.array([61, 47])
    n_bins = -(-lengths // resolution_bp)
    signal = np.ones((2, n_bins.sum()), dtype=np.float32)
    for track, stretches in empty:
        for low, high in zip(*of_stretches(stretches), strict=True):
            signal[track % 2 if track < 2 else slice(None), low : high + 1] = np.nan
    sequence = np.zeros(n_bins.sum() * resolution_bp, dtype=np.uint8)
    offsets = np.concatenate([[0], np.cumsum(n_bins)])
    store = SequenceStore(sequence, signal, offsets, lengths, ("a", "b"), ("t", "u"), resolution_bp)
    chosen = np.array(sorted(contigs), dtype=np.int64)
    length_bp = 2 * resolution_bp
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_places, "_CHUNK_VALUES", chunk)
        on_contigs = places_on(store, chosen, length_bp=length_bp)
        found = places_with_values(on_contigs, store, chosen, length_bp=length_bp)
    starts = np.array(sorted(bases(on_contigs)), dtype=np.int64)
    has_value = ~np.isnan(store.gather(starts, length_bp=length_bp).signal).all(axis=(1, 2))
    assert bases(found) == set(starts[has_value])
