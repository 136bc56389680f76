"""Lists of samples to keep or to leave out, as PLINK's --keep and --remove take them.

A line has FID and IID, or the IID alone; what follows isn't read, so a .fam serves too. A first line that begins with
#FID, #IID, FID or IID is a header. Source: PLINK 2 documentation, --keep and --remove.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.data.files import InputFile
from genotune.data.plink_files import FamTable, check_text
from genotune.errors import DataError
from genotune.genome.contig_names import name_some

_NO_FAMILY: Final = "0"
_HEADS: Final[Mapping[str, int]] = {"fid": 2, "iid": 1}
"""How a header begins, and how many columns of IDs it names."""


class Chosen(NamedTuple):
    """Samples that lists leave.

    Attributes:
        flags: (sample of the genotypes,) whether it stays.
        notes: how many each list names, and how many of them aren't there.
    """

    flags: NDArray[np.bool_]
    notes: tuple[str, ...]


def choose_samples(fam: FamTable, *, keep: InputFile | None, drop: InputFile | None, fam_label: str) -> Chosen:
    """The samples of the genotypes that one list keeps and the other doesn't leave out.

    Args:
        fam: samples of the genotypes.
        keep: a list of those that stay; None: all.
        drop: a list of those that go; None: none.
        fam_label: what to call the file of samples.

    Raises:
        DataError: a list can't be read, names nobody who is there or an IID of two families, or nobody is left.
    """
    flags = np.ones(len(fam.iids), dtype=np.bool_)
    notes: list[str] = []
    if keep is not None:
        is_listed, unknown = _find(keep, fam, fam_label=fam_label)
        flags &= is_listed
        notes.append(f"{keep.label}: {int(is_listed.sum()):,} of {len(flags):,} samples are kept{unknown}.")
    if drop is not None:
        is_listed, unknown = _find(drop, fam, fam_label=fam_label)
        flags &= ~is_listed
        notes.append(f"{drop.label}: {int(is_listed.sum()):,} of {len(flags):,} samples are dropped{unknown}.")
    if not flags.any():
        named = [file.label for file in (keep, drop) if file is not None]
        raise DataError(f"{' and '.join(named)}: leave no sample of {fam_label}. Is a list the other one's?")
    return Chosen(flags, tuple(notes))


def _find(file: InputFile, fam: FamTable, *, fam_label: str) -> tuple[NDArray[np.bool_], str]:
    """(sample,) whether a list names it; and words for how many others it names."""
    listed = _read(file)
    fids, iids = fam.fids.tolist(), fam.iids.tolist()
    # A VCF, or a .psam without FID, knows no families: PLINK writes them as 0.
    by_iid = len(listed[0]) == 1 or {*fids} == {_NO_FAMILY}
    part = slice(-1, None) if by_iid else slice(0, 2)
    wanted = {sample[part] for sample in listed}
    ours = [sample[part] for sample in zip(fids, iids, strict=True)]
    if by_iid:
        _check_told_apart(file, fam, wanted={iid for (iid,) in wanted}, fam_label=fam_label)
    flags = np.array([sample in wanted for sample in ours], dtype=np.bool_)
    if not flags.any():
        how = "IID" if by_iid else "FID and IID"
        raise DataError(
            f"{file.label}: none of its {len(wanted):,} samples is in {fam_label} by {how}: it has "
            f"{' '.join(listed[0][part])!r}, {fam_label} has {' '.join(ours[0])!r}. A line has FID and IID, or IID "
            "alone. If none is there indeed, remove the list from the spec."
        )
    n_unknown = len(wanted - {*ours})
    return flags, f"; {n_unknown:,} others that it names are not in {fam_label}" if n_unknown else ""


def _read(file: InputFile) -> list[tuple[str, ...]]:
    """The samples that a list names, in its order: (FID, IID), or (IID,) of all.

    Raises:
        DataError: it isn't there, is no text, names nobody, or some lines have a FID and others have none.
    """
    if not file.path.is_file():
        raise DataError(
            f"{file.label}: no such file (looked for {file.path}). Paths are relative to the spec's folder."
        )
    check_text(file)
    text = file.path.read_text(encoding="utf-8-sig")
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    first = lines[0][1] if lines else []
    head = first[0].removeprefix("#").lower() if first else ""
    start = int(head in _HEADS)
    width = _HEADS.get(head, min(2, len(first)))
    if not lines[start:]:
        raise DataError(f"{file.label}: names no sample. A line has FID and IID, or IID alone.")
    found: list[tuple[str, ...]] = []
    for number, cells in lines[start:]:
        if len(cells) < width or (width == 1 and not start and len(cells) > 1):
            raise DataError(
                f"{file.label}:{number}: {len(cells)} column{'s' * (len(cells) > 1)}, and {width} in the lines before; "
                "each line has FID and IID, or each has IID alone."
            )
        found.append(tuple(cells[:width]))
    return found


def _check_told_apart(file: InputFile, fam: FamTable, *, wanted: set[str], fam_label: str) -> None:
    """Nothing, if no IID that is asked for stands in two families."""
    iids, counts = np.unique(fam.iids, return_counts=True)
    twice = [iid for iid in iids[counts > 1].tolist() if iid in wanted]
    if twice:
        families = name_some(fam.fids[fam.iids == twice[0]].tolist())
        raise DataError(
            f"{file.label}: IID {twice[0]!r} stands in the families {families} of {fam_label}, so it doesn't say "
            "who is meant. Write FID and IID in each line."
        )
