"""Splits of samples, as a spec writes them: by the values of a column, by family, or at random."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from genotune.errors import Problem
from genotune.genome.contig_names import name_some
from genotune.genome.fold import Fold
from genotune.genome.outer_folds import NO_TEST, TWO_TESTS, OuterFolds, fault_of_fold, hold_out_part
from genotune.genome.sample_groups import UNKNOWN, Groups, SampleTable, group_by, hold_out
from genotune.genome.shares import ColumnNames, MaybeShare, MaybeShareOrNames, Share, ShareOrNames
from genotune.settings import Settings
from genotune.store import IntArray

_NO_FAMILY: Final = ("", "0")
_FEWEST_GROUPS: Final = 3
_ALONE: Final = 0.99
"""From this many groups per sample on, groups keep next to nobody together."""
_FAR_OFF: Final = 0.25
"""A split that misses its share by more than this part of it gets a note."""


class SampleSplitSettings(Settings, ABC):
    """Groups of samples are held out as a whole, as `hold_out` chooses them.

    Attributes:
        validation: samples on which trials are compared: a share of all, or the names of their groups.
        outer_folds: in the place of `test`: so many parts of the groups, each of which is the test split of a sweep of
            its own (nested folds).
        outer_fold: the one of them, from 1, that is this sweep's; a group of sweeps gives each its own.
        test: samples that no trial sees: a share of all, or the names of their groups; null: an outer fold.
        seed: of the choice.
    """

    of: ClassVar[Literal["contigs", "samples"]] = "samples"

    validation: ShareOrNames
    outer_folds: OuterFolds | None = None
    outer_fold: Annotated[int, Field(ge=1)] | None = None
    test: MaybeShareOrNames = None
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("outer_fold")
    @classmethod
    def _is_one_of_them(cls, outer_fold: int | None, info: ValidationInfo) -> int | None:
        fault = fault_of_fold(outer_fold, info.data.get("outer_folds"))
        if fault is not None and "outer_folds" in info.data:
            raise ValueError(fault)
        return outer_fold

    @field_validator("test")
    @classmethod
    def _leaves_some(cls, test: float | tuple[str, ...] | None, info: ValidationInfo) -> float | tuple[str, ...] | None:
        validation, n_folds = info.data.get("validation"), info.data.get("outer_folds")
        if "outer_folds" in info.data and (test is None) == (n_folds is None):
            raise ValueError(NO_TEST if test is None else TWO_TESTS)
        if n_folds is not None and isinstance(validation, tuple):
            raise ValueError("outer_folds test every group in turn, so validation can't name some. Give it a share.")
        held_out, name = (test, "test") if n_folds is None else (1 / n_folds, "an outer fold")
        if isinstance(validation, float) and isinstance(held_out, float) and validation + held_out >= 1:
            raise ValueError(
                f"validation ({validation:g}) and {name} ({held_out:g}) leave nothing to train on; "
                "their sum must be less than 1."
            )
        return test

    def groups(self, table: SampleTable) -> IntArray:
        """(sample,) index of each sample's group; -1 where it is unknown."""
        return self._groups(table).of_sample

    def problems(self, table: SampleTable) -> list[Problem]:
        """What doesn't fit the samples, with paths relative to the split; empty when all fits."""
        found = self._source_problems(table)
        if found:
            return found
        groups = self._groups(table)
        found = [*self._number_problems(groups), *self._fold_problems(groups), *self._name_problems(groups.names)]
        return found or self._empty_problems(groups)

    def resolve(self, table: SampleTable) -> Fold:
        """The samples of each split, once `problems` has found nothing."""
        return self._hold_out(self._groups(table))

    def notes(self, table: SampleTable) -> tuple[str, ...]:
        """What a person should know of the split, once `problems` has found nothing."""
        notes = []
        n, n_unknown = len(table.families), int((self.groups(table) == UNKNOWN).sum())
        if n_unknown:
            who = "1 sample has" if n_unknown == 1 else f"{n_unknown} samples have"
            rest = "it trains, since its" if n_unknown == 1 else "they train, since their"
            notes.append(f"{who} no {' or '.join(self._parts)}: {rest} relatives may be in any split.")
        fold = self.resolve(table)
        for split, wanted, held in (
            ("validation", self.validation, fold.validation),
            ("test", self.held_out, fold.test),
        ):
            if isinstance(wanted, float) and abs(len(held) - wanted * n) > max(1, _FAR_OFF * wanted * n):
                notes.append(
                    f"{split} holds {len(held)} of {n} samples, where {wanted:g} of them was asked for: groups are "
                    "taken whole. Another seed may come nearer."
                )
        return tuple(notes)

    @property
    def held_out(self) -> float | tuple[str, ...]:
        """What test takes of the samples: a share, or the names of their groups."""
        if self.test is not None:
            return self.test
        assert self.outer_folds is not None, "test or outer_folds"
        return 1 / self.outer_folds

    def _hold_out(self, groups: Groups) -> Fold:
        if self.outer_folds is None:
            return hold_out(groups, self.validation, self.held_out, seed=self.seed)
        assert self.outer_fold is not None, "checked above"
        assert isinstance(self.validation, float), "checked above"
        part, n_folds = self.outer_fold - 1, self.outer_folds
        return hold_out_part(groups, self.validation, part=part, n_folds=n_folds, seed=self.seed)

    @property
    @abstractmethod
    def _key(self) -> str:
        """The setting that says what the groups are."""

    @property
    @abstractmethod
    def _parts(self) -> tuple[str, ...]:
        """What samples of a group have in common, all of it."""

    def _source_problems(self, table: SampleTable) -> list[Problem]:  # noqa: ARG002 - for those that read the table
        """What keeps the groups from being known."""
        return []

    @abstractmethod
    def _groups(self, table: SampleTable) -> Groups:
        """The groups, where `_source_problems` has found nothing."""

    def _number_problems(self, groups: Groups) -> list[Problem]:
        """Too few groups for three splits, or so many that they are single samples."""
        n, common = len(groups.names), " and ".join(self._parts)
        if n < _FEWEST_GROUPS:
            found = f"found {n} group{'' if n == 1 else 's'} of samples with the same {common}"
            message = f"{found}; at least 3 are needed, one each to train, to validate and to test."
            return [Problem((self._key,), message)]
        if n < _ALONE * groups.n_known:
            return []
        message = (
            f"{'every' if n == groups.n_known else 'nearly every'} sample has a {common} of its own, so this would "
            "be a random split, with relatives on both sides. Use by: column with a column that relatives share, such "
            "as their parents, or say by: random."
        )
        return [Problem((self._key,), message)]

    def _fold_problems(self, groups: Groups) -> list[Problem]:
        """More outer folds than there are groups to test."""
        n = len(groups.names)
        if self.outer_folds is None or self.outer_folds <= n:
            return []
        message = f"found {self.outer_folds}; there are {n} groups to test, each in one fold. Ask for {n} or fewer."
        return [Problem(("outer_folds",), message)]

    def _name_problems(self, known: Sequence[str]) -> list[Problem]:
        """What is wrong with groups that the spec names."""
        found: list[Problem] = []
        first_seen: dict[str, str] = {}
        for split, names in (("validation", self.validation), ("test", self.test)):
            if not isinstance(names, tuple):
                continue
            if not names:
                found.append(Problem((split,), "no group is named, so the split is empty. Name one, or give a share."))
            for index, name in enumerate(names):
                fault = None
                if name not in known:
                    fault = f"no sample has the {self._parts[0]} {name!r}.{_did_you_mean(name, known)}"
                elif first_seen.setdefault(name, split) != split:
                    fault = f"{name!r} is in {first_seen[name]} too; a group belongs to one split."
                elif name in names[:index]:
                    fault = f"{name!r} is named twice."
                if fault is not None:
                    found.append(Problem((split, index), fault))
        return found

    def _empty_problems(self, groups: Groups) -> list[Problem]:
        """A split for which the groups that the spec names leave nothing."""
        fold = self._hold_out(groups)
        for split, held in (("validation", fold.validation), ("test", fold.test)):
            if not len(held):
                other = "test" if split == "validation" else "validation"
                return [Problem((split,), f"no group is left for it: {other} names them all. Name fewer there.")]
        if not len(fold.train):
            message = f"validation and test take all {len(groups.names)} groups, so train is empty. Free one."
            return [Problem((), message)]
        return []


