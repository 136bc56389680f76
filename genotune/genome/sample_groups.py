"""Groups of samples, and which of them to hold out. Relatives resemble each other, so a group stays together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from genotune.genome.fold import Fold
from genotune.genome.kinship import KinPairs
from genotune.store import IntArray, TextArray

UNKNOWN: Final = -1
"""Stands for the group of a sample that has none."""


class SampleTable(NamedTuple):
    """What samples can be grouped by.

    Attributes:
        families: (sample,) FID; '' or '0' where there is none.
        columns: by name, (sample,) cells as text; '' where missing.
        kin: gives the pairs of samples that are related; only called where a split asks for them, since it decodes
            genotypes.
    """

    families: TextArray
    columns: Mapping[str, TextArray]
    kin: Callable[[], KinPairs] | None = None


class Groups(NamedTuple):
    """Which samples belong together.

    Attributes:
        of_sample: (sample,) index of its group, `UNKNOWN` where that isn't known.
        names: (group,) sorted; of several columns, the values with a comma between.
    """

    of_sample: IntArray
    names: tuple[str, ...]

    @property
    def n_known(self) -> int:
        """Number of samples whose group is known."""
        return int((self.of_sample != UNKNOWN).sum())


def group_by(cells: Sequence[TextArray], *, missing: Sequence[str] = ("",)) -> Groups:
    """A group of each combination of values.

    Args:
        cells: of each column, (sample,).
        missing: what no value looks like; a sample with one of these in any column has no group.
    """
    known = np.logical_and.reduce([~np.isin(column, missing) for column in cells])
    combined = np.zeros(int(known.sum()), dtype=np.int64)
    for column in cells:
        values, own = np.unique(column[known], return_inverse=True)
        combined = combined * len(values) + own
        combined = np.unique(combined, return_inverse=True)[1]
    of_sample = np.full(len(known), UNKNOWN, dtype=np.int64)
    of_sample[known] = combined
    firsts = np.flatnonzero(known)[np.unique(combined, return_index=True)[1]]
    rows = zip(*(column[firsts].tolist() for column in cells), strict=True)
    return Groups(of_sample, tuple(",".join(row) for row in rows))


def hold_out(
    groups: Groups,
    validation: float | tuple[str, ...],
    test: float | tuple[str, ...],
    *,
    seed: int,
    weights: IntArray | None = None,
) -> Fold:
    """Whole groups for validation and test; all the others train, and all samples whose group is unknown.

    Groups are shuffled. Then test, and after it validation, goes through them in that order and takes each that brings
    its number of samples nearer to its share of all samples; one at least, and it leaves one to those that come after.
    What is grouped may be contigs as well, which count as much as they are long.

    Args:
        groups: of the samples.
        validation: a share of all samples, or the names of groups.
        test: a share of all samples, or the names of groups.
        seed: of the shuffle.
        weights: (sample,) what each counts; 1 if None.
    """
    each = np.ones(len(groups.of_sample), dtype=np.int64) if weights is None else weights
    n, n_groups, has_group = int(each.sum()), len(groups.names), groups.of_sample != UNKNOWN
    counted = np.bincount(groups.of_sample[has_group], weights=each[has_group], minlength=n_groups)
    sizes: list[int] = counted.astype(np.int64).tolist()
    number = {name: group for group, name in enumerate(groups.names)}
    named = {number[name] for names in (validation, test) if isinstance(names, tuple) for name in names}
    free: list[int] = [
        group for group in np.random.default_rng(seed).permutation(n_groups).tolist() if group not in named
    ]
    n_to_train = 0 if groups.n_known < len(groups.of_sample) else 1

    side = np.zeros(n_groups + 1, dtype=np.int8)  # the last is that of `UNKNOWN`
    n_after = {"test": n_to_train + isinstance(validation, float), "validation": n_to_train}
    for which, split, wanted in ((2, "test", test), (1, "validation", validation)):
        if isinstance(wanted, tuple):
            side[[number[name] for name in wanted]] = which
        else:
            side[_take(free, sizes, n_wanted=wanted * n, n_after=n_after[split])] = which
            free = [group for group in free if not side[group]]
    return Fold(*(np.flatnonzero(side[groups.of_sample] == which) for which in range(3)))


def _take(free: Sequence[int], sizes: Sequence[int], *, n_wanted: float, n_after: int) -> list[int]:
    """The groups of one split: of `free`, in order, all but `n_after` at most."""
    taken: list[int] = []
    total = 0
    for group in free:
        if len(taken) < len(free) - n_after and abs(total + sizes[group] - n_wanted) < abs(total - n_wanted):
            taken.append(group)
            total += sizes[group]
    return taken or sorted(free, key=lambda group: sizes[group])[:1]
