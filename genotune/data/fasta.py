"""A reference: a FASTA file, plain or bgzipped, with its index.

The index (.fai, for bgzip .gzi too) lies beside the file, as samtools leaves it. Where it is missing it is made there,
or in the user's cache folder if that folder can't be written to.
"""

import contextlib
import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from genotune.data.bgzf import GZIP_MAGIC, text_size
from genotune.data.files import InputFile
from genotune.errors import DataError

_TWO_BIT_MAGICS: Final = (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43")
_MOST_TRAILING_BYTES: Final = 4096


@dataclass(frozen=True)
class Reference:
    """A FASTA file that was found whole.

    Attributes:
        file: where it lies.
        lengths: length of each contig in bp, in the order of the file.
        ends_in_newline: a plain file that doesn't may have been cut short.
    """

    file: InputFile
    lengths: Mapping[str, int]
    ends_in_newline: bool

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.file.label

    @contextlib.contextmanager
    def open(self) -> Iterator[Any]:
        """A `pysam.FastaFile`; the index is made again on a machine that hasn't got it."""
        import pysam

        path = self.file.path
        fai, gzi = _index(path, self.label)
        with pysam.FastaFile(
            str(path), filepath_index=str(fai), filepath_index_compressed=str(gzi) if gzi else None
        ) as fasta:
            yield fasta


def read_reference(file: InputFile) -> Reference:
    """The contigs of a FASTA file; no sequence is read.

    Raises:
        DataError: it is missing, empty, no FASTA, plain gzip, cut short, or its index is of another file.
    """
    path, label = file.path, file.label
    if not path.is_file():
        raise DataError(f"{label}: no such file (looked for {path}). Paths are relative to the spec's folder.")
    n_bytes = path.stat().st_size
    if n_bytes == 0:
        raise DataError(f"{label}: the file is empty; a FASTA is wanted.")
    with path.open("rb") as content:
        head = content.read(4)
        content.seek(-1, os.SEEK_END)
        last = content.read(1)
    is_gzip = head.startswith(GZIP_MAGIC)
    n_text = text_size(path, label) if is_gzip else n_bytes
    _check_begins_as_fasta(path, label, head)
    fai, _ = _index(path, label)
    return Reference(file, _lengths(fai, label, n_text), ends_in_newline=is_gzip or last == b"\n")


def _check_begins_as_fasta(path: Path, label: str, head: bytes) -> None:
    if head in _TWO_BIT_MAGICS:
        raise DataError(f"{label}: a 2bit file; a FASTA is wanted. Run: twoBitToFa {label} out.fa")
    if head.startswith(GZIP_MAGIC):
        with gzip.open(path) as text:
            head = text.read(4)
    if not head.startswith(b">"):
        raise DataError(f"{label}: not a FASTA: it begins with {head!r}; a FASTA begins with '>' and a name.")


def _index(path: Path, label: str) -> tuple[Path, Path | None]:
    """The .fai, and for a bgzip file the .gzi; made if they are missing."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    folders = (path.parent, _cache_folder(path))
    for folder in folders:
        fai = folder / f"{path.name}.fai"
        gzi = folder / f"{path.name}.gzi" if is_gzip else None
        if fai.is_file() and (gzi is None or gzi.is_file()):
            return fai, gzi
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            return _build_index(path, label, folder, is_gzip=is_gzip)
    raise DataError(
        f"{label}: has no .fai, and none can be written beside it nor in {folders[1]}. Run: samtools faidx {label}"
    )


def _cache_folder(path: Path) -> Path:
    """For the index of this very file: one that was changed gets another."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    state = path.stat()
    identity = f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
    return root / "genotune" / "fasta" / hashlib.sha256(identity.encode()).hexdigest()[:16]


def _build_index(path: Path, label: str, folder: Path, *, is_gzip: bool) -> tuple[Path, Path | None]:
    """The index, written beside its place and moved there: several tasks may make it at once."""
    import pysam

    fai = folder / f"{path.name}.fai"
    gzi = folder / f"{path.name}.gzi" if is_gzip else None
    with tempfile.TemporaryDirectory(dir=folder, prefix=".faidx-") as workshop:
        new_fai, new_gzi = Path(workshop) / "fai", Path(workshop) / "gzi"
        options = ["--fai-idx", str(new_fai), *(["--gzi-idx", str(new_gzi)] if is_gzip else [])]
        verbosity = pysam.set_verbosity(0)
        try:
            pysam.faidx(*options, str(path))
        except pysam.utils.SamtoolsError as error:
            message = (
                f"{label}: can't be indexed: all lines of a sequence but its last must have one length, none blank. "
                f"Run: seqkit seq -w 60 {label}"
            )
            raise DataError(message) from error
        finally:
            pysam.set_verbosity(verbosity)
        if gzi is not None:
            new_gzi.replace(gzi)
        new_fai.replace(fai)
    return fai, gzi


def _lengths(fai: Path, label: str, n_text: int) -> dict[str, int]:
    """Length of each contig, once the index was found to fit the size of the text."""
    lengths: dict[str, int] = {}
    text_end = 0
    for line in fai.read_text().splitlines():
        try:
            name, *numbers = line.split("\t")
            length, offset, line_bases, line_bytes = (int(number) for number in numbers[:4])
            lengths[name] = length
            if length:
                n_breaks, column = divmod(length - 1, line_bases)
                text_end = max(text_end, offset + n_breaks * line_bytes + column + 1)
        except (ValueError, ZeroDivisionError) as error:
            message = f"{fai}: not an index of a FASTA: found the line {line!r}. Delete it; it will be made again."
            raise DataError(message) from error
    if text_end > n_text:
        raise DataError(
            f"{label}: cut short: its index ({fai.name}) tells of {text_end} bytes of text, the file has {n_text}. "
            f"Copy it again; if the file was changed on purpose, delete {fai.name}."
        )
    if n_text - text_end > _MOST_TRAILING_BYTES:
        raise DataError(
            f"{label}: its index ({fai.name}) tells of {text_end} bytes of text, the file has {n_text}: the index is "
            f"another file's. Delete {fai.name}; it will be made again."
        )
    return {name: length for name, length in lengths.items() if length}
