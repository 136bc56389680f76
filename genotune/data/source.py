"""What a source is: settings that plan, and a plan that reads files into a store. Planning decodes nothing."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.data.files import FileFacts
from genotune.data.quality import Quality
from genotune.errors import Problem
from genotune.genome.splits import Fold, SplitSettings
from genotune.settings import Settings
from genotune.store import IntArray, Outline, Store

Progress = Callable[[int, int], None]
"""Called from time to time with how much has been read, and how much there is."""


class StoreRead(NamedTuple):
    """A store, what a person should know of how it came about, and what the record tells of its quality."""

    store: Store
    notes: tuple[str, ...] = ()
    quality: Quality = Quality()


class Vetted(NamedTuple):
    """What a first look at the data says of its samples.

    Attributes:
        left_out: positions in the store of those that no split may hold.
        notes: what a person should know of it.
        quality: for the record.
    """

    left_out: IntArray
    notes: tuple[str, ...] = ()
    quality: Quality = Quality()


class SplitTable(NamedTuple):
    """What a person sees of the splits: a row of cells for each, after its name.

    Attributes:
        headers: of the columns after the split's name; the first is text, the others numbers.
        rows: by split.
    """

    headers: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]


class SourcePlan(ABC):
    """What is known of the data before anything is decoded.

    Attributes:
        notes: what a person should know though nothing is wrong, e.g. contigs that were left out.
    """

    notes: tuple[str, ...]

    learns_from_training: ClassVar[bool] = False
    """Whether a store's content depends on the training samples (filters, ranks): each fold has one of its own then."""

    @property
    @abstractmethod
    def target(self) -> TargetKind:
        """What kind of thing is predicted."""

    @property
    @abstractmethod
    def store_nbytes(self) -> int:
        """Bytes that the store will take."""

    @property
    @abstractmethod
    def smaller(self) -> Problem:
        """What to do where the store is too large, with the setting to change."""

    @abstractmethod
    def fingerprints(self) -> list[FileFacts]:
        """Size and checksum of each input file; reads them whole."""

    def cut_for(self, split: SplitSettings) -> "SourcePlan":
        """The same data in the parts that the split holds, where it cuts contigs; else the plan itself."""
        del split
        return self

    @abstractmethod
    def split_problems(self, split: SplitSettings) -> list[Problem]:
        """What in the splits doesn't fit the data, with paths relative to `split`; empty when all fits."""

    @abstractmethod
    def resolve(self, split: SplitSettings) -> Fold:
        """Positions in the store of what each split holds, once `split_problems` has found nothing."""

    @abstractmethod
    def folds(self, fold: Fold, split: SplitSettings, *, n_folds: int) -> list[Fold]:
        """Training and validation with each of so many parts held out in turn; groups stay whole, test stays as it is.

        As many as there are groups, where those are fewer.
        """

    @abstractmethod
    def split_notes(self, split: SplitSettings) -> tuple[str, ...]:
        """What a person should know of the splits though nothing is wrong."""

    def training_problems(self, fold: Fold) -> list[Problem]:
        """What can't be learned from the training split, with paths relative to `data`; empty when all can."""
        del fold
        return []

    def fold_fault(self, folds: Sequence[Fold]) -> str | None:
        """Which fold can't be learned from or scored, and why; None: all can."""
        del folds
        return None

    @abstractmethod
    def outline(self, members: IntArray) -> Outline:
        """What is known of the store as far as these members of a split go."""

    @abstractmethod
    def name_split(self, members: IntArray, tracks: IntArray | None = None) -> str:
        """The members of a split in a few words, with its tracks if those are split: 'chrIX, chrXV', '388 samples'."""

    @abstractmethod
    def split_table(self, fold: Fold, split: SplitSettings) -> SplitTable:
        """The splits, for a person to look at."""

    @abstractmethod
    def record(self, fold: Fold) -> Mapping[str, Any]:
        """What the record says of the data and its splits, as plain values."""

    def vet(self, fold: Fold, folds: Sequence[Fold]) -> Vetted:
        """Which samples must be left out before anything is learned; decodes some of the data.

        Args:
            fold: whatever is learned is learned from its training split.
            folds: others in which the same samples will be held out.

        Raises:
            DataError: the data can't be split so, or too little is left.
        """
        del fold, folds
        return Vetted(np.empty(0, dtype=np.int64))

    @abstractmethod
    def read_store(self, fold: Fold, progress: Progress | None = None) -> StoreRead:
        """Decode the files as a Ray Dataset and gather it. Ray must have been started.

        Args:
            fold: whatever is learned from the data (filters, ranks) is learned from its training split.
            progress: called from time to time.

        Raises:
            DataError: a file turned out to be damaged, or nothing is left to learn from.
        """

    def read_stores(self, folds: Sequence[Fold], progress: Progress | None = None) -> Iterator[StoreRead]:
        """A store for each fold, in their order, each what `read_store` gives; read together where a source can.

        Quality is told of the first alone. A caller who lets a store go before it asks for the next spares its memory.

        Args:
            folds: as that of `read_store`.
            progress: called from time to time.

        Raises:
            DataError: as `read_store`.
        """
        return (self.read_store(fold, progress) for fold in folds)

    @abstractmethod
    def read_store_here(self, fold: Fold) -> StoreRead:
        """The same store, decoded in this process without Ray.

        Raises:
            DataError: as `read_store`.
        """


class SourceSettings(Settings, ABC):
    """The settings of a source; a subclass has a field `kind`, its name in the registry."""

    yields: ClassVar[frozenset[str]]
    """Names of the columns (columns.py) that the source fills."""

    splits_of: ClassVar[Literal["contigs", "samples"]]
    """What a split of it is made of."""

    @property
    @abstractmethod
    def files(self) -> Mapping[tuple[str | int, ...], str]:
        """The files that the spec names, each a path, pattern or URL, by its keys below `data`."""

    @property
    @abstractmethod
    def known_target(self) -> TargetKind | None:
        """What kind of thing is predicted, where the settings alone say so."""

    @abstractmethod
    def objective_bin_bp(self, asked: int | None) -> int | None:
        """Width of the bins of the objective, given what the spec says of it; None where there are no bins."""

    @abstractmethod
    def bin_fault(self, asked: int | None) -> str | None:
        """What is wrong with bins of this width for the objective; None if nothing is."""

    @abstractmethod
    def plan(self, folder: Path) -> SourcePlan:
        """Read headers and indexes only.

        Args:
            folder: the spec's, to which paths are relative.

        Raises:
            DataError: with every fault of every file, one a line.
        """

    def plan_beside(self, folder: Path, other: SourcePlan) -> SourcePlan:
        """As `plan`; what `other`, a plan of the same source, has read already need not be read again."""
        del other
        return self.plan(folder)
