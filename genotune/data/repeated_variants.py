"""Variants that stand more than once in a file: the same row again, other rows of one variant, one ID for several."""

from typing import Final

import numpy as np
import pandas as pd

from genotune.data.plink_files import BimTable
from genotune.errors import DataError
from genotune.genome.contig_names import contig_codes
from genotune.store import NO_POSITION, IntArray

_KEYS: Final = ["contig", "start", "one", "two"]


def repeated_notes(variants: BimTable, *, label: str) -> tuple[str, ...]:
    """What a person should know of variants that share a place and alleles, or an ID.

    Args:
        variants: of one file.
        label: of the table of variants.

    Raises:
        DataError: two share place, alleles and ID, so nothing tells them apart.
    """
    n_again = _n_again(variants, label=label)
    notes: tuple[str, ...] = ()
    if n_again:
        notes += (
            f"{label}: {n_again:,} variants have place and alleles of one before them, under another ID; each counts "
            "as a variant of its own. prepare: {clump: {}} or {prune: {}} keeps one of such.",
        )
    is_named_again = pd.Series(variants.ids.astype(object)).duplicated().to_numpy()
    if is_named_again.any():
        first = str(variants.ids[is_named_again.argmax()])
        notes += (
            f"{label}: {int(is_named_again.sum()):,} variants have the ID of one before them, e.g. {first!r}; they are "
            "told apart by place and alleles.",
        )
    return notes


def _n_again(variants: BimTable, *, label: str) -> int:
    """How many variants have place and alleles of one before them.

    Raises:
        DataError: one of them has its ID too.
    """
    rows = _candidates(variants)
    is_swapped = variants.counted[rows] > variants.other[rows]
    table = pd.DataFrame(
        {
            "contig": variants.contigs[rows],
            "start": variants.starts[rows],
            "one": np.where(is_swapped, variants.other[rows], variants.counted[rows]),
            "two": np.where(is_swapped, variants.counted[rows], variants.other[rows]),
            "name": variants.ids[rows],
        }
    )
    twice = np.flatnonzero(table.duplicated([*_KEYS, "name"]).to_numpy())
    if len(twice):
        row = rows[twice[0]]
        has_place = variants.starts[row] != NO_POSITION
        place = f" at {variants.contigs[row]}:{variants.starts[row] + 1}" if has_place else ""
        more = f" {len(twice) - 1:,} more do so." if len(twice) > 1 else ""
        raise DataError(
            f"{label}: the variant {str(variants.ids[row])!r}{place} ({variants.counted[row]}/{variants.other[row]}) "
            f"stands there twice.{more} Nothing tells the two apart: leave one out, e.g. plink2 --rm-dup force-first."
        )
    is_placed = (table["start"] != NO_POSITION).to_numpy()
    return int(table[is_placed].duplicated(_KEYS).sum())


def _candidates(variants: BimTable) -> IntArray:
    """Rows of places that several variants have, and of none; few, so that only their letters are looked at."""
    _, codes = contig_codes(variants.contigs)
    places = (codes << 32) + variants.starts
    _, place, counts = np.unique(places, return_inverse=True, return_counts=True)
    return np.flatnonzero((counts[place] > 1) | (variants.starts == NO_POSITION))