class ColumnSplitSettings(SampleSplitSettings):
    """Samples with the same value in a column are a group; of several columns, those with the same in all of them.

    So sire and dam make groups of full siblings. Half siblings may be parted, which a note says.

    Attributes:
        by: column.
        column: one of the columns of the samples, or several.
    """

    by: Literal["column"]
    column: ColumnNames

    def notes(self, table: SampleTable) -> tuple[str, ...]:
        """What `SampleSplitSettings.notes` says; and of several columns, how many values of each are parted."""
        notes = super().notes(table)
        if len(self._parts) == 1:
            return notes
        fold = self.resolve(table)
        counts = []
        for column in self._parts:
            seen = np.concatenate([np.unique(table.columns[column][part]) for part in fold])
            values, n_splits = np.unique(seen[seen != ""], return_counts=True)
            counts += [f"{int((n_splits > 1).sum())} of {len(values)} in {column}"] if (n_splits > 1).any() else []
        if not counts:
            return notes
        message = (
            f"values that are in more than one split: {', '.join(counts)}. A group is a combination of "
            f"{' and '.join(self._parts)}; samples that share only one of these (half siblings) may be parted."
        )
        return (*notes, message)

    @property
    def _key(self) -> str:
        return "column"

    @property
    def _parts(self) -> tuple[str, ...]:
        return (self.column,) if isinstance(self.column, str) else self.column

    def _source_problems(self, table: SampleTable) -> list[Problem]:
        return [
            Problem(
                ("column",) if isinstance(self.column, str) else ("column", index),
                f"the samples have no column {column!r}.{_did_you_mean(column, [*table.columns])}",
            )
            for index, column in enumerate(self._parts)
            if column not in table.columns
        ]

    def _groups(self, table: SampleTable) -> Groups:
        return group_by([table.columns[column] for column in self._parts])

    def _name_problems(self, known: Sequence[str]) -> list[Problem]:
        if len(self._parts) == 1:
            return super()._name_problems(known)
        message = f"a combination of {' and '.join(self._parts)} has no name. Give a share, e.g. 0.2."
        named = {"validation": self.validation, "test": self.test}
        return [Problem((split,), message) for split, wanted in named.items() if isinstance(wanted, tuple)]


