"""Further tables of samples (expression, proteins, clinical facts) as typed columns; nothing of them is fitted here."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from genotune.data.cells import Cells, in_words, read_cells, read_levels
from genotune.data.files import InputFile, kept_in
from genotune.data.plink_files import FamTable
from genotune.data.sample_matching import MatchBy, match_samples
from genotune.data.sample_table import PhenotypeTable, column_problem, read_table
from genotune.data.table_settings import ALL, ColumnKind, TableSettings
from genotune.errors import DataError
from genotune.genome.contig_names import name_some
from genotune.store import FloatArray, IntArray, TableColumn, TextArray

_MOST_LEVELS: Final = 50
_MOST_SHOWN: Final = 3


class TableFile(NamedTuple):
    """A further table that a spec names.

    Attributes:
        name: of the table in the spec.
        file: that holds it.
        settings: what the spec says of it.
    """

    name: str
    file: InputFile
    settings: TableSettings


class Features(NamedTuple):
    """Columns of further tables.

    Attributes:
        values: (sample, column) numbers, of a category the index of its level; NaN where unknown.
        columns: what they are.
        notes: what a person should know: what is missing, what was left out.
    """

    values: FloatArray
    columns: tuple[TableColumn, ...]
    notes: tuple[str, ...]


class _Column(NamedTuple):
    """A column that can be used, or why it can't be."""

    values: FloatArray
    levels: tuple[str, ...]
    tells_nothing: str = ""


def read_features(
    tables: Sequence[TableFile],
    fam: FamTable,
    rows: IntArray,
    *,
    match_by: MatchBy | None,
    fam_label: str,
    trait: str,
) -> Features:
    """The columns of all tables for some samples of a fileset.

    Args:
        tables: in the order of the spec.
        fam: samples of the fileset.
        rows: (sample,) which of them.
        match_by: how samples are found in the phenotypes; a table without family IDs is matched by IID.
        fam_label: what to call the .fam.
        trait: a column of this name is no feature.

    Raises:
        DataError: with every fault of every table.
    """
    faults: list[str] = []
    found = [Features(np.empty((len(rows), 0), dtype=np.float32), (), ())]
    for one in tables:
        with kept_in(faults):
            table = read_table_of(one)
            match = match_samples(
                fam, table, match_by=match_by if table.fids is not None else None, fam_label=fam_label
            )
            found.append(_features(one, table, match.rows[rows], trait=trait))
    if faults:
        raise DataError("\n".join(faults))
    return Features(
        np.concatenate([features.values for features in found], axis=1),
        tuple(column for features in found for column in features.columns),
        tuple(note for features in found for note in features.notes),
    )


def read_table_of(one: TableFile) -> PhenotypeTable:
    """The table with its samples' IDs told from its other columns.

    Raises:
        DataError: it can't be read, or lacks the column of IDs.
    """
    return read_table(one.file, id_column=one.settings.id)


def _features(one: TableFile, table: PhenotypeTable, rows: IntArray, *, trait: str) -> Features:
    """The columns of one table.

    Args:
        one: the table's name and settings.
        table: as read.
        rows: (sample,) row of each sample, -1 where it has none.
        trait: left out where all columns are asked for, else refused.
    """
    is_listed = one.settings.columns != ALL
    names = list(one.settings.columns if is_listed else (name for name in table.columns if name != trait))
    _check_names(one, table, names, trait=trait)
    faults: list[str] = []
    left_out: list[str] = []
    values, columns = [], []
    for name in names:
        with kept_in(faults):
            column = _column(one, table, name, rows=rows)
            if not column.tells_nothing:
                values.append(column.values)
                columns.append(TableColumn(f"{one.name}:{name}", column.levels))
            elif is_listed:
                raise DataError(f"{table.label}: {name}: {column.tells_nothing}. {_remove(one)}")
            else:
                left_out.append(name)
    if faults:
        raise DataError("\n".join(faults))
    if not columns:
        raise DataError(f"{table.label}: no column says anything of these samples. Remove data.tables.{one.name}.")
    found = Features(np.stack(values, axis=1), tuple(columns), ())
    words = f"{table.label} (table {one.name}): {_table_words(found, n_without=int((rows < 0).sum()))}."
    return found._replace(notes=(words, *_left_out_words(table, left_out)))


