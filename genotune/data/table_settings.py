"""What a spec says of a further table of samples: expression, proteins, clinical facts."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from genotune.settings import Settings

TABLE_MISSING: Final = ("NA", "NaN", "nan", "N/A", ".", "")
"""How a missing value is written in a further table: not -9, which is a level of expression like any other."""


ALL: Final = ("all",)
"""Stands for every column of a table."""


def _mark(found: object) -> object:
    """A mark as it stands in a table: YAML reads -9 as a number."""
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return str(found) if is_number else found


def listed(found: object) -> object:
    """One name as a list of it."""
    if isinstance(found, str):
        return (found,)
    return tuple(found) if isinstance(found, list) else found


def _plain(name: str) -> str:
    if not name or any(mark in name for mark in ":=\t\n"):
        raise ValueError(f"found {name!r}; the name of a table has no colon, equals sign, tab or end of line")
    return name


Mark = Annotated[str, BeforeValidator(_mark)]
TableName = Annotated[str, AfterValidator(_plain)]
ColumnKind = Literal["number", "category"]


class TableSettings(Settings):
    """A further table of samples.

    Attributes:
        path: of the table (.tsv, .csv, .txt, each also as .gz; .parquet), relative to the spec's folder; a row for each
            sample.
        columns: those that are offered to the models; all: every one but the trait.
        kinds: what columns hold, 'number' or 'category', where their values would tell otherwise.
        id: the column that holds the samples' individual IDs.
        missing: what marks a missing value; an empty cell is always missing.
    """

    path: Annotated[str, Field(min_length=1)]
    columns: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(listed)] = ALL
    kinds: dict[str, ColumnKind] = Field(default_factory=dict)
    id: Annotated[str, Field(min_length=1)] = "IID"
    missing: tuple[Mark, ...] = TABLE_MISSING
