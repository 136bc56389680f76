"""Input files: where they lie, what a person calls them, and what the record says of them."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from genotune.data.remote import RemoteFile, copy_here, is_url, look_up, masked
from genotune.errors import DataError


class InputFile(NamedTuple):
    """A file, and what a person calls it: its path in the spec, without logins.

    It may travel to another machine: ask for its path where it is read.
    """

    place: Path | RemoteFile
    label: str

    @property
    def path(self) -> Path:
        """On this machine; a remote file is copied here, unless it has been.

        Raises:
            DataError: it can't be copied.
        """
        return copy_here(self.place, self.label) if isinstance(self.place, RemoteFile) else self.place


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


def locate(folder: Path, label: str, *, companions: Sequence[str] = ()) -> InputFile:
    """The file that a spec in this folder names so; a remote one is copied to this machine.

    Args:
        folder: of the spec.
        label: a path or a URL.
        companions: endings of files beside a remote one that are copied too, where they are there.

    Raises:
        DataError: it is a URL, and can't be copied.
    """
    if not is_url(label):
        return InputFile(folder / Path(label).expanduser(), label)
    file = InputFile(look_up(label, endings=companions), masked(label))
    # Now, so that what is wrong with it is told with all else that is wrong.
    _ = file.path
    return file


def fingerprint(role: str, file: InputFile) -> FileFacts:
    """Size and checksum of a file; reads it whole."""
    with file.path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"role": role, "path": file.label, "n_bytes": file.path.stat().st_size, "sha256": digest}


@contextlib.contextmanager
def kept_in(faults: list[str]) -> Iterator[None]:
    """Keep a fault for later, so that a person reads all of them at once."""
    try:
        yield
    except DataError as error:
        faults.append(str(error))
