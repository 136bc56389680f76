"""A VCF or BCF as a file of genotypes: the alternate allele is counted. Planning reads its sites and no genotype."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.data.bgzf import text_size
from genotune.data.files import InputFile, locate
from genotune.data.genotype_file import NO_FAMILY, GenotypeFile, SampleColumns, left_out_note
from genotune.data.plink2_tables import name_variants
from genotune.data.plink_files import BimTable, FamTable
from genotune.data.vcf_decoder import Places, VcfDecoder, open_quietly
from genotune.errors import DataError

VCF_ENDINGS: Final = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")

_INDEX_ENDINGS: Final = (".csi", ".tbi")


class _Sites(NamedTuple):
    """Sites of a file with two alleles, as columns, and how many it has in all."""

    table: BimTable
    places: Places
    n_all: int


def open_vcf_file(folder: Path, label: str, *, field: str | None) -> GenotypeFile:
    """The VCF or BCF that a spec in this folder names so.

    Its sites are read once: an index doesn't list them.

    Args:
        folder: of the spec.
        label: of the file.
        field: GT or DS; None: GT.

    Raises:
        DataError: it isn't there, is something else, cut short, has no samples or no such field.
    """
    file = _find(folder, label)
    _check_whole(file)
    names, fields = _header(file)
    wanted = field or "GT"
    if wanted not in fields:
        listed = f"it has {', '.join(sorted(fields))}" if fields else "it has none"
        advice = "Leave data.dosage_field out to read GT." if "GT" in fields else "Name a file with genotypes."
        raise DataError(f"{file.label}: the header names no FORMAT {wanted}; {listed}. {advice}")
    sites = _read_sites(file)
    index = next((path for path in _indexes(file) if path.is_file()), None)
    notes = left_out_note(file.label, n_left_out=sites.n_all - len(sites.table.ids), n_all=sites.n_all)
    if field is None and "DS" in fields:
        notes += (f"{file.label}: called genotypes (GT) are read. For its dosages set data.dosage_field: DS.",)
    if index is None:
        advice = f"bgzip {file.label}, then: " if file.label.endswith(".vcf") else ""
        notes += (
            f"{file.label}: no index lies beside it, so one process reads it from its start. To make one: {advice}"
            f"bcftools index {file.label}{'.gz' if advice else ''}",
        )
    return GenotypeFile(
        label=file.label,
        files={"genotypes": file} | ({} if index is None else {"index": InputFile(index, file.label + index.suffix)}),
        samples_label=file.label,
        variants_label=file.label,
        samples=_samples(names),
        variants=sites.table,
        columns=SampleColumns({}, [file.label] * len(names)),
        decoder=VcfDecoder(file, tuple(names), sites.places, is_fractional=wanted == "DS", is_sequential=index is None),
        notes=notes,
    )


def read_vcf_samples(folder: Path, label: str) -> FamTable:
    """The samples of a VCF or BCF, from its header alone.

    Raises:
        DataError: it isn't there, is something else, or has no samples.
    """
    return _samples(_header(_find(folder, label))[0])


def _find(folder: Path, label: str) -> InputFile:
    file = locate(folder, label)
    if not file.path.is_file():
        raise DataError(f"{file.label}: no such file. Looked in {file.path.parent}.")
    return file


def _samples(names: list[str]) -> FamTable:
    """A VCF knows no families and no parents."""
    unknown = np.full(len(names), NO_FAMILY)
    return FamTable(unknown, np.array(names, dtype=np.str_), unknown, unknown, np.full(len(names), "NA"))


def _indexes(file: InputFile) -> Iterator[Path]:
    return (file.path.with_name(file.path.name + ending) for ending in _INDEX_ENDINGS)


def _check_whole(file: InputFile) -> None:
    """Nothing, if the file ends as such a file does."""
    size = file.path.stat().st_size
    if not size:
        raise DataError(f"{file.label}: the file is empty.")
    if not file.label.endswith(".vcf"):
        with file.path.open("rb") as content:
            if content.read(2) != b"\x1f\x8b":
                wanted = "a BCF" if file.label.endswith(".bcf") else "a VCF that bgzip compressed"
                raise DataError(f"{file.label}: not compressed; {wanted} is wanted. Run: bgzip FILE.vcf")
        text_size(file.path, file.label)
        return
    with file.path.open("rb") as content:
        content.seek(size - 1)
        if content.read() != b"\n":
            raise DataError(f"{file.label}: cut short: its last line has no end. Copy it again.")


def _header(file: InputFile) -> tuple[list[str], set[str]]:
    """Samples and FORMAT fields."""
    try:
        with open_quietly(file) as vcf:
            names, fields = list(vcf.header.samples), {*vcf.header.formats}
    except (OSError, ValueError) as error:
        why = _words(error).replace(str(file.path), file.label)
        raise DataError(f"{file.label}: can't be read as VCF or BCF: {why}. Is its header there, whole?") from error
    if not names:
        raise DataError(f"{file.label}: has no samples: a list of sites. Name a file with genotypes.")
    return names, fields


def _read_sites(file: InputFile) -> _Sites:
    rows: list[tuple[int, int, int, int, str, str, str]] = []
    names: dict[str, int] = {}
    n_all, at, rank = 0, (-1, -1), 0
    try:
        with open_quietly(file, drop_samples=True) as vcf:
            for number, record in enumerate(vcf):
                contig, start = names.setdefault(record.contig, len(names)), record.start
                rank = rank + 1 if at == (contig, start) else 0
                at, n_all = (contig, start), number + 1
                alternate = record.alts or (".",)
                if len(alternate) == 1:
                    rows.append((number, contig, start, rank, record.id or ".", alternate[0], record.ref))
    except (OSError, ValueError) as error:
        place = f"after record {n_all}" if n_all else "at its first record"
        raise DataError(f"{file.label}: can't be read {place}: {_words(error)}. Copy it again.") from error
    if not rows:
        found = f"all {n_all} variants have more than two alleles" if n_all else "holds no variant"
        raise DataError(f"{file.label}: {found}; nothing is left to learn from.")
    return _as_sites(rows, tuple(names), n_all)


def _as_sites(rows: list[tuple[int, int, int, int, str, str, str]], names: tuple[str, ...], n_all: int) -> _Sites:
    numbers, contigs, starts, ranks, ids, counted, other = zip(*rows, strict=True)
    columns = [np.array(column, dtype=np.int64) for column in (numbers, contigs, starts, ranks)]
    places = Places(columns[0], columns[1], names, columns[2], columns[3])
    text = [np.array(column, dtype=np.str_) for column in (ids, counted, other)]
    # A position of 0 is a telomere's; its start is that of an unknown position.
    table = BimTable(text[0], np.array(names, dtype=np.str_)[places.contigs], places.starts, text[1], text[2])
    return _Sites(name_variants(table), places, n_all)


def _words(error: Any) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return str(said).replace("b'", "'").rstrip(".?")
