"""What a spec may write where a split asks for a part of the samples or bases: a share, or the names of groups."""

from functools import partial
from typing import Annotated

from pydantic import BeforeValidator

from genotune.errors import describe


def _share(found: object, *, of: str = "samples") -> float:
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 < found < 1:
        return float(found)
    hint = " Write the number without quotation marks." if isinstance(found, str) and _is_number(found) else ""
    raise ValueError(f"found {describe(found)}; must be a share of the {of} between 0 and 1, e.g. 0.2.{hint}")


def _share_or_names(found: object) -> float | tuple[str, ...]:
    if isinstance(found, list | tuple):
        return tuple(_name(item) for item in found)
    if isinstance(found, str) and not _is_number(found):
        raise ValueError(
            f"found {describe(found)}; must be a share of the samples, e.g. 0.2, or a list of groups. "
            f"Write [{found!r}] for that group alone."
        )
    try:
        return _share(found)
    except ValueError as error:
        raise ValueError(f"{error} A list of groups will do too.") from None


def _column_or_columns(found: object) -> str | tuple[str, ...]:
    if isinstance(found, str) and found:
        return found
    if not isinstance(found, list | tuple) or not found:
        raise ValueError(f"found {describe(found)}; must be the name of a column, or a list of names.")
    names = tuple(_name(item) for item in found)
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise ValueError(f"{twice[0]!r} is named twice.")
    return names


def _name(found: object) -> str:
    if isinstance(found, str) and found:
        return found
    hint = (
        "Put it in quotation marks, as it stands in the table." if isinstance(found, int | float) else "Write a text."
    )
    raise ValueError(f"found {describe(found)} in the list, which is no name. {hint}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# Validated before pydantic's own union, which would tell every member's fault for one value.
Share = Annotated[float, BeforeValidator(_share)]
"""Part of the samples: more than 0, less than 1."""

MaybeShare = Annotated[float | None, BeforeValidator(lambda found: None if found is None else _share(found))]
"""A share, or nothing."""

BasesShare = Annotated[float, BeforeValidator(partial(_share, of="bases"))]
"""Part of the bases: more than 0, less than 1."""

ShareOrNames = Annotated[float | tuple[str, ...], BeforeValidator(_share_or_names)]
"""A share, or the names of groups."""

MaybeShareOrNames = Annotated[
    float | tuple[str, ...] | None, BeforeValidator(lambda found: None if found is None else _share_or_names(found))
]
"""A share, the names of groups, or nothing."""

ColumnNames = Annotated[str | tuple[str, ...], BeforeValidator(_column_or_columns)]
"""One column, or several, each once."""
