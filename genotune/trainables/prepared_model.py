"""A model of prepared genotypes: the family's own, with what prepares the genotypes of any samples for it.

What was fitted on the training samples (which variants, what stands for a missing dosage or covariate, components, the
regression on covariates, how further tables are coded) is saved beside the family's own files.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from genotune.genome.components import Components, project
from genotune.genome.covariate_filling import filled_covariates
from genotune.store import DOSAGE_STEPS, DosageArray, FloatArray, IntArray, Values, Variants, missing_code
from genotune.trainables.importance import Importance
from genotune.trainables.model import GenotypeModel, read_variants, write_variants
from genotune.trainables.table_recipe import TableRecipe

_FILE: Final = "prepared.json"
_ARRAYS_FILE: Final = "prepared.safetensors"
_VARIANTS_FILE: Final = "prepared_variants.tsv"
_FORMAT: Final = 1


class Recipe(NamedTuple):
    """How genotypes of any samples are prepared as those of the training samples were.

    Attributes:
        variants: that are needed: the features first, in the order of the family, then those of components alone.
        n_features: of them.
        fill: (feature,) float32 copies that stand for a missing dosage; NaN where it is left to the family.
        in_components: (v,) places in `variants` of those that the components are made of.
        components: of the training samples; None: there are none.
        covariate_names: that are needed.
        regression: (1 + covariate,) intercept and effects of covariates and components that were taken out of the
            trait, of several traits (1 + covariate, trait); empty if nothing was.
        covariate_fill: (covariate,) what stands for an unknown covariate; empty: none may be unknown.
        tables: how columns of further tables are prepared; None: there are none.
    """

    variants: Variants
    n_features: int
    fill: FloatArray
    in_components: IntArray
    components: Components | None
    covariate_names: tuple[str, ...]
    regression: Values
    covariate_fill: FloatArray
    tables: TableRecipe | None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the covariates and the components after them."""
        n = 0 if self.components is None else len(self.components.values)
        return (*self.covariate_names, *(f"component {index + 1}" for index in range(n)))

    @property
    def names_beside(self) -> tuple[str, ...]:
        """Of the columns that `beside` gives."""
        kept = () if len(self.regression) else self.names
        return kept if self.tables is None else (*kept, *self.tables.names)

    def features(self, dosage: DosageArray) -> DosageArray:
        """(sample, feature) of (sample, variant) dosages of `variants`, missing ones filled."""
        return _filled(dosage[:, : self.n_features], self.fill)

    def covariates(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """(sample, covariate + component) of samples with these dosages of `variants` and these covariates."""
        known = filled_covariates(covariates, self.covariate_fill) if len(self.covariate_fill) else covariates
        if self.components is None:
            return known
        return with_scores(known, self.components, dosage[:, self.in_components])

    def beside(self, known: FloatArray, columns: FloatArray) -> FloatArray:
        """(sample, covariate + made) what the family is given beside the features.

        Args:
            known: (sample, covariate + component); nothing of it is given if it was taken out of the trait.
            columns: (sample, column) of further tables.
        """
        kept = known[:, :0] if len(self.regression) else known
        return kept if self.tables is None else np.concatenate([kept, self.tables.made(columns)], axis=1)


def with_scores(covariates: FloatArray, components: Components, dosage: DosageArray) -> FloatArray:
    """(sample, covariate + component) of samples with these dosages of the variants that components are made of."""
    scores = project(components, dosage, np.arange(len(dosage)))
    return np.concatenate([covariates, scores.astype(np.float32)], axis=1)


def _filled(dosage: DosageArray, fill: FloatArray) -> DosageArray:
    """(sample, variant) with what stands for a missing dosage; in steps of a copy where that is no whole number."""
    if np.isnan(fill).all():
        return dosage
    filled: DosageArray = dosage
    is_missing = dosage == missing_code(dosage)
    if dosage.dtype == np.int8 and (np.rint(fill) != fill).any():
        filled = np.where(is_missing, 0, dosage).astype(np.uint16) * np.uint16(DOSAGE_STEPS)
    unit = 1 if filled.dtype == np.int8 else DOSAGE_STEPS
    codes = np.rint(fill * unit).astype(filled.dtype)
    return np.where(is_missing, codes, filled)


def design_of(covariates: FloatArray) -> Values:
    """(sample, 1 + covariate): one, and the covariates."""
    return np.column_stack([np.ones(len(covariates)), covariates.astype(np.float64)])


class PreparedModel(GenotypeModel):
    """A model of prepared genotypes, with what prepares them.

    Args:
        inner: as the family made it.
        recipe: how its genotypes are prepared.
    """

    def __init__(self, inner: GenotypeModel, recipe: Recipe) -> None:
        self.inner, self.recipe = inner, recipe
        self._name_traits([trait._replace(covariate_names=recipe.covariate_names) for trait in inner.traits])
        self.variants = recipe.variants
        self.table_columns = () if recipe.tables is None else recipe.tables.columns
        self.fills_covariates = len(recipe.covariate_fill) > 0
        self.libraries = tuple(sorted({"safetensors", *inner.libraries}))

    def predict(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """See `GenotypeModel.predict`."""
        recipe, n = self.recipe, len(self.covariate_names)
        known = recipe.covariates(dosage, covariates[:, :n])
        residual = self.inner.predict(recipe.features(dosage), recipe.beside(known, covariates[:, n:]))
        if not len(recipe.regression):
            return residual
        return np.asarray(residual + design_of(known) @ recipe.regression, dtype=np.float32)

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return self.inner.n_parameters + len(self.recipe.regression)

    def importance(self) -> Importance | None:
        """That of the family's own model, whose variants are the features; components are told from covariates."""
        recipe, found = self.recipe, self.inner.importance()
        n_components = 0 if recipe.components is None else len(recipe.components.values)
        if found is None:
            return None
        if recipe.tables is not None:
            found = found.of_tables(recipe.tables.scale)
        if len(recipe.regression):
            return found.with_regression(recipe.names, recipe.regression[1:], n_components=n_components)
        return found._replace(n_components=n_components)

    def facts(self) -> Mapping[str, Any]:
        """See `Model.facts`."""
        columns = {"table_columns": [column.name for column in self.table_columns]} if self.table_columns else {}
        return {**super().facts(), **columns}

    def to(self, device: str, *, n_threads: int = 1) -> None:
        """See `Model.to`."""
        self.inner.to(device, n_threads=n_threads)

    def save(self, folder: Path) -> None:
        """Write what the family's model writes, and prepared.json, prepared.safetensors, prepared_variants.tsv."""
        from safetensors.numpy import save_file

        self.inner.save(folder)
        write_variants(self.variants, folder, name=_VARIANTS_FILE)
        recipe = self.recipe
        arrays: dict[str, NDArray[Any]] = {
            "fill": recipe.fill,
            "in_components": recipe.in_components,
            "regression": recipe.regression,
            "covariate_fill": recipe.covariate_fill,
        }
        if recipe.components is not None:
            parts = recipe.components._asdict()
            arrays |= {f"components.{name}": np.ascontiguousarray(part) for name, part in parts.items()}
        if recipe.tables is not None:
            arrays |= {f"tables.{name}": part for name, part in recipe.tables.arrays().items()}
        save_file(arrays, folder / _ARRAYS_FILE)
        record: Mapping[str, Any] = {
            "format": _FORMAT,
            "n_features": self.recipe.n_features,
            "covariates": list(self.recipe.covariate_names),
            "tables": None if recipe.tables is None else recipe.tables.record(),
        }
        (folder / _FILE).write_text(json.dumps(record, indent=2) + "\n")

    @classmethod
    def load(cls, inner: GenotypeModel, folder: Path) -> Self:
        """The model that `save` wrote, around the family's own, which was read from the same folder."""
        from safetensors.numpy import load_file

        record = json.loads((folder / _FILE).read_text())
        arrays = load_file(folder / _ARRAYS_FILE)
        parts = [arrays[name] for name in (f"components.{part}" for part in Components._fields) if name in arrays]
        of_tables = {name.removeprefix("tables."): part for name, part in arrays.items() if name.startswith("tables.")}
        tables = record.get("tables")
        recipe = Recipe(
            variants=read_variants(folder, name=_VARIANTS_FILE),
            n_features=record["n_features"],
            fill=arrays["fill"],
            in_components=arrays["in_components"],
            components=Components(*parts) if parts else None,
            covariate_names=tuple(record["covariates"]),
            regression=arrays["regression"],
            covariate_fill=arrays.get("covariate_fill", np.empty(0, dtype=np.float32)),
            tables=None if tables is None else TableRecipe.of_record(tables, of_tables),
        )
        return cls(inner, recipe)


def with_preparation(model: GenotypeModel, folder: Path) -> GenotypeModel:
    """A family's model as it lies in a folder, within what prepares its genotypes if that lies there too."""
    return PreparedModel.load(model, folder) if (folder / _FILE).is_file() else model
