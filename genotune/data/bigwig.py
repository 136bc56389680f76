"""The source `bigwig`: one or more tracks and the reference that they lie on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from genotune.columns import CONTIG, SEQUENCE, SIGNAL, START, TargetKind
from genotune.data.bigwig_header import BigWigHeader, read_header
from genotune.data.fasta import Reference, read_reference
from genotune.data.files import FileFacts, InputFile, fingerprint, kept_in, locate
from genotune.data.fitting import BedFit, Fit, fit_bed, fit_track
from genotune.data.source import Progress, SourcePlan, SourceSettings, SplitTable, StoreRead
from genotune.data.stretches import (
    Decoder,
    Missing,
    StoreBuilder,
    Stretch,
    cut_into_stretches,
    n_bins,
)
from genotune.errors import DataError, Problem
from genotune.genome.contig_names import NamingStyle
from genotune.genome.folds import hold_out_in_turn
from genotune.genome.intervals import Interval
from genotune.genome.splits import ContigSplits, ContigSplitSettings, Fold, SplitSettings
from genotune.settings import Settings
from genotune.store import IntArray, SequenceOutline


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

    splits_of: ClassVar[Literal["contigs", "samples"]] = "contigs"

    kind: Literal["bigwig"]
    reference: Annotated[str, Field(min_length=1)]
    tracks: Annotated[dict[str, TrackSettings], Field(min_length=1)]
    resolution_bp: Annotated[int, Field(ge=1)]
    missing: Missing = "zero"
    exclude: Annotated[str, Field(min_length=1)] | None = None
    contig_names: NamingStyle | None = None
    min_contig_bp: Annotated[int, Field(ge=1)] = 1

    @property
    def known_target(self) -> TargetKind:
        """Always a signal."""
        return "signal"

    def objective_bin_bp(self, asked: int | None) -> int:
        """See `SourceSettings.objective_bin_bp`."""
        return asked or self.resolution_bp

    def bin_fault(self, asked: int | None) -> str | None:
        """See `SourceSettings.bin_fault`."""
        if asked is None or asked % self.resolution_bp == 0:
            return None
        near = -(-asked // self.resolution_bp) * self.resolution_bp
        return f"found {asked}; must be a whole multiple of data.resolution_bp ({self.resolution_bp}), e.g. {near}."

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

    @property
    def target(self) -> TargetKind:
        """Always a signal."""
        return "signal"

    @property
    def smaller(self) -> Problem:
        """See `SourcePlan.smaller`."""
        return Problem(("resolution_bp",), f"A resolution_bp of {self.settings.resolution_bp * 4} needs less.")

    def fingerprints(self) -> list[FileFacts]:
        """Size and checksum of each input file; reads them whole."""
        return [fingerprint(role, file) for role, file in self.files.items()]

    def split_problems(self, split: SplitSettings) -> list[Problem]:
        """See `SourcePlan.split_problems`."""
        assert isinstance(split, ContigSplitSettings)
        return split.problems(self.contigs)

    def resolve(self, split: SplitSettings) -> Fold:
        """See `SourcePlan.resolve`; contigs in the order of the reference."""
        assert isinstance(split, ContigSplitSettings)
        position = {name: index for index, name in enumerate(self.contigs)}
        names: ContigSplits = split.resolve(self.contigs)
        return Fold(*(np.array([position[name] for name in part], dtype=np.int64) for part in names))

    def folds(self, fold: Fold, split: SplitSettings, *, n_folds: int) -> list[Fold]:
        """See `SourcePlan.folds`; contigs are held out whole, so that all folds have about as many bins."""
        del split
        members = np.sort(np.concatenate([fold.train, fold.validation]))
        weights = np.array(self.outline(members).contig_lengths, dtype=np.int64)
        return hold_out_in_turn(members, members, weights=weights, n_folds=n_folds, test=fold.test)

    def split_notes(self, split: SplitSettings) -> tuple[str, ...]:
        """None."""
        del split
        return ()

    def outline(self, members: IntArray) -> SequenceOutline:
        """See `SourcePlan.outline`."""
        lengths = tuple(self.contigs[name] for name in self._names(members))
        return SequenceOutline(self.settings.resolution_bp, tuple(self.settings.tracks), lengths)

    def name_split(self, members: IntArray) -> str:
        """The contigs."""
        return ", ".join(self._names(members))

    def split_table(self, fold: Fold, split: SplitSettings) -> SplitTable:
        """Contigs, bases and bins of each split."""
        del split
        rows = {}
        for name, members in fold._asdict().items():
            lengths = self.outline(members).contig_lengths
            count = sum(n_bins(length, self.settings.resolution_bp) for length in lengths)
            rows[name] = (self.name_split(members), f"{sum(lengths):,}", f"{count:,}")
        return SplitTable(("contigs", "bases", "bins"), rows)

    def record(self, fold: Fold) -> Mapping[str, Any]:
        """See `SourcePlan.record`."""
        return {
            "kind": self.settings.kind,
            "tracks": list(self.settings.tracks),
            "resolution_bp": self.settings.resolution_bp,
            "splits": {name: list(self._names(members)) for name, members in fold._asdict().items()},
        }

    def read_store(self, fold: Fold, progress: Progress | None = None) -> StoreRead:
        """Decode the files as a Ray Dataset and gather it. Ray must have been started.

        Args:
            fold: not used: nothing is learned from the data here.
            progress: called with the bins that are there, and those of the whole store.

        Raises:
            DataError: a file turned out to be damaged.
        """
        from genotune.data.bigwig_datasource import gather

        del fold
        builder = self._builder()
        gather(self.decoder, self.stretches(), into=builder, progress=progress)
        return StoreRead(builder.finish())

    def read_store_here(self, fold: Fold) -> StoreRead:
        """The same store, decoded in this process without Ray.

        Raises:
            DataError: a file turned out to be damaged.
        """
        del fold
        builder = self._builder()
        for piece in self.decoder.decode(self.stretches()):
            builder.put(piece)
        return StoreRead(builder.finish())

    def _names(self, members: IntArray) -> tuple[str, ...]:
        names = tuple(self.contigs)
        return tuple(names[index] for index in members)

    def _builder(self) -> StoreBuilder:
        return StoreBuilder(self.contigs, tracks=tuple(self.settings.tracks), resolution_bp=self.settings.resolution_bp)


def _make_plan(settings: BigWigSettings, folder: Path) -> BigWigPlan:
    faults: list[str] = []
    files = _files(settings, folder, faults)
    reference = _read_reference(files, faults)
    headers: dict[str, BigWigHeader] = {}
    for name in settings.tracks:
        with kept_in(faults):
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
    with kept_in(faults):
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
        with kept_in(faults):
            label = settings.tracks[name].path
            fits.append(fit_track(label, header.lengths, reference=reference, style=style, zero=zero))
    bed = BedFit((), Fit({}, ()))
    with kept_in(faults):
        if "exclude" in files:
            bed = fit_bed(files["exclude"].path, files["exclude"].label, reference=reference, style=style)
    return fits, bed


def _files(settings: BigWigSettings, folder: Path, faults: list[str]) -> dict[str, InputFile]:
    labels = {"reference": settings.reference}
    labels |= {_role(name): track.path for name, track in settings.tracks.items()}
    if settings.exclude is not None:
        labels["exclude"] = settings.exclude
    files = {}
    for role, label in labels.items():
        with kept_in(faults):
            files[role] = locate(folder, label)
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
