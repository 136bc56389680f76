"""Batches on the device: the same windows whoever gathers them, turned round on the device, ahead of time."""

import threading

import numpy as np
import pytest
import torch

from genotune.genome.sequence import reverse_complement
from genotune.trainables.feeding import Batch, HostFeed, ResidentFeed, ahead, feed_for, turn
from genotune.trainables.window_selection import EpochDraw

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(scope="module")
def stranded(make_store):
    store = make_store([9000, 5003], tracks=("plus", "minus", "both"))
    signal = store.signal.copy()
    signal[:, 40:44] = np.nan
    return type(store)(**{**vars(store), "signal": signal, "strand_pairs": ((0, 1),)})


def draw(store, n=70, *, length_bp=256, seed=0):
    rng = np.random.default_rng(seed)
    last = int(store.offsets[1]) * store.resolution_bp - length_bp
    starts = rng.integers(0, last, n, endpoint=True)
    return EpochDraw(starts, rng.random(n) < 0.5, rng.random(n).astype(np.float32))


def slowly(store, start, *, length_bp, is_turned):
    """One window, base by base and bin by bin."""
    codes = store.sequence[start : start + length_bp]
    first = round((start + 0.001) / store.resolution_bp)
    signal = store.signal[:, first : first + length_bp // store.resolution_bp]
    if not is_turned:
        return codes, signal
    opposite = [signal[1][::-1], signal[0][::-1], signal[2][::-1]]
    return np.array([{0: 3, 1: 2, 2: 1, 3: 0, 4: 4}[int(code)] for code in codes[::-1]]), np.array(opposite)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", [HostFeed, ResidentFeed])
def test_each_window_is_as_a_slow_look_at_the_store_finds_it(stranded, kind, device):
    drawn = draw(stranded)
    batches = list(kind(stranded, device).batches(drawn, batch_size=32, length_bp=256))
    assert [len(batch.codes_el) for batch in batches] == [32, 32, 6]
    codes, signal, weights = (torch.cat(parts).cpu().numpy() for parts in zip(*batches, strict=True))
    for row, (start, is_turned) in enumerate(zip(drawn.starts, drawn.reversed, strict=True)):
        wanted_codes, wanted_signal = slowly(stranded, int(start), length_bp=256, is_turned=is_turned)
        np.testing.assert_array_equal(codes[row], wanted_codes)
        np.testing.assert_array_equal(signal[row], wanted_signal)
    np.testing.assert_array_equal(weights, drawn.weights)
    assert codes.dtype == np.uint8


def test_a_window_between_two_bins_takes_the_signal_of_the_nearest(make_store):
    store = make_store([4000], resolution_bp=16)
    for start, first_bin in ((32, 2), (39, 2), (40, 3), (47, 3)):
        windows = store.gather(np.array([start]), length_bp=64)
        np.testing.assert_array_equal(windows.codes[0], store.sequence[start : start + 64])
        np.testing.assert_array_equal(windows.signal[0], store.signal[:, first_bin : first_bin + 4])


def test_turning_swaps_the_strands_and_nothing_else():
    codes = torch.tensor([[0, 0, 1, 2, 4], [0, 0, 1, 2, 4]], dtype=torch.uint8)
    signal = torch.arange(12.0).reshape(2, 3, 2)
    turned = turn(
        Batch(codes, signal, torch.ones(2)), torch.tensor([False, True]), other_strand=torch.tensor([1, 0, 2])
    )
    np.testing.assert_array_equal(turned.codes_el[0], codes[0])
    np.testing.assert_array_equal(turned.codes_el[1], reverse_complement(codes[1].numpy()))
    np.testing.assert_array_equal(turned.signal_etb[0], signal[0])
    np.testing.assert_array_equal(turned.signal_etb[1], [[9, 8], [7, 6], [11, 10]])


def test_what_runs_ahead_comes_in_order():
    assert list(ahead(iter(range(50)), n=3)) == list(range(50))


def test_no_more_is_made_ahead_than_asked():
    made = []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    ready = ahead(items(), n=2)
    assert next(ready) == 0
    ready.close()
    # One was taken, two wait, one more is in the maker's hand.
    assert len(made) <= 4


def test_a_fault_ahead_is_raised_where_the_items_are_wanted():
    def items():
        yield 1
        raise ValueError("the second can't be made")

    ready = ahead(items(), n=2)
    assert next(ready) == 1
    with pytest.raises(ValueError, match="the second can't be made"):
        next(ready)


def test_the_thread_ends_with_the_one_that_it_works_for():
    ready = ahead(iter(range(1000)), n=2)
    next(ready)
    ready.close()
    assert "windows-ahead" not in {thread.name for thread in threading.enumerate()}


def test_a_cpu_gathers_from_shared_memory(stranded):
    assert isinstance(feed_for(stranded, "cpu"), HostFeed)


@pytest.mark.gpu
def test_a_store_moves_to_the_gpu_once_if_there_is_room(make_store):
    store = make_store([9000])
    first = feed_for(store, "cuda")
    assert isinstance(first, ResidentFeed)
    assert feed_for(store, "cuda") is first
    assert isinstance(feed_for(make_store([9000]), "cuda", memory_share=1e-9), HostFeed)
