"""The samples of a PLINK fileset that can be learned from: their trait, their covariates, what they are split by."""

from typing import NamedTuple

from genotune.columns import TargetKind
from genotune.genome.splits import SampleTable
from genotune.store import FloatArray, IntArray, TextArray, Values


class SampleFacts(NamedTuple):
    """Samples whose trait and covariates are all known, in the order of the .fam.

    Attributes:
        rows: (sample,) positions in the .fam.
        ids: (sample, 2) family and individual ID.
        values: (sample,) of the trait; of classes their indices.
        covariates: (sample, covariate).
        trait: its name.
        kind: of the trait.
        classes: names of the classes of a binary or multiclass trait.
        covariate_names: of the covariates.
        table: what splits are made by.
        sexes: (sample,) '1' male, '2' female, anything else unknown.
    """

    rows: IntArray
    ids: TextArray
    values: Values
    covariates: FloatArray
    trait: str
    kind: TargetKind
    classes: tuple[str, ...]
    covariate_names: tuple[str, ...]
    table: SampleTable
    sexes: TextArray
