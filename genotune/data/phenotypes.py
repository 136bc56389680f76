"""Traits: a real number, a class or a count of each sample, told from text."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.columns import TargetKind
from genotune.data.cells import PLINK_MISSING, VALUE_ADVICE, Cells, Levels, read_cells, read_levels
from genotune.errors import DataError
from genotune.genome.contig_names import name_some
from genotune.store import TextArray, Values

_MOST_GUESSED_CLASSES: Final = 10
_MOST_SHOWN: Final = 3
_CLASS_KINDS: Final = ("binary", "multiclass")


class Trait(NamedTuple):
    """A trait of samples.

    Attributes:
        values: (sample,) a number, or the index of its class; NaN where missing.
        kind: what the values are.
        classes: names of the classes of a binary or multiclass trait, in order; none of any other.
        notes: what a person should know: what is missing, what was guessed.
    """

    values: Values
    kind: TargetKind
    classes: tuple[str, ...]
    notes: tuple[str, ...]


class _Column(NamedTuple):
    """The cells of a trait, and how to speak of them."""

    cells: Cells
    label: str
    name: str
    places: Sequence[str]

    @property
    def where(self) -> str:
        return f"{self.label}: {self.name}"

    def show(self, is_wrong: NDArray[np.bool_]) -> str:
        """The first cells that are wrong, and where they stand."""
        wrong = np.flatnonzero(is_wrong)
        shown = ", ".join(f"{str(self.cells.texts[row])!r} ({self.places[row]})" for row in wrong[:_MOST_SHOWN])
        return f"{shown} and {len(wrong) - _MOST_SHOWN} more" if len(wrong) > _MOST_SHOWN else shown


def read_trait(
    cells: TextArray,
    *,
    name: str,
    label: str,
    places: Sequence[str],
    kind: TargetKind | None,
    missing: Collection[str],
    is_fam: bool = False,
) -> Trait:
    """The values of a trait, checked against its kind or with a kind that is told from them.

    In a .fam -9 is missing whatever `missing` says; so is 0 where the other values are 1 and 2 only, PLINK's control
    and case, unless the kind is set to another than binary. Source: PLINK 1.9 documentation, file formats, .fam.

    Args:
        cells: (sample,) text.
        name: of the trait.
        label: what to call the file.
        places: (sample,) where each cell stands, e.g. 'phenotypes.tsv:17'.
        kind: as the spec sets it; None: 0/1 and 1/2 are binary, up to ten whole numbers in a row multiclass, other
            whole numbers from 0 on counts, all else quantitative.
        missing: how a missing value is written; an empty cell is always missing.
        is_fam: the cells are column 6 of a .fam.

    Raises:
        DataError: all values are missing or one and the same, infinite, or not what the kind needs.
    """
    assert len(cells) == len(places), f"{len(cells)} cells, {len(places)} places"
    read = read_cells(cells, {*missing, PLINK_MISSING} if is_fam else missing)
    is_zero_missing = is_fam and kind in (None, "binary") and _is_zero_missing(read)
    if is_zero_missing:
        read = read_cells(cells, {*missing, PLINK_MISSING, "0"})
    column = _Column(read, label, name, places)
    if read.is_missing.all():
        raise DataError(_only_missing(column, is_fam=is_fam))
    if kind not in _CLASS_KINDS:
        _check_numbers(column)
    levels = read_levels(read)
    _check_finite(column)
    if len(levels.names) == 1:
        raise DataError(_constant(column, level=levels.names[0], is_zero_missing=is_zero_missing))
    notes = _missing_notes(name, read, is_fam=is_fam)
    if kind is None:
        kind, guess = _guess(name, levels)
        notes += guess
    classes: tuple[str, ...] = ()
    values = read.numbers
    if kind in _CLASS_KINDS:
        _check_n_classes(column, levels, kind=kind)
        classes = levels.names
        values = np.where(levels.codes < 0, np.nan, levels.codes)
        notes += _binary_notes(name, levels) if kind == "binary" else ()
    elif kind == "count":
        _check_counts(column)
    return Trait(values, kind, classes, notes)


def _is_zero_missing(cells: Cells) -> bool:
    """Whether all values are PLINK's: 0 missing, 1 control, 2 case."""
    return cells.are_numbers and {*cells.numbers[~cells.is_missing].tolist()} <= {0.0, 1.0, 2.0}


