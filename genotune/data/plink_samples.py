"""The samples of a PLINK fileset that can be learned from: their trait, their covariates, what they are split by."""

from typing import NamedTuple

from genotune.columns import TargetKind
from genotune.genome.splits import SampleTable
from genotune.store import FloatArray, IntArray, TableColumn, TextArray, Values


class SampleFacts(NamedTuple):
    """Samples whose trait and covariates are all known, or filled in, in the order of the .fam.

    Attributes:
        rows: (sample,) positions in the .fam.
        ids: (sample, 2) family and individual ID.
        values: (sample,) of the trait; of classes their indices.
        covariates: (sample, covariate); NaN where unknown, if they are to be filled in.
        trait: its name.
        kind: of the trait.
        classes: names of the classes of a binary or multiclass trait.
        covariate_names: of the covariates.
        table: what splits are made by.
        sexes: (sample,) '1' male, '2' female, anything else unknown.
        features: (sample, column) of further tables, NaN where unknown; None: there are none.
        table_columns: what they are.
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
    features: FloatArray | None = None
    table_columns: tuple[TableColumn, ...] = ()
