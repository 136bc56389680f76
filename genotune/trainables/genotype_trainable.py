"""What all families have in common that learn a trait from genotypes, sample by sample."""

from collections.abc import Generator
from pathlib import Path
from typing import ClassVar

from genotune.store import GenotypeOutline, GenotypeStore, Splits
from genotune.trainables.model import Model
from genotune.trainables.trainable import FitPlan, Progress, Trainable

Epochs = Generator[Progress, float | None, Model]
"""A fit that waits at the end of each epoch for what `Report` would give, and ends with the model."""


class GenotypeTrainable(Trainable[GenotypeOutline, GenotypeStore]):
    """The settings of a family on genotypes."""

    needs: ClassVar[frozenset[str]] = GenotypeStore.columns
    examples: ClassVar[str] = "samples"

    learns_together: ClassVar[bool] = False
    """Whether `fit` takes a `TraitsStore` and makes one model that shares what it learns of its traits."""

    def epochs(self, store: GenotypeStore, splits: Splits, *, plan: FitPlan, resume: Path | None = None) -> Epochs:
        """What `fit` does, as a generator, so that fits to several traits can go on in step.

        Here for a family that is solved in one epoch: its model changes no more once it is reported.
        """
        assert self.own_epochs == 1, f"{type(self).__name__} has several epochs, so it says itself how they go"
        reported: list[Progress] = []
        model = self.fit(store, splits, report=reported.append, plan=plan, resume=resume)
        yield from (progress for progress in reported)  # a list couldn't be sent a value
        return model

    def n_examples(self, outline: GenotypeOutline) -> int:
        """Samples of the split."""
        return outline.n_samples
