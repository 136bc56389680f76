"""The cells of a column of text: which are missing, the numbers that the others hold, and their distinct values."""

import re
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.store import IntArray, TextArray, Values

DEFAULT_MISSING: Final = ("NA", "NaN", "nan", "N/A", ".", "", "-9")
"""How a missing value is written, unless the spec says otherwise."""

PLINK_MISSING: Final = "-9"
"""How PLINK writes a missing phenotype."""

VALUE_ADVICE: Final = "If -9 is a value, set data.missing: [NA]."
"""What to say where -9 was taken as missing outside of a .fam."""

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)


class Cells(NamedTuple):
    """The cells of a column, told apart into missing ones, numbers and text.

    Attributes:
        texts: (cell,) without the blanks around them.
        numbers: (cell,) NaN where missing or no number.
        is_missing: (cell,).
        marks: how often each mark of a missing value stands.
    """

    texts: TextArray
    numbers: Values
    is_missing: NDArray[np.bool_]
    marks: Mapping[str, int]

    @property
    def are_numbers(self) -> bool:
        """Whether every value is one."""
        return not (np.isnan(self.numbers) & ~self.is_missing).any()

    @property
    def marks_in_words(self) -> str:
        """Each mark and its count: 'NA 12, -9 2'."""
        return ", ".join(f"{mark or 'empty'} {n}" for mark, n in self.marks.items())

    @property
    def missing_in_words(self) -> str:
        """How many are missing: 'missing in 14 of 402 samples (NA 12, -9 2)'."""
        return f"missing in {int(self.is_missing.sum())} of {len(self.texts)} samples ({self.marks_in_words})"


class Levels(NamedTuple):
    """The distinct values of a column, in order.

    Attributes:
        names: (level,) as text.
        numbers: (level,) their values; None where some are text.
        codes: (cell,) level of each; -1 where missing.
    """

    names: tuple[str, ...]
    numbers: tuple[float, ...] | None
    codes: IntArray


def read_cells(cells: TextArray, missing: Collection[str]) -> Cells:
    """Which cells are missing, and the numbers that the others hold.

    An empty cell is always missing. A mark that is a number stands for all its spellings: -9 for -9.0 too.

    Args:
        cells: (cell,) text.
        missing: how a missing value is written.
    """
    marks = {mark.strip() for mark in missing} | {""}
    mark_of_number = {number: mark for mark in sorted(marks) if (number := _number(mark)) is not None}
    texts = np.strings.strip(cells)
    unique, inverse, counts = np.unique(texts, return_inverse=True, return_counts=True)
    numbers = np.full(len(unique), np.nan)
    is_missing = np.zeros(len(unique), dtype=np.bool_)
    found: dict[str, int] = {}
    for index, text in enumerate(unique.tolist()):
        number = _number(text)
        mark = text if text in marks else None if number is None else mark_of_number.get(number)
        if mark is not None:
            is_missing[index] = True
            found[mark] = found.get(mark, 0) + int(counts[index])
        elif number is not None:
            numbers[index] = number
    ordered = dict(sorted(found.items(), key=lambda item: -item[1]))
    return Cells(texts, numbers[inverse], is_missing[inverse], ordered)


def read_levels(cells: Cells) -> Levels:
    """The distinct values: in the order of their numbers if all are numbers, else of their text."""
    present = ~cells.is_missing
    codes = np.full(len(present), -1, dtype=np.int64)
    if cells.are_numbers:
        numbers, codes[present] = np.unique(cells.numbers[present], return_inverse=True)
        return Levels(tuple(map(in_words, numbers.tolist())), tuple(numbers.tolist()), codes)
    names, codes[present] = np.unique(cells.texts[present], return_inverse=True)
    return Levels(tuple(names.tolist()), None, codes)


def in_words(number: float) -> str:
    """How a level that is a number is named: 1 for 1.0."""
    return str(int(number)) if number.is_integer() else repr(number)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None
