"""Which row of a table belongs to which sample of a fileset."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from genotune.data.plink_files import FamTable
from genotune.data.sample_table import PhenotypeTable
from genotune.errors import DataError
from genotune.genome.contig_names import name_some
from genotune.store import IntArray, TextArray

MatchBy = Literal["iid", "fid_iid"]

_NO_ROW: Final = -1


class Match(NamedTuple):
    """Samples of a fileset and rows of a table.

    Attributes:
        rows: (sample of the .fam,) row of the table, -1 where it has none.
        notes: what a person should know: how many on either side are left over.
    """

    rows: IntArray
    notes: tuple[str, ...]


def match_samples(fam: FamTable, table: PhenotypeTable, *, match_by: MatchBy | None, fam_label: str) -> Match:
    """The row of each sample.

    Args:
        fam: samples of the fileset.
        table: a row for each sample, in any order.
        match_by: 'fid_iid': by family and individual ID; 'iid': by individual ID alone; None: by both where the table
            has both.
        fam_label: what to call the .fam.

    Raises:
        DataError: nothing matches, an ID that should tell samples apart stands twice, or the table has no column FID.
    """
    if match_by == "fid_iid" and table.fids is None:
        raise DataError(
            f"{table.label}: has no column FID, which data.match_by: fid_iid needs. Add it, or set data.match_by: iid."
        )
    if match_by == "iid" or table.fids is None:
        _check_iids(fam, table, fam_label=fam_label)
        rows = _find(fam.iids.tolist(), table.iids.tolist())
        how = "IID"
    else:
        rows = _find(_pairs(fam.fids, fam.iids), _pairs(table.fids, table.iids))
        how = "FID and IID"
    if (rows == _NO_ROW).all():
        raise DataError(_nothing_in_common(fam, table, how=how, fam_label=fam_label))
    return Match(rows, _left_over(rows, n_rows=len(table.iids), label=table.label, fam_label=fam_label))


def _find(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> IntArray:
    row_of = {sample: row for row, sample in enumerate(theirs)}
    return np.array([row_of.get(sample, _NO_ROW) for sample in ours], dtype=np.int64)


def _pairs(fids: TextArray, iids: TextArray) -> list[tuple[str, str]]:
    return list(zip(fids.tolist(), iids.tolist(), strict=True))


def _check_iids(fam: FamTable, table: PhenotypeTable, *, fam_label: str) -> None:
    """Nothing, if the individual ID alone tells all samples apart, on both sides."""
    faults = []
    for label, iids, fids in ((fam_label, fam.iids, fam.fids), (table.label, table.iids, table.fids)):
        twice = [iid for iid, n in Counter(iids.tolist()).items() if n > 1]
        if twice:
            families = [] if fids is None else fids[iids == twice[0]].tolist()
            faults.append(
                f"{label}: IID {twice[0]!r} stands in the families {name_some(families)}"
                + (f" (and {len(twice) - 1} more do)" if len(twice) > 1 else "")
            )
    if faults:
        advice = "Set data.match_by: fid_iid." if table.fids is not None else f"Add a column FID to {table.label}."
        raise DataError(f"{'; '.join(faults)}; so IID alone doesn't say who is meant. {advice}")


def _nothing_in_common(fam: FamTable, table: PhenotypeTable, *, how: str, fam_label: str) -> str:
    if how == "IID":
        theirs, ours = str(table.iids[0]), str(fam.iids[0])
    else:
        assert table.fids is not None
        theirs, ours = f"{table.fids[0]} {table.iids[0]}", f"{fam.fids[0]} {fam.iids[0]}"
    message = f"{table.label}: no sample of {fam_label} is in it by {how}: it has {theirs!r}, {fam_label} has {ours!r}."
    n_by_iid = int(np.isin(fam.iids, table.iids).sum())
    if how != "IID" and n_by_iid:
        return f"{message} By IID alone {n_by_iid} of {len(fam.iids)} match: set data.match_by: iid."
    return f"{message} Write the IDs of the .fam into the table."


def _left_over(rows: IntArray, *, n_rows: int, label: str, fam_label: str) -> tuple[str, ...]:
    n_without_row = int((rows == _NO_ROW).sum())
    n_unused = n_rows - (len(rows) - n_without_row)
    notes = []
    if n_without_row:
        notes.append(f"{label}: no row for {n_without_row} of {len(rows)} samples of {fam_label}; they are left out.")
    if n_unused:
        notes.append(f"{label}: {n_unused} of {n_rows} rows are of samples without genotypes; they are not used.")
    return tuple(notes)
