"""The family `boosted_trees` on genotypes: a trait from the dosages of its most associated variants."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from genotune.errors import Problem
from genotune.store import GenotypeOutline, GenotypeStore, Splits
from genotune.trainables.boosted_trees import BoostedTrees
from genotune.trainables.model import Model
from genotune.trainables.preparation import Prepares
from genotune.trainables.trainable import FitPlan, Report


class GenotypeTrees(BoostedTrees[GenotypeOutline, GenotypeStore], Prepares):
    """Hyperparameters of the trees on genotypes; see `BoostedTrees` and `Prepares`."""

    needs: ClassVar[frozenset[str]] = GenotypeStore.columns
    examples: ClassVar[str] = "samples"

    max_depth: Annotated[int, Field(ge=1, le=16)] = 3

    def problems(self, outline: GenotypeOutline) -> list[Problem]:
        """See `Prepares.variant_problems`."""
        return self.variant_problems(outline)

    def n_examples(self, outline: GenotypeOutline) -> int:
        """Samples."""
        return outline.n_samples

    def fit(
        self,
        store: GenotypeStore,
        splits: Splits,
        *,
        report: Report,
        plan: FitPlan,
        resume: Path | None = None,
    ) -> Model:
        """Learn from the training samples; see `Trainable.fit`."""
        from genotune.trainables.genotype_trees import fit

        return fit(self, store, splits=splits, report=report, plan=plan, resume=resume)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote, on the CPU."""
        from genotune.trainables.genotype_trees import GenotypeTreesModel

        return GenotypeTreesModel.load(folder)
