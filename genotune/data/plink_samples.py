"""The samples of a PLINK fileset that can be learned from: their trait, their covariates, what they are split by."""

from typing import NamedTuple

import numpy as np

from genotune.columns import TargetKind
from genotune.genome.splits import SampleTable
from genotune.store import FloatArray, IntArray, TableColumn, TextArray, Values


class SampleTrait(NamedTuple):
    """A trait of samples.

    Attributes:
        values: (sample,); of classes their indices; NaN where not known.
        classes: names of the classes of a binary or multiclass trait.
    """

    name: str
    values: Values
    kind: TargetKind
    classes: tuple[str, ...]

    def known(self, samples: IntArray) -> IntArray:
        """Those of the samples whose trait is known."""
        return samples[~np.isnan(self.values[samples])]

    def words(self, members: IntArray) -> str:
        """What it looks like in these samples: mean and spread, or how many are of each class."""
        values = self.values[self.known(members)]
        if not self.classes:
            return f"{values.mean():.3g} ± {values.std():.3g}"
        counts = np.bincount(values.astype(np.int64), minlength=len(self.classes))
        return ", ".join(f"{label}: {count:,}" for label, count in zip(self.classes, counts, strict=True))

    def fault_in(self, members: IntArray, *, split: str) -> str | None:
        """What keeps a metric from being defined in a split with these samples, as the beginning of a sentence."""
        values = self.values[self.known(members)]
        if not len(values):
            return f"{split} holds no sample whose {self.name} is known"
        if not self.classes:
            if values.min() < values.max():
                return None
            return (
                f"{self.name} is {values[0]:g} in each of the {len(values):,} samples of {split}, which tells nothing"
            )
        found = {int(value) for value in values}
        lacking = [label for index, label in enumerate(self.classes) if index not in found]
        if not lacking:
            return None
        return (
            f"{split} holds no sample with {self.name} {' or '.join(lacking)}: its {len(values):,} samples can't tell "
            "the classes apart"
        )


class SampleFacts(NamedTuple):
    """Samples with a trait at least whose covariates are all known, or filled in, in the order of the .fam.

    Attributes:
        rows: (sample,) positions in the .fam.
        ids: (sample, 2) family and individual ID.
        traits: one or several, all of one kind.
        covariates: (sample, covariate); NaN where unknown, if they are to be filled in.
        covariate_names: of the covariates.
        table: what splits are made by.
        sexes: (sample,) '1' male, '2' female, anything else unknown.
        features: (sample, column) of further tables, NaN where unknown; None: there are none.
        table_columns: what they are.
    """

    rows: IntArray
    ids: TextArray
    traits: tuple[SampleTrait, ...]
    covariates: FloatArray
    covariate_names: tuple[str, ...]
    table: SampleTable
    sexes: TextArray
    features: FloatArray | None = None
    table_columns: tuple[TableColumn, ...] = ()

    @property
    def trait(self) -> str:
        """What is predicted, in words: the trait, or all of them."""
        return ", ".join(trait.name for trait in self.traits)

    @property
    def kind(self) -> TargetKind:
        """Of the traits."""
        return self.traits[0].kind

    @property
    def values(self) -> Values:
        """(sample,) of the only trait."""
        return self._only.values

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the only trait."""
        return self._only.classes

    @property
    def _only(self) -> SampleTrait:
        assert len(self.traits) == 1, self.trait
        return self.traits[0]
