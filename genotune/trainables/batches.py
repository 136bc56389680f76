"""The windows of an epoch, drawn and gathered: which, in what order, on which strand. numpy only.

What is drawn is a pure function of the seed and the epoch, so a fit that goes on after an interruption sees what it
would have seen.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.store import CodeArray, FloatArray, IntArray, SequenceStore

_COMPLEMENT: Final = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
_CHUNK_BINS: Final = 1 << 18


class EpochDraw(NamedTuple):
    """The windows of an epoch, in order: first bins in the store (example,), and which are turned round (example,)."""

    starts: IntArray
    reversed: NDArray[np.bool_]


class Batch(NamedTuple):
    """Codes (example, base) and counts per bin (example, track, bin), NaN where not known."""

    codes: CodeArray
    counts: FloatArray


def reverse_complement(codes: CodeArray) -> CodeArray:
    """The other strand, read from its own 5' end; N stays N.

    Args:
        codes: (..., base).
    """
    return _COMPLEMENT[codes[..., ::-1]]


def bin_means(signal: FloatArray, factor: int) -> FloatArray:
    """Mean of each `factor` bins in a row; NaN if one of them is.

    Args:
        signal: (..., bin), a whole multiple of `factor`.
        factor: bins that become one.

    Returns:
        (..., bin / factor).
    """
    if factor == 1:
        return signal
    means: FloatArray = signal.reshape(*signal.shape[:-1], -1, factor).mean(axis=-1)
    return means


def draw_epoch(
    store: SequenceStore,
    tiles: IntArray,
    *,
    length_bp: int,
    jitter_bp: int,
    both_strands: bool,
    rng: np.random.Generator,
) -> EpochDraw:
    """Tiles in random order, each moved by at most `jitter_bp` within its contig, and on a random strand.

    Args:
        store: the data.
        tiles: (example,) first bins, from `store.tile_starts`.
        length_bp: length of a window.
        jitter_bp: a whole number of the store's bins.
        both_strands: whether half of the windows, at random, are turned round.
        rng: of this epoch alone.
    """
    starts = rng.permutation(tiles)
    if jitter_bp:
        most = jitter_bp // store.resolution_bp
        contig = np.searchsorted(store.offsets, starts, side="right") - 1
        last = store.offsets[contig + 1] - length_bp // store.resolution_bp
        starts = np.clip(
            starts + rng.integers(-most, most, size=len(starts), endpoint=True), store.offsets[contig], last
        )
    turned = rng.random(len(starts)) < 0.5 if both_strands else np.zeros(len(starts), dtype=np.bool_)
    return EpochDraw(starts, turned)


def batches(store: SequenceStore, draw: EpochDraw, *, batch_size: int, length_bp: int, bin_bp: int) -> Iterator[Batch]:
    """The windows of an epoch, gathered one batch at a time; the last batch may be smaller.

    Args:
        store: the data; nothing of it is copied but the batch.
        draw: the windows.
        batch_size: windows of a batch.
        length_bp: length of a window.
        bin_bp: width of the bins of the counts, a whole multiple of the store's.
    """
    for first in range(0, len(draw.starts), batch_size):
        chosen = slice(first, first + batch_size)
        codes, signal = store.gather(draw.starts[chosen], length_bp=length_bp)
        counts = bin_means(signal, bin_bp // store.resolution_bp) * np.float32(bin_bp)
        turned = draw.reversed[chosen]
        codes[turned] = reverse_complement(codes[turned])
        counts[turned] = counts[turned, :, ::-1]
        yield Batch(codes, counts)


def mean_signal(store: SequenceStore, contigs: IntArray) -> NDArray[np.float64]:
    """(track,) mean over the bins of the contigs that hold a value; NaN for a track without one. Read in chunks."""
    total = np.zeros(len(store.tracks))
    count = np.zeros(len(store.tracks), dtype=np.int64)
    for contig in contigs:
        signal = store.contig_signal(int(contig))
        for first in range(0, signal.shape[1], _CHUNK_BINS):
            chunk = signal[:, first : first + _CHUNK_BINS]
            known = ~np.isnan(chunk)
            total += np.sum(chunk, axis=1, where=known, dtype=np.float64)
            count += known.sum(axis=1)
    means = np.full(len(total), np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
