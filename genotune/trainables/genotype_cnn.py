"""The family `genotype_cnn`: convolutions over variants in the order of the genome. Settings.

Neighbouring variants are inherited together, so that a filter over some of them can see haplotypes. The filters of the
first layer may be each place's own, for what a variant does is not what its neighbour does.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from genotune.errors import Problem
from genotune.store import GenotypeOutline, GenotypeStore, Splits, TraitsStore
from genotune.trainables.class_weights import ClassWeight, class_weight_problems
from genotune.trainables.genotype_trainable import GenotypeTrainable
from genotune.trainables.model import Model
from genotune.trainables.preparation import Prepares
from genotune.trainables.trainable import FitPlan, Report


def _odd(width: int) -> int:
    if width % 2 == 0:
        raise ValueError(f"found {width}; a filter has a middle, so its width is odd")
    return width


class GenotypeCNN(GenotypeTrainable, Prepares):
    """Hyperparameters of the network and of its training; variants are laid in the order of the genome.

    Several traits share all layers but the last one, and the preparation of genotypes (`prepare`), in which a variant
    has the rank of the trait that it goes with best; a sample teaches the traits that it has.
    Source: Caruana 1997, multitask learning.

    Attributes:
        channels: filters of a block.
        n_blocks: convolution, normalisation, ReLU, dropout and pooling, one after another.
        kernel_width: variants, in later blocks places, that a filter sees.
        pool: neighbouring places of which the highest is kept after each block; where the first layer is locally
            connected, the steps of its filters.
        locally_connected: the filters of the first layer are not shared along the genome.
            Source: Pook et al. 2020, "Local convolutional neural networks", on genomic prediction.
        dropout: share of a block's values that is set to zero in training.
        learning_rate: of AdamW.
        weight_decay: of filters.
        batch_size: samples of a step.
        class_weight: see `class_weights.py`.
        patience: epochs without a better objective after which the fit ends; null: never.
    """

    title: ClassVar[str] = "genotype CNN"
    complexity: ClassVar[int] = 3
    learns_together: ClassVar[bool] = True
    changeable: ClassVar[frozenset[str]] = frozenset({"learning_rate", "weight_decay", "dropout", "batch_size"})

    family: Literal["genotype_cnn"] = "genotype_cnn"
    channels: Annotated[int, Field(ge=1, le=1024)] = 16
    n_blocks: Annotated[int, Field(ge=1, le=8)] = 2
    kernel_width: Annotated[int, Field(ge=1, le=255), AfterValidator(_odd)] = 9
    pool: Annotated[int, Field(ge=1, le=64)] = 4
    locally_connected: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    batch_size: Annotated[int, Field(ge=1)] = 64
    class_weight: ClassWeight = "none"
    patience: Annotated[int, Field(ge=1)] | None = None

    def problems(self, outline: GenotypeOutline) -> list[Problem]:
        """More variants than are kept; weights of classes that don't fit the trait."""
        return class_weight_problems(self.class_weight, outline) + self.variant_problems(outline)

    def fit(
        self,
        store: GenotypeStore | TraitsStore,
        splits: Splits,
        *,
        report: Report,
        plan: FitPlan,
        resume: Path | None = None,
    ) -> Model:
        """Learn from the training samples, an epoch a pass over them; see `Trainable.fit`."""
        from genotune.trainables.genotype_cnn_training import fit

        return fit(self, store, splits=splits, report=report, plan=plan, resume=resume)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote, on the CPU."""
        from genotune.trainables.genotype_cnn_model import GenotypeCNNModel

        return GenotypeCNNModel.load(folder)
