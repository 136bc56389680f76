"""Contigs under the names of UCSC (chr1, chrM) and of Ensembl (1, MT)."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

NamingStyle = Literal["ucsc", "ensembl"]

_STYLES: Final[tuple[NamingStyle, ...]] = ("ucsc", "ensembl")
_MITOCHONDRION: Final = ("M", "MT", "Mito")


def is_mitochondrion(contig: str) -> bool:
    """Whether a contig bears one of the usual names of the mitochondrial genome."""
    return bare_name(contig) in _MITOCHONDRION


def spellings(contig: str, style: NamingStyle) -> tuple[str, ...]:
    """How a naming style may spell a contig, the likeliest first.

    Ensembl calls the mitochondrion of yeast Mito, of others MT; UCSC calls it chrM.
    """
    names: tuple[str, ...] = (bare_name(contig),)
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


def bare_name(contig: str) -> str:
    """A contig's name without the chr before it."""
    return re.sub(r"^(?i:chr)", "", contig)
