"""What was learned: a model predicts, saves itself to a folder without a pickle, and loads from there."""

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Self, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from genotune.columns import TargetKind
from genotune.errors import DataError
from genotune.settings import Settings, build
from genotune.store import (
    N_CODE,
    CodeArray,
    DosageArray,
    FloatArray,
    GenotypeStore,
    IntArray,
    SequenceStore,
    TableColumn,
    TraitsStore,
    Variants,
)
from genotune.trainables.importance import Importance
from genotune.trainables.table_recipe import in_levels_of

MODEL_FILE: Final = "model.json"
"""What a saved model's folder always has: its family, the version of its format, and the family's own facts."""

_S = TypeVar("_S", bound=Settings)

_VARIANTS_FILE: Final = "variants.tsv"
_VARIANT_COLUMNS: Final = ("contig", "start", "id", "counted", "other", "frequency")


class Model(ABC):
    """What was learned."""

    columns: ClassVar[frozenset[str]]
    """Of the stores that it was made from."""

    libraries: tuple[str, ...] = ("safetensors",)
    """Distributions that it is loaded and predicts with, beside numpy."""

    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """What a person should know of it, as plain values: what goes in, what comes out."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model to an existing folder: arrays as safetensors or UBJSON, the rest as text; no pickle."""

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Numbers that were learned and that predictions are made of.

        Weights of a network; coefficients of a linear model, but for those that a penalty has made zero; nodes of
        trees, a threshold or a value each. What prepares genotypes before that is not among them.
        """

    def to(self, device: str, *, n_threads: int = 1) -> None:  # noqa: B027 - optional on purpose
        """Predict on this device from now on. A model without a device ignores it."""


class SequenceModel(Model):
    """Predicts from base codes alone, in the tracks' own units.

    Attributes:
        tracks: names of the predicted tracks.
        bin_bp: width of a predicted bin.
        input_bp: length of the sequences that `predict` takes.
        crop_bp: bases at each end of the input for which nothing is predicted.
    """

    columns = SequenceStore.columns

    tracks: tuple[str, ...]
    bin_bp: int
    input_bp: int
    crop_bp: int

    def facts(self) -> Mapping[str, Any]:
        """See `Model.facts`."""
        return {
            "tracks": list(self.tracks),
            "bin_bp": self.bin_bp,
            "input_bp": self.input_bp,
            "crop_bp": self.crop_bp,
        }

    @abstractmethod
    def predict(self, codes: CodeArray) -> FloatArray:
        """Mean signal per base in each bin of the inner part of the input.

        Args:
            codes: (example, input_bp).

        Returns:
            (example, track, bin), (input_bp - 2 * crop_bp) / bin_bp bins.
        """

    def predict_contig(self, store: SequenceStore, contig: int, *, batch: int = 256) -> FloatArray:
        """Mean signal per base in each bin of a whole contig.

        Windows are laid so that each bin is predicted once; beyond the ends of the contig lies N.

        Args:
            store: the data.
            contig: its index in the store.
            batch: windows that are handed to `predict` at once.

        Returns:
            (track, bin), as many bins of `bin_bp` as cover the store's bins of the contig.
        """
        codes = store.contig_sequence(contig)
        n_bins = -(-len(codes) // self.bin_bp)
        stride_bp = self.input_bp - 2 * self.crop_bp
        n_windows = -(-n_bins * self.bin_bp // stride_bp)
        bins = stride_bp // self.bin_bp
        predicted = np.empty((len(self.tracks), n_windows, bins), dtype=np.float32)
        for first in range(0, n_windows, batch):
            last = min(first + batch, n_windows)
            # Part by part: of a long contig a padded copy would be the largest thing that a trial holds.
            part = _between(codes, first * stride_bp - self.crop_bp, last * stride_bp + self.crop_bp)
            windows = sliding_window_view(part, self.input_bp)[::stride_bp]
            predicted[:, first:last] = self.predict(windows).transpose(1, 0, 2)
        return predicted.reshape(len(self.tracks), -1)[:, :n_bins]


def _between(codes: CodeArray, first: int, end: int) -> CodeArray:
    """The codes from `first` on and before `end`, which may lie beyond them: there it is N."""
    found = np.full(end - first, N_CODE, dtype=np.uint8)
    inside = codes[max(0, first) : max(0, end)]
    found[max(0, -first) : max(0, -first) + len(inside)] = inside
    return found


class Trait(NamedTuple):
    """What is predicted, and from which covariates beside the variants."""

    name: str
    kind: TargetKind
    classes: tuple[str, ...]
    covariate_names: tuple[str, ...]

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """That of a model whose record was read."""
        return cls(record["trait"], record["kind"], tuple(record["classes"]), tuple(record["covariates"]))

    @classmethod
    def of_store(cls, store: GenotypeStore) -> Self:
        """That of a store."""
        return cls(store.trait, store.kind, store.classes, store.covariate_names)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what is predicted: the trait, or 'trait=class' for each class whose probability is given."""
        told = self.classes[1:] if self.kind == "binary" else self.classes
        return tuple(f"{self.name}={label}" for label in told) or (self.name,)