class FamilySplitSettings(SampleSplitSettings):
    """Samples with the same family ID (FID) are a group; '0' is no family.

    Attributes:
        by: family.
    """

    by: Literal["family"]

    @property
    def _key(self) -> str:
        return "by"

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("family ID",)

    def _source_problems(self, table: SampleTable) -> list[Problem]:
        if self._groups(table).n_known:
            return []
        message = (
            "no sample has a family ID (every FID is 0 or empty). Use by: column with a column that relatives share, "
            "such as their parents, or say by: random."
        )
        return [Problem(("by",), message)]

    def _groups(self, table: SampleTable) -> Groups:
        return group_by([table.families], missing=_NO_FAMILY)


class RandomSplitSettings(SampleSplitSettings):
    """Each sample is a group of its own, so that relatives are parted.

    Attributes:
        by: random.
    """

    by: Literal["random"]
    validation: Share
    test: MaybeShare = None

    def notes(self, table: SampleTable) -> tuple[str, ...]:
        """A warning, before what `SampleSplitSettings.notes` says."""
        warning = (
            "by: random puts relatives, and people of one population or batch, on both sides of the split. The score "
            "then says how well the model recognises relatives, not how well it predicts for new families. Use by: "
            "family or by: column where you can."
        )
        return (warning, *super().notes(table))

    @property
    def _key(self) -> str:
        return "by"

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("sample",)

    def _groups(self, table: SampleTable) -> Groups:
        n = len(table.families)
        return Groups(np.arange(n), tuple(map(str, range(n))))

    def _number_problems(self, groups: Groups) -> list[Problem]:
        n = len(groups.names)
        if n >= _FEWEST_GROUPS:
            return []
        return [Problem(("by",), f"found {n} sample{'' if n == 1 else 's'}; at least 3 are needed.")]


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" There is {name_some(known, most=9)}." if known else " There is none."
