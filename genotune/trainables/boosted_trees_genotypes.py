"""The family `boosted_trees` on genotypes: a trait from the dosages of its most associated variants."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from genotune.errors import Problem
from genotune.store import GenotypeOutline, GenotypeStore, Splits
from genotune.trainables.boosted_trees import BoostedTrees
from genotune.trainables.boosters import Booster, Trees
from genotune.trainables.class_weights import ClassWeight, class_weight_problems
from genotune.trainables.genotype_trainable import Epochs, GenotypeTrainable
from genotune.trainables.model import Model
from genotune.trainables.preparation import Prepares
from genotune.trainables.resampling import AsTheyAre, Resampling, resampling_problems, room_fault
from genotune.trainables.trainable import FitPlan, Report


class GenotypeTrees(BoostedTrees[GenotypeOutline, GenotypeStore], GenotypeTrainable, Prepares):
    """Hyperparameters of the trees on genotypes; see `BoostedTrees` and `Prepares` too.

    Attributes:
        booster: see `boosters.py`.
        class_weight: see `class_weights.py`.
        resample: of a binary trait; see `resampling.py`. The loss in training is then that of the resampled samples.
        sampling_method: whether examples (`subsample`) are drawn alike or, on CUDA alone, the more likely the larger
            their gradient.
    """

    max_depth: Annotated[int, Field(ge=1, le=16)] = 3
    booster: Booster = Trees()
    class_weight: ClassWeight = "none"
    resample: Resampling = AsTheyAre()
    sampling_method: Literal["uniform", "gradient_based"] = "uniform"

    def problems(self, outline: GenotypeOutline) -> list[Problem]:
        """More variants than are kept, or than fit memory as floats; classes where the trait has none."""
        n_variants = min(self.n_variants or outline.n_variants, outline.n_variants)
        n_features = n_variants + outline.n_covariates + outline.n_features
        problems = class_weight_problems(self.class_weight, outline)
        problems += resampling_problems(self.resample, outline, n_features=n_features)
        fault = room_fault(outline.n_samples, n_features) if self.booster.kind == "gblinear" else None
        if fault is not None:
            problems.append(Problem(("booster",), f"found gblinear; {fault}"))
        problems += self.variant_problems(outline)
        return problems

    @property
    def takes_unknown(self) -> bool:
        """Trees send what is unknown to the better side of a split; sums and distances have no use for it."""
        return self.booster.kind != "gblinear" and self.resample.kind not in {"smote", "adasyn"}

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

    def epochs(self, store: GenotypeStore, splits: Splits, *, plan: FitPlan, resume: Path | None = None) -> Epochs:
        """See `GenotypeTrainable.epochs`."""
        from genotune.trainables.genotype_trees import epochs

        return epochs(self, store, splits, plan=plan, resume=resume)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote, on the CPU."""
        from genotune.trainables.genotype_trees import GenotypeTreesModel

        return GenotypeTreesModel.load(folder)
