"""What all families have in common that learn a trait from genotypes, sample by sample."""

from typing import ClassVar

from genotune.store import GenotypeOutline, GenotypeStore
from genotune.trainables.trainable import Trainable


class GenotypeTrainable(Trainable[GenotypeOutline, GenotypeStore]):
    """The settings of a family on genotypes."""

    needs: ClassVar[frozenset[str]] = GenotypeStore.columns
    examples: ClassVar[str] = "samples"

    def n_examples(self, outline: GenotypeOutline) -> int:
        """Samples of the split."""
        return outline.n_samples
