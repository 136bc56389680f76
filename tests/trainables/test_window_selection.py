"""Which windows make the epochs of a fit."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.store import Peaks, SequenceOutline
from genotune.trainables.trainable import FitError
from genotune.trainables.window_selection import draw_epoch, epoch_counts, n_windows, select_windows
from genotune.trainables.windows import AboveThreshold, AtPeaks, Negatives, Tiles

BOTH = np.array([0, 1])
SECOND = 5008  # first base of the second contig, the first having 5003 bp in bins of 16


@pytest.fixture(scope="module")
def blank(make_store):
    """Contigs of 5003, 3000 and 200 bp without any signal."""
    store = make_store([5003, 3000, 200])
    store.signal[:] = 0
    return store


def with_peaks(store, *peaks):
    """The store with a set of peaks, each (contig, start, end, summit)."""
    columns = np.array(peaks, dtype=np.int64).reshape(-1, 4).T
    return replace(store, peaks={"called": Peaks(*columns)})


def with_signal(store, *values, kind="signal"):
    """The store with some bins of its track set, each (bin, value)."""
    signal = store.signal.copy()
    for bin_, value in values:
        signal[0, bin_] = value
    return replace(store, signal=signal, kind=kind)


def at_peaks(**values):
    return AtPeaks(select="peaks", peaks="called", **{"length_bp": 256, "negatives": None, **values})


def above(**values):
    return AboveThreshold(select="threshold", **{"length_bp": 256, "stride_bp": 256, **values})


def tiles(**values):
    return Tiles(**{"length_bp": 256, "stride_bp": 256, **values})


def positives(windows, store, contigs=BOTH):
    return select_windows(windows, store, np.array(contigs)).positives.starts.tolist()


def drawn(windows, store, contigs=BOTH, *, jitter_bp=0, epoch=1):
    pool = select_windows(windows, store, np.array(contigs))
    return draw_epoch(pool, jitter_bp=jitter_bp, both_strands=False, seed=0, epoch=epoch)


def test_tiles_lie_on_the_training_contigs_and_not_in_their_padding(blank):
    starts = drawn(tiles(), blank, [1, 0], jitter_bp=500).starts
    assert len(starts) == 19 + 11
    assert ((starts <= 5003 - 256) | (starts >= SECOND)).all()
    assert (starts <= SECOND + 3000 - 256).all()


@pytest.mark.parametrize(("centre", "base"), [("summit", 1007), ("middle", 1101)])
def test_a_window_has_its_centre_on_the_base(blank, centre, base):
    store = with_peaks(blank, (1, 1001, 1201, 1007))
    assert positives(at_peaks(centre=centre), store) == [SECOND + base - 128]


def test_a_window_moves_inwards_at_the_ends_of_its_contig(blank):
    store = with_peaks(blank, (0, 0, 50, 3), (0, 4950, 5003, 5000), (1, 0, 9, 4), (2, 50, 60, 55))
    assert positives(at_peaks(), store, [0, 1, 2]) == [0, 5003 - 256, SECOND]


def test_peaks_with_the_same_window_have_it_once(blank):
    store = with_peaks(blank, (0, 990, 1010, 1000), (0, 900, 1100, 1000), (1, 900, 1100, 1000))
    assert positives(at_peaks(), store, [0]) == [1000 - 128]


def test_flanks_lie_beside_the_window_as_far_as_the_contig_goes(blank):
    store = with_peaks(blank, (0, 990, 1010, 1000), (1, 100, 200, 150))
    middle, end = 1000 - 128, SECOND + 150 - 128
    assert positives(at_peaks(flanked=True), store) == [middle - 256, middle, middle + 256, end, end + 256]


@pytest.mark.parametrize("jitter_bp", [0, 100])
@settings(deadline=None)
@given(
    peaks=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2900), st.integers(1, 100)), min_size=1, max_size=12),
    flanked=st.booleans(),
)
def test_negatives_touch_no_peak_and_no_window_of_one(blank, jitter_bp, peaks, flanked):
    store = with_peaks(blank, *[(contig, low, low + size, low + size // 2) for contig, low, size in peaks])
    pool = select_windows(at_peaks(flanked=flanked, negatives=Negatives(ratio=5.0, match="none")), store, BOTH)
    still, moved = (draw_epoch(pool, jitter_bp=bp, both_strands=False, seed=0, epoch=1).starts for bp in (0, jitter_bp))
    is_negative = np.isin(still, pool.negatives.starts)
    assert epoch_counts(pool) == ((~is_negative).sum(), is_negative.sum())
    assert is_negative.sum() == round(5.0 * (~is_negative).sum())
    taken = [(contig * SECOND + low, contig * SECOND + low + size) for contig, low, size in peaks]
    taken += [(start, start + 256) for start in pool.positives.starts]
    for first, end in taken:
        assert not ((moved[is_negative] < end) & (moved[is_negative] + 256 > first)).any()


def test_the_only_gap_between_peaks_is_found(blank):
    store = with_peaks(blank, (0, 0, 1001, 500), (0, 1257, 5003, 3000))
    pool = select_windows(at_peaks(negatives=Negatives(match="none")), store, np.array([0]))
    assert pool.negatives.starts.tolist() == [1001]
    store = with_peaks(blank, (0, 0, 1001, 500), (0, 1256, 5003, 3000))
    with pytest.raises(FitError, match=r"no negative window is left.*Set windows.negatives: null, or a smaller"):
        select_windows(at_peaks(negatives=Negatives(match="none")), store, np.array([0]))


@pytest.mark.parametrize("zero_signal", ["drop", 0.01])
def test_a_side_without_signal_is_told_when_it_is_left_out(blank, zero_signal):
    asked = at_peaks(zero_signal=zero_signal, negatives=Negatives(match="none"))
    store = with_peaks(blank, (0, 0, 50, 25))
    with pytest.raises(FitError, match="no positive window is left on the training contigs with some signal, as"):
        select_windows(asked, with_signal(store, (160, 1.0)), BOTH)
    with pytest.raises(FitError, match="no negative window is left on the training contigs with some signal, as"):
        select_windows(asked, with_signal(store, (2, 1.0)), BOTH)


def test_negatives_are_as_rich_in_gc_as_the_positives(blank):
    sequence = np.random.default_rng(0).choice([0, 3], len(blank.sequence)).astype(np.uint8)
    sequence[1000:2000] = sequence[3000:4000] = 1
    sequence[4000:4800] = 4
    store = with_peaks(replace(blank, sequence=sequence), (0, 1400, 1500, 1450))
    matched = at_peaks(negatives=Negatives(ratio=3.0))
    for start in drawn(matched, store, jitter_bp=0).starts:
        known = sequence[start : start + 256] < 4
        assert (sequence[start : start + 256][known] == 1).mean() > 0.5
    even = select_windows(at_peaks(negatives=Negatives(ratio=3.0, match="none")), store, BOTH).negatives.starts
    unknown = [start for start in even if (sequence[start : start + 256] == 4).all()]
    assert unknown
    assert not np.isin(unknown, select_windows(matched, store, BOTH).negatives.starts).any()


def test_gc_falls_into_twentieths_of_the_positives(blank):
    sequence = np.zeros_like(blank.sequence)
    for window in range(11):
        sequence[SECOND + window * 256 :][: window * 20] = 1
    store = with_peaks(
        replace(blank, sequence=sequence), *[(1, base - 1, base + 1, base) for base in range(128, 2600, 256)]
    )
    pool = select_windows(at_peaks(negatives=Negatives()), store, BOTH)
    assert pool.positives.strata.tolist() == sorted(pool.positives.strata)
    assert len({*pool.positives.strata.tolist()}) == 10
    # The first contig has none, the end of the second more than any positive.
    assert {*pool.negatives.strata.tolist()} == {0, 19}


def test_a_threshold_keeps_the_tiles_above_it(blank):
    store = with_signal(blank, (0, 16.0), (16, 32.0), (32, 48.0))
    assert positives(above(at=1.0), store) == [256, 512]
    assert positives(above(at=2.5), store) == [512]
    # 30 tiles, 27 of them without signal.
    assert positives(above(quantile=0.5), store) == [0, 256, 512]
    assert positives(above(quantile=28 / 29), store) == [512]
    pool = select_windows(above(at=1.0, negatives=Negatives(ratio=4.0)), store, BOTH)
    assert pool.positives.starts.tolist() == [256, 512]
    assert len(pool.negatives.starts) == 28
    assert epoch_counts(pool) == (2, 8)


def test_the_highest_track_decides(make_store):
    store = make_store([1024], tracks=("a", "b"))
    store.signal[:] = 0
    store.signal[0, 3], store.signal[1, 40] = 16, 32
    assert positives(above(at=0.5), store, [0]) == [0, 512]


@pytest.mark.parametrize(("zero_signal", "n"), [("keep", 30), ("drop", 3), (0.5, 3 + 14), (0.1, 3 + 3)])
def test_windows_without_signal_are_kept_dropped_or_a_share_of_them(blank, zero_signal, n):
    store = with_signal(blank, (0, 16.0), (16, -1.0), (32, 48.0))
    starts = drawn(tiles(zero_signal=zero_signal), store).starts.tolist()
    assert len({*starts}) == len(starts) == n
    assert {0, 256, 512} <= {*starts}


def test_negatives_without_signal_can_be_dropped_too(blank):
    store = with_peaks(with_signal(blank, (2, 1.0), (160, 1.0)), (0, 0, 50, 25))
    pool = select_windows(at_peaks(zero_signal="drop", negatives=Negatives(match="none")), store, BOTH)
    assert (pool.positives.starts.tolist(), pool.negatives.starts.tolist()) == ([0], [160 * 16])


@settings(deadline=None)
@given(
    empty=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 200)), max_size=5),
    jitter_bp=st.integers(0, 400),
    at_called=st.booleans(),
)
def test_windows_without_a_value_are_never_drawn(make_store, empty, jitter_bp, at_called):
    store = make_store([5003, 3000], tracks=("a", "b"))
    for low, size in empty:
        store.signal[:, low : low + size] = np.nan
    store.signal[0, ::3] = np.nan
    store = with_peaks(store, (0, 1000, 1010, 1005), (0, 4800, 4900, 4850), (1, 2000, 2300, 2100))
    windows = at_peaks(negatives=Negatives(), flanked=True) if at_called else tiles(stride_bp=64)
    try:
        starts = drawn(windows, store, jitter_bp=jitter_bp).starts
    except FitError as error:
        assert re.search("holds a value|no negative window", str(error))  # noqa: PT017
        return
    assert not np.isnan(store.gather(starts, length_bp=256).signal).all(axis=(1, 2)).any()


def test_without_negatives_positive_is_what_lies_above_the_median(blank):
    store = with_signal(blank, *[(16 * tile, 1.0 + tile) for tile in range(19)])
    pool = select_windows(tiles(balance="oversample"), store, BOTH)
    assert pool.positives.starts.tolist() == [256 * tile for tile in range(4, 19)]
    assert epoch_counts(pool) == (15, 15)
    assert epoch_counts(select_windows(tiles(balance="oversample", zero_signal="drop"), store, BOTH)) == (10, 10)
    assert epoch_counts(select_windows(above(at=0.5, balance="undersample"), store, BOTH)) == (5, 5)


def test_a_labelled_bin_makes_a_window_positive(blank):
    store = with_signal(blank, (3, 0.5), (20, 0.49), (40, 1.0), kind="binary")
    assert positives(tiles(balance="undersample"), store) == [0, 512]
    pool = select_windows(tiles(weight="class"), store, BOTH)
    epoch = draw_epoch(pool, jitter_bp=0, both_strands=False, seed=0, epoch=1)
    is_positive = np.isin(epoch.starts, [0, 512])
    assert epoch.weights[is_positive].sum() == pytest.approx(epoch.weights[~is_positive].sum())


def test_a_window_weighs_as_the_root_of_its_signal(blank):
    store = with_signal(blank, (0, 1.0), (16, 4.0), (32, 9.0))
    epoch = drawn(tiles(weight="signal"), store)
    weights = dict(zip(epoch.starts.tolist(), epoch.weights.tolist(), strict=True))
    assert weights[256] / weights[0] == pytest.approx(2)
    assert weights[512] / weights[0] == pytest.approx(3)
    # The mean over the 30 windows is 14 / 30: the root of 1 over that is 1.464, and a window without signal has 0.1.
    assert weights[768] / weights[0] == pytest.approx(0.1 / np.sqrt(30 / 14))
    assert epoch.weights.mean() == pytest.approx(1)


@pytest.mark.parametrize(
    "windows",
    [
        tiles(stride_bp=64),
        tiles(balance="oversample"),
        tiles(zero_signal=0.3),
        above(quantile=0.7),
        above(quantile=0.7, negatives=Negatives()),
        above(at=0.05, negatives=Negatives(), balance="oversample", weight="class"),
        at_peaks(flanked=True, negatives=Negatives(ratio=1.5)),
        at_peaks(balance="undersample", negatives=Negatives()),
    ],
)
def test_an_epoch_has_no_more_windows_than_were_counted_before_decoding(store, windows):
    store = with_peaks(store, (0, 1000, 1010, 1005), (0, 4800, 4900, 4850), (1, 2000, 2300, 2100))
    outline = SequenceOutline(16, store.tracks, (9000, 5003), n_peaks={"called": 3})
    counted = n_windows(windows, outline)
    sizes = {len(drawn(windows, store, epoch=epoch).starts) for epoch in (1, 2, 3)}
    assert len(sizes) == 1
    assert max(sizes) <= counted
    if windows == tiles(stride_bp=64) or isinstance(windows, AtPeaks):
        assert sizes == {counted}


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (tiles(length_bp=5008), "found windows of 5008 bp; the longest training contig has 5003 bp. Set a smaller"),
        (
            tiles(balance="oversample"),
            "none of the 30 training windows have more signal than the median one, or a labelled bin",
        ),
        (
            tiles(zero_signal="drop"),
            "no training window of 256 bp is left with some signal, as windows.zero_signal asks",
        ),
        (above(at=2.0), "windows.at: found 2; no training window has a mean signal above it, the highest has 0. Lower"),
        (
            above(quantile=0.5),
            "windows.quantile: found 0.5; no training window has a mean signal above that quantile, 0.",
        ),
        (at_peaks(), "windows.peaks: found 'called'; data.peaks names no set. Name a set of peaks there, or use"),
    ],
)
def test_windows_that_cannot_be_had_are_told_with_the_fix(blank, windows, message):
    with pytest.raises(FitError, match=re.escape(message)):
        select_windows(windows, blank, BOTH)


def test_peaks_elsewhere_are_told_with_the_fix(blank):
    store = with_peaks(blank, (2, 50, 60, 55))
    with pytest.raises(FitError, match=r"'called'; none of its peaks lies on a training contig\. Split otherwise"):
        select_windows(at_peaks(), store, BOTH)
    with pytest.raises(FitError, match="no window of 256 bp around a peak of 'called' lies within a training contig"):
        select_windows(at_peaks(), store, np.array([0, 2]))


def test_contigs_that_are_excluded_throughout_are_told(blank):
    store = with_signal(blank, (slice(None), np.nan))
    with pytest.raises(FitError, match="no window of 256 bp on the training contigs holds a value of any track"):
        select_windows(tiles(), store, BOTH)


def test_tiles_that_miss_what_is_left_are_told(blank):
    store = with_signal(blank, (slice(None), np.nan), (slice(100, 103), 1.0))
    with pytest.raises(FitError, match="no tile of 256 bp on the training contigs holds a value of any track"):
        select_windows(tiles(stride_bp=4096), store, BOTH)


def test_labels_in_every_window_leave_no_negative(blank):
    store = with_signal(blank, (slice(None), 1.0), kind="binary")
    with pytest.raises(
        FitError, match="all of the 30 training windows have more signal than the median one, or a labelled"
    ):
        select_windows(tiles(balance="oversample"), store, BOTH)
