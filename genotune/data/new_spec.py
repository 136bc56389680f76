"""A first search-space file for a person's own data: where a beginner starts.

Told here is what the files are; what to say of them is written in new_bigwig_spec.py and new_plink_spec.py.
"""

import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from genotune.data.plink_files import BED_MAGIC
from genotune.errors import DataError

_BIGWIG_ENDINGS: Final = (".bw", ".bigwig")
_FASTA_ENDINGS: Final = (".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz", ".fa.bgz", ".fasta.bgz")
_BED_ENDINGS: Final = (".bed", ".bed.gz")
_FILESET_ENDINGS: Final = (".bed", ".bim", ".fam")
_PLINK2_ENDINGS: Final = (".pgen", ".pvar", ".pvar.zst", ".psam")
_VCF_ENDINGS: Final = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_TABLE_ENDINGS: Final = (".tsv", ".csv", ".txt", ".tsv.gz", ".csv.gz", ".txt.gz", ".parquet")
_MOST_NAME: Final = 100


class TrackFiles(NamedTuple):
    """The files that a person named, where they are tracks on a genome.

    Attributes:
        tracks: bigWigs.
        reference: a FASTA.
        exclude: a BED of intervals.
    """

    tracks: tuple[Path, ...]
    reference: Path
    exclude: Path | None


class GenotypeFiles(NamedTuple):
    """The files that a person named, where they are genotypes and their samples.

    Attributes:
        genotypes: the .bed or .pgen of a PLINK fileset, or a VCF or BCF.
        table: phenotypes of its samples.
    """

    genotypes: Path
    table: Path | None


class SpecBody(NamedTuple):
    """What a writer of one source has to say.

    Attributes:
        title: what is to be found out, for the first line.
        text: all sections from `data` to `resources`.
    """

    title: str
    text: str


class _Sorted(NamedTuple):
    """Files by what they are, each in the order in which they were named."""

    tracks: list[Path]
    references: list[Path]
    intervals: list[Path]
    filesets: list[Path]
    tables: list[Path]


def write_spec(paths: Sequence[Path], out: Path, *, trait: str | None = None) -> str:
    """Write a commented search-space file for a person's files; its text is given back too.

    Args:
        paths: bigWigs, one FASTA, and a BED of what to exclude if there is one; or a PLINK fileset, by one of its
            files, all or the prefix, or a VCF or BCF, and a table of its samples if there is one.
        out: the file to write; paths in it are relative to its folder.
        trait: the column of the table to predict; None: the only one that can be.

    Raises:
        DataError: files are missing or don't fit each other, it can't be told what to predict, or what to hold out.
    """
    files, folder = sort_inputs(paths), out.resolve().parent
    if isinstance(files, GenotypeFiles):
        from genotune.data.new_plink_spec import genotype_body

        body = genotype_body(files, folder, trait=trait)
    elif trait is not None:
        raise DataError(
            f"--trait {trait}: a trait belongs to genotypes (PLINK); of tracks, all that are named are learned. "
            "Leave --trait out."
        )
    else:
        from genotune.data.new_bigwig_spec import track_body

        body = track_body(files, folder)
    text = _text(body, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    return text


def sort_inputs(paths: Sequence[Path]) -> TrackFiles | GenotypeFiles:
    """Which file is what, by its ending; a .bed also by its first bytes and what lies beside it.

    Raises:
        DataError: an ending isn't known, files of tracks and of genotypes are mixed, or there are too many or too few
            of a kind.
    """
    found = _sorted(paths)
    of_tracks = [*found.tracks, *found.references, *found.intervals]
    of_genotypes = [*found.filesets, *found.tables]
    if of_genotypes and of_tracks:
        raise DataError(_mixed(found))
    return _genotype_files(found) if of_genotypes else _track_files(found)


def scalar(text: str) -> str:
    """Text as YAML, in quotes where it would be read as something else."""
    is_plain = re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./ +-]*", text) and yaml.safe_load(text) == text
    return text if is_plain and not _is_number(text) else json.dumps(text, ensure_ascii=False)


def scalars(texts: Sequence[str]) -> str:
    """Texts as a YAML list in one line."""
    return f"[{', '.join(scalar(text) for text in texts)}]"


def relative(path: str, folder: Path) -> str:
    """A path as a spec in the folder says it, as YAML."""
    return scalar(os.path.relpath(Path(path).absolute(), folder))


def _text(body: SpecBody, out: Path) -> str:
    sweep = re.sub(r"[^A-Za-z0-9._-]+", "-", out.stem).strip("-._")[:_MOST_NAME] or "sweep"
    return f"""\
# {body.title}. Written by `genotune new`; change what you like.
# What it would do:  genotune check {shlex.quote(out.name)}
# Start it:          genotune run {shlex.quote(out.name)}
name: {scalar(sweep)}
{body.text}\
tracking: {{experiment: {scalar(sweep)}}}  # where MLflow keeps the record; see it with: genotune ui
"""


