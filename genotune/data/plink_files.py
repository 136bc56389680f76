"""A PLINK fileset: its three files, the tables of samples and variants, and whether the .bed fits them.

No genotype is decoded here.

Source of the layouts: PLINK 1.9 documentation, file formats, .bed .bim .fam.
"""

import contextlib
import mmap
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from genotune.data.files import InputFile, locate
from genotune.data.plink_columns import as_text, check_allele_lengths, check_unique, read_starts
from genotune.errors import DataError
from genotune.store import IntArray, TextArray

if TYPE_CHECKING:
    import pandas as pd

BED_MAGIC: Final = b"\x6c\x1b\x01"
"""The first bytes of a .bed that holds variant after variant."""

_PGEN_MODES: Final = (0x02, 0x10, 0x11, 0x20, 0x21)
"""In the place of the 1 of a .bed. Source: PLINK 2 file format specification, PGEN, header."""

_ENDINGS: Final = (".bed", ".bim", ".fam")
_N_COLUMNS: Final = 6
_FAM_COLUMNS: Final = "family, individual, father, mother, sex, phenotype"
_BIM_COLUMNS: Final = "contig, ID, centimorgans, position, allele 1, allele 2"
_AGAIN: Final = "The fileset is torn: copy all three files again."


class Fileset(NamedTuple):
    """The three files of a PLINK fileset."""

    bed: InputFile
    bim: InputFile
    fam: InputFile


class FamTable(NamedTuple):
    """The samples of a fileset, in the order of the .bed.

    Attributes:
        fids: (sample,) family IDs.
        iids: (sample,) individual IDs.
        fathers: (sample,) individual IDs, '0' where unknown.
        mothers: (sample,) individual IDs, '0' where unknown.
        phenotypes: (sample,) column six, as written.
        sexes: (sample,) '1' male, '2' female, anything else unknown; None where the file doesn't say.
    """

    fids: TextArray
    iids: TextArray
    fathers: TextArray
    mothers: TextArray
    phenotypes: TextArray
    sexes: TextArray | None = None


class BimTable(NamedTuple):
    """The variants of a fileset, in the order of the .bed.

    Attributes:
        ids: (variant,) as written.
        contigs: (variant,) names.
        starts: (variant,) 0-based position, `NO_POSITION` where the .bim gives none (0 or less).
        counted: (variant,) allele 1 (column 5), whose copies a dosage counts.
        other: (variant,) allele 2 (column 6).
    """

    ids: TextArray
    contigs: TextArray
    starts: IntArray
    counted: TextArray
    other: TextArray


def find_fileset(folder: Path, label: str) -> Fileset:
    """The three files that a spec names by one of them, or by what their names share.

    Args:
        folder: of the spec.
        label: as the spec says it: x.bed, x.bim, x.fam or x.

    Raises:
        DataError: some are missing.
    """
    ending = Path(label).suffix
    stem = label.removesuffix(ending) if ending in _ENDINGS else label
    files = [locate(folder, f"{stem}{ending}") for ending in _ENDINGS]
    missing = [file.label for file in files if not file.path.is_file()]
    if missing:
        names = ", ".join(file.label for file in files)
        advice = f" Looked in {files[0].path.parent}." if len(missing) == len(files) else ""
        if advice and files[0].path.with_suffix(".pgen").is_file():
            advice = f" {stem}.pgen of PLINK 2 is there: name that."
        raise DataError(
            f"{', '.join(missing)}: no such file{'s' * (len(missing) > 1)}; "
            f"a PLINK fileset is three files: {names}.{advice}"
        )
    return Fileset(*files)


def read_fam(file: InputFile) -> FamTable:
    """The samples of a .fam.

    Raises:
        DataError: it is empty, no text, has a header, a line without six columns, or a sample twice.
    """
    table = _read_columns(file, names=_FAM_COLUMNS, too_many=_too_many_fam_columns)
    fids, iids, fathers, mothers, sexes, phenotypes = (as_text(table[column]) for column in range(_N_COLUMNS))
    if iids[0].upper() == "IID":
        line, _ = next(_lines(file))
        raise DataError(f"{file.label}:{line}: a header; a .fam has none. Delete this line.")
    check_unique(file, fids, iids=iids, line_of=partial(_line_of, file))
    return FamTable(fids, iids, fathers, mothers, phenotypes, sexes)


