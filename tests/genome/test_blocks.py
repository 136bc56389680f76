"""Contigs cut into blocks: the same arrays under other names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.genome.blocks import cut_contigs, cut_peaks, cut_spans, cut_store, first_blocks, regroup
from genotune.genome.spans import Spans
from genotune.store import Peaks, SequenceStore

LENGTHS = [1003, 640, 77]


def make_store(*, resolution_bp=32, peaks=None):
    rng = np.random.default_rng(0)
    n_bins = [-(-length // resolution_bp) for length in LENGTHS]
    return SequenceStore(
        sequence=rng.integers(0, 4, sum(n_bins) * resolution_bp).astype(np.uint8),
        signal=rng.random((2, sum(n_bins)), dtype=np.float32),
        offsets=np.concatenate([[0], np.cumsum(n_bins)]),
        lengths=np.array(LENGTHS),
        contigs=("chrI", "chrII", "chrIII"),
        tracks=("a", "b"),
        resolution_bp=resolution_bp,
        peaks=peaks or {},
    )


def test_blocks_are_named_for_their_place_and_the_last_is_what_is_left():
    assert cut_contigs({"chrI": 250, "chrII": 100, "chrIII": 30}, block_bp=100) == {
        "chrI:0-100": 100,
        "chrI:100-200": 100,
        "chrI:200-250": 50,
        "chrII:0-100": 100,
        "chrIII:0-30": 30,
    }


@pytest.mark.parametrize("block_bp", [32, 320, 992, 2048])
def test_each_block_holds_what_lies_at_its_place_and_nothing_is_copied(block_bp):
    store = make_store()
    cut = cut_store(store, block_bp=block_bp)
    assert np.shares_memory(cut.sequence, store.sequence)
    assert np.shares_memory(cut.signal, store.signal)
    assert cut.lengths.sum() == sum(LENGTHS)
    assert cut.offsets[-1] == store.offsets[-1]
    for index, (name, length) in enumerate(zip(cut.contigs, cut.lengths.tolist(), strict=True)):
        contig, place = name.split(":")
        start, end = map(int, place.split("-"))
        assert end - start == length <= block_bp
        whole = store.contigs.index(contig)
        last = start + -(-length // 32) * 32
        np.testing.assert_array_equal(cut.contig_sequence(index), store.contig_sequence(whole)[start:last])
        np.testing.assert_array_equal(cut.contig_signal(index), store.contig_signal(whole)[:, start // 32 : last // 32])


def test_a_peak_over_the_end_of_a_block_is_one_in_each():
    peaks = Peaks(*(np.array(values) for values in ([0, 1, 1], [150, 10, 90], [410, 20, 110], [240, 15, 95])))
    cut = cut_peaks(peaks, np.array([0, 5]), block_bp=100)
    assert [values.tolist() for values in cut] == [
        [1, 2, 3, 4, 5, 5, 6],
        [50, 0, 0, 0, 10, 90, 0],
        [100, 100, 100, 10, 20, 100, 10],
        [99, 40, 0, 0, 15, 95, 0],
    ]


@given(
    intervals=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 76), st.integers(1, 300)), max_size=8),
    block_bp=st.sampled_from([32, 64, 512]),
)
def test_peaks_and_spans_cover_the_same_bases_before_and_after(intervals, block_bp):
    lengths = np.array(LENGTHS)
    contigs, starts, widths = (np.array(column, dtype=np.int64) for column in np.array(intervals).reshape(-1, 3).T)
    ends = np.minimum(starts + widths, lengths[contigs])
    firsts = first_blocks(lengths, block_bp=block_bp)
    blocks = cut_contigs({str(index): length for index, length in enumerate(LENGTHS)}, block_bp=block_bp)
    places = [tuple(map(int, name.replace(":", "-").split("-"))) for name in blocks]
    expected = {(c, base) for c, s, e in zip(contigs, starts, ends, strict=True) for base in range(s, e)}
    peaks = cut_peaks(Peaks(contigs, starts, ends, starts), firsts, block_bp=block_bp)
    spans = cut_spans(Spans(contigs, starts, ends), firsts, block_bp=block_bp)
    for found in (peaks, spans):
        covered = {
            (places[b][0], places[b][1] + base)
            for b, s, e in zip(found.contigs, found.starts, found.ends, strict=True)
            for base in range(s, e)
        }
        assert covered == expected
    assert ((peaks.starts <= peaks.summits) & (peaks.summits < peaks.ends)).all()


def test_the_peaks_of_a_store_are_cut_with_it():
    peaks = Peaks(*(np.array([value]) for value in (1, 600, 640, 610)))
    cut = cut_store(make_store(peaks={"p": peaks}), block_bp=320)
    assert cut.contigs[cut.peaks["p"].contigs[0]] == "chrII:320-640"
    assert [values.tolist() for values in cut.peaks["p"][1:]] == [[280], [320], [290]]


@given(st.lists(st.integers(0, 5), max_size=8), st.lists(st.integers(0, 5), max_size=8))
def test_pieces_of_other_sizes_hold_the_same(given_sizes, wanted):
    total = min(sum(given_sizes), sum(wanted))
    sizes = [*wanted, sum(given_sizes) - total]
    if sum(wanted) > sum(given_sizes):
        return
    codes = np.arange(sum(given_sizes)).astype(np.uint8)
    pieces = np.split(codes, np.cumsum(given_sizes)[:-1]) if given_sizes else []
    found = list(regroup([*pieces, codes[:0]], sizes))
    assert [len(piece) for piece in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found), codes)