def several_of_record(record: Mapping[str, Any]) -> tuple[Trait, ...]:
    """Those of a model of several traits whose record was read; none of any other."""
    names = tuple(record["covariates"])
    return tuple(Trait(one["trait"], record["kind"], tuple(one["classes"]), names) for one in record.get("traits", []))


class GenotypeModel(Model):
    """Predicts a trait from dosages and covariates, or several.

    Attributes:
        trait: what is predicted; of several traits the names of all.
        kind: of the trait.
        classes: names of the classes of a binary or multiclass trait; none of any other, nor of several traits.
        several: traits, where it predicts more than one.
        variants: whose dosages `predict` takes, in order.
        covariate_names: of the covariates that `predict` takes, in order.
        table_columns: of further tables, that it takes after the covariates.
        fills_covariates: whether a covariate may be unknown (NaN).
    """

    columns = GenotypeStore.columns

    trait: str
    kind: TargetKind
    classes: tuple[str, ...]
    several: tuple[Trait, ...] = ()
    variants: Variants
    covariate_names: tuple[str, ...]
    table_columns: tuple[TableColumn, ...] = ()
    fills_covariates: bool = False

    @property
    def traits(self) -> tuple[Trait, ...]:
        """What is predicted, trait by trait."""
        return self.several or (Trait(self.trait, self.kind, self.classes, self.covariate_names),)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what is predicted, as many as columns; see `Trait.output_names`."""
        return tuple(name for trait in self.traits for name in trait.output_names)

    def _name_traits(self, traits: Sequence[Trait]) -> None:
        """Set what the model says of the traits that it predicts."""
        if len(traits) == 1:
            self.trait, self.kind, self.classes, self.covariate_names = traits[0]
            return
        self.several, self.classes = tuple(traits), ()
        self.trait, self.kind = ", ".join(trait.name for trait in traits), traits[0].kind
        self.covariate_names = traits[0].covariate_names

    def facts(self) -> Mapping[str, Any]:
        """See `Model.facts`."""
        return {
            "trait": self.trait,
            "kind": self.kind,
            "classes": list(self.classes),
            **(
                {"traits": [{"trait": one.name, "classes": list(one.classes)} for one in self.several]}
                if self.several
                else {}
            ),
            "covariates": list(self.covariate_names),
            "n_variants": len(self.variants.ids),
        }

    def importance(self) -> Importance | None:
        """How much each variant and covariate counts for; None where the family has nothing to say that holds.

        Of several traits, see `importances`.
        """
        return None

    def importances(self) -> Mapping[str, Importance]:
        """`importance` by trait, of those of which there is something to say."""
        found = self.importance()
        return {} if found is None else {self.trait: found}

    @abstractmethod
    def predict(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """The trait of each sample, in its own units; of classes their probabilities.

        Args:
            dosage: (sample, variant), copies of the counted alleles of `variants`, in the code of a store.
            covariates: (sample, covariate + table column); a table's may be NaN, and of a category are indices of the
                levels in `table_columns`, their number for any other.

        Returns:
            (sample,): the expected value of a quantitative trait, the expected count, or the probability of the second
            class of a binary trait. (sample, class): probabilities of a multiclass trait, each row summing to one.
            Of several traits (sample, output), their columns side by side; see `by_trait`.
        """

    def by_trait(self, predicted: FloatArray) -> tuple[FloatArray, ...]:
        """What was predicted of each trait, as a model of that trait alone would give it."""
        if not self.several:
            return (predicted,)
        ends = np.cumsum([len(trait.output_names) for trait in self.several])
        parts = np.split(predicted, ends[:-1], axis=1)
        return tuple(part if self.kind == "multiclass" else part[:, 0] for part in parts)

    def predict_samples(
        self, store: GenotypeStore | TraitsStore, samples: IntArray, *, batch: int = 4096
    ) -> FloatArray:
        """As `predict`, of samples of a store that has the model's variants, in any order.

        Args:
            store: the data.
            samples: (sample,) indices.
            batch: samples that are handed to `predict` at once.
        """
        genotypes = store.genotypes if isinstance(store, TraitsStore) else store
        places = store.variants.places_of(self.variants)
        assert (places >= 0).all(), f"the store lacks {np.count_nonzero(places < 0)} of the model's variants"
        is_prefix = np.array_equal(places, np.arange(len(places)))
        columns = slice(len(places)) if is_prefix else places
        parts = []
        for first in range(0, max(1, len(samples)), batch):
            some = samples[first : first + batch]
            parts.append(self.predict(store.dosage[some][:, columns], self._beside(genotypes, some)))
        return np.concatenate(parts)

    def _beside(self, store: GenotypeStore, samples: IntArray) -> FloatArray:
        """(sample, covariate + table column) what `predict` takes of these samples beside their dosages."""
        if not self.table_columns:
            return store.covariates[samples]
        assert store.features is not None, "the store has no further tables"
        columns = in_levels_of(self.table_columns, store.features, store.table_columns, samples=samples)
        return np.concatenate([store.covariates[samples], columns], axis=1)


def write_record(model: Model, folder: Path, *, settings: Settings, file_format: int) -> None:
    """Write the part of a saved model that is not arrays."""
    record = {
        "family": settings.model_dump()["family"],
        "columns": sorted(model.columns),
        "format": file_format,
        "settings": settings.model_dump(mode="json"),
        **model.facts(),
    }
    (folder / MODEL_FILE).write_text(json.dumps(record, indent=2) + "\n")


def read_record(folder: Path, family: type[_S], *, file_format: int) -> tuple[dict[str, Any], _S]:
    """What `write_record` wrote, and the settings among it.

    Args:
        folder: of the saved model.
        family: whose settings they are.
        file_format: that this version knows.

    Raises:
        DataError: it was written in another format.
    """
    path = folder / MODEL_FILE
    record: dict[str, Any] = json.loads(path.read_text())
    if record["format"] != file_format:
        raise DataError(
            f"{path}: format {record['format']}; this version of genotune reads format {file_format}. "
            "Use the version that wrote it."
        )
    settings: _S = build(family, record["settings"])
    return record, settings


def write_variants(variants: Variants, folder: Path, *, name: str = _VARIANTS_FILE) -> None:
    """Write which variants a saved model takes, a line each, in order, to a file of this name."""
    with (folder / name).open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(_VARIANT_COLUMNS)
        writer.writerows(
            zip(
                variants.contigs.tolist(),
                variants.starts.tolist(),
                variants.ids.tolist(),
                variants.counted.tolist(),
                variants.other.tolist(),
                variants.frequency.tolist(),
                strict=True,
            )
        )


def read_variants(folder: Path, *, name: str = _VARIANTS_FILE) -> Variants:
    """The variants that `write_variants` wrote."""
    with (folder / name).open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    contigs, starts, ids, counted, other, frequency = zip(*rows, strict=True) if rows else ((),) * 6
    return Variants(
        ids=np.array(ids, dtype=np.str_),
        contigs=np.array(contigs, dtype=np.str_),
        starts=np.array(starts, dtype=np.int64),
        counted=np.array(counted, dtype=np.str_),
        other=np.array(other, dtype=np.str_),
        frequency=np.array(frequency, dtype=np.float32),
    )
