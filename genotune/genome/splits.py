"""How a spec may split its data, and splits by contig.

Bases next to each other depend on each other, so a contig belongs to one split as a whole. For samples see
sample_splits.py.
"""

import difflib
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from genotune.errors import Problem
from genotune.genome.contig_names import name_some, spellings
from genotune.genome.sample_groups import Fold, SampleTable
from genotune.genome.sample_splits import (
    ColumnSplitSettings,
    FamilySplitSettings,
    RandomSplitSettings,
    SampleSplitSettings,
)
from genotune.settings import Settings

__all__ = [
    "ColumnSplitSettings",
    "ContigSplitSettings",
    "ContigSplits",
    "FamilySplitSettings",
    "Fold",
    "RandomSplitSettings",
    "SampleSplitSettings",
    "SampleTable",
    "SplitSettings",
]


class ContigSplits(NamedTuple):
    """Names of the contigs of each split, in the order of the reference."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


class ContigSplitSettings(Settings):
    """Whole contigs are held out.

    Attributes:
        by: contig.
        validation: contigs on which trials are compared.
        test: contigs that no trial sees; the winner is scored on them once.
        train: contigs to learn from; all the others if null.
    """

    of: ClassVar[Literal["contigs", "samples"]] = "contigs"

    by: Literal["contig"]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    train: tuple[str, ...] | None = None

    def problems(self, contigs: Mapping[str, int]) -> list[Problem]:
        """What doesn't fit the contigs of the data, with paths relative to the split; empty when all fits."""
        found: list[Problem] = []
        first_seen: dict[str, str] = {}
        for split, names in self._named().items():
            if not names:
                message = f"no contig is named, so the split is empty. The data has {name_some(contigs)}."
                found.append(Problem((split,), message))
            for index, name in enumerate(names):
                fault = _fault(name, split, contigs, seen_in=first_seen.setdefault(name, split))
                if fault is None and name in names[:index]:
                    fault = f"{name!r} is named twice."
                if fault is not None:
                    found.append(Problem((split, index), fault))
        if self.train is None and not self.resolve(contigs).train:
            message = f"validation and test take all {len(contigs)} contigs of the data, so train is empty. Free one."
            found.append(Problem((), message))
        return found

    def resolve(self, contigs: Mapping[str, int]) -> ContigSplits:
        """The contigs of each split, once `problems` has found nothing."""
        held_out = {*self.validation, *self.test}
        train = {*contigs} - held_out if self.train is None else {*self.train}
        return ContigSplits(*(_in_order(names, contigs) for names in (train, {*self.validation}, {*self.test})))

    def _named(self) -> Mapping[str, tuple[str, ...]]:
        named = {"validation": self.validation, "test": self.test}
        return named if self.train is None else {**named, "train": self.train}


SplitSettings = Annotated[
    ContigSplitSettings | ColumnSplitSettings | FamilySplitSettings | RandomSplitSettings, Field(discriminator="by")
]
"""The registry."""


def _in_order(names: set[str], contigs: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(contig for contig in contigs if contig in names)


def _fault(name: str, split: str, contigs: Mapping[str, int], *, seen_in: str) -> str | None:
    if name not in contigs:
        return f"the data has no contig {name!r}.{_did_you_mean(name, contigs)}"
    if seen_in != split:
        return f"{name!r} is in {seen_in} too; a contig belongs to one split, or what is learned leaks into the score."
    return None


def _did_you_mean(name: str, contigs: Mapping[str, int]) -> str:
    renamed = [spelling for style in ("ucsc", "ensembl") for spelling in spellings(name, style)]
    near = [spelling for spelling in renamed if spelling in contigs] or difflib.get_close_matches(name, contigs, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" It has {name_some(contigs)}."
