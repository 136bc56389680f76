"""Covariates: what is known of samples beside their genotypes, as numbers."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import numpy as np

from genotune.data.cells import PLINK_MISSING, VALUE_ADVICE, Cells, Levels, read_cells, read_levels
from genotune.errors import DataError
from genotune.genome.contig_names import name_some
from genotune.store import FloatArray, TextArray, Values

_MOST_LEVELS: Final = 50


class Covariates(NamedTuple):
    """What is known of samples beside their genotypes.

    Attributes:
        values: (sample, column) NaN where missing.
        names: (column,) those of the table; 'name=level' for each level of a column of text but the first.
        notes: what a person should know: what is missing, what was taken for levels.
    """

    values: FloatArray
    names: tuple[str, ...]
    notes: tuple[str, ...]


def read_covariates(columns: Mapping[str, TextArray], *, missing: Collection[str]) -> Covariates:
    """Columns of numbers as they are, columns of text as one 0/1 column for each level but the first.

    Args:
        columns: (sample,) cells by name; at least one column.
        missing: how a missing value is written; an empty cell is always missing.

    Raises:
        DataError: with every column that holds one value only, none, infinite ones, too many levels, or text among
            numbers.
    """
    assert columns, "no covariate"
    values: list[Values] = []
    names: list[str] = []
    notes: list[str] = []
    faults = []
    for name, texts in columns.items():
        cells = read_cells(texts, missing)
        levels = read_levels(cells)
        fault = _fault(name, cells, levels=levels)
        if fault is not None:
            faults.append(f"{name}: {fault}")
            continue
        if cells.is_missing.any():
            advice = f" {VALUE_ADVICE}" if PLINK_MISSING in cells.marks else ""
            notes.append(f"{name}: {cells.missing_in_words}.{advice}")
        if levels.numbers is not None:
            values.append(cells.numbers)
            names.append(name)
            continue
        for level, text in enumerate(levels.names[1:], start=1):
            values.append(np.where(cells.is_missing, np.nan, levels.codes == level))
            names.append(f"{name}={text}")
        notes.append(
            f"{name}: text, taken as {len(levels.names)} levels; {levels.names[0]!r} is the one without a column."
        )
    if faults:
        raise DataError("\n".join(faults))
    return Covariates(np.stack(values, axis=1).astype(np.float32), tuple(names), tuple(notes))


def _fault(name: str, cells: Cells, *, levels: Levels) -> str | None:
    """Why a column can't be a covariate."""
    n = int((~cells.is_missing).sum())
    if not n:
        return f"all {len(cells.texts)} values are missing ({cells.marks_in_words}). Remove it from data.covariates."
    if len(levels.names) == 1:
        return f"all {n} values are {levels.names[0]}; it tells nothing. Remove it from data.covariates."
    return _text_fault(name, cells, levels=levels) if levels.numbers is None else _number_fault(cells)


def _number_fault(cells: Cells) -> str | None:
    is_too_large = np.abs(cells.numbers) > np.finfo(np.float32).max
    if not is_too_large.any():
        return None
    shown = str(cells.texts[is_too_large][0])
    return f"infinite or too large values ({int(is_too_large.sum())}), e.g. {shown!r}. Mark them by NA."


def _text_fault(name: str, cells: Cells, *, levels: Levels) -> str | None:
    is_number = ~np.isnan(cells.numbers)
    is_text = ~is_number & ~cells.is_missing
    if is_number.sum() > is_text.sum():
        texts = [str(text) for text in np.unique(cells.texts[is_text])]
        return (
            f"{int(is_number.sum())} numbers, and text: {name_some(texts)}. Mark missing values by NA; if the numbers "
            f"are names of levels, write them as text, e.g. {name}1."
        )
    if len(levels.names) > _MOST_LEVELS:
        return (
            f"text of {len(levels.names)} levels, {name_some(levels.names)}; at most {_MOST_LEVELS} are taken. "
            "Remove it from data.covariates, or merge levels."
        )
    return None
