"""Columns of further tables as a model takes them: its own levels, and what another cohort lacks."""

from collections.abc import Sequence

import numpy as np

from genotune.data.cells import in_words, read_cells
from genotune.data.further_tables import Features, TableFile, read_numbers, read_table_of
from genotune.data.plink_files import FamTable
from genotune.data.sample_matching import match_samples
from genotune.errors import DataError
from genotune.genome.contig_names import name_some
from genotune.store import FloatArray, TableColumn, TextArray


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
            found = read_numbers(table, column.name, cells=read_cells(texts, one.settings.missing))
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
