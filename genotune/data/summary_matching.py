"""Which row of an outside GWAS is which variant of a fileset, and what it says of the counted allele."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.data.summary_statistics import SummaryStatistics
from genotune.errors import DataError
from genotune.genome.contig_names import match_contigs, style_of
from genotune.store import NO_POSITION, IntArray, Values, Variants


class VariantStatistics(NamedTuple):
    """What a table says of the variants of a fileset; (variant,) each.

    Attributes:
        rows: int64, of the table; -1 of a variant that it doesn't have.
        log10_p: NaN where it has none.
        effect: of a copy of the counted allele; NaN also where alleles aren't known.
        standard_error: of the effect.
        notes: how many were matched, for a person.
    """

    rows: IntArray
    log10_p: Values
    effect: Values
    standard_error: Values
    notes: tuple[str, ...]


def match_statistics(statistics: SummaryStatistics, variants: Variants) -> VariantStatistics:
    """The rows of the variants: of the same contig, position and alleles; by ID where either side has no position.

    A row whose effect allele is the variant's other one counts with its effect's sign turned. One that names no other
    allele must name one of both; one that names none is matched by its place alone, and its effect isn't known.
    Complements of alleles (another strand) are not the same alleles. Contigs match as in match_contigs.

    Raises:
        DataError: two rows are one variant, or no row is any of them.
    """
    rows = np.full(len(variants.ids), -1, dtype=np.int64)
    n_other_alleles = 0
    for variant, row in _candidates(statistics, variants):
        if not _same_alleles(statistics, row, variants, variant):
            n_other_alleles += 1
        elif rows[variant] >= 0:
            before = statistics.lines[rows[variant]]
            raise DataError(
                f"{statistics.place(row)}: {variants.ids[variant]} stands in line {before} too. Delete one."
            )
        else:
            rows[variant] = row
    has_row = rows >= 0
    n = int(np.count_nonzero(has_row))
    if not n:
        raise DataError(
            f"{statistics.label}: none of its {len(statistics.lines):,} variants is one of the {len(rows):,} of the "
            "genotypes, by position and alleles or ID. Is it of another assembly?"
        )
    effect, error, log10_p = (np.full(len(rows), np.nan) for _ in range(3))
    chosen = rows[has_row]
    log10_p[has_row] = statistics.log10_p[chosen]
    sign = _sign(statistics, chosen, variants, has_row)
    effect[has_row] = sign * statistics.effect[chosen]
    error[has_row] = np.abs(sign) * statistics.standard_error[chosen]
    notes = [f"{statistics.label}: has {n:,} of the {len(rows):,} variants."]
    if n_other_alleles:
        notes.append(f"{statistics.label}: {n_other_alleles:,} rows lie at a variant and have other alleles; left out.")
    return VariantStatistics(rows, log10_p, effect, error, tuple(notes))


def _candidates(statistics: SummaryStatistics, variants: Variants) -> list[tuple[int, int]]:
    """Pairs of a variant and a row that have the same place, or the same ID where one of them has no place; by row."""
    theirs = _places(statistics.contigs, statistics.starts, _contig_codes(statistics, variants))
    ours = _places(variants.contigs, variants.starts, {name: i for i, name in enumerate(np.unique(variants.contigs))})
    pairs = set(_same(ours, theirs, has_one=ours >= 0, theirs_has=theirs >= 0))
    for mine, other in ((ours < 0, slice(None)), (slice(None), statistics.starts == NO_POSITION)):
        has_id, theirs_has_id = np.zeros(len(ours), np.bool_), np.zeros(len(theirs), np.bool_)
        has_id[mine], theirs_has_id[other] = True, True
        theirs_has_id &= statistics.ids != ""
        pairs |= set(
            _same(variants.ids, statistics.ids, has_one=has_id & (variants.ids != "."), theirs_has=theirs_has_id)
        )
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def _contig_codes(statistics: SummaryStatistics, variants: Variants) -> dict[str, int]:
    """Number of each contig of the table among those of the variants, by the table's name of it."""
    ours, theirs = np.unique(variants.contigs).tolist(), set(np.unique(statistics.contigs).tolist())
    names = match_contigs(ours, theirs, style=style_of(theirs, ours))
    return {names[contig]: code for code, contig in enumerate(ours) if contig in names}


def _places(contigs: NDArray[np.str_], starts: IntArray, codes: dict[str, int]) -> IntArray:
    """One number for contig and position; -1 without."""
    names, place = np.unique(contigs, return_inverse=True)
    numbers = np.array([codes.get(name, -1) for name in names.tolist()], dtype=np.int64)[place]
    return np.where((numbers >= 0) & (starts != NO_POSITION), (numbers << 40) + starts, -1)


def _same(
    ours: NDArray[np.generic], theirs: NDArray[np.generic], *, has_one: NDArray[np.bool_], theirs_has: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Pairs (ours, theirs) of equal values among those that have one."""
    of_value: dict[object, list[int]] = {}
    for index in np.flatnonzero(has_one).tolist():
        of_value.setdefault(ours[index].item(), []).append(index)
    rows = np.flatnonzero(theirs_has & np.isin(theirs, ours[has_one]))
    return [(index, row) for row in rows.tolist() for index in of_value[theirs[row].item()]]


def _same_alleles(statistics: SummaryStatistics, row: int, variants: Variants, variant: int) -> bool:
    effect, other = statistics.effect_allele[row], statistics.other_allele[row]
    alleles = {variants.counted[variant].upper(), variants.other[variant].upper()}
    return {effect, other} - {""} == alleles if other else effect in alleles | {""}


def _sign(statistics: SummaryStatistics, rows: IntArray, variants: Variants, chosen: NDArray[np.bool_]) -> Values:
    """1 where the effect allele is the counted one, -1 where it is the other, NaN where it isn't named."""
    alleles = statistics.effect_allele[rows]
    counted = np.strings.upper(variants.counted[chosen])
    return np.where(alleles == counted, 1.0, np.where(alleles == "", np.nan, -1.0))
