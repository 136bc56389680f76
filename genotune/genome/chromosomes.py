"""Which contigs are autosomes, and which sex chromosomes or the mitochondrion: the one place that knows their names."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from genotune.genome.contig_names import bare_name, is_mitochondrion
from genotune.store import TextArray

ChromosomeKind = Literal["autosome", "x", "y", "xy", "mt", "other"]
"""xy: the pseudo-autosomal parts of X and Y. other: unplaced, or of a name that says nothing."""

_HUMAN_AUTOSOMES: Final = 22
_AFTER_AUTOSOMES: Final[tuple[ChromosomeKind, ...]] = ("x", "y", "xy", "mt")
"""What PLINK's codes after those of the autosomes stand for."""

_HAPLOID: Final[tuple[ChromosomeKind, ...]] = ("x", "y", "mt")

_SEX: Final[Mapping[str, ChromosomeKind]] = {"X": "x", "Y": "y", "XY": "xy", "PAR": "xy", "PAR1": "xy", "PAR2": "xy"}
_ARM: Final = re.compile(r"[1-9][0-9]{0,2}[A-Z]{1,2}")
"""2L and 3R of a fly, 1A of wheat: a number, and a part of that chromosome."""
_ROMAN: Final = re.compile(r"[IVX]+")


def chromosome_kinds(contigs: Iterable[str], *, n_autosomes: int | None = None) -> Mapping[str, ChromosomeKind]:
    """What each contig of a fileset is, by its name with or without chr before it.

    Args:
        contigs: all names of the fileset, each once or more.
        n_autosomes: of the species; the four numbers after it are X, Y, XY and MT. None: as with 22 where no number is
            above 26, as in a human fileset; where one is, all numbers are autosomes.

    Source: PLINK 1.9 documentation, chromosome codes and --chr-set: X is one more than the number of autosomes, Y two,
    XY three, MT four; 23 to 26 in humans.
    """
    names = sorted({*contigs})
    bare = {name: bare_name(name).upper() for name in names}
    numbers = [int(text) for text in bare.values() if text.isdecimal()]
    if n_autosomes is None:
        most = _HUMAN_AUTOSOMES + len(_AFTER_AUTOSOMES)
        n_autosomes = _HUMAN_AUTOSOMES if max(numbers, default=0) <= most else max(numbers)
    roman = {text for text in bare.values() if _ROMAN.fullmatch(text)}
    if not roman & {"IX", "XI"}:
        roman -= {"X"}  # a yeast has a tenth chromosome, a worm only the X of its sex
    roman = roman if roman & {"II", "III"} else set()
    return {name: "autosome" if text in roman else _kind(text, n_autosomes=n_autosomes) for name, text in bare.items()}


def common_names(contigs: Iterable[str]) -> Mapping[str, str]:
    """One name for all ways in which files write a chromosome: 'X' for X, chrX and PLINK's 23, '7' for chr7.

    Args:
        contigs: of all files that are compared, so that a number means the same in each of them: where one goes past
            26, all numbers are autosomes.
    """
    kinds = chromosome_kinds(contigs)
    return {name: kind.upper() if kind in _AFTER_AUTOSOMES else bare_name(name) for name, kind in kinds.items()}


def haploid_note(contigs: TextArray, *, label: str, n_autosomes: int | None = None) -> tuple[str, ...]:
    """What a person should know of variants of which some people have one copy; nothing if there are none.

    Source: PLINK 2 documentation, --xchr-model 2, and file formats: a haploid call is kept as the homozygous one.
    """
    names, codes = np.unique(contigs, return_inverse=True)
    kinds = chromosome_kinds(names.tolist(), n_autosomes=n_autosomes)
    counts = np.bincount(codes, minlength=len(names))
    haploid = {name: int(n) for name, n in zip(names.tolist(), counts, strict=True) if kinds[name] in _HAPLOID}
    if not haploid:
        return ()
    listed = ", ".join(f"{n:,} on {name}" for name, n in haploid.items())
    return (
        f"{label}: {listed}: a single copy (of X in males, of Y and MT) counts as two, as plink2 --glm takes X. "
        "Frequencies and Hardy-Weinberg tests count it so too, in which plink2 counts males apart: min_hwe_p takes "
        "variants on X for faulty where both sexes are there.",
    )


def is_kind(contigs: TextArray, kind: ChromosomeKind, *, n_autosomes: int | None = None) -> NDArray[np.bool_]:
    """(variant,) whether the contig of each variant is of a kind; see `chromosome_kinds`."""
    names, codes = np.unique(contigs, return_inverse=True)
    kinds = chromosome_kinds(names.tolist(), n_autosomes=n_autosomes)
    found: NDArray[np.bool_] = np.array([kinds[name] == kind for name in names.tolist()], dtype=np.bool_)[codes]
    return found


def _kind(text: str, *, n_autosomes: int) -> ChromosomeKind:
    if text.isdecimal():
        number = int(text)
        if 1 <= number <= n_autosomes:
            return "autosome"
        after = number - n_autosomes - 1
        return _AFTER_AUTOSOMES[after] if 0 <= after < len(_AFTER_AUTOSOMES) else "other"
    if is_mitochondrion(text) or text == "MITO":
        return "mt"
    if text in _SEX:
        return _SEX[text]
    return "autosome" if _ARM.fullmatch(text) else "other"
