"""Columns of the tables of samples and variants that PLINK's filesets have: what may stand in them.

A fault names the line. Which line a row is on is only asked for then: `line_of` may read the file again.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from genotune.data.files import InputFile
from genotune.errors import DataError
from genotune.store import NO_POSITION, IntArray, TextArray

if TYPE_CHECKING:
    import pandas as pd

LineOf = Callable[[int], int]
"""The number of the line, from 1 on, that a row of a table stands on."""

_MOST_POSITION: Final = 2**31 - 2
_MOST_ALLELE_BYTES: Final = 2**32


def as_text(column: Any) -> TextArray:
    """A column of a table as an array of text."""
    return np.asarray(column.to_numpy(dtype=object), dtype=np.str_)


def check_unique(file: InputFile, fids: TextArray, *, iids: TextArray, line_of: LineOf) -> None:
    """Nothing, if each sample stands once in a file.

    Raises:
        DataError: one stands there twice.
    """
    samples = list(zip(fids.tolist(), iids.tolist(), strict=True))
    twice = {sample: n for sample, n in Counter(samples).items() if n > 1}
    if not twice:
        return
    sample = next(iter(twice))
    first, second, *_ = [line_of(row) for row, each in enumerate(samples) if each == sample]
    more = f" And {len(twice) - 1} more." if len(twice) > 1 else ""
    raise DataError(
        f"{file.label}:{second}: family {sample[0]!r}, individual {sample[1]!r} stands in line {first} too; "
        f"a sample has one line.{more}"
    )


def read_starts(
    file: InputFile, column: "pd.Series[str]", *, name: str, header_advice: str, line_of: LineOf
) -> IntArray:
    """(variant,) 0-based positions from a column of 1-based ones, `NO_POSITION` where it says 0 or less.

    Args:
        file: that the column is of.
        column: as written.
        name: of the column, for a person.
        header_advice: what to add where a word stands instead of a number.
        line_of: row's line.

    Raises:
        DataError: a position is no whole number, or lies past the end of any contig.
    """
    if column.str.fullmatch("-?[0-9]{1,18}").all():
        positions: IntArray = np.asarray(column.astype(np.int64), dtype=np.int64)
        if not len(positions) or positions.max() <= _MOST_POSITION:
            return np.where(positions > 0, positions - 1, NO_POSITION)
    for row, found in enumerate(column.tolist()):
        if re.fullmatch("-?[0-9]+", found, re.ASCII) is None:
            header = header_advice if found.isalpha() else ""
            raise DataError(
                f"{file.label}:{line_of(row)}: position {found!r}; {name} is a whole number of bp "
                f"(0 where it is unknown).{header}"
            )
        if int(found) > _MOST_POSITION:
            raise DataError(
                f"{file.label}:{line_of(row)}: position {found} lies past {_MOST_POSITION}, the end of any contig."
            )
    raise AssertionError(f"{file.label}: no position is wrong")


def check_allele_lengths(file: InputFile, column: "pd.Series[str]", *, command: str, line_of: LineOf) -> None:
    """Nothing, if alleles can be kept: an array of text takes as much for each of them as for the longest one.

    Args:
        file: that the column is of.
        column: alleles as written.
        command: how to leave out long ones.
        line_of: row's line.

    Raises:
        DataError: one is too long.
    """
    lengths = column.str.len()
    longest = int(lengths.max()) if len(column) else 0
    if 4 * longest * len(column) > _MOST_ALLELE_BYTES:
        raise DataError(
            f"{file.label}:{line_of(int(lengths.argmax()))}: an allele of {longest} letters; with {len(column)} "
            f"variants, one of {_MOST_ALLELE_BYTES // 4 // len(column)} letters is the longest that can be kept. "
            f"Leave out such variants, e.g. {command}"
        )