def read_bim(file: InputFile) -> BimTable:
    """The variants of a .bim.

    Raises:
        DataError: it is empty, no text, has a line without six columns or without a whole number as position, or
            alleles too long to be kept for all variants.
    """
    table = _read_columns(file, names=_BIM_COLUMNS, too_many=_too_many_bim_columns)
    line_of, stem = partial(_line_of, file), file.label.removesuffix(".bim")
    starts = read_starts(file, table[3], name="column 4", header_advice=" A .bim has no header.", line_of=line_of)
    for column in (4, 5):
        command = f"plink2 --bfile {stem} --snps-only --make-bed --out {stem}-snps"
        check_allele_lengths(file, table[column], command=command, line_of=line_of)
    return BimTable(
        ids=as_text(table[1]),
        contigs=as_text(table[0]),
        starts=starts,
        counted=as_text(table[4]),
        other=as_text(table[5]),
    )


def check_bed(file: InputFile, *, n_samples: int, n_variants: int, fileset: Fileset) -> None:
    """Nothing, if a .bed begins as one and its size fits the other two files.

    Args:
        file: the .bed.
        n_samples: that the .fam lists.
        n_variants: that the .bim lists.
        fileset: all three files.

    Raises:
        DataError: it is something else, sample-major, or of another size.
    """
    n_bytes = file.path.stat().st_size
    with file.path.open("rb") as content:
        head = content.read(64)
    if head[:2] != BED_MAGIC[:2]:
        raise DataError(_not_a_bed(head, file.label))
    if n_bytes <= len(BED_MAGIC):
        raise DataError(f"{file.label}: cut short: it has {n_bytes} bytes and no genotypes. {_AGAIN}")
    if head[2] == 0:
        stem = file.label.removesuffix(".bed")
        raise DataError(
            f"{file.label}: a sample-major .bed of an old PLINK; this version reads variant-major ones. "
            f"Write it again: plink --bfile {stem} --keep-allele-order --make-bed --out {stem}-new (PLINK 1.9)"
        )
    if head[2] in _PGEN_MODES:
        raise DataError(
            f"{file.label}: a .pgen of PLINK 2 under another name. Rename it to "
            f"{file.label.removesuffix('.bed')}.pgen, beside its .pvar and .psam, and name that."
        )
    if head[2] != BED_MAGIC[2]:
        raise DataError(_not_a_bed(head, file.label))
    fault = _size_fault(n_bytes - len(BED_MAGIC), n_samples=n_samples, n_variants=n_variants, fileset=fileset)
    if fault is not None:
        raise DataError(f"{file.label}: {fault}")


def _not_a_bed(head: bytes, label: str) -> str:
    magic = BED_MAGIC.hex(" ")
    if not head:
        return f"{label}: the file is empty; a PLINK .bed is wanted."
    if head.startswith(b"\x1f\x8b"):
        return f"{label}: gzipped, not a PLINK .bed ({magic}). Run: gunzip {label}"
    text = head.split(b"\n")[0]
    if text[:3].isascii() and text[:3].decode().isprintable():
        shown = text.decode(errors="replace").rstrip("\r")
        return (
            f"{label}: begins with {shown!r}; not a PLINK .bed ({magic}), but text. Is it a list of intervals, "
            "the BED of UCSC? Name the .bed of a PLINK fileset."
        )
    return f"{label}: begins with {head[:3].hex(' ')}; not a PLINK .bed ({magic}). Name the .bed of a PLINK fileset."


