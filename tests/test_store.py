"""Windows of a store."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.store import MISSING_DOSAGE, MISSING_STEPS, SequenceStore, TraitsStore, copies, missing_code
from genotype_builders import build_genotypes


def build(lengths, *, resolution_bp=4, tracks=("a", "b", "c")):
    n_bins = [-(-length // resolution_bp) for length in lengths]
    rng = np.random.default_rng(0)
    sequence = rng.integers(0, 5, sum(n_bins) * resolution_bp, dtype=np.uint8)
    signal = rng.random((len(tracks), sum(n_bins)), dtype=np.float32)
    sequence.flags.writeable = signal.flags.writeable = False
    return SequenceStore(
        sequence=sequence,
        signal=signal,
        offsets=np.concatenate([[0], np.cumsum(n_bins)]),
        lengths=np.array(lengths),
        contigs=tuple(f"chr{index}" for index in range(len(lengths))),
        tracks=tracks,
        resolution_bp=resolution_bp,
    )


def test_tiles_begin_at_whole_bins_and_end_before_the_padding():
    store = build([15, 3, 8])
    np.testing.assert_array_equal(store.tile_starts(np.array([0, 1, 2]), length_bp=8, stride_bp=4), [0, 4, 20])
    np.testing.assert_array_equal(store.tile_starts(np.array([2, 0]), length_bp=4, stride_bp=8), [20, 0, 8])
    assert not len(store.tile_starts(np.array([1]), length_bp=4, stride_bp=4))
    assert not len(store.tile_starts(np.array([], dtype=np.int64), length_bp=4, stride_bp=4))


@pytest.mark.parametrize("chosen", [[0, 1, 2], [1, 2], [0, 2], [1]])
@pytest.mark.parametrize("resolution_bp", [1, 3, 4])
@settings(deadline=None)
@given(starts=st.lists(st.integers(0, 101 - 24), max_size=8))
def test_a_window_has_its_bases_and_the_bins_nearest_to_them(chosen, resolution_bp, starts):
    store = build([101], resolution_bp=resolution_bp).with_tracks(np.array(chosen))
    codes, signal = store.gather(np.array(starts, dtype=np.int64), length_bp=24)
    assert codes.shape == (len(starts), 24)
    assert signal.shape == (len(starts), len(chosen), 24 // resolution_bp)
    for start, window, values in zip(starts, codes, signal, strict=True):
        np.testing.assert_array_equal(window, store.sequence[start : start + 24])
        nearest = min(range(store.signal.shape[1]), key=lambda bin_: (abs(bin_ * resolution_bp - start), -bin_))
        np.testing.assert_array_equal(values, store.signal[:, nearest : nearest + 24 // resolution_bp])


def test_what_is_gathered_is_a_copy_in_order():
    store = build([64])
    codes, signal = store.gather(np.array([0, 4]), length_bp=8)
    for array in (codes, signal):
        assert array.flags.c_contiguous
        array[:] = 0
    assert store.sequence.any()


def test_a_window_beyond_the_store_is_refused():
    with pytest.raises(IndexError, match="out of bounds"):
        build([64]).gather(np.array([57]), length_bp=8)


@pytest.mark.parametrize(
    ("codes", "dtype"), [([0, 1, 2, MISSING_DOSAGE], np.int8), ([0, 16_384, 32_768, MISSING_STEPS], np.uint16)]
)
def test_copies_are_told_from_either_code(codes, dtype):
    found = copies(np.array([codes], dtype=dtype))
    np.testing.assert_array_equal(found, np.array([[0, 1, 2, np.nan]], dtype=np.float32))
    assert missing_code(np.array(codes, dtype=dtype)) == codes[-1]


def test_a_step_is_the_smallest_part_of_a_copy_that_is_kept():
    assert copies(np.array([16_383, 16_385], dtype=np.uint16)).tolist() == [1 - 2**-14, 1 + 2**-14]


def traits(*phenotypes):
    """A store of traits with these values, of three samples."""
    store = build_genotypes(3, 5)
    return TraitsStore.of([replace(store, phenotype=np.array(values, dtype=float)) for values in phenotypes])


def test_what_is_made_of_dosages_is_kept_once_for_traits_that_are_known_of_the_same_samples():
    one, same, other, like_other = traits([1, 2, 3], [7, 8, 9], [np.nan, 1, 2], [np.nan, 5, 5]).each
    assert (one.keeper, same.keeper, other.keeper, like_other.keeper) == (one, one, other, other)
    changed = replace(same, dosage=same.dosage.copy())
    assert changed.keeper is changed, "other dosages are no twin's"


def test_a_sample_is_known_of_the_traits_that_it_has():
    one, other = traits([1, np.nan, 3], [np.nan, 1, 2]).each
    assert one.known(np.array([2, 1, 0])).tolist() == [2, 0]
    assert other.known(np.array([0])).tolist() == []


def test_several_traits_share_the_arrays_of_one_also_behind_a_pickle():
    store = traits([1, 2, 3], [7, 8, 9], [4, 5, 6])
    assert store.nbytes == store.each[0].nbytes + 2 * 3 * 8
    again = pickle.loads(pickle.dumps(store, protocol=5))
    assert {id(one.dosage) for one in again.each} == {id(again.dosage)}
    assert again.each[1].keeper is again.each[0]
