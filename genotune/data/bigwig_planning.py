"""Whether the files of a bigWig source fit each other, and what will be read of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from genotune.data.bigwig import BigWigPlan, track_role
from genotune.data.bigwig_header import BigWigHeader, read_header
from genotune.data.bigwig_settings import BigWigSettings, TrackSettings
from genotune.data.fasta import Reference, read_reference
from genotune.data.files import InputFile, kept_in, locate
from genotune.data.fitting import Fit, fit_bed, fit_peaks, fit_track
from genotune.data.remote import masked
from genotune.errors import DataError
from genotune.genome.intervals import Interval
from genotune.genome.peaks import Peak, arrange, covered
from genotune.genome.spans import spans_of
from genotune.genome.track_transforms import Log1p, NoTransform


class _Fitted(NamedTuple):
    """What the files hold under the reference's names.

    Attributes:
        names: of each bigWig, its name of each contig that it has.
        labels: of each track of peaks.
        peaks: of each set of peaks.
        excluded: of all BEDs of what has no signal.
        fits: of all files.
    """

    names: list[Mapping[str, str]]
    labels: dict[str, Sequence[Peak]]
    peaks: dict[str, Sequence[Peak]]
    excluded: list[Interval]
    fits: list[Fit]


def make_plan(settings: BigWigSettings, folder: Path) -> BigWigPlan:
    """What will be read; headers, indexes and BEDs are read, no signal and no sequence.

    Raises:
        DataError: with every fault of every file, one a line.
    """
    faults: list[str] = []
    files = _files(settings, folder, faults)
    reference = _read_reference(files, faults)
    headers: dict[str, BigWigHeader] = {}
    for name, track in settings.tracks.items():
        with kept_in(faults):
            if track.path is not None and track_role(name) in files:
                headers[name] = _header(files[track_role(name)], track)
    if reference is None:
        raise DataError("\n".join(faults))
    fitted = _fit(settings, files, headers, reference=reference, faults=faults)
    contigs = {name: length for name, length in reference.lengths.items() if length >= settings.min_contig_bp}
    if not contigs:
        longest = max(reference.lengths.values())
        faults.append(f"{reference.label}: its longest contig has {longest} bp, data.min_contig_bp asks for more.")
    else:
        faults += _emptied(settings, contigs, fitted)
    if faults:
        raise DataError("\n".join(faults))
    position = {name: index for index, name in enumerate(contigs)}
    return BigWigPlan(
        settings=settings,
        reference=reference,
        contigs=contigs,
        headers=headers,
        names=tuple(fitted.names),
        files=files,
        excluded=spans_of(fitted.excluded, position),
        labels=tuple(covered(arrange(peaks, position)) for peaks in fitted.labels.values()),
        peaks={name: arrange(peaks, position) for name, peaks in fitted.peaks.items()},
        notes=tuple(dict.fromkeys(_notes(settings, reference, headers, fitted.fits))),
    )


def _read_reference(files: Mapping[str, InputFile], faults: list[str]) -> Reference | None:
    with kept_in(faults):
        if "reference" in files:
            return read_reference(files["reference"])
    return None


def _fit(
    settings: BigWigSettings,
    files: Mapping[str, InputFile],
    headers: Mapping[str, BigWigHeader],
    *,
    reference: Reference,
    faults: list[str],
) -> _Fitted:
    """How the tracks, in their order, and the BEDs fit the reference."""
    fitted = _Fitted([], {}, {}, [], [])
    style, zero = settings.contig_names, settings.missing == "zero"
    for name, header in headers.items():
        with kept_in(faults):
            label = masked(settings.tracks[name].file)
            fit = fit_track(label, header.lengths, reference=reference, style=style, zero=zero)
            fitted.names.append(fit.names)
            fitted.fits.append(fit)
    label_roles = {name: track_role(name) for name, track in settings.tracks.items() if track.peaks is not None}
    peak_roles = {name: _peaks_role(name) for name in settings.peaks}
    for into, roles in ((fitted.labels, label_roles), (fitted.peaks, peak_roles)):
        for name, role in roles.items():
            with kept_in(faults):
                if role in files:
                    peaks = fit_peaks(files[role].path, files[role].label, reference=reference, style=style)
                    into[name] = peaks.intervals
                    fitted.fits.append(peaks.fit)
    for role in _exclude_roles(settings):
        with kept_in(faults):
            if role in files:
                bed = fit_bed(files[role].path, files[role].label, reference=reference, style=style)
                fitted.excluded.extend(bed.intervals)
                fitted.fits.append(bed.fit)
    return fitted


def _files(settings: BigWigSettings, folder: Path, faults: list[str]) -> dict[str, InputFile]:
    """The input files by role; each role tells what the record calls the file."""
    labels = {"reference": settings.reference}
    labels |= {track_role(name): track.file for name, track in settings.tracks.items()}
    labels |= {_peaks_role(name): peaks.path for name, peaks in settings.peaks.items()}
    labels |= dict(zip(_exclude_roles(settings), settings.exclude, strict=True))
    files = {}
    for role, label in labels.items():
        with kept_in(faults):
            companions = (".fai", ".gzi") if role == "reference" else ()
            files[role] = locate(folder, label, companions=companions)
    return files


def _peaks_role(name: str) -> str:
    return f"peaks {name}"


def _exclude_roles(settings: BigWigSettings) -> list[str]:
    return ["exclude" if index == 0 else f"exclude {index + 1}" for index in range(len(settings.exclude))]


def _header(file: InputFile, track: TrackSettings) -> BigWigHeader:
    header = read_header(file.path, file.label)
    if math.isinf(header.minimum) or math.isinf(header.maximum):
        raise DataError(f"{file.label}: holds infinite values ({header.minimum} to {header.maximum}). Cap them first.")
    if header.minimum < 0 and any(isinstance(step, Log1p) for step in track.transform):
        raise DataError(
            f"{file.label}: transform log1p is for values from zero on, the least is {header.minimum:g}. Use arcsinh."
        )
    return header


def _emptied(settings: BigWigSettings, contigs: Mapping[str, int], fitted: _Fitted) -> Iterator[str]:
    """The files of peaks of which `min_contig_bp` leaves nothing."""
    files = {track.file: fitted.labels.get(name) for name, track in settings.tracks.items()}
    files |= {one.path: fitted.peaks.get(name) for name, one in settings.peaks.items()}
    for label, peaks in files.items():
        if peaks and not any(peak.contig in contigs for peak in peaks):
            least = f"data.min_contig_bp ({settings.min_contig_bp})"
            yield f"{masked(label)}: its peaks lie on contigs shorter than {least}, all."


def _notes(
    settings: BigWigSettings, reference: Reference, headers: Mapping[str, BigWigHeader], fits: Sequence[Fit]
) -> Iterator[str]:
    yield from _track_notes(settings)
    for name, header in headers.items():
        label = masked(settings.tracks[name].file)
        # Not by the greatest value: libBigWig writes the least number above zero for zeros.
        if header.minimum >= 0 and header.total == 0:
            yield f"{label}: is zero everywhere (its header says so): nothing can be learned from it."
        if header.minimum < 0:
            yield (
                f"{label}: holds values below zero (the least is {header.minimum:g}), which a Poisson loss and trees "
                "that count can't have. Use loss: mse, or a track of counts or coverage."
            )
    for fit in fits:
        yield from fit.notes
    n_short = sum(length < settings.min_contig_bp for length in reference.lengths.values())
    if n_short:
        yield f"{reference.label}: contigs shorter than {settings.min_contig_bp} bp left out: {n_short}."
    if settings.contig_names and not any(fit.renames for fit in fits):
        yield f"data.contig_names: {settings.contig_names} changes nothing here: the names are equal. Remove it."


def _track_notes(settings: BigWigSettings) -> Iterator[str]:
    """What models predict, where it isn't simply the values of each track."""
    if settings.known_target != "signal":
        what = "each by itself" if settings.known_target == "binary" else "one class a bin, or none of them"
        yield f"labels: {settings.known_target} ({what}): a bin is positive if half of it lies in a peak."
    changed = {
        name: " then ".join(step.kind for step in track.transform if not isinstance(step, NoTransform))
        for name, track in settings.tracks.items()
    }
    if any(changed.values()):
        yield f"transforms: {', '.join(f'{name} {steps}' for name, steps in changed.items() if steps)}."
    if settings.strands:
        pairs = ", ".join(f"{plus} and {minus}" for plus, minus in settings.strands)
        yield f"strands: {pairs} swap places where a window is read from its other strand."
