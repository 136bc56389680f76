"""Errors that a person can act on: where, what was found, what is allowed, what to do.

The CLI prints these without a traceback and exits with 2. Any other exception is a defect of ours and exits with 1.
"""

from collections.abc import Sequence
from typing import NamedTuple


class UserError(Exception):
    """Something that the person who runs genotune can mend."""


class DataError(UserError):
    """A file of data that is missing, torn, or doesn't fit the others."""


class ResourceError(UserError):
    """A trial, a store or a sweep that fits no machine at hand."""


class SweepError(UserError):
    """A sweep that can't be run or resumed as it was asked for."""


class Problem(NamedTuple):
    """One fault of a spec: the keys that lead to it in the file, and what is wrong there."""

    path: tuple[str | int, ...]
    message: str


class SpecError(UserError):
    """Every fault of one search-space file, each a line 'file:line: key: message'."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)