def _is_number(text: str) -> bool:
    """Whether YAML 1.2 might read it as one; `yaml`, which follows 1.1, takes 1e5 for text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _sorted(paths: Sequence[Path]) -> _Sorted:
    found = _Sorted([], [], [], [], [])
    strange: list[str] = []
    for path in paths:
        name = path.name.lower()
        fileset = _fileset(path)
        if fileset is not None:
            found.filesets.append(fileset)
        elif name.endswith(_BIGWIG_ENDINGS):
            found.tracks.append(path)
        elif name.endswith(_FASTA_ENDINGS):
            found.references.append(path)
        elif name.endswith(_BED_ENDINGS):
            found.intervals.append(path)
        elif name.endswith(_TABLE_ENDINGS):
            found.tables.append(path)
        else:
            strange.append(str(path))
    if strange:
        raise DataError(
            f"{', '.join(strange)}: neither a bigWig (.bw), a FASTA (.fa, .fa.gz) nor a BED (.bed), and neither of a "
            "PLINK fileset (.bed, .bim, .fam; .pgen, .pvar, .psam), a VCF (.vcf, .vcf.gz, .bcf) nor a table of samples "
            "(.tsv, .csv, .txt, .parquet)."
        )
    if not (found.tracks or found.references):
        # What a missing .bed was can't be told; the reader of filesets says best what to look for.
        found.filesets.extend(path for path in found.intervals if path.suffix.lower() == ".bed" and not path.is_file())
    intervals = [path for path in found.intervals if path not in found.filesets]
    tables = list(dict.fromkeys(found.tables))
    return found._replace(filesets=_one_each(found.filesets), intervals=intervals, tables=tables)


def _fileset(path: Path) -> Path | None:
    """The .bed or .pgen of the fileset that a path, perhaps a prefix, belongs to, or a VCF; None if it is neither."""
    ending, name = path.suffix.lower(), path.name.lower()
    if name.endswith(_VCF_ENDINGS):
        return path
    if name.endswith(_PLINK2_ENDINGS):
        return path.with_name(re.sub(r"\.(pgen|pvar|pvar\.zst|psam)$", ".pgen", path.name, flags=re.IGNORECASE))
    if ending == ".bed":
        is_plink = _begins_as_plink(path) or all(path.with_suffix(other).is_file() for other in (".bim", ".fam"))
        return path if is_plink else None
    if ending in _FILESET_ENDINGS:
        return path.with_suffix(".bed")
    return None if path.is_file() else _fileset_of_prefix(path)


def _fileset_of_prefix(path: Path) -> Path | None:
    for first, endings in ((".bed", _FILESET_ENDINGS), (".pgen", _PLINK2_ENDINGS)):
        if any(path.with_name(f"{path.name}{each}").is_file() for each in endings):
            return path.with_name(f"{path.name}{first}")
    return None


def _begins_as_plink(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as content:
        return content.read(2) == BED_MAGIC[:2]


def _one_each(filesets: Sequence[Path]) -> list[Path]:
    """Each fileset once, however many of its files were named."""
    first: dict[Path, Path] = {}
    for path in filesets:
        first.setdefault(path.with_suffix(""), path)
    return list(first.values())


def _mixed(found: _Sorted) -> str:
    """What to say of files that no one source reads."""
    if found.intervals and not (found.tracks or found.references or found.filesets):
        bed = found.intervals[0]
        return (
            f"{bed}: not the .bed of a PLINK fileset: it doesn't begin with {BED_MAGIC[:2].hex(' ')}, and no .bim and "
            f".fam of its name lie beside it. Name the .bed that {found.tables[0]} belongs to."
        )
    tracks = ", ".join(map(str, (*found.tracks, *found.references, *found.intervals)))
    genotypes = ", ".join(map(str, (*found.filesets, *found.tables)))
    return (
        f"Files of two sources, and a sweep learns from one: of tracks on a genome are {tracks}; of samples and their "
        f"genotypes are {genotypes}. Name only those of one."
    )


def _genotype_files(found: _Sorted) -> GenotypeFiles:
    if len(found.tables) > 1:
        raise DataError(
            f"{', '.join(map(str, found.tables))}: {len(found.tables)} tables of samples; name one, with all columns "
            "in it (join them by IID)."
        )
    if not found.filesets:
        raise DataError(
            f"{found.tables[0]}: a table of samples, but no genotypes. Name their PLINK fileset too, e.g. cohort.bed "
            "with cohort.bim and cohort.fam beside it."
        )
    if len(found.filesets) > 1:
        first, second = (path.with_suffix("") for path in found.filesets[:2])
        raise DataError(
            f"{', '.join(map(str, found.filesets))}: {len(found.filesets)} PLINK filesets; name one. To make one of "
            f"two: plink --bfile {first} --bmerge {second} --make-bed --out merged (PLINK 1.9)"
        )
    return GenotypeFiles(found.filesets[0], found.tables[0] if found.tables else None)


def _track_files(found: _Sorted) -> TrackFiles:
    if not found.tracks:
        raise DataError("No bigWig among the files; name at least one (.bw).")
    if len(found.references) != 1:
        n = len(found.references)
        raise DataError(f"{n} FASTA files; name the one that the reads were mapped to (.fa, .fa.gz).")
    if len(found.intervals) > 1:
        raise DataError(f"{len(found.intervals)} BED files; name one, with all intervals to exclude.")
    return TrackFiles(tuple(found.tracks), found.references[0], found.intervals[0] if found.intervals else None)
