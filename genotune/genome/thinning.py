"""Variants thinned evenly over the genome, so that a few thousand stand for all. numpy only."""

from typing import Final

import numpy as np

from genotune.store import NO_POSITION, IntArray, TextArray

N_WINDOWS: Final = 10_000
"""Into so many windows of equal width a genome is cut: of the human one some 300,000 bp each."""


def spread_order(contigs: TextArray, starts: IntArray, among: IntArray, *, n_windows: int = N_WINDOWS) -> IntArray:
    """Variants in an order each beginning of which lies evenly over the genome: one of each window, then another.

    It looks at places alone, never at genotypes: the same variants for the same tables. Those without a position come
    last; where none has one, they lie evenly in the order of the file. A window's variants come in the order of the
    file.

    Args:
        contigs: (variant,) names, of all variants.
        starts: (variant,) 0-based, `NO_POSITION` where there is none.
        among: (chosen,) indices of those that are ordered, e.g. the autosomal ones.
        n_windows: over all contigs together.

    Returns:
        (chosen,) the same indices in that order.
    """
    is_placed = starts[among] != NO_POSITION
    placed, rest = among[is_placed], among[~is_placed]
    if not len(placed):
        placed, rest = rest, placed
        places = np.arange(len(placed))
    else:
        places = _places(contigs[placed], starts[placed])
    length = int(places.max(initial=0)) + 1
    window = places * n_windows // length
    by_window = np.argsort(window, kind="stable")
    firsts = np.searchsorted(window[by_window], window[by_window])
    rank = np.arange(len(placed)) - firsts
    return np.concatenate([placed[by_window][np.argsort(rank, kind="stable")], rest])


def _places(contigs: TextArray, starts: IntArray) -> IntArray:
    """(variant,) places on contigs laid end to end, each as long as its last variant says."""
    names, of_variant = np.unique(contigs, return_inverse=True)
    lengths = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(lengths, of_variant, starts + 1)
    offsets = np.cumsum(lengths) - lengths
    return np.asarray(offsets[of_variant] + starts)
