"""The source `bigwig`: one or more tracks and the reference that they lie on."""

import contextlib
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from genotune.columns import CONTIG, SEQUENCE, SIGNAL, START
from genotune.data.bigwig_header import BigWigHeader, read_header
from genotune.data.fasta import Reference, read_reference
from genotune.data.fitting import BedFit, Fit, fit_bed, fit_track
from genotune.data.source import FileFacts, Progress, SourcePlan, SourceSettings
from genotune.data.stretches import (
    Decoder,
    InputFile,
    Missing,
    StoreBuilder,
    Stretch,
    cut_into_stretches,
    n_bins,
)
from genotune.errors import DataError
from genotune.genome.contig_names import NamingStyle
from genotune.genome.intervals import Interval
from genotune.settings import Settings
from genotune.store import SequenceStore

_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


class TrackSettings(Settings):
    """One signal along the genome.

    Attributes:
        path: a bigWig, relative to the spec's folder.
        transform: of the values before a model sees them; none for now.
    """

    path: Annotated[str, Field(min_length=1)]
    transform: Literal["none"] = "none"


class BigWigSettings(SourceSettings):
    """Tracks and their reference.

    Attributes:
        reference: a FASTA, plain or bgzipped, relative to the spec's folder.
        tracks: by name, in the order in which models predict them.
        resolution_bp: width of a stored bin.
        missing: what a base without a value counts as: zero (counts, coverage), or nan (no measurement there).
        exclude: a BED; every bin that touches one of its intervals is left out of training and scores.
        contig_names: how tracks and BED spell the contigs that the FASTA calls otherwise; null: names must be equal.
        min_contig_bp: shorter contigs are left out.
    """

    yields: ClassVar[frozenset[str]] = frozenset({CONTIG, START, SEQUENCE, SIGNAL})

    kind: Literal["bigwig"]
    reference: Annotated[str, Field(min_length=1)]
    tracks: Annotated[dict[str, TrackSettings], Field(min_length=1)]
    resolution_bp: Annotated[int, Field(ge=1)]
    missing: Missing = "zero"
    exclude: Annotated[str, Field(min_length=1)] | None = None
    contig_names: NamingStyle | None = None
    min_contig_bp: Annotated[int, Field(ge=1)] = 1

    def plan(self, folder: Path) -> "BigWigPlan":
        """What is known from headers and indexes alone."""
        return _make_plan(self, folder)


@dataclass(frozen=True)
class BigWigPlan(SourcePlan):
    """What will be read.

    Attributes:
        settings: of the source.
        reference: the FASTA.
        contigs: length in bp of each contig that will be read, in the order of the reference.
        headers: of each track, by its name.
        names: for each track, its name of each contig that it has.
        files: each input file, by its role.
        excluded: intervals without signal, under the reference's names.
        notes: what a person should know though nothing is wrong.
    """

    settings: BigWigSettings
    reference: Reference
    contigs: Mapping[str, int]
    headers: Mapping[str, BigWigHeader]
    names: tuple[Mapping[str, str], ...]
    files: Mapping[str, InputFile]
    excluded: tuple[Interval, ...]
    notes: tuple[str, ...]

    @property
    def n_bins(self) -> int:
        """Bins of the store."""
        return sum(n_bins(length, self.settings.resolution_bp) for length in self.contigs.values())

    @property
    def store_nbytes(self) -> int:
        """Bytes that the store will take."""
        per_bin = self.settings.resolution_bp + 4 * len(self.settings.tracks)
        return self.n_bins * per_bin + 8 * (2 * len(self.contigs) + 1)

    @property
    def decoder(self) -> Decoder:
        """What reads the stretches."""
        tracks = tuple(self.files[_role(name)] for name in self.settings.tracks)
        return Decoder(self.reference, tracks, self.settings.resolution_bp, self.settings.missing)

    def stretches(self) -> list[Stretch]:
        """The contigs in parts, each of which can be read on its own."""
        return cut_into_stretches(
            self.contigs, names=self.names, excluded=self.excluded, resolution_bp=self.settings.resolution_bp
        )

    def fingerprints(self) -> list[FileFacts]:
        """Size and checksum of each input file; reads them whole."""
        facts: list[FileFacts] = []
        for role, file in self.files.items():
            with file.path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            facts.append({"role": role, "path": file.label, "n_bytes": file.path.stat().st_size, "sha256": digest})
        return facts

    def read_store(self, progress: Progress | None = None) -> SequenceStore:
        """Decode the files as a Ray Dataset and gather it. Ray must have been started.

        Args:
            progress: called with the bins that are there, and those of the whole store.

        Raises:
            DataError: a file turned out to be damaged.
        """
        from genotune.data.bigwig_datasource import gather

        builder = self._builder()
        gather(self.decoder, self.stretches(), into=builder, progress=progress)
        return builder.finish()

    def read_store_here(self) -> SequenceStore:
        """The same store, decoded in this process without Ray.

        Raises:
            DataError: a file turned out to be damaged.
        """
        builder = self._builder()
        for piece in self.decoder.decode(self.stretches()):
            builder.put(piece)
        return builder.finish()

    def _builder(self) -> StoreBuilder:
        return StoreBuilder(self.contigs, tracks=tuple(self.settings.tracks), resolution_bp=self.settings.resolution_bp)


