"""The family `boosted_trees` on tracks: the counts of a bin from the k-mers in and around it."""

from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import Field

from genotune.errors import Problem
from genotune.store import SequenceOutline, SequenceStore, Splits
from genotune.trainables.boosted_trees import BoostedTrees
from genotune.trainables.model import Model
from genotune.trainables.trainable import FitPlan, Report, multiple_problems

_SMALLEST_BIN_BP: Final = 32


class TrackTrees(BoostedTrees[SequenceOutline, SequenceStore]):
    """Hyperparameters of the trees on tracks.

    Attributes:
        bin_bp: width of a predicted bin; null: the source's resolution_bp, or as many of them as make 32 bp.
        k: length of the k-mers.
        flank_bp: bases at each side of a bin whose k-mers are counted too, as features of their own.
        max_bins: of more training bins, evenly spaced ones are taken.
    """

    needs: ClassVar[frozenset[str]] = SequenceStore.columns
    examples: ClassVar[str] = "bins"

    bin_bp: Annotated[int, Field(ge=1)] | None = None
    k: Annotated[int, Field(ge=1, le=6)] = 4
    flank_bp: Annotated[int, Field(ge=0, le=100_000)] = 128
    max_bins: Annotated[int, Field(ge=1)] = 200_000

    def resolved_bin_bp(self, resolution_bp: int) -> int:
        """Width of a predicted bin on a store of this resolution."""
        return self.bin_bp or -(-_SMALLEST_BIN_BP // resolution_bp) * resolution_bp

    def problems(self, outline: SequenceOutline) -> list[Problem]:
        """Widths that don't go into each other."""
        bin_bp = self.resolved_bin_bp(outline.resolution_bp)
        found = multiple_problems(("bin_bp",), bin_bp, of=outline.resolution_bp, name="data.resolution_bp")
        if self.k > bin_bp:
            found.append(Problem(("k",), f"found {self.k}; no such k-mer fits a bin of {bin_bp} bp. Use a smaller k."))
        return found

    def n_examples(self, outline: SequenceOutline) -> int:
        """Bins that the trees see, as far as all hold a value."""
        factor = self.resolved_bin_bp(outline.resolution_bp) // outline.resolution_bp
        n_bins = sum(-(-length // outline.resolution_bp) // factor for length in outline.contig_lengths)
        return -(-n_bins // self.bins_apart(n_bins))

    def bins_apart(self, n_bins: int) -> int:
        """Of so many training bins every how manieth is taken."""
        return max(1, -(-n_bins // self.max_bins))

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
        from genotune.trainables.track_trees import TrackTreesModel

        return TrackTreesModel.load(folder)
