"""Samples with their genotypes and one trait or several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, NamedTuple

import numpy as np

from genotune.columns import COVARIATE, DOSAGE, PHENOTYPE, TargetKind
from genotune.store.arrays import DosageArray, FloatArray, IntArray, TextArray, Values

MISSING_DOSAGE: Final = -1
"""The code of a genotype that was not called, in int8."""

DOSAGE_STEPS: Final = 1 << 14
"""A copy, in uint16: PLINK 2 stores dosages in such steps, so none of them is rounded."""

MISSING_STEPS: Final = (1 << 16) - 1
"""The code of a genotype that is not known, in uint16."""

NO_POSITION: Final = -1
"""Stands for the position of a variant that has none."""


def missing_code(dosage: DosageArray) -> int:
    """What stands for an unknown genotype in such an array."""
    return MISSING_DOSAGE if dosage.dtype == np.int8 else MISSING_STEPS


def copies(dosage: DosageArray) -> FloatArray:
    """Dosages as copies of the counted allele, from 0 to 2; NaN where unknown.

    Args:
        dosage: of any shape; a part of the store's, since it gets a float32 for each.
    """
    values = dosage.astype(np.float32)
    if dosage.dtype == np.uint16:
        values /= np.float32(DOSAGE_STEPS)
    values[dosage == missing_code(dosage)] = np.nan
    return values


class GenotypeOutline(NamedTuple):
    """What is known of a store of genotypes before anything is decoded, as far as one split goes.

    Attributes:
        n_samples: of the split.
        n_variants: that are kept, at most: filters may leave fewer.
        kind: of the trait.
        n_classes: of a binary or multiclass trait; 0 of any other.
        n_covariates: columns of covariates.
        has_summary: whether summary statistics of another study are there.
        n_features: columns that further tables may become: one of a number, one for each level of a category.
    """

    n_samples: int
    n_variants: int
    kind: TargetKind
    n_classes: int
    n_covariates: int
    has_summary: bool = False
    n_features: int = 0


class Variants(NamedTuple):
    """Which variants the columns of a dosage array are.

    Attributes:
        ids: (variant,) as in the fileset.
        contigs: (variant,) names.
        starts: (variant,) 0-based first base, `NO_POSITION` where the fileset gives none.
        counted: (variant,) the allele whose copies are counted.
        other: (variant,) the other allele.
        frequency: (variant,) float32, of the counted allele among called genotypes of training samples.
    """

    ids: TextArray
    contigs: TextArray
    starts: IntArray
    counted: TextArray
    other: TextArray
    frequency: FloatArray

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self)

    @property
    def names(self) -> tuple[str, ...]:
        """Of each, 'id_counted allele', as PLINK 2 writes it; with its place too where that isn't unique."""
        short = [f"{name}_{allele}" for name, allele in zip(self.ids, self.counted, strict=True)]
        if len({*short}) == len(short):
            return tuple(short)
        places = zip(self.contigs, self.starts + 1, self.other, strict=True)
        return tuple(
            f"{contig}:{position}:{other}:{name}" for name, (contig, position, other) in zip(short, places, strict=True)
        )

    def first(self, n: int) -> "Variants":
        """The first n of them."""
        return self._replace(**{name: array[:n] for name, array in self._asdict().items()})

    def take(self, places: IntArray) -> "Variants":
        """Those at the given places, in that order."""
        return self._replace(**{name: array[places] for name, array in self._asdict().items()})

    def places_of(self, wanted: "Variants") -> IntArray:
        """(variant,) where each of the wanted ones stands here, by its place, alleles and ID; -1 where it doesn't."""
        if len(wanted.ids) <= len(self.ids) and all(
            np.array_equal(mine[: len(theirs)], theirs) for mine, theirs in zip(self[:5], wanted[:5], strict=True)
        ):
            return np.arange(len(wanted.ids))
        place = {key: index for index, key in enumerate(self._keys())}
        return np.array([place.get(key, -1) for key in wanted._keys()], dtype=np.int64)

    def _keys(self) -> Iterator[tuple[object, ...]]:
        return zip(*(array.tolist() for array in self[:5]), strict=True)


