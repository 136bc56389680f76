"""Input files: where they lie, what a person calls them, and what the record says of them."""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

from genotune.errors import DataError

_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


class InputFile(NamedTuple):
    """A file, and what a person calls it: its path in the spec."""

    path: Path
    label: str


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


def locate(folder: Path, label: str) -> InputFile:
    """The file that a spec in this folder names so.

    Raises:
        DataError: it is a URL.
    """
    if _URL.match(label):
        raise DataError(f"{label}: this version reads files of this machine only. Copy it here and name the copy.")
    return InputFile(folder / Path(label).expanduser(), label)


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
