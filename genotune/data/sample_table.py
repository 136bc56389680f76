"""A table of samples: a header, a row for each sample, an ID column, and phenotypes or covariates as text.

Read are text (.tsv, .csv, .txt, each also as .gz) and .parquet.
"""

import csv
import difflib
import gzip
import io
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.data.files import InputFile
from genotune.errors import DataError
from genotune.genome.contig_names import name_some
from genotune.store import TextArray

_FAMILY: Final = "fid"
_INDIVIDUAL: Final = "iid"
_DELIMITERS: Final = {".tsv": "\t", ".csv": ",", ".txt": None}
_BLANKS: Final = re.compile(r'("[^"]*")|[ \t]+')
_AGAIN: Final = "Copy it again."
_HEADER: Final = "The first line must name the columns, IID among them (and FID, if samples have a family ID)."


class PhenotypeTable(NamedTuple):
    """A table of samples, as text.

    Attributes:
        label: what a person calls the file.
        fids: (row,) family IDs; None without such a column.
        iids: (row,) individual IDs.
        columns: (row,) cells of each other column, as in the file; '' where empty.
        first_line: number of row 0: its line in a text file, 1 in a .parquet.
    """

    label: str
    fids: TextArray | None
    iids: TextArray
    columns: Mapping[str, TextArray]
    first_line: int

    def place(self, row: int) -> str:
        """Where a row stands, as messages say it: 'table.tsv:17', or 'table.parquet: row 16'."""
        number = self.first_line + row
        return f"{self.label}: row {number}" if _is_parquet(self.label) else f"{self.label}:{number}"


class _Cells(NamedTuple):
    """A table before it is known which columns are IDs."""

    header: list[str]
    columns: list[Sequence[str]]
    first_line: int


def read_table(file: InputFile, *, id_column: str = "IID") -> PhenotypeTable:
    """A table of samples. IDs and names of columns lose the blanks around them; other cells stay as they are.

    In a .parquet numbers become the text that Python writes (0.5, 1 for an integer), booleans 1 and 0.

    Args:
        file: that holds it.
        id_column: holds the individual IDs.

    Raises:
        DataError: it is missing, empty, no table, ragged, has no column of IDs, or a column or a sample twice.
    """
    if not file.path.is_file():
        raise DataError(
            f"{file.label}: no such file (looked for {file.path}). Paths are relative to the spec's folder."
        )
    if not file.path.stat().st_size:
        raise DataError(f"{file.label}: the file is empty. {_HEADER}")
    cells = _read_parquet(file) if _is_parquet(file.path.name) else _read_text(file)
    header = _with_iid(file.label, [name.strip() for name in cells.header], id_column=id_column)
    _check_header(file.label, header)
    ids = {
        _id_kind(name): np.strings.strip(_array(cells.columns[i])) for i, name in enumerate(header) if _id_kind(name)
    }
    columns = {name: _array(cells.columns[i]) for i, name in enumerate(header) if not _id_kind(name)}
    table = PhenotypeTable(file.label, ids.get(_FAMILY), ids[_INDIVIDUAL], columns, cells.first_line)
    _check_ids(table)
    return table


def _with_iid(label: str, header: list[str], *, id_column: str) -> list[str]:
    """The header with the column of individual IDs under the name IID, where it has another."""
    if _id_kind(id_column) == _INDIVIDUAL:
        return header
    if id_column not in header:
        raise DataError(f"{label}: no column {id_column!r} with the samples' IDs; it has {name_some(header, most=8)}.")
    if any(_id_kind(name) == _INDIVIDUAL for name in header):
        raise DataError(f"{label}: {id_column!r} is to hold the IDs, and there is a column IID too. Rename one.")
    return ["IID" if name == id_column else name for name in header]


def column_problem(table: PhenotypeTable, name: str) -> str | None:
    """What is wrong with the name of a phenotype or covariate: None if the table has such a column."""
    if name in table.columns:
        return None
    if _id_kind(name):
        return f"{name!r} holds the IDs of {table.label}; name another column."
    near = difflib.get_close_matches(name, table.columns, n=1) or [
        known for known in table.columns if known.lower() == name.lower()
    ]
    if near:
        return f"{table.label} has no column {name!r}. Did you mean {near[0]!r}?"
    has = f"It has {name_some(table.columns, most=8)}" if table.columns else "It has none beside the IDs"
    return f"{table.label} has no column {name!r}. {has}."


def _is_parquet(name: str) -> bool:
    return name.lower().endswith(".parquet")


def _id_kind(name: str) -> str | None:
    bare = name.removeprefix("#").lower()
    return bare if bare in (_FAMILY, _INDIVIDUAL) else None


def _array(cells: Sequence[str]) -> TextArray:
    return np.array(cells, dtype=np.str_)


def _check_header(label: str, header: list[str]) -> None:
    twice = [name for name, n in Counter(header).items() if n > 1]
    if twice:
        verb = "stands" if len(twice) == 1 else "stand"
        raise DataError(f"{label}: column {name_some(twice)} {verb} twice in the header. Rename or delete one.")
    for kind in (_FAMILY, _INDIVIDUAL):
        named = [name for name in header if _id_kind(name) == kind]
        if len(named) > 1:
            raise DataError(f"{label}: {name_some(named)} are all columns {kind.upper()}. Rename or delete one.")
    if not any(_id_kind(name) == _INDIVIDUAL for name in header):
        other = next((mark for mark in "\t;," if len(header) == 1 and mark in header[0]), None)
        hint = f" Is it separated by {other!r}? A .csv has commas, a .tsv tabs." if other else ""
        raise DataError(f"{label}: no column IID; the first line names {name_some(header, most=8)}. {_HEADER}{hint}")


