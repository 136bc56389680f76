"""Whether tracks and BED files lie on the same contigs as the reference, and what to do where they don't."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

from genotune.data.fasta import Reference
from genotune.errors import DataError
from genotune.genome.contig_names import NamingStyle, match_contigs, name_some, style_of
from genotune.genome.intervals import Bed, Interval, read_bed
from genotune.genome.peaks import Peak, read_peaks

Line = TypeVar("Line", Interval, Peak)

_MOST_NAMED: Final = 3


class Fit(NamedTuple):
    """How another file's contigs fit the reference.

    Attributes:
        names: the file's name of each contig of the reference that it has.
        notes: what was left out.
    """

    names: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def renames(self) -> bool:
        """Whether any name differs."""
        return any(ours != theirs for ours, theirs in self.names.items())


class BedFit(NamedTuple, Generic[Line]):
    """The intervals of a BED on the reference.

    Attributes:
        left_out: number of intervals by contig that the reference lacks.
    """

    intervals: tuple[Line, ...]
    fit: Fit
    left_out: Mapping[str, int]


def fit_track(
    label: str, lengths: Mapping[str, int], *, reference: Reference, style: NamingStyle | None, zero: bool
) -> Fit:
    """How a track's contigs fit the reference.

    Args:
        label: what to call the track in a fault.
        lengths: of the track's contigs.
        reference: what it must fit.
        style: how the track spells contigs that the reference calls otherwise.
        zero: whether a contig that the track lacks counts as zero; else as without value.

    Raises:
        DataError: no contig in common, or lengths that differ.
    """
    names = match_contigs(reference.lengths, lengths, style=style)
    if not names:
        raise DataError(_nothing_in_common(label, lengths, reference))
    differing = {
        ours: (lengths[theirs], reference.lengths[ours])
        for ours, theirs in names.items()
        if lengths[theirs] != reference.lengths[ours]
    }
    if differing:
        raise DataError(_differing(label, differing, reference))
    notes = []
    used = set(names.values())
    unknown = [contig for contig in lengths if contig not in used]
    if unknown:
        notes.append(
            f"{label}: {name_some(unknown, most=_MOST_NAMED)} left out: {reference.label} lacks {_it(unknown)}."
        )
    lacking = [contig for contig in reference.lengths if contig not in names]
    if lacking:
        meaning = "zero" if zero else "no value"
        notes.append(
            f"{label}: lacks {name_some(lacking, most=_MOST_NAMED)}; counts as {meaning} there (data.missing)."
        )
    return Fit(names, tuple(notes))


def fit_bed(path: Path, label: str, *, reference: Reference, style: NamingStyle | None) -> BedFit[Interval]:
    """The intervals of a BED under the reference's names.

    Raises:
        DataError: a line is at fault, or all contigs are merely called otherwise.
    """

    def read(names: Mapping[str, str]) -> Bed[Interval]:
        return read_bed(path, reference.lengths, reference=reference.label, names=names, label=label)

    return _fit_lines(read, label, reference=reference, style=style, what="interval")


def fit_peaks(path: Path, label: str, *, reference: Reference, style: NamingStyle | None) -> BedFit[Peak]:
    """The peaks of a BED or narrowPeak file under the reference's names.

    Raises:
        DataError: a line is at fault, there is no peak, or all contigs are merely called otherwise.
    """

    def read(names: Mapping[str, str]) -> Bed[Peak]:
        return read_peaks(path, reference.lengths, reference=reference.label, names=names, label=label)

    found = _fit_lines(read, label, reference=reference, style=style, what="peak")
    if found.left_out and not found.intervals:
        raise DataError(_nothing_in_common(label, found.left_out, reference))
    if not found.intervals:
        raise DataError(f"{label}: holds no peak. Give a BED or narrowPeak with at least one.")
    return found


def _fit_lines(
    read: Callable[[Mapping[str, str]], Bed[Line]],
    label: str,
    *,
    reference: Reference,
    style: NamingStyle | None,
    what: str,
) -> BedFit[Line]:
    """The lines of a file, read once more under other names where contigs are left out and may be called otherwise."""
    bed = read({})
    names: Mapping[str, str] = {}
    if bed.left_out and style:
        names = match_contigs(reference.lengths, bed.left_out, style=style)
        bed = read({theirs: ours for ours, theirs in names.items()})
    if not bed.left_out:
        return BedFit(bed.intervals, Fit(names, ()), bed.left_out)
    if not bed.intervals and style_of(bed.left_out, reference.lengths):
        raise DataError(_nothing_in_common(label, bed.left_out, reference))
    count, contigs = sum(bed.left_out.values()), name_some(bed.left_out, most=_MOST_NAMED)
    lines = f"1 {what}" if count == 1 else f"{count} {what}s"
    note = f"{label}: {lines} on {contigs} left out: {reference.label} lacks {_it(list(bed.left_out))}."
    return BedFit(bed.intervals, Fit(names, (note,)), bed.left_out)


def _it(contigs: Sequence[str]) -> str:
    return "it" if len(contigs) == 1 else "them"


def _nothing_in_common(label: str, theirs: Collection[str], reference: Reference) -> str:
    style = style_of(theirs, reference.lengths)
    if style:
        wanted = next(ours for ours in reference.lengths if match_contigs([ours], theirs, style=style))
        return f"{label}: no contig {wanted!r}; it has {name_some(theirs)}. Set data.contig_names: {style}."
    return (
        f"{label}: no contig in common with {reference.label}: it has {name_some(theirs)}, the FASTA "
        f"{name_some(reference.lengths)}. Were both made on the same assembly?"
    )


def _differing(label: str, differing: Mapping[str, tuple[int, int]], reference: Reference) -> str:
    last = list(reference.lengths)[-1]
    if not reference.ends_in_newline and list(differing) == [last] and differing[last][1] < differing[last][0]:
        expected, found = differing[last]
        return (
            f"{reference.label}: cut short: it ends within {last!r}, after {found} bp; {label} has {expected} bp. "
            "Copy it again, and delete its .fai."
        )
    examples = [f"{ours!r} has {theirs_bp} bp, not {ours_bp}" for ours, (theirs_bp, ours_bp) in differing.items()]
    more = f" and {len(examples) - _MOST_NAMED} more" if len(examples) > _MOST_NAMED else ""
    return (
        f"{label}: contigs differ in length from {reference.label}: {'; '.join(examples[:_MOST_NAMED])}{more}. "
        "Was the track made on another assembly?"
    )
