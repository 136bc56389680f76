"""The tables of a PLINK 2 fileset: samples (.psam) and variants (.pvar, .pvar.zst), as plain text or Zstandard.

Source of the layouts: PLINK 2 file format specification, PSAM and PVAR.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from genotune.data.files import InputFile
from genotune.data.genotype_file import NO_FAMILY, SampleColumns
from genotune.data.plink_columns import as_text, check_allele_lengths, check_unique, read_starts
from genotune.data.plink_files import BimTable, FamTable, check_text
from genotune.errors import DataError
from genotune.store import NO_POSITION, IntArray, TextArray

if TYPE_CHECKING:
    import pandas as pd

SEX: Final = "SEX"
_IDS: Final = ("FID", "IID", "SID", "PAT", "MAT")
_FAM_LIKE: Final = ("FID", "IID", "PAT", "MAT", SEX, "PHENO1")
_BIM_LIKE: Final = ("CHROM", "ID", "CM", "POS", "ALT", "REF")
_NEEDED: Final = ("CHROM", "POS", "ID", "REF", "ALT")
_ZST_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_CHUNK_BYTES: Final = 1 << 20
_AGAIN: Final = "The fileset is torn: copy all three files again."


class Pvar(NamedTuple):
    """All variants of a .pvar.

    Attributes:
        table: the first alternate allele is counted; of those with several, all of them with commas between.
        n_alleles: (variant,) two at least.
    """

    table: BimTable
    n_alleles: IntArray


class _Head(NamedTuple):
    """How a table begins: names of its columns, the lines before the first row, and whether a VCF's samples follow."""

    columns: tuple[str, ...]
    n_lines: int
    is_vcf: bool = False


def read_psam(file: InputFile) -> tuple[FamTable, SampleColumns]:
    """The samples of a .psam, with or without a header.

    Raises:
        DataError: it is empty, no text, its header is no .psam's, a line is too short, or a sample stands there twice.
    """
    head = _read_head(file, first=("#FID", "#IID"), headerless=_FAM_LIKE, least=5)
    if head.columns[:2] != ("FID", "IID") and head.columns[0] != "IID":
        raise DataError(
            f"{file.label}:{head.n_lines}: #FID is followed by IID, found {head.columns[1:2] or 'nothing'}."
        )
    table, line_of = _read_table(file, head, wanted=head.columns), partial(_line_of, file)
    if not len(table):
        raise DataError(f"{file.label}: lists no sample. {_AGAIN}")
    text = {name: as_text(table[name]) for name in head.columns}
    unknown = np.full(len(table), NO_FAMILY)
    fids = text.get("FID", unknown)
    check_unique(file, fids, iids=text["IID"], line_of=line_of)
    columns = {name: cells for name, cells in text.items() if name not in _IDS}
    phenotypes = [cells for name, cells in columns.items() if name != SEX]
    fam = FamTable(
        fids=fids,
        iids=text["IID"],
        fathers=text.get("PAT", unknown),
        mothers=text.get("MAT", unknown),
        phenotypes=phenotypes[0] if phenotypes else np.full(len(table), "NA"),
        sexes=_sexes(text[SEX]) if SEX in text else None,
    )
    return fam, SampleColumns(columns, [f"{file.label}:{number}" for number, _ in _rows(file)])


def _sexes(cells: TextArray) -> TextArray:
    """(sample,) as in a .fam: '1' male, '2' female, '0' unknown."""
    letters = {"1": "1", "m": "1", "male": "1", "2": "2", "f": "2", "female": "2"}
    return np.array([letters.get(cell.lower(), "0") for cell in cells.tolist()], dtype=np.str_)


def read_pvar(file: InputFile) -> Pvar:
    """The variants of a .pvar or a .pvar.zst; the alternate allele is counted, as PLINK 2 stores it.

    An ID of '.' becomes contig:position:ref:alt.

    Raises:
        DataError: it is empty, no text, cut short, has no usable header, a line that is too short, a position that is
            no whole number, or alleles too long to be kept for all variants.
    """
    head = _read_head(file, first=("#CHROM",), headerless=_BIM_LIKE, least=5)
    lacking = [name for name in _NEEDED if name not in head.columns]
    if lacking:
        raise DataError(f"{file.label}:{head.n_lines}: the header has no {', '.join(lacking)}. {_AGAIN}")
    table, line_of = _read_table(file, head, wanted=_NEEDED), partial(_line_of, file)
    if not len(table):
        raise DataError(f"{file.label}: lists no variant. {_AGAIN}")
    starts = read_starts(file, table["POS"], name="column POS", header_advice="", line_of=line_of)
    stem = re.sub(r"\.pvar(\.zst)?$", "", file.label)
    for column in ("REF", "ALT"):
        command = f"plink2 --pfile {stem} --snps-only --make-pgen --out {stem}-snps"
        check_allele_lengths(file, table[column], command=command, line_of=line_of)
    counted = as_text(table["ALT"])
    variants = BimTable(as_text(table["ID"]), as_text(table["CHROM"]), starts, counted, as_text(table["REF"]))
    n_alleles = 2 + np.asarray(table["ALT"].str.count(","), dtype=np.int64)
    return Pvar(name_variants(variants), n_alleles)


def name_variants(variants: BimTable) -> BimTable:
    """With contig:position:other:counted as the ID of those that have none ('.')."""
    nameless = np.flatnonzero(variants.ids == ".")
    if not len(nameless):
        return variants
    rows = zip(*(column[nameless].tolist() for column in variants[1:]), strict=True)
    names = [
        f"{contig}:{start + 1 if start != NO_POSITION else 0}:{other}:{counted}"
        for contig, start, counted, other in rows
    ]
    ids = variants.ids.astype(object)
    ids[nameless] = names
    return variants._replace(ids=ids.astype(np.str_))


