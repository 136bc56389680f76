"""Whether two tables name alleles on one strand, so that A/T and C/G variants can be taken as they are named.

A frequency near a half doesn't tell the strand of such a variant; the other variants may. Where all of them have the
same ID and the same letters, the second table is the first one's, or made on the same array, and so are its A/T and C/G
variants. Without the IDs that wouldn't follow: a file whose others were flipped to fit has these as they were.
"""

from typing import Final, NamedTuple

import numpy as np

from genotune.genome.allele_matching import ABSENT, AlleleMatch, Flags, VariantTable
from genotune.store import IntArray

_FEWEST_WITNESSES: Final = 100
_LETTERS: Final = ("A", "C", "G", "T")
_PALINDROMES: Final = ("AT", "TA", "CG", "GC")


class Reconciled(NamedTuple):
    """A match, and what was decided for it.

    Attributes:
        match: with the variants that the evidence allows.
        notes: for a person; none if nothing was decided.
    """

    match: AlleleMatch
    notes: tuple[str, ...]


def is_palindrome(table: VariantTable) -> Flags:
    """(variant,) whether its alleles are each other's complement, so that both strands name them alike."""
    return np.isin(np.char.upper(np.char.add(table.counted, table.other)), _PALINDROMES)


def keep_sure_strands(match: AlleleMatch, wanted: VariantTable, found: VariantTable, *, rows: IntArray) -> Reconciled:
    """The match with its ambiguous variants too, if all others show that both tables are on one strand.

    That takes a hundred others of one letter each, all with the same ID, none of them flipped, none with other alleles,
    and no A/T or C/G variant whose frequency says that it is turned.

    Args:
        match: of the two tables.
        wanted: as it was matched.
        found: likewise.
        rows: (wanted,) row in `found` of all whose place and letters are there, ambiguous ones too; `ABSENT` of others.
    """
    doubtful = np.flatnonzero(match.is_ambiguous & (rows != ABSENT))
    there = np.flatnonzero(rows != ABSENT)
    is_single = np.isin(np.char.upper(wanted.counted), _LETTERS) & np.isin(np.char.upper(wanted.other), _LETTERS)
    n_witnesses = int(np.count_nonzero((match.rows != ABSENT) & is_single & ~is_palindrome(wanted)))
    is_one_table = bool((wanted.ids[there] == found.ids[rows[there]]).all())
    is_apart = bool(match.is_flipped.any() or match.has_other_alleles.any())
    if not len(doubtful) or n_witnesses < _FEWEST_WITNESSES or not is_one_table or is_apart:
        return Reconciled(match, ())
    all_rows, is_swapped, is_ambiguous = match.rows.copy(), match.is_swapped.copy(), match.is_ambiguous.copy()
    all_rows[doubtful], is_ambiguous[doubtful] = rows[doubtful], False
    theirs = np.char.upper(found.counted[rows[doubtful]])
    is_swapped[doubtful] = theirs != np.char.upper(wanted.counted[doubtful])
    note = (
        f"{len(doubtful):,} A/T or C/G variants, whose frequency doesn't tell the strand, are taken as they are named: "
        f"all {n_witnesses:,} others that could show another strand have the same ID and letters."
    )
    return Reconciled(match._replace(rows=all_rows, is_swapped=is_swapped, is_ambiguous=is_ambiguous), (note,))
