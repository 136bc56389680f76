"""Splits by track: learn from some cell types or batches, and be tested on others."""

from collections.abc import Iterable
from typing import Literal

import numpy as np

from genotune.errors import Problem
from genotune.genome.contig_splits import HeldOutContigs, contig_problems, resolve_contigs
from genotune.genome.fold import Fold, TrackFold
from genotune.genome.folds import hold_out_in_turn
from genotune.genome.genome_table import GenomeSplitSettings, GenomeTable, naming_problems
from genotune.store import IntArray


class TrackSplitSettings(GenomeSplitSettings):
    """Whole tracks are held out; all the others train.

    A model knows the tracks that it learned from; of any other it predicts their mean.

    Attributes:
        by: track.
        validation: tracks on which trials are compared.
        test: tracks that no trial sees; the winner is scored on them once.
        contigs: contigs that are held out too; null: all contigs are in all splits.
    """

    by: Literal["track"]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    contigs: HeldOutContigs | None = None

    def problems(self, table: GenomeTable) -> list[Problem]:
        """See `GenomeSplitSettings.problems`."""
        if table.kind == "multiclass":
            message = "the tracks are the classes of one label, so none can be held out. Split by: contig."
            return [Problem(("by",), message)]
        found = naming_problems({("validation",): self.validation, ("test",): self.test}, table.tracks, thing="track")
        if not {*table.tracks} - {*self.validation, *self.test}:
            message = (
                f"validation and test take all {len(table.tracks)} tracks of the data, so train is empty. Free one."
            )
            found.append(Problem((), message))
        found += self._parted_strands(table)
        if self.contigs is not None:
            faults = contig_problems(self.contigs, table.contigs)
            found += [Problem(("contigs", *fault.path), fault.message) for fault in faults]
        return found

    def resolve(self, table: GenomeTable) -> Fold:
        """See `GenomeSplitSettings.resolve`."""
        everywhere = np.arange(len(table.contigs))
        contigs = Fold(*[everywhere] * 3) if self.contigs is None else resolve_contigs(self.contigs, table)
        validation, test = _places(self.validation, table), _places(self.test, table)
        train = np.setdiff1d(np.arange(len(table.tracks)), np.concatenate([validation, test]))
        return Fold(contigs.train, contigs.validation, contigs.test, tracks=TrackFold(train, validation, test))

    def folds(self, table: GenomeTable, fold: Fold, *, n_folds: int) -> list[Fold]:
        """Each of so many parts of the tracks but those of test held out in turn; the contigs stay as they are."""
        assert fold.tracks is not None
        members = np.sort(np.concatenate([fold.tracks.train, fold.tracks.validation]))
        together = np.arange(len(table.tracks))
        for plus, minus in table.strand_pairs:
            together[minus] = plus
        groups, weights = together[members], np.ones(len(members), dtype=np.int64)
        in_turn = hold_out_in_turn(members, groups, weights=weights, n_folds=n_folds, test=fold.tracks.test)
        return [Fold(fold.train, fold.validation, fold.test, tracks=TrackFold(*tracks)) for tracks in in_turn]

    def notes(self, table: GenomeTable) -> tuple[str, ...]:
        """What is seen in training of the regions that are scored; and what costs memory."""
        notes = []
        if self.contigs is None:
            notes.append(
                "split.contigs is null, so validation and test hold regions that training saw through other tracks: "
                "the score tells how a model carries over to new tracks, not to new sequence. Name split.contigs to "
                "hold out both."
            )
        tracks = self.resolve(table).tracks
        if tracks is not None and np.any(np.diff(tracks.train) > 1):
            notes.append(
                "the training tracks don't follow each other in data.tracks, so each process that runs trials copies "
                "their signal. List them one after the other, and it is shared."
            )
        return tuple(notes)

    def _parted_strands(self, table: GenomeTable) -> list[Problem]:
        split_of = {name: split for split in ("validation", "test") for name in getattr(self, split)}
        found = []
        for pair in table.strand_pairs:
            first, second = (table.tracks[track] for track in pair)
            if split_of.get(first) == split_of.get(second):
                continue
            named, other = (first, second) if first in split_of else (second, first)
            split = split_of[named]
            message = (
                f"{named!r} and {other!r} are the strands of one signal, and belong to one split: name both in {split}."
            )
            found.append(Problem((split, getattr(self, split).index(named)), message))
        return found


def _places(names: Iterable[str], table: GenomeTable) -> IntArray:
    """Indices of these tracks, rising."""
    return np.sort(np.array([table.tracks.index(name) for name in names], dtype=np.int64))
