"""Which row of an outside GWAS is which variant of a fileset, and what it says of the counted allele."""

from typing import Final, NamedTuple

import numpy as np

from genotune.data.summary_statistics import SummaryStatistics
from genotune.errors import DataError
from genotune.genome.allele_matching import ABSENT, VariantTable, match_alleles, pair_places
from genotune.store import IntArray, Values

_MOST_LINES: Final = 5


class VariantStatistics(NamedTuple):
    """What a table says of the variants of a fileset; (variant,) each.

    Attributes:
        rows: int64, of the table; `ABSENT` of a variant that it doesn't have, or that can't be told.
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


def match_statistics(statistics: SummaryStatistics, variants: VariantTable) -> VariantStatistics:
    """The rows of the variants: of the same place and alleles; by ID where either side has no position.

    Alleles are matched by `match_alleles`: a row may count the other allele, and its effect's sign is turned then, or
    name both on the other strand. One that names no other allele must name one of both; one that names none is matched
    by its place alone, and its effect isn't known.

    Args:
        statistics: the table.
        variants: of the fileset, with their frequency where A/T and C/G variants are to be told; never that of samples
            that are held out.

    Raises:
        DataError: two rows are one variant, or no row is any of them.
    """
    table = _completed(_table_of(statistics), variants)
    match = match_alleles(variants, table)
    n = len(match.rows)
    if not match.n_found and not match.is_ambiguous.any():
        raise DataError(
            f"{statistics.label}: none of its {len(statistics.lines):,} variants is one of the {n:,} of the "
            "genotypes, by position and alleles or ID. Is it of another assembly?"
        )
    _refuse_repeats(statistics, table, variants, rows=match.rows)
    effect, error, log10_p = np.full((3, n), np.nan)
    has_row = match.rows != ABSENT
    rows = match.rows[has_row]
    log10_p[has_row] = statistics.log10_p[rows]
    sign = np.where(match.is_swapped[has_row], -1.0, 1.0)
    sign[statistics.effect_allele[rows] == ""] = np.nan
    effect[has_row] = sign * statistics.effect[rows]
    error[has_row] = np.abs(sign) * statistics.standard_error[rows]
    return VariantStatistics(match.rows, log10_p, effect, error, (f"{statistics.label}: {match.words()}",))


def _table_of(statistics: SummaryStatistics) -> VariantTable:
    return VariantTable(
        statistics.ids,
        statistics.contigs,
        statistics.starts,
        statistics.effect_allele,
        statistics.other_allele,
        statistics.frequency.astype(np.float32),
    )


def _take(table: VariantTable, rows: IntArray) -> VariantTable:
    frequency = None if table.frequency is None else table.frequency[rows]
    return VariantTable(
        table.ids[rows], table.contigs[rows], table.starts[rows], table.counted[rows], table.other[rows], frequency
    )


def _completed(table: VariantTable, variants: VariantTable) -> VariantTable:
    """The table with alleles that it doesn't name taken from the first variant at the place that they fit."""
    gaps = np.flatnonzero(table.other == "")
    if not len(gaps):
        return table
    pairs = pair_places(variants, _take(table, gaps))
    rows = gaps[pairs.found]
    counted, other = (np.strings.upper(column[pairs.wanted]) for column in (variants.counted, variants.other))
    named = np.strings.upper(table.counted[rows])
    is_other = (named == other) & (named != counted)
    fits = np.flatnonzero((named == "") | (named == counted) | is_other)
    fits = fits[np.lexsort((pairs.wanted[fits], rows[fits]))]
    fits = fits[np.unique(rows[fits], return_index=True)[1]]
    widest = np.result_type(table.counted, table.other, counted, other)
    ours, theirs = table.counted.astype(widest), table.other.astype(widest)
    ours[rows[fits]] = np.where(is_other, other, counted)[fits]
    theirs[rows[fits]] = np.where(is_other, counted, other)[fits]
    return table._replace(counted=ours, other=theirs)


def _refuse_repeats(
    statistics: SummaryStatistics, table: VariantTable, variants: VariantTable, *, rows: IntArray
) -> None:
    """Nothing, if no row beside those that were matched is one of the variants too.

    Raises:
        DataError: with the first ones.
    """
    beside = np.setdiff1d(np.arange(len(statistics.lines)), rows)
    again = match_alleles(_take(table, beside), variants).rows
    repeats = np.flatnonzero((again != ABSENT) & (rows[again] != ABSENT))
    faults = [
        f"{statistics.place(row)}: {variants.ids[variant]} stands in line {statistics.lines[rows[variant]]} too. "
        "Delete one."
        for row, variant in zip(beside[repeats].tolist(), again[repeats].tolist(), strict=True)
    ]
    if faults:
        more = [f"And {len(faults) - _MOST_LINES:,} more of them."] if len(faults) > _MOST_LINES else []
        raise DataError("\n".join(faults[:_MOST_LINES] + more))