def _read_head(file: InputFile, *, first: Sequence[str], headerless: tuple[str, ...], least: int) -> _Head:
    """The header, or the columns that a table without one has.

    Args:
        file: to read.
        first: what the header line may begin with.
        headerless: columns of a table of `least` or more without a header; of exactly `least` the optional one lacks.
        least: columns of a table without a header.
    """
    _check_content(file)
    n_lines, n_comments, header = 0, 0, None
    for line in _lines(file):
        if line.strip() and not line.startswith("#"):
            break
        n_lines += 1
        n_comments = n_lines if line.startswith("#") else n_comments
        header = line if line.startswith(tuple(first)) else header
    else:
        line = ""
    if header is not None:
        columns = header.removeprefix("#").split()
        # A VCF may serve as a .pvar: its samples begin there.
        is_vcf = "FORMAT" in columns
        columns = columns[: columns.index("FORMAT")] if is_vcf else columns
        twice = [name for name in columns if columns.count(name) > 1]
        if twice:
            raise DataError(f"{file.label}:{n_lines}: two columns are called {twice[0]}. Rename one.")
        return _Head(tuple(columns), n_lines, is_vcf)
    found, begin = len(line.split()), " or ".join(first)
    if n_comments:
        raise DataError(f"{file.label}:{n_comments}: no header line that begins with {begin}. {_AGAIN}")
    if found < least:
        raise DataError(
            f"{file.label}:{n_lines + 1}: {found} columns and no header; a header begins with {begin}, and without one "
            f"there are {least} columns at least. {_AGAIN}"
        )
    if found > least:
        return _Head(headerless, n_lines)
    return _Head(tuple(name for name in headerless if name not in {"PHENO1", "CM"}), n_lines)


def _read_table(file: InputFile, head: _Head, *, wanted: Sequence[str]) -> "pd.DataFrame":
    """The wanted columns as text; lines of blanks don't count."""
    import pandas as pd

    numbers = [head.columns.index(name) for name in wanted]
    # One column more than there are shows rows that are too long, where all columns are read.
    beyond = [len(head.columns)] if len(wanted) == len(head.columns) and not head.is_vcf else []
    try:
        with _open(file) as content:
            table = pd.read_csv(
                content,
                sep=r"\s+",
                header=None,
                skiprows=head.n_lines,
                names=range(len(head.columns) + len(beyond)),
                usecols=None if beyond else sorted(numbers),
                index_col=False,
                dtype=str,
                na_filter=False,
                quoting=3,
                engine="c",
                encoding="utf-8",
            )
    except pd.errors.ParserError as error:
        raise DataError(_column_fault(file, head)) from error
    if (table[numbers] == "").any(axis=None) or (table[beyond] != "").any(axis=None):
        raise DataError(_column_fault(file, head))
    names: Mapping[Any, str] = dict(zip(numbers, wanted, strict=True))
    return table.rename(columns=names)


def _column_fault(file: InputFile, head: _Head) -> str:
    wanted = len(head.columns)
    rows = ((number, cells) for number, cells in _rows(file) if len(cells) != wanted)
    number, cells = next((number, cells) for number, cells in rows if len(cells) < wanted or not head.is_vcf)
    advice = "Do names hold blanks? Delete what is too much." if len(cells) > wanted else _AGAIN
    count = f"{len(cells)} column{'s' * (len(cells) > 1)}"
    names = ", ".join(head.columns)
    return f"{file.label}:{number}: {count}; there are {wanted} ({names}). {advice}"


def _check_content(file: InputFile) -> None:
    """Nothing, if it is text, or Zstandard to its end."""
    if not file.path.stat().st_size:
        raise DataError(f"{file.label}: the file is empty.")
    if not _is_zst(file):
        check_text(file)
        return
    import zstandard

    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        with file.path.open("rb") as content:
            while part := content.read(_CHUNK_BYTES):
                while part:
                    frame = zstandard.ZstdDecompressor().decompressobj() if frame.eof else frame
                    frame.decompress(part)
                    part = frame.unused_data
    except zstandard.ZstdError as error:
        raise DataError(f"{file.label}: can't be decompressed: {error}. Copy it again.") from error
    if not frame.eof:
        raise DataError(f"{file.label}: cut short: the last Zstandard frame has no end. Copy it again.")


def _is_zst(file: InputFile) -> bool:
    with file.path.open("rb") as content:
        return content.read(4) == _ZST_MAGIC


def _open(file: InputFile) -> IO[bytes]:
    content: IO[bytes] = file.path.open("rb")
    if not _is_zst(file):
        return content
    import zstandard

    reader: Any = zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True, closefd=True)
    return io.BufferedReader(reader)


def _lines(file: InputFile) -> Iterator[str]:
    with _open(file) as content, io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace") as text:
        yield from text


def _rows(file: InputFile) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line of the body that isn't blank; slow."""
    in_body = False
    for number, line in enumerate(_lines(file), start=1):
        in_body = in_body or not line.startswith("#")
        if in_body and line.strip(" \t\r\n"):
            yield number, re.split(r"[ \t]+", line.strip(" \t\r\n"))


def _line_of(file: InputFile, row: int) -> int:
    return next(number for index, (number, _) in enumerate(_rows(file)) if index == row)