def _make_plan(settings: BigWigSettings, folder: Path) -> BigWigPlan:
    faults: list[str] = []
    files = _files(settings, folder, faults)
    reference = _read_reference(files, faults)
    headers: dict[str, BigWigHeader] = {}
    for name in settings.tracks:
        with _kept_in(faults):
            if _role(name) in files:
                headers[name] = _finite_header(files[_role(name)])
    if reference is None:
        raise DataError("\n".join(faults))
    fits, bed = _fit(settings, files, headers, reference=reference, faults=faults)
    contigs = {name: length for name, length in reference.lengths.items() if length >= settings.min_contig_bp}
    if not contigs:
        longest = max(reference.lengths.values())
        faults.append(f"{reference.label}: its longest contig has {longest} bp, data.min_contig_bp asks for more.")
    if faults:
        raise DataError("\n".join(faults))
    return BigWigPlan(
        settings=settings,
        reference=reference,
        contigs=contigs,
        headers=headers,
        names=tuple(fit.names for fit in fits),
        files=files,
        excluded=bed.intervals,
        notes=_notes(settings, reference, [*fits, bed.fit]),
    )


def _read_reference(files: Mapping[str, InputFile], faults: list[str]) -> Reference | None:
    with _kept_in(faults):
        if "reference" in files:
            return read_reference(files["reference"].path, files["reference"].label)
    return None


def _fit(
    settings: BigWigSettings,
    files: Mapping[str, InputFile],
    headers: Mapping[str, BigWigHeader],
    *,
    reference: Reference,
    faults: list[str],
) -> tuple[list[Fit], BedFit]:
    """How the tracks, in their order, and the BED fit the reference."""
    fits = []
    style, zero = settings.contig_names, settings.missing == "zero"
    for name, header in headers.items():
        with _kept_in(faults):
            label = settings.tracks[name].path
            fits.append(fit_track(label, header.lengths, reference=reference, style=style, zero=zero))
    bed = BedFit((), Fit({}, ()))
    with _kept_in(faults):
        if "exclude" in files:
            bed = fit_bed(files["exclude"].path, files["exclude"].label, reference=reference, style=style)
    return fits, bed


@contextlib.contextmanager
def _kept_in(faults: list[str]) -> Iterator[None]:
    """Keep a fault for later, so that a person reads all of them at once."""
    try:
        yield
    except DataError as error:
        faults.append(str(error))


def _files(settings: BigWigSettings, folder: Path, faults: list[str]) -> dict[str, InputFile]:
    labels = {"reference": settings.reference}
    labels |= {_role(name): track.path for name, track in settings.tracks.items()}
    if settings.exclude is not None:
        labels["exclude"] = settings.exclude
    files = {}
    for role, label in labels.items():
        if _URL.match(label):
            faults.append(f"{label}: this version reads files of this machine only. Copy it here and name the copy.")
        else:
            files[role] = InputFile(folder / Path(label).expanduser(), label)
    return files


def _role(track: str) -> str:
    return f"track {track}"


def _finite_header(file: InputFile) -> BigWigHeader:
    header = read_header(file.path, file.label)
    if math.isinf(header.minimum) or math.isinf(header.maximum):
        raise DataError(f"{file.label}: holds infinite values ({header.minimum} to {header.maximum}). Cap them first.")
    return header


def _notes(settings: BigWigSettings, reference: Reference, fits: Sequence[Fit]) -> tuple[str, ...]:
    notes = [note for fit in fits for note in fit.notes]
    n_short = sum(length < settings.min_contig_bp for length in reference.lengths.values())
    if n_short:
        notes.append(f"{reference.label}: contigs shorter than {settings.min_contig_bp} bp left out: {n_short}.")
    if settings.contig_names and not any(fit.renames for fit in fits):
        notes.append(
            f"data.contig_names: {settings.contig_names} changes nothing here: the names are equal. Remove it."
        )
    return tuple(notes)
