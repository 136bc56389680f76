"""What an epoch draws from a pool."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.trainables.trainable import FitError
from genotune.trainables.window_drawing import WindowGroup, WindowPool, draw_epoch, epoch_counts
from genotune.trainables.window_places import Places
from genotune.trainables.windows import AtPeaks, Negatives, Tiles

NO_INDEX, NO_WEIGHT = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
EVERYWHERE = Places(np.array([0]), np.array([1_000_000]))


def group(starts, *, zeros=(), weights=(), strata=(), places=EVERYWHERE):
    return WindowGroup(
        np.array(starts, dtype=np.int64),
        np.array(zeros, dtype=np.int64),
        np.array(weights, dtype=np.float32),
        np.array(strata, dtype=np.uint8),
        places,
    )


def pool(positives, negatives=None, **values):
    return WindowPool(Tiles(**values), positives, group([]) if negatives is None else negatives)


def peaks(positives, negatives, *, ratio=1.0, match="gc", **values):
    chosen = AtPeaks(select="peaks", peaks="a", negatives=Negatives(ratio=ratio, match=match), **values)
    return WindowPool(chosen, positives, negatives)


def draw(of, *, jitter_bp=0, both_strands=False, seed=0, epoch=1, **sharing):
    return draw_epoch(of, jitter_bp=jitter_bp, both_strands=both_strands, seed=seed, epoch=epoch, **sharing)


def numbers(drawn, *, above=-1):
    return sorted(start for start in drawn.starts.tolist() if start > above)


def test_an_epoch_holds_every_window_once_in_another_order():
    tiles = pool(group(range(0, 2000, 10)))
    drawn = draw(tiles, both_strands=True)
    assert numbers(drawn) == list(range(0, 2000, 10))
    assert drawn.starts.tolist() != numbers(drawn)
    assert 0.3 < drawn.reversed.mean() < 0.7
    assert not draw(tiles).reversed.any()
    np.testing.assert_array_equal(drawn.weights, 1)
    assert [array.dtype for array in drawn] == [np.int64, np.bool_, np.float32]


def test_an_epoch_is_a_function_of_seed_and_epoch():
    tiles = pool(group(range(500), zeros=range(0, 500, 3)), zero_signal=0.5)
    asked = {"jitter_bp": 9, "both_strands": True}
    first = draw(tiles, seed=3, epoch=2, **asked)
    for again, same in zip(first, draw(tiles, seed=3, epoch=2, **asked), strict=True):
        np.testing.assert_array_equal(again, same)
    for other in ({"seed": 3, "epoch": 3}, {"seed": 2, "epoch": 2}):
        assert draw(tiles, **other, **asked).starts.tolist() != first.starts.tolist()


def test_jitter_and_strands_leave_the_order_as_it_was():
    tiles = pool(group(range(0, 50_000, 100)))
    still, moved = draw(tiles), draw(tiles, jitter_bp=49, both_strands=True)
    np.testing.assert_array_equal((moved.starts + 50) // 100 * 100, still.starts)


def test_both_ends_of_the_jitter_are_reached_in_single_bases():
    assert set(draw(pool(group([100] * 300)), jitter_bp=3).starts) == set(range(97, 104))


@settings(deadline=None)
@given(jitter_bp=st.integers(0, 60), seed=st.integers(0, 50))
def test_a_window_stays_where_it_may_begin(jitter_bp, seed):
    places = Places(np.array([5, 60, 200]), np.array([40, 100, 200]))
    starts = np.array([5, 20, 40, 60, 99, 200] * 5)
    tiles = pool(group(starts, places=places))
    still, moved = draw(tiles, seed=seed), draw(tiles, seed=seed, jitter_bp=jitter_bp)
    assert (np.abs(moved.starts - still.starts) <= jitter_bp).all()
    assert places.hold(moved.starts).all()
    np.testing.assert_array_equal(places.stretch_of(moved.starts), places.stretch_of(still.starts))


def test_of_windows_without_signal_a_share_is_drawn_anew_for_each_epoch():
    tiles = pool(group(range(100), zeros=range(40)), zero_signal=0.25)
    epochs = [numbers(draw(tiles, epoch=epoch)) for epoch in (1, 2)]
    for starts in epochs:
        assert len({*starts}) == len(starts) == 70
        assert starts[10:] == list(range(40, 100))
    assert epochs[0] != epochs[1]


def test_negatives_are_drawn_at_a_ratio_anew_for_each_epoch():
    of = peaks(group(range(10)), group(range(100, 200)), ratio=2.5, match="none")
    epochs = [numbers(draw(of, epoch=epoch), above=99) for epoch in (1, 2)]
    assert [len({*starts}) for starts in epochs] == [25, 25]
    assert epochs[0] != epochs[1]
    assert numbers(draw(of))[:10] == list(range(10))


def test_negatives_are_repeated_evenly_where_there_are_too_few():
    drawn = draw(peaks(group(range(10)), group([100, 101, 102]), match="none"))
    _, times = np.unique(drawn.starts[drawn.starts >= 100], return_counts=True)
    assert sorted(times) == [3, 3, 4]


def test_the_smallest_ratio_still_draws_a_negative():
    assert epoch_counts(peaks(group(range(3)), group([100]), ratio=0.01, match="none")) == (3, 1)


def test_negatives_are_matched_stratum_by_stratum():
    # Positives: 6 of 10 in stratum 2, 4 in stratum 15. Negatives: plenty in 2 and 15, most in 9.
    positives = group(range(10), strata=[2] * 6 + [15] * 4)
    negatives = group(range(100, 400), strata=[2] * 50 + [9] * 200 + [15] * 50)
    starts = draw(peaks(positives, negatives, ratio=2)).starts
    assert np.sum((starts >= 100) & (starts < 150)) == 12
    assert np.sum(starts >= 350) == 8
    assert len(starts) == 30


def test_a_stratum_without_negatives_is_filled_from_the_nearest():
    positives = group(range(9), strata=[0] * 3 + [10] * 3 + [19] * 3)
    negatives = group(range(100, 130), strata=[8] * 10 + [12] * 10 + [18] * 10)
    starts = draw(peaks(positives, negatives)).starts
    # Stratum 10 is as near to 8 as to 12: the one with less G and C it is.
    assert [np.sum((starts >= low) & (starts < low + 10)) for low in (100, 110, 120)] == [6, 0, 3]


def test_positives_of_unknown_bases_match_nothing():
    positives = group(range(4), strata=[255, 255, 3, 3])
    starts = draw(peaks(positives, group(range(100, 120), strata=[3] * 10 + [19] * 10))).starts
    assert sorted(starts // 10 * 10) == [0] * 4 + [100] * 4
    only_unknown = peaks(group([0, 1], strata=[255, 255]), group(range(100, 120), strata=[3] * 20))
    assert len(draw(only_unknown).starts) == 4


@settings(deadline=None)
@given(n=st.integers(1, 40), ratio=st.floats(0.01, 8), data=st.data())
def test_matched_negatives_are_as_many_as_asked_for(n, ratio, data):
    strata = data.draw(st.lists(st.integers(0, 19), min_size=n, max_size=n))
    of = peaks(group(range(n), strata=strata), group(range(100, 104), strata=[1, 4, 4, 17]), ratio=ratio)
    drawn = draw(of)
    assert (len(drawn.starts) - n, n) == epoch_counts(of)[::-1]
    assert epoch_counts(of)[1] == max(1, round(ratio * n))


@pytest.mark.parametrize(("balance", "n"), [("oversample", 12), ("undersample", 5)])
def test_balance_draws_as_many_of_both(balance, n):
    drawn = draw(pool(group(range(5)), group(range(100, 112)), balance=balance))
    is_positive = drawn.starts < 100
    assert (is_positive.sum(), (~is_positive).sum()) == (n, n)
    times = [
        np.unique(starts, return_counts=True)[1] for starts in (drawn.starts[is_positive], numbers(drawn, above=99))
    ]
    assert all(np.ptp(counts) <= 1 for counts in times)


def test_the_commoner_side_is_left_out_anew_for_each_epoch():
    of = pool(group(range(5)), group(range(100, 140)), balance="undersample")
    assert numbers(draw(of, epoch=1), above=99) != numbers(draw(of, epoch=2), above=99)


def test_classes_have_the_same_weight_in_sum():
    drawn = draw(pool(group(range(5)), group(range(100, 120)), weight="class"))
    is_positive = drawn.starts < 100
    np.testing.assert_allclose(drawn.weights[is_positive], 2.5, rtol=1e-6)
    np.testing.assert_allclose(drawn.weights[~is_positive], 0.625, rtol=1e-6)


def test_weights_stay_with_their_windows_and_have_a_mean_of_one():
    drawn = draw(pool(group(range(1, 9), weights=range(1, 9)), weight="signal"))
    np.testing.assert_allclose(drawn.weights, drawn.starts / 4.5, rtol=1e-6)


@settings(deadline=None)
@given(n=st.integers(8, 60), batch_size=st.integers(4, 20), n_workers=st.integers(1, 4))
def test_workers_share_each_batch_of_the_single_worker(n, batch_size, n_workers):
    tiles = pool(group(range(0, n * 10, 10), weights=range(1, n + 1)), weight="signal")
    alone = draw(tiles, jitter_bp=4, both_strands=True)
    shares = [
        draw(tiles, jitter_bp=4, both_strands=True, batch_size=batch_size, rank=rank, n_workers=n_workers)
        for rank in range(n_workers)
    ]
    n_batches = n // batch_size + (n % batch_size >= n_workers)
    for batch in range(n_batches):
        whole = [array[batch * batch_size : (batch + 1) * batch_size] for array in alone]
        for rank, share in enumerate(shares):
            size = len(np.array_split(np.arange(batch_size), n_workers)[rank])
            for found, wanted in zip(share, whole, strict=True):
                part = found[batch * size : (batch + 1) * size]
                np.testing.assert_array_equal(part, np.array_split(wanted, n_workers)[rank])
                assert len(part)
    assert sum(len(share.starts) for share in shares) == min(n, n_batches * batch_size)


def test_without_a_batch_size_the_epoch_is_one_batch():
    tiles = pool(group(range(11)))
    shares = [draw(tiles, rank=rank, n_workers=3).starts for rank in range(3)]
    assert [len(share) for share in shares] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate(shares), draw(tiles).starts)


def test_more_workers_than_windows_are_refused():
    with pytest.raises(FitError, match="an epoch has 2 windows, and 3 workers share each batch"):
        draw(pool(group(range(2))), batch_size=8, rank=0, n_workers=3)


def test_windows_move_within_the_places_of_their_own_group():
    here = group([10, 60], places=Places(np.array([0, 50]), np.array([20, 70])))
    there = group([110, 160], places=Places(np.array([100, 150]), np.array([120, 170])))
    drawn = draw(peaks(here, there, match="none"), jitter_bp=500)
    assert sorted(start // 50 for start in drawn.starts.tolist()) == [0, 1, 2, 3]


def test_a_draw_of_very_many_windows_holds_few_bytes_of_each():
    """On a large genome an epoch has millions, in every trial; the draw itself has 13 bytes of each."""
    n = 300_000
    tiles = pool(group(np.arange(n), places=Places(np.array([0]), np.array([n]))))
    tracemalloc.start()
    drawn = draw(tiles, jitter_bp=10, both_strands=True, batch_size=64)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(array.nbytes for array in drawn) == 13 * n
    assert most < 40 * n
