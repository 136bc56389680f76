"""Which variants of one table are those of another: by place and alleles, whichever allele or strand each counts.

A second cohort, or another version of a file, may count the other allele (swapped), or name alleles on the other strand
(flipped). Variants whose two alleles are complements (A/T, C/G) look the same on both strands: their frequency tells,
where it isn't near a half.

Source of the rules: Hartwig et al. 2016 (harmonising alleles of two studies; palindromic variants by frequency).
"""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genotune.genome.chromosomes import common_names
from genotune.genome.contig_names import contig_codes
from genotune.store import DOSAGE_STEPS, NO_POSITION, DosageArray, FloatArray, IntArray, TextArray, missing_code

Flags = NDArray[np.bool_]

ABSENT: Final = -1
"""Stands for the row of a variant that the other table lacks, or that can't be told."""

_COMPLEMENTS: Final = {"A": "T", "T": "A", "C": "G", "G": "C"}
_PLACE_BITS: Final = 32
_NO_MATCH: Final = 4


class VariantTable(NamedTuple):
    """Variants, with the fields of `store.Variants` in its order.

    Attributes:
        ids: (variant,).
        contigs: (variant,) names.
        starts: (variant,) 0-based, `NO_POSITION` where unknown.
        counted: (variant,) the allele that is counted.
        other: (variant,) the other allele.
        frequency: (variant,) of the counted allele, NaN where unknown; None: of none is it known.
    """

    ids: TextArray
    contigs: TextArray
    starts: IntArray
    counted: TextArray
    other: TextArray
    frequency: FloatArray | None = None


class AlleleMatch(NamedTuple):
    """Where wanted variants are in another table, and how they are counted there.

    Attributes:
        rows: (wanted,) row of the other table, `ABSENT` where there is none to be used.
        is_swapped: (wanted,) there the other allele is counted: a dosage is to be turned round (`turned_round`).
        is_flipped: (wanted,) there alleles are named on the other strand, which changes no dosage.
        is_ambiguous: (wanted,) it is there, but which allele is counted can't be told; not used.
        has_other_alleles: (wanted,) its place is there with other alleles; not used.
    """

    rows: IntArray
    is_swapped: Flags
    is_flipped: Flags
    is_ambiguous: Flags
    has_other_alleles: Flags

    @property
    def n_found(self) -> int:
        """Wanted variants that can be used."""
        return int(np.count_nonzero(self.rows != ABSENT))

    def words(self) -> str:
        """How many are found, and what became of the others, for a note."""
        n = len(self.rows)
        how = {
            "count the other allele": self.is_swapped & ~self.is_flipped,
            "are named on the other strand": self.is_flipped & ~self.is_swapped,
            "are both": self.is_flipped & self.is_swapped,
        }
        lost = {
            "are absent": (self.rows == ABSENT) & ~self.is_ambiguous & ~self.has_other_alleles,
            "have other alleles there": self.has_other_alleles,
            "are ambiguous (A/T or C/G, of a frequency that is near a half or not known)": self.is_ambiguous,
        }
        found, others = _listed(how, "; of these "), _listed(lost, ". Of the others ")
        return f"{self.n_found:,} of {n:,} variants are found{found}{others}."


class _Alleles(NamedTuple):
    """Codes of alleles, one for each spelling in upper case, and of their complements; -1 where there is none."""

    wanted_counted: IntArray
    wanted_other: IntArray
    found_counted: IntArray
    found_other: IntArray
    complement: IntArray


class Pairs(NamedTuple):
    """Rows of both tables that stand at the same place, or have the same ID."""

    wanted: IntArray
    found: IntArray


def match_alleles(wanted: VariantTable, found: VariantTable, *, ambiguous_maf: float = 0.4) -> AlleleMatch:
    """The row of each wanted variant in another table.

    Variants are the same at one place (chr1 and 1 are one contig, so are X and 23) with the same two alleles; without a
    position in one of both tables, by ID and alleles. Of several, the one that is spelled most alike is taken. Alleles
    of one letter may be named on the other strand.

    Args:
        wanted: for which rows are looked for.
        found: where.
        ambiguous_maf: A/T and C/G variants whose rarer allele is more frequent than this in either table are ambiguous;
            all of them are where a frequency isn't known.
    """
    alleles = _codes(wanted, found)
    pairs = pair_places(wanted, found)
    closeness = _closeness(pairs, alleles)
    order = np.lexsort((pairs.found, closeness, pairs.wanted))
    firsts = order[np.unique(pairs.wanted[order], return_index=True)[1]]
    rows = np.full(len(wanted.ids), ABSENT, dtype=np.int64)
    how = np.full(len(wanted.ids), _NO_MATCH, dtype=np.int64)
    rows[pairs.wanted[firsts]], how[pairs.wanted[firsts]] = pairs.found[firsts], closeness[firsts]
    has_other_alleles = (rows != ABSENT) & (how == _NO_MATCH)
    rows[has_other_alleles] = ABSENT
    is_swapped, is_flipped = np.isin(how, (1, 3)), np.isin(how, (2, 3))
    is_palindrome = (rows != ABSENT) & (alleles.wanted_counted == alleles.complement[alleles.wanted_other])
    is_ambiguous, is_turned = _strands(
        wanted,
        found,
        rows,
        palindromes=np.flatnonzero(is_palindrome),
        is_swapped=is_swapped,
        ambiguous_maf=ambiguous_maf,
    )
    rows[is_ambiguous] = ABSENT
    is_used = rows != ABSENT
    return AlleleMatch(
        rows, (is_swapped ^ is_turned) & is_used, (is_flipped | is_turned) & is_used, is_ambiguous, has_other_alleles
    )


