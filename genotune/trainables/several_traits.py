"""One model of several traits that has a model of each: saved side by side, each with what prepares its genotypes."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from genotune.errors import DataError
from genotune.store import DosageArray, FloatArray, IntArray, TableColumn, Variants
from genotune.trainables.importance import Importance
from genotune.trainables.model import MODEL_FILE, GenotypeModel, Model
from genotune.trainables.table_recipe import in_levels_of

BY_TRAIT: Final = "by_trait"
"""Stands in the record of such a model: the folder of each trait's own."""

_FORMAT: Final = 1


class SeveralTraits(GenotypeModel):
    """Models of one family, one for each trait.

    Args:
        models: in the order of the traits; all take the same covariates.
    """

    def __init__(self, models: Sequence[GenotypeModel]) -> None:
        self.models = tuple(models)
        self._name_traits([trait for model in models for trait in model.traits])
        self.variants, self._places = _joined([model.variants for model in models])
        self.table_columns = _joined_columns([model.table_columns for model in models])
        self.fills_covariates = all(model.fills_covariates for model in models)
        self.libraries = tuple(sorted({library for model in models for library in model.libraries}))

    def predict(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """(sample, output); see `GenotypeModel.predict`."""
        each = (
            model.predict(dosage[:, places], self._part_for(model, covariates)).reshape(len(dosage), -1)
            for model, places in zip(self.models, self._places, strict=True)
        )
        return np.concatenate(list(each), axis=1)

    def _part_for(self, model: GenotypeModel, covariates: FloatArray) -> FloatArray:
        """(sample, covariate + table column) what one of the models takes of what all of them take."""
        n = len(self.covariate_names)
        known, columns, everyone = covariates[:, :n], covariates[:, n:], np.arange(len(covariates))
        if not model.table_columns:
            return known
        mine = in_levels_of(model.table_columns, columns, self.table_columns, samples=everyone)
        return np.concatenate([known, mine], axis=1)

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return sum(model.n_parameters for model in self.models)

    def importances(self) -> Mapping[str, Importance]:
        """See `GenotypeModel`."""
        return {name: one for model in self.models for name, one in model.importances().items()}

    def to(self, device: str, *, n_threads: int = 1) -> None:
        """See `Model.to`."""
        for model in self.models:
            model.to(device, n_threads=n_threads)

    def save(self, folder: Path) -> None:
        """Write a folder for each trait, and model.json."""
        folders = [part_name(index) for index in range(len(self.models))]
        for name, model in zip(folders, self.models, strict=True):
            (folder / name).mkdir()
            model.save(folder / name)
        of_family = json.loads((folder / folders[0] / MODEL_FILE).read_text())
        record = {
            "family": of_family["family"],
            "columns": sorted(self.columns),
            "format": _FORMAT,
            BY_TRAIT: folders,
            **self.facts(),
        }
        (folder / MODEL_FILE).write_text(json.dumps(record, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path, *, load: Callable[[Path], Model]) -> Self:
        """The model that `save` wrote, each of its models as `load` reads it.

        Raises:
            DataError: it was written in a format that this version doesn't know.
        """
        path = folder / MODEL_FILE
        record: dict[str, Any] = json.loads(path.read_text())
        if record["format"] != _FORMAT:
            raise DataError(
                f"{path}: format {record['format']}; this version of genotune reads format {_FORMAT}. "
                "Use the version that wrote it."
            )
        models = [load(folder / name) for name in record[BY_TRAIT]]
        return cls([model for model in models if isinstance(model, GenotypeModel)])


def part_name(index: int) -> str:
    """The folder of a trait among those of all: by number, since a trait's name may hold what a path can't."""
    return f"trait-{index + 1}"


def _joined(each: Sequence[Variants]) -> tuple[Variants, list[IntArray | slice]]:
    """All variants of several models, each once, and where those of each stand among them; a slice copies nothing."""
    whole = max(each, key=lambda one: len(one.ids))
    for one in each:
        more = one.take(np.flatnonzero(whole.places_of(one) < 0))._asdict()
        whole = whole._replace(**{name: np.concatenate([array, more[name]]) for name, array in whole._asdict().items()})
    return whole, [_as_slice(whole.places_of(one)) for one in each]


def _joined_columns(each: Sequence[tuple[TableColumn, ...]]) -> tuple[TableColumn, ...]:
    """All columns of further tables that several models take, each once, a category with the levels that any knows."""
    levels: dict[str, dict[str, None]] = {}
    for column in (column for columns in each for column in columns):
        levels.setdefault(column.name, {}).update(dict.fromkeys(column.levels))
    return tuple(TableColumn(name, tuple(known)) for name, known in levels.items())


def _as_slice(places: IntArray) -> IntArray | slice:
    return slice(len(places)) if np.array_equal(places, np.arange(len(places))) else places