def _guess(name: str, levels: Levels) -> tuple[TargetKind, tuple[str, ...]]:
    """The kind that numbers look like, and a note where it might be another."""
    numbers = levels.numbers
    assert numbers is not None, "text has no kind of its own"
    first, last = levels.names[0], levels.names[-1]
    if numbers in ((0, 1), (1, 2)):
        return "binary", ()
    if len(numbers) == 2:
        note = (
            f"{name}: two values, {first} and {last}, that are neither 0/1 nor 1/2: taken as quantitative. "
            "If they are classes, set data.trait_kind: binary."
        )
        return "quantitative", (note,)
    if numbers[0] < 0 or not all(number.is_integer() for number in numbers):
        return "quantitative", ()
    n = len(numbers)
    if n <= _MOST_GUESSED_CLASSES and numbers[-1] - numbers[0] == n - 1:
        note = (
            f"{name}: whole numbers from {first} to {last} without a gap: taken as {n} classes (multiclass). "
            "If they aren't, set data.trait_kind: quantitative or count."
        )
        return "multiclass", (note,)
    note = (
        f"{name}: whole numbers from {first} to {last}: taken as counts. "
        "If they aren't, set data.trait_kind: quantitative or multiclass."
    )
    return "count", (note,)


def _check_numbers(column: _Column) -> None:
    cells = column.cells
    is_text = np.isnan(cells.numbers) & ~cells.is_missing
    if is_text.any():
        n_classes = len(np.unique(cells.texts[~cells.is_missing]))
        kind = "binary" if n_classes == 2 else "multiclass"
        raise DataError(
            f"{column.where}: text where numbers are wanted: {column.show(is_text)}. "
            f"Mark missing values by NA, or set data.trait_kind: {kind} if these are classes."
        )


def _check_finite(column: _Column) -> None:
    is_infinite = np.isinf(column.cells.numbers)
    if column.cells.are_numbers and is_infinite.any():
        raise DataError(
            f"{column.where}: infinite values: {column.show(is_infinite)}. Mark them as missing by NA, or correct them."
        )


def _check_counts(column: _Column) -> None:
    numbers = column.cells.numbers
    is_wrong = ~column.cells.is_missing & ((numbers < 0) | (numbers % 1 != 0))
    if is_wrong.any():
        raise DataError(
            f"{column.where}: no counts: {column.show(is_wrong)}; data.trait_kind: count needs whole numbers, "
            "0 or more. Set data.trait_kind: quantitative."
        )


def _check_n_classes(column: _Column, levels: Levels, *, kind: TargetKind) -> None:
    n = len(levels.names)
    if kind == "binary" and n != 2:
        other = "multiclass" if levels.numbers is None else "multiclass or quantitative"
        raise DataError(
            f"{column.where}: {n} values, {name_some(levels.names)}; data.trait_kind: binary needs two. "
            f"Mark missing values by NA, or set data.trait_kind: {other}."
        )
    if kind == "multiclass" and n < 3:
        raise DataError(
            f"{column.where}: two values, {name_some(levels.names)}; data.trait_kind: multiclass needs three or more. "
            "Set data.trait_kind: binary."
        )


def _binary_notes(name: str, levels: Levels) -> tuple[str, ...]:
    if levels.numbers == (0, 1):
        return ()
    if levels.numbers == (1, 2):
        return (f"{name}: coded 1 and 2, as PLINK does: 2 is the case (class 1), 1 the control (class 0).",)
    first, second = levels.names
    return (f"{name}: in sorted order {first!r} is class 0 and {second!r} class 1, whose probability is predicted.",)


def _only_missing(column: _Column, *, is_fam: bool) -> str:
    if is_fam:
        marks = " and ".join(mark or "empty cells" for mark in column.cells.marks)
        return (
            f"{column.label}: column 6 holds only {marks} (missing); name a table in data.phenotypes and its column in "
            "data.trait."
        )
    n = len(column.cells.texts)
    return f"{column.where}: all {n} values are missing ({column.cells.marks_in_words}). Name another column."


def _constant(column: _Column, *, level: str, is_zero_missing: bool) -> str:
    n = int((~column.cells.is_missing).sum())
    message = f"{column.where}: all {n} values are {level}; a trait that doesn't vary can't be learned."
    if is_zero_missing and "0" in column.cells.marks:
        return (
            f"{message} 0 was taken as missing, as PLINK does; if it is the control, write the trait into a table and "
            "name it in data.phenotypes."
        )
    return message


def _missing_notes(name: str, cells: Cells, *, is_fam: bool) -> tuple[str, ...]:
    if not cells.is_missing.any():
        return ()
    note = f"{name}: {cells.missing_in_words}; they are left out."
    if PLINK_MISSING in cells.marks and not is_fam:
        note += f" {VALUE_ADVICE}"
    return (note,)
