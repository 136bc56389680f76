"""Intervals of the genome: 0-based, end excluded."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

from genotune.errors import DataError

Line = TypeVar("Line")

_PLINK_MAGIC: Final = b"\x6c\x1b\x01"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_MOST_FAULTS: Final = 20
_HEADER_WORDS: Final = ("track", "browser")


class Interval(NamedTuple):
    """A stretch of a contig: 0-based, end excluded."""

    contig: str
    start: int
    end: int


class Bed(NamedTuple, Generic[Line]):
    """The lines of a BED file.

    Attributes:
        intervals: those on contigs of the reference, in the order of the file, under the reference's names.
        left_out: number of intervals by contig that the reference lacks.
    """

    intervals: tuple[Line, ...]
    left_out: Mapping[str, int]


class LineError(ValueError):
    """What is wrong with a line, raised by who reads more of it than contig, start and end."""


def read_bed(
    path: Path,
    lengths: Mapping[str, int],
    *,
    reference: str = "the reference",
    names: Mapping[str, str] | None = None,
    label: str | None = None,
) -> Bed[Interval]:
    """The intervals of a BED file; see `read_lines`."""
    return read_lines(path, lengths, lambda interval, _: interval, reference=reference, names=names, label=label)


def read_lines(
    path: Path,
    lengths: Mapping[str, int],
    read_line: Callable[[Interval, str], Line],
    *,
    reference: str = "the reference",
    names: Mapping[str, str] | None = None,
    label: str | None = None,
) -> Bed[Line]:
    """The lines of a BED file, plain or gzipped; `track`, `browser` and comment lines are skipped.

    Args:
        path: the file.
        lengths: length in bp of each contig of the reference.
        read_line: what to make of an interval and the text of its line; may raise LineError.
        reference: what to call the reference in a fault.
        names: the reference's name of contigs that the BED calls otherwise.
        label: what to call the file in a fault; its path if None.

    Raises:
        DataError: the file can't be read as BED, with each line that is at fault.
    """
    label = label or str(path)
    intervals: list[Line] = []
    left_out: dict[str, int] = {}
    faults: list[str] = []
    for number, line in enumerate(_lines(path, label), start=1):
        fields = line.split(maxsplit=3)
        if not fields or line.startswith("#") or fields[0] in _HEADER_WORDS:
            continue
        try:
            interval = _interval(fields, names or {})
            if interval.contig not in lengths:
                left_out[interval.contig] = left_out.get(interval.contig, 0) + 1
                continue
            _check_place(interval, lengths[interval.contig], reference)
            intervals.append(read_line(interval, line))
        except LineError as fault:
            faults.append(f"{label}:{number}: {fault}")
    if faults:
        more = len(faults) - _MOST_FAULTS
        raise DataError(
            "\n".join([*faults[:_MOST_FAULTS], *([f"{label}: and {more} lines more."] if more > 0 else [])])
        )
    return Bed(tuple(intervals), left_out)


def _lines(path: Path, label: str) -> list[str]:
    if not path.is_file():
        raise DataError(f"{label}: no such file (looked for {path}). Paths are relative to the spec's folder.")
    content = path.read_bytes()
    if content.startswith(_PLINK_MAGIC):
        raise DataError(f"{label}: a PLINK genotype file, which shares its ending with BED. Give a BED of intervals.")
    try:
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
        return content.decode().splitlines()
    except (OSError, EOFError) as error:
        raise DataError(f"{label}: the gzip file is cut short or damaged ({error}). Copy it again.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{label}: not a BED file: it isn't text. Give tab-separated contig, start and end.") from error


def _interval(fields: Sequence[str], names: Mapping[str, str]) -> Interval:
    if len(fields) < 3:
        raise LineError(f"found {len(fields)} columns; a BED line has at least contig, start and end.")
    if not (fields[1].isdecimal() and fields[2].isdecimal()):
        raise LineError(f"start {fields[1]!r} and end {fields[2]!r} must be whole numbers from 0.")
    return Interval(names.get(fields[0], fields[0]), int(fields[1]), int(fields[2]))


def _check_place(interval: Interval, length: int, reference: str) -> None:
    if interval.start >= interval.end:
        raise LineError(
            f"start {interval.start} is not below end {interval.end}. BED counts from 0 and leaves the end out."
        )
    if interval.end > length:
        raise LineError(
            f"end {interval.end} lies past the end of {interval.contig} ({length} bp in {reference}). "
            "Was the BED made on another assembly?"
        )
