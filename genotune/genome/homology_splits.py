"""Splits by homology: sequences that are near-identical never lie in two splits."""

from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from genotune.errors import Problem
from genotune.genome.fold import Fold
from genotune.genome.genome_table import GenomeSplitSettings, GenomeTable
from genotune.genome.sample_groups import Groups, hold_out
from genotune.genome.shares import BasesShare
from genotune.store import IntArray

_FEWEST_GROUPS: Final = 3
_FAR_OFF: Final = 0.25
"""A split that misses its share by more than this part of it gets a note."""


class HomologySplitSettings(GenomeSplitSettings):
    """Groups of near-identical contigs, or blocks of contigs, are held out as a whole, as `hold_out` chooses them.

    Attributes:
        by: homology.
        validation: share of the bases on which trials are compared.
        test: share of the bases that no trial sees.
        block_bp: contigs are cut into blocks of so many bases, each of which lies in one split; what a model sees ends
            at a block's ends. null: contigs stay whole.
        identity: sequences that are at least so alike belong together; see `group_alike`.
        seed: of the choice.
    """

    by: Literal["homology"]
    validation: BasesShare
    test: BasesShare
    block_bp: Annotated[int, Field(ge=1000)] | None = None
    identity: Annotated[float, Field(ge=0.8, le=1)] = 0.9
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("test")
    @classmethod
    def _leaves_some(cls, test: float, info: ValidationInfo) -> float:
        validation = info.data.get("validation", 0.0)
        if validation + test >= 1:
            raise ValueError(
                f"validation ({validation:g}) and test ({test:g}) leave nothing to train on; "
                "their sum must be less than 1."
            )
        return test

    def problems(self, table: GenomeTable) -> list[Problem]:
        """See `GenomeSplitSettings.problems`; reads the sequences."""
        if self.block_bp is not None and self.block_bp % table.resolution_bp:
            near = -(-self.block_bp // table.resolution_bp) * table.resolution_bp
            message = (
                f"found {self.block_bp}; must be a whole multiple of data.resolution_bp ({table.resolution_bp}), e.g. "
                f"{near}."
            )
            return [Problem(("block_bp",), message)]
        sizes = np.bincount(table.alike(self.identity), weights=table.lengths)
        if len(sizes) >= _FEWEST_GROUPS:
            return []
        what = "contigs" if self.block_bp is None else "blocks"
        held = "1 group" if len(sizes) == 1 else f"{len(sizes)} groups"
        finer = "give block_bp, to split within contigs" if self.block_bp is None else "give a smaller block_bp"
        message = (
            f"the {len(table.contigs)} {what} make {held} of near-identical sequence (from an identity of "
            f"{self.identity:g} on), so a split would be empty; three are needed. Raise identity, {finer}, or split "
            "by: contig."
        )
        return [Problem(("by",), message)]

    def resolve(self, table: GenomeTable) -> Fold:
        """See `GenomeSplitSettings.resolve`."""
        of_contig = table.alike(self.identity)
        groups = Groups(of_contig, tuple(map(str, range(int(of_contig.max()) + 1))))
        return hold_out(groups, self.validation, self.test, seed=self.seed, weights=table.lengths)

    def notes(self, table: GenomeTable) -> tuple[str, ...]:
        """How many groups there are, and which split misses its share."""
        of_contig, lengths = table.alike(self.identity), table.lengths
        total, n_groups = int(lengths.sum()), int(of_contig.max()) + 1
        what = "contigs" if self.block_bp is None else f"blocks of {self.block_bp:,} bp"
        largest = int(np.bincount(of_contig, weights=lengths).max())
        notes = [
            f"the whole reference ({total:,} bp) was read to compare sequences: {len(lengths):,} {what} make "
            f"{n_groups:,} groups, the largest of {largest / total:.1%} of the bases."
        ]
        fold = self.resolve(table)
        for split, wanted, held in (("validation", self.validation, fold.validation), ("test", self.test, fold.test)):
            share = int(lengths[held].sum()) / total
            if abs(share - wanted) > _FAR_OFF * wanted:
                notes.append(
                    f"{split} holds {share:.1%} of the bases, where {wanted:.1%} was asked for: groups are taken "
                    "whole. Another seed may come nearer."
                )
        return tuple(notes)

    def _kept_together(self, table: GenomeTable) -> IntArray:
        return table.alike(self.identity)
