"""What a source is: settings that plan, and a plan that reads files into a store. Planning decodes nothing."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypedDict

from genotune.settings import Settings
from genotune.store import SequenceStore

Progress = Callable[[int, int], None]
"""Called from time to time with how much has been read, and how much there is."""


class FileFacts(TypedDict):
    """What the record says of an input file.

    Attributes:
        role: what it is to the source, e.g. 'reference' or 'track cutsites'.
        path: as the spec writes it.
        n_bytes: its size.
        sha256: of its bytes, in hexadecimal.
    """

    role: str
    path: str
    n_bytes: int
    sha256: str


class SourcePlan(ABC):
    """What is known of the data before anything is decoded.

    Attributes:
        notes: what a person should know though nothing is wrong, e.g. contigs that were left out.
    """

    notes: tuple[str, ...]

    @property
    @abstractmethod
    def store_nbytes(self) -> int:
        """Bytes that the store will take."""

    @abstractmethod
    def fingerprints(self) -> list[FileFacts]:
        """Size and checksum of each input file; reads them whole."""

    @abstractmethod
    def read_store(self, progress: Progress | None = None) -> SequenceStore:
        """Decode the files as a Ray Dataset and gather it. Ray must have been started.

        Raises:
            DataError: a file turned out to be damaged.
        """


class SourceSettings(Settings, ABC):
    """The settings of a source; a subclass has a field `kind`, its name in the registry."""

    yields: ClassVar[frozenset[str]]
    """Names of the columns (columns.py) that the source fills."""

    @abstractmethod
    def plan(self, folder: Path) -> SourcePlan:
        """Read headers and indexes only.

        Args:
            folder: the spec's, to which paths are relative.

        Raises:
            DataError: with every fault of every file, one a line.
        """
