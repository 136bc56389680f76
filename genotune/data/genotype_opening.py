"""Files of genotypes by their names: which format each is, and several as one."""

import glob
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from genotune.data.bed_file import open_bed_file
from genotune.data.files import kept_in
from genotune.data.genotype_file import GenotypeFile
from genotune.data.joined_genotypes import join_files
from genotune.data.pgen_file import PGEN_ENDINGS, find_pfileset, open_pgen_file
from genotune.data.plink2_tables import read_psam
from genotune.data.plink_files import FamTable, find_fileset, read_fam
from genotune.data.remote import is_url
from genotune.data.repeated_variants import repeated_notes
from genotune.data.vcf_file import VCF_ENDINGS, open_vcf_file, read_vcf_samples
from genotune.errors import DataError

GENOTYPE_ENDINGS: Final = (".bed", ".pgen", *VCF_ENDINGS)
"""Of the files that hold genotypes, one of each fileset."""

_BED_ENDINGS: Final = (".bed", ".bim", ".fam")


class Samples(NamedTuple):
    """Samples, and what to call the file that lists them."""

    table: FamTable
    label: str


def open_genotypes(folder: Path, named: str | Sequence[str], *, field: str | None = None) -> GenotypeFile:
    """What a spec names as its genotypes; nothing is decoded.

    Args:
        folder: of the spec.
        named: a file, a pattern or several of either; of a fileset any of its files, or what their names share.
        field: of a VCF or BCF that is read: GT or DS; None: GT.

    Raises:
        DataError: with every fault of every file, one a line.
    """
    labels = [label for each in ([named] if isinstance(named, str) else named) for label in _expand(folder, each)]
    _check_once(labels)
    faults, files = list[str](), list[GenotypeFile]()
    for label in labels:
        with kept_in(faults):
            file = _open(folder, label, field=field)
            notes = file.notes + repeated_notes(file.variants, label=file.variants_label)
            files.append(replace(file, notes=notes))
    if faults:
        raise DataError("\n".join(faults))
    _check_once([file.label for file in files])
    return files[0] if len(files) == 1 else join_files(files)


def _check_once(labels: Sequence[str]) -> None:
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise DataError(f"data.genotypes: {twice[0]} is named twice. Remove one.")


def read_samples(folder: Path, label: str) -> Samples:
    """The samples of one file; nothing else of it is read.

    Raises:
        DataError: the file can't be read, or is no such file.
    """
    name = label.lower()
    if name.endswith(VCF_ENDINGS):
        return Samples(read_vcf_samples(folder, label), label)
    if name.endswith(PGEN_ENDINGS) or _is_pfileset(folder, label):
        file = find_pfileset(folder, label).psam
        return Samples(read_psam(file)[0], file.label)
    file = find_fileset(folder, label).fam
    return Samples(read_fam(file), file.label)


def is_pattern(label: str) -> bool:
    """Whether a name stands for several files."""
    return not is_url(label) and re.search(r"[*?\[]", label) is not None


def _expand(folder: Path, label: str) -> list[str]:
    """The files of a pattern, in natural order; a name that is none stands for itself."""
    if not is_pattern(label) or (folder / label).is_file():
        return [label]
    # Relative patterns stay so, as labels; Path.glob takes no absolute ones.
    found = glob.glob(str(Path(label).expanduser()), root_dir=folder)  # noqa: PTH207
    wanted = sorted((name for name in found if name.lower().endswith(GENOTYPE_ENDINGS)), key=_natural)
    if not wanted:
        endings = ", ".join(GENOTYPE_ENDINGS)
        also = f" {len(found)} other files match it." if found else ""
        raise DataError(f"{label}: no file of genotypes ({endings}) matches this pattern in {folder}.{also}")
    return wanted


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which numbers within names are ordered as such."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", name)]


def _open(folder: Path, label: str, *, field: str | None) -> GenotypeFile:
    name = label.lower()
    if name.endswith(VCF_ENDINGS):
        return open_vcf_file(folder, label, field=field)
    if name.endswith(".pgen.pgi"):
        raise DataError(f"{label}: the index of a .pgen. Name the .pgen itself.")
    if name.endswith(PGEN_ENDINGS) or _is_pfileset(folder, label):
        return open_pgen_file(folder, label)
    return open_bed_file(folder, label)


def _is_pfileset(folder: Path, label: str) -> bool:
    """Whether a name that is no file's is the start of those of a PLINK 2 fileset, and of no PLINK 1 fileset's."""
    if is_url(label) or label.endswith(_BED_ENDINGS):
        return False
    start = folder / Path(label).expanduser()
    is_there = {ending: start.with_name(start.name + ending).is_file() for ending in (*_BED_ENDINGS, *PGEN_ENDINGS)}
    return any(is_there[ending] for ending in PGEN_ENDINGS) and not any(is_there[ending] for ending in _BED_ENDINGS)
