"""Splits by kinship: samples that a chain of relatives joins never lie in two splits, whatever the tables say."""

from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from genotune.errors import Problem
from genotune.genome.kinship import DEGREE_NAMES, FEWEST_VARIANTS, KinPairs, count_degrees, kin_groups
from genotune.genome.sample_groups import Groups, SampleTable
from genotune.genome.sample_splits import SampleSplitSettings
from genotune.genome.shares import MaybeShare, Share
from genotune.store import IntArray

MOST_FOR_KIN: Final = 100_000
"""Samples of whom every pair is held against each other in an hour of one CPU; five times as many would take a day."""

_FEWEST_GROUPS: Final = 3


class KinshipSplitSettings(SampleSplitSettings):
    """Samples that a chain of pairs of kin joins are a group, told from their genotypes; one without kin is one too.

    Attributes:
        by: kinship.
        degree: pairs of this degree and nearer ones belong together: 1 parents, children and full siblings, 2 half
            siblings, uncles and grandparents, 3 first cousins.
    """

    by: Literal["kinship"]
    degree: Annotated[int, Field(ge=1, le=3)] = 2
    validation: Share
    test: MaybeShare = None

    def notes(self, table: SampleTable) -> tuple[str, ...]:
        """How many pairs and groups there are, before what `SampleSplitSettings.notes` says."""
        pairs, sizes = _pairs(table), self._sizes(table)
        counts = count_degrees(pairs.up_to(min(pairs.told, pairs.farthest)).degrees)
        found = (
            f"{pairs.n_variants:,} autosomal variants were decoded to tell who is related; pairs of samples: {counts}. "
            f"Chains of kin up to the {DEGREE_NAMES[self.degree]} make {len(sizes):,} groups of "
            f"{len(table.families):,} samples, the largest of {int(sizes.max()):,}."
        )
        return (found, *super().notes(table))

    @property
    def _key(self) -> str:
        return "by"

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("kin",)

    def _source_problems(self, table: SampleTable) -> list[Problem]:
        """Degrees that can't be told here, or join so many that too few are left to hold out."""
        if len(table.families) > MOST_FOR_KIN:
            return [_too_many(len(table.families))]
        pairs = _pairs(table)
        fewest, name = FEWEST_VARIANTS[self.degree], DEGREE_NAMES[self.degree]
        fault, nearer = None, 0
        if pairs.n_variants < fewest:
            nearer = pairs.told
            fault = (
                f"found {pairs.n_variants:,} common, well called autosomal variants; {fewest:,} are needed to tell kin "
                f"of the {name} from strangers."
            )
        elif pairs.farthest < self.degree:
            nearer = pairs.farthest
            fault = f"more pairs than can be kept are kin of the {name} or nearer; few samples are apart."
        else:
            assert isinstance(self.held_out, float), "kin have no names"
            n, wanted = len(table.families), self.validation + self.held_out
            free = [n - self._largest(table, degree) for degree in range(1, self.degree + 1)]
            if free[-1] < wanted * n - 1:
                nearer = max((degree for degree, left in enumerate(free, start=1) if left >= wanted * n - 1), default=0)
                fault = (
                    f"chains of kin up to the {name} join {n - free[-1]:,} of the {n:,} samples in one group, which "
                    f"leaves {free[-1] / n:.0%} to hold out, where validation and test ask for {wanted:.0%}."
                )
        if fault is None:
            return []
        advice = f"Ask for degree: {nearer}, or split" if nearer >= 1 else "Split"
        return [Problem(("degree",), f"{fault} {advice} by: column, with a column that close relatives share.")]

    def _number_problems(self, groups: Groups) -> list[Problem]:
        """Too few groups for three splits; that each sample is one of its own is no fault: nobody has kin here."""
        n = len(groups.names)
        if n >= _FEWEST_GROUPS:
            return []
        message = (
            f"found {n} group{'' if n == 1 else 's'} of kin; at least 3 are needed, one each to train, to validate and "
            "to test."
        )
        return [Problem(("by",), message)]

    def _groups(self, table: SampleTable) -> Groups:
        groups = self._at(table, self.degree)
        return Groups(groups, tuple(map(str, range(int(groups.max(initial=-1)) + 1))))

    def _sizes(self, table: SampleTable) -> IntArray:
        """(group,) number of samples."""
        return np.bincount(self._at(table, self.degree))

    def _largest(self, table: SampleTable, degree: int) -> int:
        return int(np.bincount(self._at(table, degree)).max())

    def _at(self, table: SampleTable, degree: int) -> IntArray:
        return kin_groups(_pairs(table), n_samples=len(table.families), degree=degree)


def _too_many(n_samples: int) -> Problem:
    message = (
        f"found {n_samples:,} samples; every pair of them would be held against each other, which is done up to "
        f"{MOST_FOR_KIN:,}. Tell kin with another tool (KING, or plink2 --make-king-table), give each chain of "
        "relatives a number in a column of the table of samples, and split by: column."
    )
    return Problem(("by",), message)


def _pairs(table: SampleTable) -> KinPairs:
    assert table.kin is not None, "a table that can't be asked who is related"
    return table.kin()
