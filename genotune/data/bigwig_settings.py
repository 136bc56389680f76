"""What a spec may say of tracks and their reference."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from genotune.columns import CONTIG, SEQUENCE, SIGNAL, START, TargetKind
from genotune.data.source import SourceSettings
from genotune.errors import describe
from genotune.genome.contig_names import NamingStyle, name_some
from genotune.genome.runs import Missing
from genotune.genome.track_transforms import NoTransform, Transform
from genotune.settings import Settings

if TYPE_CHECKING:
    from genotune.data.bigwig import BigWigPlan

FileName = Annotated[str, Field(min_length=1)]


class TrackSettings(Settings):
    """One signal along the genome, or one set of peaks as labels.

    Attributes:
        path: a bigWig, relative to the spec's folder.
        peaks: instead of it, a BED or narrowPeak: the track is a label, positive where a peak lies.
        transform: of the values before a model sees them; of a bigWig alone.
    """

    path: FileName | None = None
    peaks: FileName | None = None
    transform: Transform = (NoTransform(),)

    @field_validator("transform")
    @classmethod
    def _of_signal(cls, transform: Transform, info: ValidationInfo) -> Transform:
        if info.data.get("peaks") is not None and any(not isinstance(step, NoTransform) for step in transform):
            raise ValueError("a track of peaks is a label, and has no values to transform. Remove the transform.")
        return transform

    @model_validator(mode="after")
    def _one_of_two(self) -> "TrackSettings":
        if (self.path is None) == (self.peaks is None):
            raise ValueError("a track takes either `path`, a bigWig, or `peaks`, a BED or narrowPeak for labels.")
        return self

    @property
    def file(self) -> str:
        """The path of whichever file the track is made of."""
        return self.path or self.peaks or ""


class PeakSettings(Settings):
    """A set of peaks, on which windows are centred or metrics are stratified.

    Attributes:
        path: a BED or narrowPeak, plain or gzipped, relative to the spec's folder.
    """

    path: FileName


def _listed(value: object) -> object:
    """One file as a list of one; a tuple, since a strict model takes no list but JSON's own for one."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _two_tracks(pair: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    tracks: dict[str, TrackSettings] = info.data.get("tracks", {})
    if len(pair) != 2:
        raise ValueError(f"found {describe(pair)}; a pair is the plus and the minus strand of one signal: [a, b].")
    for name in pair:
        if tracks and name not in tracks:
            raise ValueError(f"there is no track {name!r}; data.tracks has {name_some(tracks)}.")
        if tracks and tracks[name].path is None:
            raise ValueError(f"the track {name!r} is a label, and labels have no strand. Remove the pair.")
    return pair


StrandPair = Annotated[tuple[str, ...], AfterValidator(_two_tracks)]


class BigWigSettings(SourceSettings):
    """Tracks and their reference.

    Attributes:
        reference: a FASTA, plain or bgzipped, relative to the spec's folder.
        tracks: by name, in the order in which models predict them; all of bigWigs, or all of peaks.
        labels: what tracks of peaks are together: 'binary': each is positive or not, by itself (the default);
            'multiclass': a bin is of the one class whose peaks take most of it, or of none.
        resolution_bp: width of a stored bin.
        missing: what a base without a value counts as: zero (counts, coverage), or nan (no measurement there).
        strands: pairs of tracks that are the plus and the minus strand of one signal; they swap places where a
            window is read from its other strand.
        peaks: sets of peaks, by name, for windows and metrics.
        exclude: one or several BEDs; every bin that touches one of their intervals is left out of training and scores.
        contig_names: how tracks and BEDs spell the contigs that the FASTA calls otherwise; null: names must be equal.
        min_contig_bp: shorter contigs are left out.
    """

    yields: ClassVar[frozenset[str]] = frozenset({CONTIG, START, SEQUENCE, SIGNAL})

    splits_of: ClassVar[Literal["contigs", "samples"]] = "contigs"

    kind: Literal["bigwig"]
    reference: FileName
    tracks: Annotated[dict[str, TrackSettings], Field(min_length=1)]
    labels: Literal["binary", "multiclass"] | None = None
    resolution_bp: Annotated[int, Field(ge=1)]
    missing: Missing = "zero"
    strands: tuple[StrandPair, ...] = ()
    peaks: dict[str, PeakSettings] = Field(default_factory=dict)
    exclude: Annotated[tuple[FileName, ...], BeforeValidator(_listed)] = ()
    contig_names: NamingStyle | None = None
    min_contig_bp: Annotated[int, Field(ge=1)] = 1

    @field_validator("tracks")
    @classmethod
    def _of_one_kind(cls, tracks: dict[str, TrackSettings]) -> dict[str, TrackSettings]:
        signals = [name for name, track in tracks.items() if track.path is not None]
        labels = [name for name in tracks if name not in signals]
        if signals and labels:
            raise ValueError(
                f"a sweep predicts signals or labels, not both: {name_some(signals)} by `path`, {name_some(labels)} by "
                "`peaks`. Keep those of one kind."
            )
        return tracks

    @field_validator("labels")
    @classmethod
    def _of_label_tracks(cls, labels: str | None, info: ValidationInfo) -> str | None:
        tracks: dict[str, TrackSettings] = info.data.get("tracks", {})
        if labels is None or not tracks:
            return labels
        if all(track.peaks is None for track in tracks.values()):
            raise ValueError(f"found {labels}, but no track is made of peaks. Remove it, or give tracks by `peaks`.")
        if labels == "multiclass" and len(tracks) < 2:
            raise ValueError("found multiclass, which takes at least two tracks; of one, write binary.")
        return labels

    @field_validator("missing")
    @classmethod
    def _of_signal(cls, missing: str, info: ValidationInfo) -> str:
        tracks: dict[str, TrackSettings] = info.data.get("tracks", {})
        if missing != "zero" and tracks and all(track.path is None for track in tracks.values()):
            raise ValueError(f"found {missing}, but labels are never missing: no peak, no label. Remove it.")
        return missing

    @field_validator("strands")
    @classmethod
    def _each_once(cls, strands: tuple[StrandPair, ...]) -> tuple[StrandPair, ...]:
        named = [name for pair in strands for name in pair]
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the track {twice!r} is named twice; a track is one strand of one signal.")
        return strands

    @property
    def files(self) -> Mapping[tuple[str | int, ...], str]:
        """See `SourceSettings.files`."""
        kinds = {name: "path" if track.path is not None else "peaks" for name, track in self.tracks.items()}
        return {
            ("reference",): self.reference,
            **{("tracks", name, kinds[name]): track.file for name, track in self.tracks.items()},
            **{("peaks", name, "path"): peaks.path for name, peaks in self.peaks.items()},
            **{("exclude", index): path for index, path in enumerate(self.exclude)},
        }

    @property
    def known_target(self) -> TargetKind:
        """A signal, or what the tracks' peaks are together."""
        is_signal = any(track.path is not None for track in self.tracks.values())
        return "signal" if is_signal else self.labels or "binary"

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
        """What is known from headers, indexes and BEDs alone."""
        from genotune.data.bigwig_planning import make_plan

        return make_plan(self, folder)
