"""The family `boosted_trees` on tracks: the counts or labels of a bin from the k-mers in and around it."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genotune.errors import Problem
from genotune.genome.track_transforms import Transform
from genotune.store import SequenceOutline, SequenceStore, Splits
from genotune.trainables.bins import bin_problems, n_bins_taken, resolved_bin_bp
from genotune.trainables.boosted_trees import BoostedTrees
from genotune.trainables.model import Model
from genotune.trainables.trainable import FitPlan, Report

Objective = Literal["poisson", "squared_error"]


class TrackTrees(BoostedTrees[SequenceOutline, SequenceStore]):
    """Hyperparameters of the trees on tracks.

    A bin needs a value in every track to be learned from. Of several tracks each has trees of its own; of tracks with
    one class a bin, each has its own too, and so has 'none of them'.

    Attributes:
        bin_bp: width of a predicted bin; null: the source's resolution_bp, or as many of them as make 32 bp.
        k: length of the k-mers.
        gap_bp: longest gap in the middle of a k-mer; k-mers with each gap up to it are counted too, as features of
            their own.
        flank_bp: bases at each side of a bin whose k-mers are counted too, as features of their own.
        n_flanks: so many flanks are counted, each a quarter as long as the next, the longest of flank_bp.
        gc_cells: so many cells on each side, which share flank_bp, have their G and C counted too: of the two cells at
            one distance from the bin the lower count is a feature, and the higher.
        max_bins: of more training bins, evenly spaced ones are taken.
        transform: how the trees see the tracks; null: as `data.tracks` says of each.
        objective: what is made small: Poisson's negative log-likelihood, or the squared error of transformed totals,
            which may lie below zero; null: Poisson's. Labels have one of their own.
        positive_weight: of a positive bin, where tracks are labels that do not exclude each other; null: negatives per
            positive, all tracks together.
    """

    needs: ClassVar[frozenset[str]] = SequenceStore.columns
    examples: ClassVar[str] = "bins"

    bin_bp: Annotated[int, Field(ge=1)] | None = None
    k: Annotated[int, Field(ge=1, le=6)] = 4
    gap_bp: Annotated[int, Field(ge=0, le=50)] = 0
    flank_bp: Annotated[int, Field(ge=0, le=100_000)] = 128
    n_flanks: Annotated[int, Field(ge=1, le=8)] = 1
    gc_cells: Annotated[int, Field(ge=0, le=256)] = 0
    max_bins: Annotated[int, Field(ge=1)] = 200_000
    transform: Transform | None = None
    objective: Objective | None = None
    positive_weight: Annotated[float, Field(gt=0)] | None = 1.0

    def resolved_bin_bp(self, resolution_bp: int) -> int:
        """Width of a predicted bin on a store of this resolution."""
        return resolved_bin_bp(self.bin_bp, resolution_bp=resolution_bp)

    @property
    def flanks_bp(self) -> tuple[int, ...]:
        """Bases at each side of a bin that are counted with it, rising from 0: the bin alone."""
        quarters = {self.flank_bp // 4**number for number in range(self.n_flanks)}
        return tuple(sorted(quarters | {0}))

    def problems(self, outline: SequenceOutline) -> list[Problem]:
        """Widths that don't go into each other, and settings of another kind of tracks."""
        found = bin_problems(outline, bin_bp=self.bin_bp, k=self.k, gap_bp=self.gap_bp)
        if self.gc_cells > self.flank_bp:
            message = (
                f"found {self.gc_cells}; flank_bp ({self.flank_bp}) has no so many bases. Use fewer, or a longer flank."
            )
            found.append(Problem(("gc_cells",), message))
        if outline.kind != "signal":
            for name in ("objective", "transform"):
                if getattr(self, name) is not None:
                    message = f"the tracks are labels ({outline.kind}), which have none. Leave it out."
                    found.append(Problem((name,), message))
        if outline.kind != "binary" and self.positive_weight != 1:
            given = "null" if self.positive_weight is None else f"{self.positive_weight:g}"
            message = f"found {given}; it is for binary labels, and the tracks are {outline.kind}. Leave it out."
            found.append(Problem(("positive_weight",), message))
        return found

    def n_examples(self, outline: SequenceOutline) -> int:
        """Bins that the trees see, as far as all hold a value."""
        return n_bins_taken(outline, bin_bp=self.bin_bp, max_bins=self.max_bins)

    def fit(
        self,
        store: SequenceStore,
        splits: Splits,
        *,
        report: Report,
        plan: FitPlan,
        resume: Path | None = None,
    ) -> Model:
        """Learn from bins of the training contigs; see `Trainable.fit`."""
        from genotune.trainables.track_trees import fit

        return fit(self, store, splits=splits, report=report, plan=plan, resume=resume)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote, on the CPU."""
        from genotune.trainables.track_trees_model import TrackTreesModel

        return TrackTreesModel.load(folder)
