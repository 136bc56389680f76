"""Summary statistics of an outside GWAS: a table of variants with alleles, effects and p-values.

Read are PLINK 2 (.glm.linear, .glm.logistic, ...), PLINK 1 (.assoc, .assoc.linear, ...), the GWAS catalog (its standard
GWAS-SSF and its older harmonised files) and plain tables with the usual names of columns; each also as .gz.
"""

import gzip
import io
import re
import zlib
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.data.files import InputFile
from genotune.errors import DataError
from genotune.genome.contig_names import name_some
from genotune.genome.p_values import log10_p_of_z
from genotune.store import NO_POSITION, IntArray, TextArray, Values

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "contig": ("hm_chrom", "chrom", "chr", "chromosome", "contig"),
    "position": ("hm_pos", "pos", "bp", "position", "base_pair_location", "base_pair_position"),
    "id": ("hm_rsid", "rsid", "rs_id", "id", "snp", "snpid", "markername", "marker", "variant_id", "variant"),
    "effect_allele": ("hm_effect_allele", "a1", "effect_allele", "ea", "tested_allele", "allele1"),
    "other_allele": ("hm_other_allele", "a2", "other_allele", "nea", "non_effect_allele", "allele2", "omitted", "ax"),
    "reference": ("ref",),
    "alternate": ("alt",),
    "effect": ("hm_beta", "beta", "effect", "b", "effect_size", "log_odds"),
    "odds_ratio": ("hm_odds_ratio", "or", "odds_ratio"),
    "standard_error": ("se", "log(or)_se", "standard_error", "stderr", "sebeta"),
    "p": ("p", "p_value", "pval", "pvalue", "p-value", "p.value", "p_val"),
    "minus_log10_p": (
        "neg_log_10_p_value",
        "neg_log10_p_value",
        "log10_p",
        "mlogp",
        "mlog10p",
        "log10p",
        "neg_log10_p",
    ),
    "frequency": ("hm_effect_allele_frequency", "a1_freq", "effect_allele_frequency", "eaf", "a1freq", "freq"),
    "test": ("test",),
}
"""How files name each column, in any case, the one that is taken first where a file has several."""

MISSING: Final = ("", "NA", "na", "NaN", "nan", "N/A", ".", "#NA", "NULL")

_ADDITIVE: Final = "ADD"
_DECIMAL: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+))?")
_COLUMNS: Final = (
    "It needs a p-value (P, p_value, LOG10_P ...), and a position (CHR and BP, or CHROM and POS ...) or an ID (SNP, "
    "ID, rsid ...)."
)


class SummaryStatistics(NamedTuple):
    """One row a variant that has a p-value, in the order of the file; (row,) each.

    Attributes:
        label: what a person calls the file.
        lines: int64, of the file, the first being 1.
        ids: '' where the file has none.
        contigs: as the file names them; '' where it has none.
        starts: 0-based first base; `NO_POSITION` where the file has none.
        effect_allele: whose copies the effect is of, in upper case; '' where the file has none.
        other_allele: the other one.
        effect: of a copy of the effect allele, of odds as their logarithm; NaN where not known.
        standard_error: of the effect; NaN where not known.
        log10_p: below zero; of a p-value of 0 by effect and standard error, -inf without them.
        frequency: of the effect allele; NaN where not known.
        notes: what was left out, for a person.
    """

    label: str
    lines: IntArray
    ids: TextArray
    contigs: TextArray
    starts: IntArray
    effect_allele: TextArray
    other_allele: TextArray
    effect: Values
    standard_error: Values
    log10_p: Values
    frequency: Values
    notes: tuple[str, ...]

    def place(self, row: int) -> str:
        """Where a row stands, as messages say it: 'gwas.tsv.gz:17'."""
        return f"{self.label}:{self.lines[row]}"


class _Table(NamedTuple):
    """A file as text.

    Attributes:
        label: what a person calls it.
        columns: (row,) cells of each column that is known, by the key in `NAMES`.
        names: of those columns, as the file has them.
        first_line: of row 0.
    """

    label: str
    columns: Mapping[str, TextArray]
    names: Mapping[str, str]
    first_line: int

    def where(self, rows: NDArray[np.bool_]) -> str:
        """The place of the first of the rows."""
        return f"{self.label}:{self.first_line + int(np.argmax(rows))}"


