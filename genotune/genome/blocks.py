"""Contigs cut into blocks, each of which a split can hold by itself.

A block is a contig of its own to everything that comes after. All but the last of a contig are whole bins, so the
arrays of a store stay as they are: only its contigs are others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from genotune.genome.spans import Spans
from genotune.store import CodeArray, IntArray, Peaks, SequenceStore


def cut_contigs(contigs: Mapping[str, int], *, block_bp: int) -> dict[str, int]:
    """Length of each block, in order, under names such as 'chrI:0-100000'.

    Args:
        contigs: length in bp of each.
        block_bp: length of a block; the last of a contig may be shorter.
    """
    return {
        f"{contig}:{start}-{min(start + block_bp, length)}": min(block_bp, length - start)
        for contig, length in contigs.items()
        for start in range(0, length, block_bp)
    }


def first_blocks(lengths: IntArray, *, block_bp: int) -> IntArray:
    """(contig,) index of the first block of each contig, whose lengths are given in bp."""
    numbers = -(-lengths // block_bp)
    return np.cumsum(numbers) - numbers


def cut_store(store: SequenceStore, *, block_bp: int) -> SequenceStore:
    """The same store with blocks in the place of contigs; no array of bases or bins is copied.

    Args:
        store: the data.
        block_bp: length of a block, a whole number of bins.
    """
    assert block_bp % store.resolution_bp == 0, (block_bp, store.resolution_bp)
    contigs = dict(zip(store.contigs, store.lengths.tolist(), strict=True))
    blocks = cut_contigs(contigs, block_bp=block_bp)
    lengths = np.array(list(blocks.values()), dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(-(-lengths // store.resolution_bp))]).astype(np.int64)
    firsts = first_blocks(store.lengths, block_bp=block_bp)
    return replace(
        store,
        offsets=offsets,
        lengths=lengths,
        contigs=tuple(blocks),
        peaks={name: cut_peaks(peaks, firsts, block_bp=block_bp) for name, peaks in store.peaks.items()},
    )


def cut_peaks(peaks: Peaks, firsts: IntArray, *, block_bp: int) -> Peaks:
    """The peaks on blocks: one that reaches over an end becomes one in each block.

    The summit stays where it lies; in the other blocks it is the base of the peak nearest to it.

    Args:
        peaks: on contigs.
        firsts: (contig,) index of the first block of each contig.
        block_bp: length of a block.
    """
    of, block = _blocks_of(peaks.starts, peaks.ends, block_bp=block_bp)
    starts = np.maximum(peaks.starts[of] - block * block_bp, 0)
    ends = np.minimum(peaks.ends[of] - block * block_bp, block_bp)
    summits = np.clip(peaks.summits[of] - block * block_bp, starts, ends - 1)
    return Peaks(firsts[peaks.contigs[of]] + block, starts, ends, summits)


def cut_spans(spans: Spans, firsts: IntArray, *, block_bp: int) -> Spans:
    """The spans on blocks: one that reaches over an end becomes one in each block; see `cut_peaks`."""
    of, block = _blocks_of(spans.starts, spans.ends, block_bp=block_bp)
    starts = np.maximum(spans.starts[of] - block * block_bp, 0)
    ends = np.minimum(spans.ends[of] - block * block_bp, block_bp)
    return Spans(firsts[spans.contigs[of]] + block, starts, ends)


def regroup(pieces: Iterable[CodeArray], sizes: Sequence[int]) -> Iterator[CodeArray]:
    """What lies end to end in some pieces, in pieces of other sizes.

    Args:
        pieces: (base,) each; empty ones will do.
        sizes: of what is given; their sum is that of the pieces.
    """
    held: list[CodeArray] = []
    n_held, open_ones = 0, iter(sizes)
    size = next(open_ones, None)
    for piece in pieces:
        held.append(piece)
        n_held += len(piece)
        if size is None or n_held < size:
            continue
        rest = np.concatenate(held)
        while size is not None and len(rest) >= size:
            yield rest[:size]
            rest, size = rest[size:], next(open_ones, None)
        held, n_held = [rest], len(rest)
    assert size is None, "the pieces are fewer than the sizes say"
    assert n_held == 0, "the pieces are more than the sizes say"


def _blocks_of(starts: IntArray, ends: IntArray, *, block_bp: int) -> tuple[IntArray, IntArray]:
    """For each block that an interval shares a base with: (part,) the interval, and the block's number there."""
    first, last = starts // block_bp, (ends - 1) // block_bp
    numbers = last - first + 1
    of = np.repeat(np.arange(len(numbers)), numbers)
    return of, first[of] + np.arange(len(of)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
