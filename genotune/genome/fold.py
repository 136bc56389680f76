"""Training, validation and test: what of the data each of them holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

from genotune.store import IntArray, Splits, TrackSplits

SplitName = Literal["train", "validation", "test"]


class TrackFold(NamedTuple):
    """Indices of the tracks of each split, rising."""

    train: IntArray
    validation: IntArray
    test: IntArray


@dataclass(frozen=True)
class Fold:
    """Indices in the store of the contigs or samples of each split, rising; to go through a fold is to go through them.

    Attributes:
        train: members to learn from.
        validation: members on which models are compared.
        test: members that no trial sees.
        tracks: where the tracks are split too; None: all of them are in all splits.
    """

    train: IntArray
    validation: IntArray
    test: IntArray
    tracks: TrackFold | None = field(default=None, kw_only=True)

    def __iter__(self) -> Iterator[IntArray]:
        return iter((self.train, self.validation, self.test))

    @property
    def members(self) -> Mapping[str, IntArray]:
        """Contigs or samples of each split, by its name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def tracks_of(self, split: str) -> IntArray | None:
        """The tracks of a split; None: all of them."""
        if self.tracks is None:
            return None
        chosen: IntArray = getattr(self.tracks, split)
        return chosen

    def without(self, left_out: IntArray) -> "Fold":
        """The same splits without some of their contigs or samples."""
        train, validation, test = (part[~np.isin(part, left_out)] for part in self)
        return replace(self, train=train, validation=validation, test=test)

    @property
    def splits(self) -> Splits:
        """What a trial may see of it."""
        tracks = None if self.tracks is None else TrackSplits(self.tracks.train, self.tracks.validation)
        return Splits(self.train, self.validation, tracks)
