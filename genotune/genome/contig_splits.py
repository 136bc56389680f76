"""Splits by contig, as a spec writes them: contigs of each split, or groups of contigs.

Bases next to each other depend on each other, so a contig belongs to one split as a whole.
"""

import difflib
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from genotune.errors import Problem
from genotune.genome.contig_names import name_some
from genotune.genome.fold import Fold
from genotune.genome.genome_table import GenomeSplitSettings, GenomeTable, naming_problems
from genotune.settings import Settings


class ContigSplits(NamedTuple):
    """Names of the contigs of each split, in the order of the reference."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


class HeldOutContigs(Settings):
    """Whole contigs are held out.

    Attributes:
        validation: contigs on which trials are compared.
        test: contigs that no trial sees; the winner is scored on them once.
        train: contigs to learn from; all the others if null.
    """

    validation: tuple[str, ...]
    test: tuple[str, ...]
    train: tuple[str, ...] | None = None


class ContigSplitSettings(GenomeSplitSettings, HeldOutContigs):
    """Whole contigs are held out; see `HeldOutContigs`.

    Attributes:
        by: contig.
    """

    by: Literal["contig"]

    def problems(self, table: GenomeTable) -> list[Problem]:
        """See `GenomeSplitSettings.problems`."""
        return contig_problems(self, table.contigs)

    def resolve(self, table: GenomeTable) -> Fold:
        """See `GenomeSplitSettings.resolve`."""
        return resolve_contigs(self, table)


class ContigGroupSplitSettings(GenomeSplitSettings):
    """Named groups of contigs: one validates, one tests, the others train. Contigs in no group are left out.

    With `evaluation.folds`, each group but that of test is held out in turn.

    Attributes:
        by: contig_group.
        groups: contigs of each group, by its name.
        validation: the group on which trials are compared.
        test: the group that no trial sees; the winner is scored on it once.
    """

    by: Literal["contig_group"]
    groups: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]
    validation: str
    test: str

    def problems(self, table: GenomeTable) -> list[Problem]:
        """See `GenomeSplitSettings.problems`."""
        found = naming_problems(
            {("groups", name): contigs for name, contigs in self.groups.items()}, table.contigs, thing="contig"
        )
        for split, name in (("validation", self.validation), ("test", self.test)):
            if name not in self.groups:
                near = difflib.get_close_matches(name, list(self.groups), n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"There is {name_some(list(self.groups), most=9)}."
                found.append(Problem((split,), f"no group is called {name!r}. {hint}"))
        if self.validation == self.test:
            found.append(Problem(("test",), f"{self.test!r} is validation too; a group belongs to one split."))
        elif not {*self.groups} - {self.validation, self.test}:
            message = (
                f"found {len(self.groups)} groups, which validation and test take, so train is empty. Name one more."
            )
            found.append(Problem(("groups",), message))
        return found

    def resolve(self, table: GenomeTable) -> Fold:
        """See `GenomeSplitSettings.resolve`."""
        return self._held_out(table, self.validation)

    def folds(self, table: GenomeTable, fold: Fold, *, n_folds: int) -> list[Fold]:
        """Each group but that of test held out in turn, however many were asked for."""
        del fold, n_folds
        return [self._held_out(table, name) for name in self.groups if name != self.test]

    def notes(self, table: GenomeTable) -> tuple[str, ...]:
        """Which contigs are in no group."""
        grouped = {contig for contigs in self.groups.values() for contig in contigs}
        left_out = [contig for contig in table.contigs if contig not in grouped]
        if not left_out:
            return ()
        return (f"contigs in no group of split.groups are left out of all splits: {name_some(left_out, most=9)}.",)

    def _held_out(self, table: GenomeTable, validation: str) -> Fold:
        train = [name for name in self.groups if name not in (validation, self.test)]
        chosen = (train, [validation], [self.test])
        return Fold(*(table.indices(contig for name in names for contig in self.groups[name]) for names in chosen))


def contig_problems(held_out: HeldOutContigs, contigs: Mapping[str, int]) -> list[Problem]:
    """What doesn't fit the contigs of the data, with paths relative to `held_out`; empty when all fits."""
    named = {("validation",): held_out.validation, ("test",): held_out.test}
    if held_out.train is not None:
        named["train",] = held_out.train
    found = naming_problems({(*path,): names for path, names in named.items()}, contigs, thing="contig")
    if held_out.train is None and not {*contigs} - {*held_out.validation, *held_out.test}:
        message = f"validation and test take all {len(contigs)} contigs of the data, so train is empty. Free one."
        found.append(Problem((), message))
    return found


def resolve_contigs(held_out: HeldOutContigs, table: GenomeTable) -> Fold:
    """The contigs of each split, once `contig_problems` has found nothing."""
    validation, test = table.indices(held_out.validation), table.indices(held_out.test)
    if held_out.train is not None:
        return Fold(table.indices(held_out.train), validation, test)
    others = np.setdiff1d(np.arange(len(table.contigs)), np.concatenate([validation, test]))
    return Fold(others, validation, test)