def read_summary_statistics(file: InputFile) -> SummaryStatistics:
    """The table of a file. Rows without p-value, and of other tests than that of a copy (TEST is ADD), are left out.

    Raises:
        DataError: it is missing, torn, no table, has no p-values, or a cell is no number, or out of its range.
    """
    table = _read(file)
    n = len(next(iter(table.columns.values())))
    log10_p = _log10_p(table)
    is_additive = table.columns["test"] == _ADDITIVE if "test" in table.columns else np.ones(n, dtype=np.bool_)
    has_p = ~np.isnan(log10_p)
    kept = is_additive & has_p
    notes = []
    if not is_additive.all():
        notes.append(
            f"{file.label}: {n - np.count_nonzero(is_additive):,} rows of other tests than {_ADDITIVE}, left out."
        )
    if not has_p[is_additive].all():
        notes.append(f"{file.label}: {np.count_nonzero(~has_p & is_additive):,} variants without a p-value, left out.")
    if not kept.any():
        raise DataError(f"{file.label}: none of its {n} rows holds a p-value. Name the table of results.")
    effect, error = _effect(table, n), _number(table, "standard_error", n, least=0)
    effect_allele, other_allele = _alleles(table, n)
    frequency = _number(table, "frequency", n, least=0, most=1)
    is_zero = np.isneginf(log10_p) & (error > 0) & np.isfinite(effect)
    log10_p[is_zero] = log10_p_of_z(effect[is_zero] / error[is_zero])
    return SummaryStatistics(
        file.label,
        (np.arange(n) + table.first_line)[kept],
        _text(table, "id", n)[kept],
        _text(table, "contig", n)[kept],
        _starts(table, n)[kept],
        effect_allele[kept],
        other_allele[kept],
        effect[kept],
        error[kept],
        log10_p[kept],
        frequency[kept],
        tuple(notes),
    )


def leak_warning(label: str) -> str:
    """What a person must know before variants are chosen or weighted by such a table."""
    return (
        f"{label}: variants are chosen by the results of another study. If any of these samples was part of it, it has "
        "seen validation and test samples, and scores come out too high. Use a study of other people, or one that left "
        "these out; genotune can't check this."
    )


def _read(file: InputFile) -> _Table:
    if not file.path.is_file():
        raise DataError(
            f"{file.label}: no such file (looked for {file.path}). Paths are relative to the spec's folder."
        )
    header, line = _header(file)
    mark = next((mark for mark in "\t," if mark in header), None)
    cells = header.split() if mark is None else [cell.strip() for cell in header.split(mark)]
    names = _known_columns(file.label, cells)
    columns = _parse(
        file, header_line=line, mark=mark, n_columns=len(cells), chosen=[cells.index(x) for x in names.values()]
    )
    if not len(columns[0]):
        raise DataError(f"{file.label}: holds a header and no rows. Copy it again.")
    return _Table(file.label, dict(zip(names, columns, strict=True)), names, line + 1)


def _parse(
    file: InputFile, *, header_line: int, mark: str | None, n_columns: int, chosen: list[int]
) -> list[TextArray]:
    """Cells of the chosen columns after the header, without the blanks around them; without a mark, blanks separate."""
    import pyarrow as pa
    from pyarrow import csv

    ragged: list[tuple[int, int]] = []

    def note(row: csv.InvalidRow) -> Literal["skip"]:
        ragged.append((row.number, row.actual_columns))
        return "skip"

    opens = gzip.open if _is_packed(file) else open
    try:
        with opens(file.path, "rb") as lines:
            content = lines if mark else io.BytesIO(b"\n".join(b" ".join(line.split()) for line in lines))
            read = csv.read_csv(
                content,
                read_options=csv.ReadOptions(
                    use_threads=False, skip_rows=header_line, column_names=[str(i) for i in range(n_columns)]
                ),
                parse_options=csv.ParseOptions(
                    delimiter=mark or " ",
                    ignore_empty_lines=False,
                    invalid_row_handler=note,
                ),
                convert_options=csv.ConvertOptions(
                    include_columns=[str(i) for i in chosen],
                    column_types={str(i): pa.string() for i in chosen},
                    strings_can_be_null=False,
                ),
            )
    except (pa.ArrowException, EOFError, OSError, zlib.error) as error:
        raise _unreadable(file.label, error) from error
    if ragged:
        number, found = ragged[0]
        more = f" And {len(ragged) - 1} more." if len(ragged) > 1 else ""
        raise DataError(
            f"{file.label}:{number}: {found} cells; the header names {n_columns} columns. Is the file damaged? Copy it "
            f"again.{more}"
        )
    return [np.strings.strip(column.to_numpy().astype(np.str_)) for column in read.columns]


def _unreadable(label: str, error: Exception) -> DataError:
    return DataError(f"{label}: can't be read ({error}). Is it a table of text, or damaged? Copy it again.")


def _is_packed(file: InputFile) -> bool:
    with file.path.open("rb") as content:
        return content.read(2) == b"\x1f\x8b"


