"""The family `ridge` on tracks: linear regression on k-mer counts of each bin and its flanks, solved once.

Source: Hoerl and Kennard 1970 (ridge regression), equation 2.1, on standardised features.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genotune.errors import Problem
from genotune.store import SequenceOutline, SequenceStore, Splits
from genotune.trainables.bins import bin_problems, n_bins_taken, resolved_bin_bp
from genotune.trainables.model import Model
from genotune.trainables.trainable import FitPlan, Report, Trainable


class KmerRidge(Trainable[SequenceOutline, SequenceStore]):
    """Hyperparameters of the regression.

    A bin needs a value in every track to be learned from. Labels are learned as 0 and 1, and what is predicted is held
    between the two (a linear probability model); of classes that exclude each other, the sum of the tracks' too. The
    transforms of `data.tracks` play no part: the regression learns what `target` says.

    Attributes:
        bin_bp: width of a predicted bin; null: the source's resolution_bp, or as many of them as make 32 bp.
        k: length of the k-mers.
        flank_bp: bases at each side of a bin whose k-mers are counted too, as features of their own.
        penalty: of the squared weights, per training bin, features and target being standardised.
        target: 'log1p' learns the logarithm of one plus the counts of a bin (of a count below zero, that of its
            absolute value, with a minus), 'raw' the counts; null: 'log1p' unless the tracks are labels.
        max_bins: of more training bins, evenly spaced ones are taken.
    """

    needs: ClassVar[frozenset[str]] = SequenceStore.columns
    title: ClassVar[str] = "k-mer ridge"
    complexity: ClassVar[int] = 1
    examples: ClassVar[str] = "bins"
    own_epochs: ClassVar[int | None] = 1

    family: Literal["ridge"] = "ridge"
    bin_bp: Annotated[int, Field(ge=1)] | None = None
    k: Annotated[int, Field(ge=1, le=7)] = 5
    flank_bp: Annotated[int, Field(ge=0, le=100_000)] = 128
    penalty: Annotated[float, Field(gt=0)] = 0.1
    target: Literal["log1p", "raw"] | None = None
    max_bins: Annotated[int, Field(ge=1)] = 500_000

    def resolved_bin_bp(self, resolution_bp: int) -> int:
        """Width of a predicted bin on a store of this resolution."""
        return resolved_bin_bp(self.bin_bp, resolution_bp=resolution_bp)

    @property
    def flanks_bp(self) -> tuple[int, ...]:
        """Bases at each side of a bin that are counted with it; 0: the bin alone."""
        return (0, self.flank_bp) if self.flank_bp else (0,)

    def problems(self, outline: SequenceOutline) -> list[Problem]:
        """Widths that don't go into each other, and a target for tracks that are labels."""
        found = bin_problems(outline, bin_bp=self.bin_bp, k=self.k)
        if outline.kind != "signal" and self.target is not None:
            message = f"found {self.target!r}; the tracks are labels ({outline.kind}), each 0 or 1. Leave it out."
            found.append(Problem(("target",), message))
        return found

    def n_examples(self, outline: SequenceOutline) -> int:
        """Bins that the regression sees, as far as all hold a value."""
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
        """Solve once and report once; see `Trainable.fit`."""
        from genotune.trainables.kmer_ridge_solver import fit

        del plan  # nothing in it is random, and BLAS takes its threads from the process
        return fit(self, store, splits=splits, report=report, resume=resume)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote."""
        from genotune.trainables.kmer_ridge_model import KmerRidgeModel

        return KmerRidgeModel.load(folder)