def _size_fault(n_bytes: int, *, n_samples: int, n_variants: int, fileset: Fileset) -> str | None:
    """What the bytes after the magic say against the two tables."""
    bim, fam = fileset.bim.label, fileset.fam.label
    row = -(-n_samples // 4)
    if n_bytes == row * n_variants:
        return None
    found, rest = divmod(n_bytes, row)
    other_row, other_rest = divmod(n_bytes, n_variants)
    other = ""
    if other_row and not other_rest:
        other = f"{n_variants} variants of {4 * other_row - 3} to {4 * other_row} samples"
    if not rest:
        also = f" Or is {fam} another's? The size fits {other} too." if other else ""
        return f"its size fits {found} variants of {n_samples} samples, {bim} lists {n_variants}. {_AGAIN}{also}"
    if other:
        return (
            f"its size fits {other}, {fam} lists {n_samples}. Is it another's? The three files of a fileset belong "
            "together: copy all three again."
        )
    return (
        f"its size is no whole number of variants of {n_samples} samples ({row} bytes each): it has {found} and a "
        f"part, {bim} lists {n_variants}. {_AGAIN}"
    )


def _read_columns(file: InputFile, *, names: str, too_many: Callable[[int], str]) -> "pd.DataFrame":
    """Columns 0 to 5 as text; lines of blanks don't count."""
    import pandas as pd

    check_text(file)
    line, cells = next(_lines(file), (0, []))
    if not line:
        raise DataError(f"{file.label}: holds no line; {_N_COLUMNS} columns are wanted ({names}).")
    # pandas gives only a warning when the first line is longer than the names that it was given.
    is_ragged = len(cells) != _N_COLUMNS
    with contextlib.suppress(pd.errors.ParserError):
        if not is_ragged:
            table = pd.read_csv(
                file.path,
                sep=r"\s+",
                header=None,
                names=range(_N_COLUMNS + 1),
                index_col=False,
                dtype=str,
                na_filter=False,
                quoting=3,
                engine="c",
                compression=None,
                encoding="utf-8",
            )
            is_ragged = bool((table[_N_COLUMNS - 1] == "").any() or (table[_N_COLUMNS] != "").any())
            if not is_ragged:
                return table
    raise DataError(_column_fault(file, names=names, too_many=too_many))


def check_text(file: InputFile) -> None:
    """Nothing, if a file is plain text in UTF-8.

    Raises:
        DataError: it is empty, gzipped, or something else.
    """
    if not file.path.stat().st_size:
        raise DataError(f"{file.label}: the file is empty.")
    with file.path.open("rb") as content, mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as view:
        if view[:2] == b"\x1f\x8b":
            raise DataError(f"{file.label}: gzipped; plain text is wanted. Run: gunzip {file.label}")
        if view.find(b"\0") >= 0:
            raise DataError(f"{file.label}: not text: it holds zero bytes. {_AGAIN}")
    try:
        with file.path.open(encoding="utf-8") as text:
            while text.read(1 << 24):
                pass
    except UnicodeDecodeError as error:
        wrong = error.object[error.start : error.start + 1].hex()
        message = f"{file.label}: not text: it holds the byte {wrong}, which is no UTF-8. Write it in UTF-8."
        raise DataError(message) from error


def _lines(file: InputFile) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that isn't blank, as pandas takes them apart; slow."""
    with file.path.open(encoding="utf-8-sig") as text:
        for number, line in enumerate(text, start=1):
            content = line.strip(" \t\n")
            if content:
                yield number, re.split(r"[ \t]+", content)


def _line_of(file: InputFile, row: int) -> int:
    """The number of a row's line; slow."""
    return next(number for index, (number, _) in enumerate(_lines(file)) if index == row)


def _column_fault(file: InputFile, *, names: str, too_many: Callable[[int], str]) -> str:
    ragged = [(number, len(cells)) for number, cells in _lines(file) if len(cells) != _N_COLUMNS]
    assert ragged, f"{file.label} was taken for ragged"
    number, found = ragged[0]
    more = f" And {len(ragged) - 1} more." if len(ragged) > 1 else ""
    count = f"{found} column{'s' * (found > 1)}"
    advice = too_many(found) if found > _N_COLUMNS else _AGAIN
    ending = file.path.suffix
    return f"{file.label}:{number}: {count}; a {ending} has {_N_COLUMNS} ({names}). {advice}{more}"


def _too_many_fam_columns(_: int) -> str:
    return "Put further phenotypes into a table and name it in data.phenotypes."


def _too_many_bim_columns(_: int) -> str:
    return "Do names hold blanks? Delete what is too much."
