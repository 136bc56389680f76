"""The source `bigwig`: one or more tracks and the reference that they lie on."""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genotune.columns import TargetKind
from genotune.data.bigwig_header import BigWigHeader
from genotune.data.bigwig_settings import BigWigSettings
from genotune.data.fasta import Reference
from genotune.data.files import FileFacts, InputFile, fingerprint
from genotune.data.source import Progress, SourcePlan, SplitTable, StoreRead
from genotune.data.store_builder import StoreBuilder
from genotune.data.stretches import Decoder, Stretch, cut_into_stretches
from genotune.errors import Problem
from genotune.genome.blocks import cut_contigs, cut_peaks, cut_spans, cut_store, first_blocks, regroup
from genotune.genome.contig_names import first_names
from genotune.genome.peaks import count_by_contig
from genotune.genome.spans import Spans
from genotune.genome.splits import Fold, GenomeSplitSettings, GenomeTable, HomologySplitSettings, SplitSettings
from genotune.store import CodeArray, IntArray, Peaks, SequenceOutline, SequenceStore


@dataclass(frozen=True, eq=False)
class BigWigPlan(SourcePlan):
    """What will be read.

    Attributes:
        settings: of the source.
        reference: the FASTA.
        contigs: length in bp of each contig that will be read, in the order of the reference.
        headers: of each track, by its name.
        names: for each track, its name of each contig that it has.
        files: each input file, by its role.
        excluded: what has no signal.
        labels: of each track that is made of peaks, what lies in a peak; none where tracks are bigWigs.
        peaks: sets of peaks, by name.
        notes: what a person should know though nothing is wrong.
        block_bp: contigs are cut into blocks of so many bases, which splits hold instead of them; null: they aren't.
    """

    settings: BigWigSettings
    reference: Reference
    contigs: Mapping[str, int]
    headers: Mapping[str, BigWigHeader]
    names: tuple[Mapping[str, str], ...]
    files: Mapping[str, InputFile]
    excluded: Spans
    labels: tuple[Spans, ...]
    peaks: Mapping[str, Peaks]
    notes: tuple[str, ...]
    block_bp: int | None = None

    @functools.cached_property
    def members(self) -> Mapping[str, int]:
        """Lengths in bp of what splits hold: contigs, or blocks of them."""
        return self.contigs if self.block_bp is None else cut_contigs(self.contigs, block_bp=self.block_bp)

    @functools.cached_property
    def _lengths(self) -> IntArray:
        """(member,) in bp."""
        return np.array(list(self.members.values()), dtype=np.int64)

    @functools.cached_property
    def _n_peaks(self) -> Mapping[str, IntArray]:
        """(member,) number of peaks, by set."""
        sets = self.peaks
        if self.block_bp is not None:
            sets = {name: cut_peaks(one, self._firsts, block_bp=self.block_bp) for name, one in sets.items()}
        return {name: count_by_contig(peaks, len(self.members)) for name, peaks in sets.items()}

    @functools.cached_property
    def _labelled(self) -> tuple[Spans, ...]:
        """Of each track that is made of peaks, what of the members lies in a peak."""
        if self.block_bp is None:
            return self.labels
        return tuple(cut_spans(spans, self._firsts, block_bp=self.block_bp) for spans in self.labels)

    @property
    def _firsts(self) -> IntArray:
        """(contig,) index of its first block."""
        assert self.block_bp is not None
        return first_blocks(np.array(list(self.contigs.values()), dtype=np.int64), block_bp=self.block_bp)

    @functools.cached_property
    def _table(self) -> GenomeTable:
        """What splits are made of; the sequence is read if one asks for it."""
        return GenomeTable(
            contigs=self.members,
            tracks=tuple(self.settings.tracks),
            strand_pairs=self._strand_pairs,
            kind=self.target,
            resolution_bp=self.settings.resolution_bp,
            read=self._read_sequences,
        )

    @property
    def n_bins(self) -> int:
        """Bins of the store."""
        return self._bins_of(self._lengths)

    @property
    def store_nbytes(self) -> int:
        """Bytes that the store will take."""
        per_bin = self.settings.resolution_bp + 4 * len(self.settings.tracks)
        return self.n_bins * per_bin + 8 * (2 * len(self.members) + 1)

    @property
    def decoder(self) -> Decoder:
        """What reads the stretches."""
        tracks = tuple(self.files[track_role(name)] for name in self.headers)
        # Each read task carries its decoder: thousands of lengths that it doesn't use would be most of it.
        reference = replace(self.reference, lengths={})
        return Decoder(reference, tracks, self.settings.resolution_bp, self.settings.missing)

    def stretches(self) -> list[Stretch]:
        """The contigs in parts, each of which can be read on its own."""
        return cut_into_stretches(
            self.contigs,
            names=self.names,
            resolution_bp=self.settings.resolution_bp,
            excluded=self.excluded,
            labels=self.labels,
        )

    @property
    def target(self) -> TargetKind:
        """As the settings say."""
        return self.settings.known_target

    @property
    def smaller(self) -> Problem:
        """See `SourcePlan.smaller`."""
        return Problem(("resolution_bp",), f"A resolution_bp of {self.settings.resolution_bp * 4} needs less.")

    def fingerprints(self) -> list[FileFacts]:
        """Size and checksum of each input file; reads them whole."""
        return [fingerprint(role, file) for role, file in self.files.items()]

    def split_problems(self, split: SplitSettings) -> list[Problem]:
        """See `SourcePlan.split_problems`."""
        assert isinstance(split, GenomeSplitSettings)
        return split.problems(self._table)

    def cut_for(self, split: SplitSettings) -> "BigWigPlan":
        """See `SourcePlan.cut_for`; blocks that aren't whole bins are left to `split_problems`."""
        block_bp = split.block_bp if isinstance(split, HomologySplitSettings) else None
        is_whole = block_bp is not None and block_bp % self.settings.resolution_bp == 0
        return replace(self, block_bp=block_bp) if is_whole else self

    def resolve(self, split: SplitSettings) -> Fold:
        """See `SourcePlan.resolve`; contigs in the order of the reference."""
        assert isinstance(split, GenomeSplitSettings)
        return split.resolve(self._table)

    def folds(self, fold: Fold, split: SplitSettings, *, n_folds: int) -> list[Fold]:
        """See `SourcePlan.folds`."""
        assert isinstance(split, GenomeSplitSettings)
        return split.folds(self._table, fold, n_folds=n_folds)

    def split_notes(self, split: SplitSettings) -> tuple[str, ...]:
        """See `SourcePlan.split_notes`."""
        assert isinstance(split, GenomeSplitSettings)
        return split.notes(self._table)

    def outline(self, members: IntArray) -> SequenceOutline:
        """See `SourcePlan.outline`."""
        return SequenceOutline(
            self.settings.resolution_bp,
            tuple(self.settings.tracks),
            tuple(self._lengths[members].tolist()),
            kind=self.target,
            n_peaks={name: int(counts[members].sum()) for name, counts in self._n_peaks.items()},
        )

    def name_split(self, members: IntArray, tracks: IntArray | None = None) -> str:
        """The contigs, of very many the first few, or how many blocks; before them the tracks, if those are split."""
        if tracks is not None:
            return f"{', '.join(self._track_names(tracks))} on {self.name_split(members)}"
        if self.block_bp is not None:
            return f"{len(members):,} blocks of {self.block_bp:,} bp"
        return ", ".join(first_names(self._names(members)))

    def split_table(self, fold: Fold, split: SplitSettings) -> SplitTable:
        """Contigs, bases and bins of each split, the peaks of each set, and the share of labelled bases."""
        del split
        rows: dict[str, tuple[str, ...]] = {}
        for name, members in fold.members.items():
            counts = [int(self._lengths[members].sum()), self._bins_of(self._lengths[members])]
            peaks = self.outline(members).n_peaks.values()
            cells = [f"{count:,}" for count in (*counts, *peaks)]
            rows[name] = (self.name_split(members, fold.tracks_of(name)), *cells, *self._label_cells(members))
        labels = [f"in {name}" for name in self.settings.tracks] if self.labels else []
        what = "contigs" if fold.tracks is None else "tracks on contigs"
        return SplitTable((what, "bases", "bins", *(f"peaks ({name})" for name in self.peaks), *labels), rows)

    def record(self, fold: Fold) -> Mapping[str, Any]:
        """See `SourcePlan.record`."""
        members_of = fold.members
        names_of = {name: self._names(members) for name, members in members_of.items()}
        tracks = {} if fold.tracks is None else fold.tracks._asdict()
        return {
            "kind": self.settings.kind,
            "target": self.target,
            "tracks": list(self.settings.tracks),
            "resolution_bp": self.settings.resolution_bp,
            "transforms": {
                name: [step.model_dump(mode="json") for step in track.transform]
                for name, track in self.settings.tracks.items()
            },
            "strands": [list(pair) for pair in self.settings.strands],
            "peaks": {
                name: {split: int(counts[members].sum()) for split, members in members_of.items()}
                for name, counts in self._n_peaks.items()
            },
            "splits": {name: first_names(names) for name, names in names_of.items()},
            **({"track_splits": {name: self._track_names(part) for name, part in tracks.items()}} if tracks else {}),
            # Names that are left out still tell this record from others.
            "splits_sha256": hashlib.sha256(json.dumps(names_of).encode()).hexdigest(),
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
        return StoreRead(self._described(builder.finish()))

    def read_store_here(self, fold: Fold) -> StoreRead:
        """The same store, decoded in this process without Ray.

        Raises:
            DataError: a file turned out to be damaged.
        """
        del fold
        builder = self._builder()
        for piece in self.decoder.decode(self.stretches()):
            builder.put(piece)
        return StoreRead(self._described(builder.finish()))

    def _names(self, members: IntArray) -> tuple[str, ...]:
        names = tuple(self.members)
        return tuple(names[index] for index in members.tolist())

    def _track_names(self, chosen: IntArray) -> list[str]:
        names = tuple(self.settings.tracks)
        return [names[index] for index in chosen.tolist()]

    def _read_sequences(self) -> Iterator[CodeArray]:
        """(base,) codes of each member, in order, padded with N to whole bins."""
        resolution_bp = self.settings.resolution_bp
        decoder = replace(self.decoder, tracks=())
        stretches = cut_into_stretches(self.contigs, names=(), resolution_bp=resolution_bp)
        pieces = (piece.codes for piece in decoder.decode(stretches))
        return regroup(pieces, (-(-self._lengths // resolution_bp) * resolution_bp).tolist())

    def _bins_of(self, lengths: IntArray) -> int:
        return int((-(-lengths // self.settings.resolution_bp)).sum())

    def _label_cells(self, members: IntArray) -> list[str]:
        """Of each track of peaks, the share of the split's bases that lie in one."""
        total = max(1, int(self._lengths[members].sum()))
        widths = [(spans.ends - spans.starts)[np.isin(spans.contigs, members)].sum() for spans in self._labelled]
        return [f"{width / total:.1%}" for width in widths]

    @property
    def _strand_pairs(self) -> tuple[tuple[int, int], ...]:
        position = {name: index for index, name in enumerate(self.settings.tracks)}
        return tuple((position[plus], position[minus]) for plus, minus in self.settings.strands)

    def _builder(self) -> StoreBuilder:
        return StoreBuilder(self.contigs, tracks=tuple(self.settings.tracks), resolution_bp=self.settings.resolution_bp)

    def _described(self, store: SequenceStore) -> SequenceStore:
        """The store with what isn't read stretch by stretch."""
        described = replace(
            store,
            kind=self.target,
            strand_pairs=self._strand_pairs,
            transforms=tuple(track.transform for track in self.settings.tracks.values()),
            peaks=self.peaks,
        )
        return described if self.block_bp is None else cut_store(described, block_bp=self.block_bp)


def track_role(track: str) -> str:
    """What the file of a track is to the source."""
    return f"track {track}"