def _header(file: InputFile) -> tuple[str, int]:
    """The line that names the columns, and its number: the first that isn't blank and doesn't begin with '##'."""
    opens = gzip.open if _is_packed(file) else open
    try:
        with opens(file.path, "rb") as lines:
            for number, content in enumerate(lines, 1):
                text = content.decode("utf-8-sig").rstrip("\r\n")
                if text.strip() and not text.startswith("##"):
                    return text, number
    except (UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
        raise _unreadable(file.label, error) from error
    raise DataError(f"{file.label}: the file is empty. The first line must name the columns. {_COLUMNS}")


def _known_columns(label: str, cells: list[str]) -> dict[str, str]:
    """Of each key in `NAMES` the file's name of the column; keys that it lacks are left out."""
    bare = {cell.removeprefix("#").lower(): cell for cell in reversed(cells)}
    found = {key: bare[name] for key, names in NAMES.items() if (name := next((n for n in names if n in bare), None))}
    has_p = "p" in found or "minus_log10_p" in found
    if not has_p or not ("id" in found or {"contig", "position"} <= found.keys()):
        raise DataError(f"{label}: the header names {name_some(cells, most=12)}. {_COLUMNS}")
    return found


def _text(table: _Table, key: str, n: int) -> TextArray:
    """(row,) cells; '' where missing."""
    if key not in table.columns:
        return np.zeros(n, dtype="<U1")
    cells = table.columns[key]
    return np.where(np.isin(cells, MISSING), "", cells)


def _number(table: _Table, key: str, n: int, *, least: float = -np.inf, most: float = np.inf) -> Values:
    """(row,) numbers; NaN where missing, or the file has no such column."""
    if key not in table.columns:
        return np.full(n, np.nan)
    import pandas as pd

    cells = table.columns[key]
    numbers = pd.to_numeric(pd.Series(cells), errors="coerce").to_numpy(dtype=np.float64, copy=True)
    is_missing = np.isin(cells, MISSING)
    numbers[is_missing] = np.nan
    wrong = np.isnan(numbers) & ~is_missing
    if wrong.any():
        _refuse(table, key, wrong, "is no number")
    outside = (numbers < least) | (numbers > most)
    if outside.any():
        bounds = f"from {least:g} to {most:g}" if np.isfinite(most) else f"{least:g} or above"
        _refuse(table, key, outside, f"is out of range: {bounds}")
    return numbers


def _refuse(table: _Table, key: str, rows: NDArray[np.bool_], fault: str) -> None:
    n, found = int(np.count_nonzero(rows)), str(table.columns[key][int(np.argmax(rows))])
    more = f" And {n - 1} more." if n > 1 else ""
    raise DataError(f"{table.where(rows)}: {table.names[key]}: {found!r} {fault}. Mend it, or write NA.{more}")


def _log10_p(table: _Table) -> Values:
    n = len(next(iter(table.columns.values())))
    if "p" not in table.columns:
        return -_number(table, "minus_log10_p", n, least=0)
    p = _number(table, "p", n, least=0, most=1)
    logs = np.log10(p, out=np.full(n, -np.inf), where=p != 0)
    # A float64 ends at 1e-308; files of biobanks go on.
    for row in np.flatnonzero(p < np.finfo(np.float64).tiny):
        parts = _DECIMAL.fullmatch(table.columns["p"][row])
        if parts and float(parts[1]) > 0:
            logs[row] = np.log10(float(parts[1])) + int(parts[2] or 0)
    return logs


def _effect(table: _Table, n: int) -> Values:
    """(row,) by the column of effects, and where that holds none by the one of odds ratios."""
    effect = _number(table, "effect", n)
    odds = _number(table, "odds_ratio", n, least=0)
    by_odds = np.isnan(effect) & (odds > 0)
    effect[by_odds] = np.log(odds[by_odds])
    return effect


def _alleles(table: _Table, n: int) -> tuple[TextArray, TextArray]:
    """The effect allele and the other. Of reference and alternate, the alternate has the effect unless one is named."""
    reference, alternate = (np.strings.upper(_text(table, key, n)) for key in ("reference", "alternate"))
    effect = np.strings.upper(_text(table, "effect_allele", n)) if "effect_allele" in table.columns else alternate
    if "other_allele" in table.columns:
        return effect, np.strings.upper(_text(table, "other_allele", n))
    other = np.where(effect == alternate, reference, np.where(effect == reference, alternate, ""))
    return effect, other


def _starts(table: _Table, n: int) -> IntArray:
    numbers = _number(table, "position", n)
    uneven = ~np.isnan(numbers) & (numbers != np.floor(numbers))
    if uneven.any():
        _refuse(table, "position", uneven, "is no whole number")
    has_one = numbers > 0
    starts = np.full(n, NO_POSITION, dtype=np.int64)
    starts[has_one] = numbers[has_one].astype(np.int64) - 1
    return starts