class TableColumn(NamedTuple):
    """A column of a further table of samples.

    Attributes:
        name: 'table:column'.
        levels: of a category, in order; a value is the index of its level, or their number if it is none of these. A
            column of numbers has none.
    """

    name: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class GenotypeStore:
    """Samples, their genotypes and the trait to predict.

    Attributes:
        dosage: (sample, variant) int8, copies of the counted allele, `MISSING_DOSAGE` where not called. The variants
            most associated with the trait on training samples come first (or in the study of `summary_log10_p`, if
            the source ranks by that), so that the best n are a prefix.
        phenotype: (sample,) float64; of a binary or multiclass trait the index of the class.
        covariates: (sample, covariate) float32; NaN where unknown, if they are to be filled in.
        samples: (sample, 2) family and individual ID.
        variants: which variants the columns of `dosage` are.
        trait: its name.
        kind: of the trait.
        classes: names of the classes of a binary or multiclass trait, in order; none of any other.
        covariate_names: of the covariates.
        summary_log10_p: (variant,) float64, of each variant's association in another study, NaN where that lacks it;
            None: there is no such study.
        features: (sample, column) float32 of further tables, NaN where unknown; None: there are no such tables.
        table_columns: what the columns of `features` are.
        fills_covariates: whether unknown covariates are filled in from the training samples.
        n_shrunk: so many covariates, the last ones, were columns of tables before these were prepared for a family: a
            linear family shrinks them as it does variants.
        twin: a store with the same dosages whose trait is known of the same samples; see `keeper`.
    """

    columns: ClassVar[frozenset[str]] = frozenset({DOSAGE, PHENOTYPE, COVARIATE})

    dosage: DosageArray
    phenotype: Values
    covariates: FloatArray
    samples: TextArray
    variants: Variants
    trait: str
    kind: TargetKind
    classes: tuple[str, ...]
    covariate_names: tuple[str, ...]
    summary_log10_p: Values | None = None
    features: FloatArray | None = None
    table_columns: tuple[TableColumn, ...] = ()
    fills_covariates: bool = False
    n_shrunk: int = 0
    twin: "GenotypeStore | None" = None

    @property
    def keeper(self) -> "GenotypeStore":
        """The store under which a process keeps what is made of dosages alone: one for several traits if it can be."""
        return self.twin if self.twin is not None and self.twin.dosage is self.dosage else self

    def known(self, samples: IntArray) -> IntArray:
        """Those of the samples whose trait is known; of a store of one trait all of them."""
        return samples[~np.isnan(self.phenotype[samples])]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays = (self.dosage, self.phenotype, self.covariates, self.samples, self.summary_log10_p, self.features)
        return sum(array.nbytes for array in arrays if array is not None) + self.variants.nbytes

    @property
    def n_fixed(self) -> int:
        """Covariates that no family shrinks: the first ones."""
        return len(self.covariate_names) - self.n_shrunk

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self.dosage.shape[0])

    @property
    def n_variants(self) -> int:
        """Number of variants."""
        return int(self.dosage.shape[1])


@dataclass(frozen=True, eq=False)
class TraitsStore:
    """Samples, their genotypes and several traits of one kind, which are the tasks of one model.

    Attributes:
        each: a store of each trait. They share all arrays but `phenotype`, which is NaN where the trait is not known;
            each sample has one of the traits at least.
    """

    columns: ClassVar[frozenset[str]] = GenotypeStore.columns

    each: tuple[GenotypeStore, ...]

    @classmethod
    def of(cls, stores: Sequence[GenotypeStore]) -> "TraitsStore":
        """One store of several with the same samples and genotypes; those known of the same samples become twins."""
        first_with: dict[bytes, GenotypeStore] = {}
        each = []
        for store in stores:
            twin = first_with.setdefault(np.isnan(store.phenotype).tobytes(), store)
            each.append(store if twin is store else replace(store, twin=twin))
        return cls(tuple(each))

    @property
    def genotypes(self) -> GenotypeStore:
        """The first of them, for all that doesn't depend on the trait."""
        return self.each[0]

    @property
    def dosage(self) -> DosageArray:
        """(sample, variant) as in each of them."""
        return self.genotypes.dosage

    @property
    def covariates(self) -> FloatArray:
        """(sample, covariate) as in each of them."""
        return self.genotypes.covariates

    @property
    def variants(self) -> Variants:
        """Which variants the columns of `dosage` are."""
        return self.genotypes.variants

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.genotypes.nbytes + sum(store.phenotype.nbytes for store in self.each[1:])