def _check_names(one: TableFile, table: PhenotypeTable, names: Sequence[str], *, trait: str) -> None:
    where = f"data.tables.{one.name}"
    faults = []
    for name in dict.fromkeys(names):
        fault = column_problem(table, name)
        if fault is not None:
            faults.append(f"{fault} It is named in {where}.columns.")
        elif name == trait:
            faults.append(f"{where}.columns: {name} is the trait itself. Remove it.")
        elif list(names).count(name) > 1:
            faults.append(f"{where}.columns: {name} is named twice. Remove one.")
    faults += [
        f"{where}.kinds: {name} is none of the columns that are used. Remove it, or name it in columns."
        for name in one.settings.kinds
        if name not in names
    ]
    if faults:
        raise DataError("\n".join(faults))


def _column(one: TableFile, table: PhenotypeTable, name: str, *, rows: IntArray) -> _Column:
    """The values of the samples at these rows.

    Raises:
        DataError: the cells aren't what the kind asks for.
    """
    cells = read_cells(table.columns[name], one.settings.missing)
    kind = one.settings.kinds.get(name) or _told_kind(one, table, name, cells=cells)
    levels: tuple[str, ...] = ()
    if kind == "number":
        values = _number(table, name, cells=cells)
    else:
        told = read_levels(cells)
        values, levels = np.where(told.codes < 0, np.nan, told.codes).astype(np.float32), told.names
    found = np.where(rows < 0, np.nan, values[rows]).astype(np.float32)
    known = found[~np.isnan(found)]
    if not len(known):
        return _Column(found, levels, "all values are missing")
    if known.min() == known.max():
        return _Column(found, levels, f"all {len(known):,} known values are the same")
    if levels and len(np.unique(known)) == len(known):
        return _Column(found, levels, "it is text of which each stands once, as a name does")
    if len(levels) > _MOST_LEVELS:
        return _Column(found, levels, f"text of {len(levels):,} levels; at most {_MOST_LEVELS} are taken")
    return _Column(found, levels)


def _told_kind(one: TableFile, table: PhenotypeTable, name: str, *, cells: Cells) -> ColumnKind:
    """What the values look like: numbers, or text.

    Raises:
        DataError: most are numbers, and some are text.
    """
    if cells.are_numbers:
        return "number"
    is_text = np.isnan(cells.numbers) & ~cells.is_missing
    n_numbers = int((~np.isnan(cells.numbers)).sum())
    if n_numbers <= is_text.sum():
        return "category"
    raise DataError(
        f"{table.label}: {name}: {n_numbers:,} numbers, and text: {_shown(table, cells, is_text)}. Mark missing values "
        f"by NA, or set data.tables.{one.name}.kinds: {{{name}: category}}."
    )


def _number(table: PhenotypeTable, name: str, *, cells: Cells) -> FloatArray:
    is_text = np.isnan(cells.numbers) & ~cells.is_missing
    if is_text.any():
        raise DataError(
            f"{table.label}: {name}: text where numbers are wanted: {_shown(table, cells, is_text)}. Mark missing "
            "values by NA, or make it a category (data.tables, kinds)."
        )
    is_too_large = np.abs(cells.numbers) > np.finfo(np.float32).max
    if is_too_large.any():
        raise DataError(
            f"{table.label}: {name}: infinite or too large: {_shown(table, cells, is_too_large)}. Mark them by NA."
        )
    return cells.numbers.astype(np.float32)


