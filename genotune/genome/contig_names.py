"""Contigs under the names of UCSC (chr1, chrM) and of Ensembl (1, MT)."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

NamingStyle = Literal["ucsc", "ensembl"]

_STYLES: Final[tuple[NamingStyle, ...]] = ("ucsc", "ensembl")
_MITOCHONDRION: Final = ("M", "MT", "Mito")
_LAST: Final = ("X", "Y", "XY", "MT")


def is_mitochondrion(contig: str) -> bool:
    """Whether a contig bears one of the usual names of the mitochondrial genome."""
    return _bare(contig) in _MITOCHONDRION


def spellings(contig: str, style: NamingStyle) -> tuple[str, ...]:
    """How a naming style may spell a contig, the likeliest first.

    Ensembl calls the mitochondrion of yeast Mito, of others MT; UCSC calls it chrM.
    """
    names: tuple[str, ...] = (_bare(contig),)
    if is_mitochondrion(contig):
        names = ("M", "MT") if style == "ucsc" else ("MT", "Mito", "M")
    return tuple(f"{prefix}{name}" for prefix in ("chr", "Chr") for name in names) if style == "ucsc" else names


def match_contigs(
    ours: Iterable[str], theirs: Collection[str], *, style: NamingStyle | None = None
) -> Mapping[str, str]:
    """Their name of each contig of ours that they have.

    Args:
        ours: names in the reference.
        theirs: names in another file.
        style: how the other file spells the names that it doesn't share; None: names must be equal.
    """
    found = {}
    for contig in ours:
        candidates = (contig, *(spellings(contig, style) if style else ()))
        name = next((candidate for candidate in candidates if candidate in theirs), None)
        if name is not None:
            found[contig] = name
    return found


def style_of(theirs: Collection[str], ours: Collection[str]) -> NamingStyle | None:
    """The style under which files without a common contig have one; None if there is none, or nothing to mend."""
    if match_contigs(ours, theirs):
        return None
    return next((style for style in _STYLES if match_contigs(ours, theirs, style=style)), None)


def name_some(contigs: Collection[str], *, most: int = 2) -> str:
    """The first few names in words: "'chr1', 'chr2' and 22 more"."""
    names = [repr(contig) for contig in contigs]
    if len(names) <= most + 1:
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def first_names(contigs: Sequence[str], *, most: int = 30) -> list[str]:
    """The names; of more than so many the first three, and how many more there are."""
    return list(contigs) if len(contigs) <= most else [*contigs[:3], f"and {len(contigs) - 3:,} more"]


def _bare(contig: str) -> str:
    """A contig's name without the chr before it."""
    return re.sub(r"^(?i:chr)", "", contig)


def natural_order(contigs: NDArray[np.str_]) -> NDArray[np.int64]:
    """(variant,) the rank of each one's contig: 1 to 22 by number, then X, Y, XY and the mitochondrion, then others.

    Numbers within a name count as such, so that chr2 comes before chr10; chr1 and 1 are ranked alike.
    """
    names, of = contig_codes(contigs)
    keys = [_natural_key(name) for name in names]
    rank = {key: number for number, key in enumerate(sorted({*keys}))}
    return np.array([rank[key] for key in keys], dtype=np.int64)[of]


def contig_codes(contigs: NDArray[np.str_]) -> tuple[list[str], NDArray[np.int64]]:
    """The names that occur, and (variant,) the index of each one's; fast where equal names stand together."""
    begins = np.concatenate([[True], contigs[1:] != contigs[:-1]]) if len(contigs) else np.zeros(0, dtype=np.bool_)
    names, of_run = np.unique(contigs[begins], return_inverse=True)
    return names.tolist(), of_run[np.cumsum(begins) - 1]


def bare_name(contig: str) -> str:
    """A contig's name without 'chr', under one name for each way to write the mitochondrion; for comparisons."""
    return "MT" if is_mitochondrion(contig) else _bare(contig)


def _natural_key(contig: str) -> tuple[int, int, tuple[tuple[int, int, str], ...]]:
    bare = bare_name(contig)
    if bare.isdecimal():
        return (0, int(bare), ())
    if bare in _LAST:
        return (1, _LAST.index(bare), ())
    parts = re.findall(r"\d+|\D+", bare)
    return (2, 0, tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts))