def _check_ids(table: PhenotypeTable) -> None:
    fids = [""] * len(table.iids) if table.fids is None else table.fids.tolist()
    ids = list(zip(table.iids.tolist(), fids, strict=True))
    empty = next((row for row, (iid, _) in enumerate(ids) if not iid), None)
    if empty is not None:
        raise DataError(f"{table.place(empty)}: IID is empty; each row says whose it is. Delete the row or name it.")
    first: dict[tuple[str, str], int] = {}
    faults = []
    for row, sample in enumerate(ids):
        before = first.setdefault(sample, row)
        if before != row:
            name = f"IID {sample[0]!r}" if table.fids is None else f"FID {sample[1]!r}, IID {sample[0]!r}"
            number = table.first_line + before
            unit = "row" if _is_parquet(table.label) else "line"
            faults.append(f"{table.place(row)}: {name} stands in {unit} {number} too; a sample has one row.")
    if faults:
        more = f" And {len(faults) - 1} more." if len(faults) > 1 else ""
        raise DataError(f"{faults[0]} Delete one.{more}")


def _read_text(file: InputFile) -> _Cells:
    name = file.path.name.lower().removesuffix(".gz")
    ending = next((ending for ending in _DELIMITERS if name.endswith(ending)), None)
    if ending is None:
        raise DataError(
            f"{file.label}: of no known kind; a table ends with .tsv, .csv or .txt (also with .gz after it) or "
            ".parquet."
        )
    lines = [line.rstrip("\n") for line in io.StringIO(_text(file), newline=None)]
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if not filled:
        raise DataError(f"{file.label}: holds blank lines only. {_HEADER}")
    first = filled[0]
    lines = lines[first : filled[-1] + 1]
    header, *rows = _rows(file.label, lines, delimiter=_delimiter(ending, lines[0]), first_line=first + 1)
    if not rows:
        raise DataError(f"{file.label}: holds a header and no rows. {_AGAIN}")
    _check_ragged(file.label, header, rows=rows, first_line=first + 2)
    return _Cells(header, list(zip(*rows, strict=True)), first + 2)


def _text(file: InputFile) -> str:
    content = file.path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{file.label}: can't be unpacked ({error}): cut short or damaged. {_AGAIN}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = content[error.start : error.start + 1].hex()
        message = f"{file.label}:{line}: not text: the byte {wrong} is no UTF-8. Save the table as text in UTF-8."
        raise DataError(message) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{file.label}:{line}: not text: it holds zero bytes. Save the table as text in UTF-8.")
    return text


def _delimiter(ending: str, header: str) -> str | None:
    """None: any blanks."""
    return "\t" if ending == ".txt" and "\t" in header else _DELIMITERS[ending]


def _rows(label: str, lines: list[str], *, delimiter: str | None, first_line: int) -> list[list[str]]:
    """Cells of each line; quotes around a cell are taken off."""
    ready: Iterator[str] = iter(lines)
    if delimiter is None:
        ready = (_BLANKS.sub(lambda match: match[1] or " ", line.strip(" \t")) for line in lines)
    reader = csv.reader(ready, delimiter=delimiter or " ")
    rows: list[list[str]] = []
    try:
        for row in reader:
            number = first_line + len(rows)
            if reader.line_num > len(rows) + 1:
                raise DataError(
                    f'{label}:{number}: a quote (") is opened and not closed in its line. Close or delete it.'
                )
            if not any(row):
                raise DataError(f"{label}:{number}: an empty line among the rows. Delete it.")
            rows.append(row)
    except csv.Error as error:
        raise DataError(f"{label}:{first_line + len(rows)}: can't be read as a table ({error}).") from error
    return rows


def _check_ragged(label: str, header: list[str], *, rows: list[list[str]], first_line: int) -> None:
    ragged = [(first_line + row, len(cells)) for row, cells in enumerate(rows) if len(cells) != len(header)]
    if not ragged:
        return
    number, found = ragged[0]
    more = f" And {len(ragged) - 1} more." if len(ragged) > 1 else ""
    advice = "An empty cell still needs its separator."
    if len(ragged) == len(rows) and {n for _, n in ragged} == {len(header) + 1}:
        advice = "Are the first cells R's names of rows? Write it with row.names = FALSE."
    raise DataError(f"{label}:{number}: {found} cells; the header names {len(header)} columns. {advice}{more}")


def _read_parquet(file: InputFile) -> _Cells:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file.path).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file.label}: can't be read as a .parquet ({error}). {_AGAIN}") from error
    if not table.num_rows:
        raise DataError(f"{file.label}: holds columns and no rows. {_AGAIN}")
    for name, kind in zip(table.schema.names, table.schema.types, strict=True):
        if _id_kind(name.strip()) and pa.types.is_floating(kind):
            raise DataError(
                f"{file.label}: column {name} holds numbers with a decimal point ({kind}); an ID is text or a whole "
                "number. Write the table again with the IDs as text."
            )
    return _Cells(table.schema.names, [_arrow_text(column) for column in table.columns], 1)


def _arrow_text(column: Any) -> list[str]:
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_boolean(kind):
        return ["" if cell is None else str(int(cell)) for cell in column.to_pylist()]
    cells = column.to_pylist()
    if pa.types.is_floating(kind):
        # repr of a Python float would show digits that a narrow column doesn't hold.
        is_narrow = not pa.types.is_float64(kind)
        return ["" if _is_empty(cell) else str(np.float32(cell)) if is_narrow else repr(cell) for cell in cells]
    return ["" if cell is None else str(cell) for cell in cells]


def _is_empty(cell: float | None) -> bool:
    return cell is None or math.isnan(cell)