def _shown(table: PhenotypeTable, cells: Cells, is_wrong: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> str:
    wrong = np.flatnonzero(is_wrong)
    shown = ", ".join(f"{str(cells.texts[row])!r} ({table.place(int(row))})" for row in wrong[:_MOST_SHOWN])
    return f"{shown} and {len(wrong) - _MOST_SHOWN:,} more" if len(wrong) > _MOST_SHOWN else shown


def _remove(one: TableFile) -> str:
    return f"Remove it from data.tables.{one.name}.columns."


def _table_words(found: Features, *, n_without: int) -> str:
    """What a table holds, and what is missing in it."""
    n_categories = sum(1 for column in found.columns if column.levels)
    n_missing = int(np.isnan(found.values).sum())
    words = f"{len(found.columns):,} columns of {len(found.values):,} samples"
    words += f", {n_categories:,} of them categories" if n_categories else ""
    words += f"; {n_missing:,} values are missing ({n_missing / found.values.size:.1%})"
    return words + (f", {n_without:,} samples have no row" if n_without else "")


def _left_out_words(table: PhenotypeTable, left_out: Sequence[str]) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (
        f"{table.label}: {name_some(left_out, most=4)} left out: without two different values among these samples, or "
        f"text that is a name of each, or of more than {_MOST_LEVELS} levels.",
    )


def unseen_levels(
    values: FloatArray, columns: Sequence[TableColumn], *, training: IntArray
) -> Mapping[str, tuple[str, ...]]:
    """Of each category the levels that some sample has and no training sample: they are taken as unknown.

    Args:
        values: (sample, column), see `Features`.
        columns: what they are.
        training: indices of the training samples.
    """
    found = {}
    for place, column in enumerate(columns):
        if column.levels:
            codes = values[:, place]
            known = {*codes[training][~np.isnan(codes[training])].tolist()}
            other = sorted({*codes[~np.isnan(codes)].tolist()} - known)
            found[column.name] = tuple(column.levels[int(code)] for code in other)
    return {name: levels for name, levels in found.items() if levels}


def read_known_columns(
    one: TableFile, columns: Sequence[TableColumn], fam: FamTable, *, fam_label: str, fills: bool
) -> Features:
    """The columns that a model takes of a table, for every sample of another fileset.

    Args:
        one: the table.
        columns: of the model, their names without the table's.
        fam: samples of the fileset.
        fam_label: what to call the .fam.
        fills: whether a column that isn't there is taken as unknown.

    Raises:
        DataError: the table can't be read, lacks columns, or holds text where the model takes numbers.
    """
    table = read_table_of(one)
    lacking = [column.name for column in columns if column.name not in table.columns]
    if lacking and not fills:
        raise DataError(
            f"{table.label}: lacks {len(lacking):,} of {len(columns):,} columns that the model takes: "
            f"{name_some(lacking, most=5)}. Add them, or take them as unknown with --fill-columns."
        )
    rows = match_samples(fam, table, match_by=None, fam_label=fam_label).rows
    values = np.full((len(rows), len(columns)), np.nan, dtype=np.float32)
    notes = [f"{table.label}: lacks {name_some(lacking, most=5)}; taken as unknown."] if lacking else []
    for place, column in enumerate(columns):
        if column.name not in table.columns:
            continue
        texts = table.columns[column.name]
        if column.levels:
            found = as_codes(texts, column.levels, missing=one.settings.missing)
            n_strange = int((found[rows[rows >= 0]] == len(column.levels)).sum())
            if n_strange:
                notes.append(
                    f"{table.label}: {column.name}: {n_strange:,} samples have a level that the model doesn't know."
                )
        else:
            found = _number(table, column.name, cells=read_cells(texts, one.settings.missing))
        values[rows >= 0, place] = found[rows[rows >= 0]]
    n_without = int((rows < 0).sum())
    if n_without:
        notes.append(
            f"{table.label}: no row for {n_without:,} of {len(rows):,} samples; its columns are unknown there."
        )
    return Features(values, tuple(columns), tuple(notes))


def as_codes(texts: TextArray, levels: Sequence[str], *, missing: Sequence[str]) -> FloatArray:
    """(cell,) the index of each cell's level, their number for any other text, NaN where missing."""
    cells = read_cells(texts, missing)
    place = {level: index for index, level in enumerate(levels)}
    codes = [
        place.get(text, len(levels) if np.isnan(number) else place.get(in_words(number), len(levels)))
        for text, number in zip(cells.texts.tolist(), cells.numbers.tolist(), strict=True)
    ]
    return np.where(cells.is_missing, np.nan, codes).astype(np.float32)