def turned_round(dosage: DosageArray) -> DosageArray:
    """Copies of the other allele: two less the dosage, missing where it is; of any shape, in the same code."""
    whole = 2 if dosage.dtype == np.int8 else 2 * DOSAGE_STEPS
    turned = dosage.copy()
    np.subtract(whole, dosage, out=turned, where=dosage != missing_code(dosage))
    return turned


def _closeness(pairs: Pairs, alleles: _Alleles) -> IntArray:
    """(pair,) 0: the same alleles are counted; 1: swapped; 2: flipped; 3: both; 4: other alleles."""
    counted, other = alleles.wanted_counted[pairs.wanted], alleles.wanted_other[pairs.wanted]
    theirs, others = alleles.found_counted[pairs.found], alleles.found_other[pairs.found]
    flipped, flipped_other = alleles.complement[theirs], alleles.complement[others]
    ways = [(theirs, others), (others, theirs), (flipped, flipped_other), (flipped_other, flipped)]
    fits = [(counted == one) & (other == two) for one, two in ways]
    return np.select(fits, range(len(fits)), default=_NO_MATCH).astype(np.int64)


def _strands(
    wanted: VariantTable,
    found: VariantTable,
    rows: IntArray,
    *,
    palindromes: IntArray,
    is_swapped: Flags,
    ambiguous_maf: float,
) -> tuple[Flags, Flags]:
    """(wanted,) each: which are ambiguous, and which the frequency shows to be on the other strand."""
    is_ambiguous, is_turned = np.zeros((2, len(rows)), dtype=np.bool_)
    if wanted.frequency is None or found.frequency is None:
        is_ambiguous[palindromes] = True
        return is_ambiguous, is_turned
    ours = wanted.frequency[palindromes].astype(np.float64)
    theirs = found.frequency[rows[palindromes]].astype(np.float64)
    theirs = np.where(is_swapped[palindromes], 1 - theirs, theirs)
    nearest = np.maximum(np.minimum(ours, 1 - ours), np.minimum(theirs, 1 - theirs))
    is_ambiguous[palindromes] = np.isnan(nearest) | (nearest > ambiguous_maf)
    is_turned[palindromes] = (ours < 0.5) != (theirs < 0.5)
    return is_ambiguous, is_turned & ~is_ambiguous


def pair_places(wanted: VariantTable, found: VariantTable) -> Pairs:
    """Rows of one place, whatever their alleles; without a position in one of both tables, of one ID."""
    ours, theirs = _place_keys(wanted, found)
    has_place, has_their_place = wanted.starts != NO_POSITION, found.starts != NO_POSITION
    by_place = _joined(ours, np.flatnonzero(has_place), theirs, np.flatnonzero(has_their_place))
    parts = [by_place]
    if not has_place.all() or not has_their_place.all():
        is_left = np.ones(len(ours), dtype=np.bool_)
        is_left[by_place.wanted] = False
        everywhere = np.arange(len(theirs))
        nowhere = np.flatnonzero(~has_their_place)
        parts.append(_joined(wanted.ids, np.flatnonzero(~has_place), found.ids, everywhere))
        parts.append(_joined(wanted.ids, np.flatnonzero(has_place & is_left), found.ids, nowhere))
    return Pairs(*(np.concatenate(rows) for rows in zip(*parts, strict=True)))


def _joined(
    ours: IntArray | TextArray, our_rows: IntArray, theirs: IntArray | TextArray, their_rows: IntArray
) -> Pairs:
    """Rows with the same key."""
    if not len(our_rows) or not len(their_rows):
        return Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    left = pd.DataFrame({"key": ours[our_rows], "wanted": our_rows})
    right = pd.DataFrame({"key": theirs[their_rows], "found": their_rows})
    both = left.merge(right, on="key")
    return Pairs(both["wanted"].to_numpy(dtype=np.int64), both["found"].to_numpy(dtype=np.int64))


def _place_keys(wanted: VariantTable, found: VariantTable) -> tuple[IntArray, IntArray]:
    """(variant,) of each table: one number for contig and start."""
    numbers: dict[str, int] = {}
    keys = []
    contigs = [contig_codes(table.contigs) for table in (wanted, found)]
    common = common_names(name for names, _ in contigs for name in names)
    for table, (names, codes) in zip((wanted, found), contigs, strict=True):
        of_name = np.array([numbers.setdefault(common[name], len(numbers)) for name in names], dtype=np.int64)
        of_variant = of_name[codes] if len(codes) else np.empty(0, dtype=np.int64)
        keys.append((of_variant << _PLACE_BITS) + table.starts)
    return keys[0], keys[1]


def _codes(wanted: VariantTable, found: VariantTable) -> _Alleles:
    """One code for each allele, in upper case."""
    columns = [column.astype(object) for column in (wanted.counted, wanted.other, found.counted, found.other)]
    codes, spellings = pd.factorize(np.concatenate([*columns, np.array([*_COMPLEMENTS], dtype=object)]))
    upper, names = pd.factorize(np.array([str(allele).upper() for allele in spellings], dtype=object))
    code_of = {name: code for code, name in enumerate(names.tolist())}
    complement = np.full(len(names), ABSENT, dtype=np.int64)
    for allele, other in _COMPLEMENTS.items():
        complement[code_of[allele]] = code_of[other]
    ends = np.cumsum([len(column) for column in columns])
    each = np.split(upper[codes].astype(np.int64), ends)
    return _Alleles(each[0], each[1], each[2], each[3], complement)


def _listed(groups: dict[str, Flags], start: str) -> str:
    """Those groups that hold some, in words."""
    counts = {words: int(np.count_nonzero(flags)) for words, flags in groups.items()}
    said = [f"{n:,} {words}" for words, n in counts.items() if n]
    return start + ", ".join(said) if said else ""
