"""Errors that a person can act on: where, what was found, what is allowed, what to do.

The CLI prints these without a traceback and exits with 2. Any other exception is a defect of ours and exits with 1.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class UserError(Exception):
    """Something that the person who runs genotune can mend."""


class DataError(UserError):
    """A file of data that is missing, torn, or doesn't fit the others."""


class ResourceError(UserError):
    """A trial, a store or a sweep that fits no machine at hand."""


class SweepError(UserError):
    """A sweep that can't be run or resumed as it was asked for."""


class HaltError(UserError):
    """What no trial is to blame for and none gets past: a full disk, a storage that is away. A resume goes on."""


class Problem(NamedTuple):
    """One fault of a spec: the keys that lead to it in the file, and what is wrong there."""

    path: tuple[str | int, ...]
    message: str


class SpecError(UserError):
    """Every fault of one search-space file, each a line 'file:line: key: message'."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)

    def __reduce__(self) -> tuple[type["SpecError"], tuple[tuple[str, ...]]]:
        return type(self), (self.lines,)


def describe(found: object) -> str:
    """A value as a person sees it in the file, with its kind."""
    if found is None:
        return "nothing (null)"
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, str):
        return f"the text {found!r}"
    if isinstance(found, Mapping):
        return "a mapping (key: value)"
    if isinstance(found, list | tuple):
        return f"a list of {len(found)}" if found else "an empty list"
    text = str(found)
    return text if len(text) < 30 else f"{text[:12]}... ({len(text)} digits)"
