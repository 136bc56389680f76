"""Genotypes prepared for a family: the store that it learns from, and the model around the one that it learned.

What is fitted here (which variants, what stands for a missing dosage, components, the regression on covariates) is
fitted on the training samples alone, kept in the process from trial to trial, and saved beside the family's own files.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np

from genotune.genome.association import scan_linear, scan_logistic_score
from genotune.genome.genotype_moments import genotype_moments
from genotune.store import (
    DOSAGE_STEPS,
    DosageArray,
    FloatArray,
    GenotypeStore,
    IntArray,
    Splits,
    Values,
    Variants,
    missing_code,
)
from genotune.trainables.kept import Kept
from genotune.trainables.model import GenotypeModel, Model, read_variants, write_variants
from genotune.trainables.preparation import Preparation, Prepares
from genotune.trainables.trainable import FitError, FitPlan, Progress, Report, Trainable

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
        covariate_names: that are needed.
        regression: (1 + covariate,) intercept and effects of covariates and components that were taken out of the
            trait; empty if nothing was.
    """

    variants: Variants
    n_features: int
    fill: FloatArray
    covariate_names: tuple[str, ...]
    regression: Values

    def features(self, dosage: DosageArray) -> DosageArray:
        """(sample, feature) of (sample, variant) dosages of `variants`, missing ones filled."""
        return _filled(dosage[:, : self.n_features], self.fill)

    def covariates(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """(sample, covariate) with the components of the samples beside them."""
        del dosage
        return covariates


class Prepared(NamedTuple):
    """A store as a family is to see it, and how it was made."""

    store: GenotypeStore
    recipe: Recipe


_prepared: Final = Kept[Prepared](most=2)


def fit_prepared(
    trainable: Trainable[Any, Any],
    store: Any,
    splits: Splits,
    *,
    report: Report,
    plan: FitPlan,
    resume: Path | None = None,
) -> Model:
    """Fit a family on the store, prepared first if its hyperparameters ask for that; see `Trainable.fit`.

    Raises:
        FitError: the preparation leaves nothing to learn from.
    """
    if not isinstance(trainable, Prepares) or trainable.prepare is None:
        return trainable.fit(store, splits, report=report, plan=plan, resume=resume)
    prepared = prepare(trainable.prepare, store, splits.train, n_variants=getattr(trainable, "n_variants", None))

    def report_prepared(progress: Progress) -> float | None:
        assert isinstance(progress.model, GenotypeModel)
        return report(progress._replace(model=PreparedModel(progress.model, prepared.recipe)))

    model = trainable.fit(prepared.store, splits, report=report_prepared, plan=plan, resume=resume)
    assert isinstance(model, GenotypeModel)
    return PreparedModel(model, prepared.recipe)


def prepare(preparation: Preparation, store: GenotypeStore, samples: IntArray, *, n_variants: int | None) -> Prepared:
    """The store prepared on these samples; the same object each time it is asked for, as long as it is kept.

    Args:
        preparation: what to do.
        store: the data.
        samples: indices of the training samples; no other is looked at.
        n_variants: that the family can use at most, the most associated ones; None: all.

    Raises:
        FitError: no variant is left.
    """
    key = (preparation.model_dump_json(), n_variants, samples.tobytes())
    return _prepared.get(store, key, make=lambda: _prepare(preparation, store, samples, n_variants=n_variants))


def _prepare(preparation: Preparation, store: GenotypeStore, samples: IntArray, *, n_variants: int | None) -> Prepared:
    columns = _choose(preparation, store, samples)[:n_variants]
    recipe = Recipe(
        variants=store.variants.take(columns),
        n_features=len(columns),
        fill=_fill(preparation, store, samples, columns),
        covariate_names=store.covariate_names,
        regression=np.empty(0),
    )
    dosage = store.dosage[:, columns]
    covariates = recipe.covariates(dosage, store.covariates)
    names, phenotype = store.covariate_names, store.phenotype
    if preparation.adjust == "residuals":
        design = _design(covariates)
        regression: Values = np.linalg.lstsq(design[samples], phenotype[samples], rcond=None)[0].astype(np.float64)
        recipe = recipe._replace(regression=regression)
        phenotype, covariates, names = phenotype - design @ regression, covariates[:, :0], ()
    made = replace(
        store,
        dosage=recipe.features(dosage),
        variants=recipe.variants.first(recipe.n_features),
        covariates=covariates,
        covariate_names=names,
        phenotype=phenotype,
    )
    return Prepared(made, recipe)


def _choose(preparation: Preparation, store: GenotypeStore, samples: IntArray) -> IntArray:
    """(variant,) columns that are features, the most associated first."""
    log10_p = _log10_p(store, samples)
    passes = ~np.isnan(log10_p)
    reasons = [f"{np.count_nonzero(~passes):,} don't vary among the training samples"]
    if preparation.min_maf:
        is_common = genotype_moments(store.dosage, samples).minor_frequency >= preparation.min_maf
        reasons.append(f"{np.count_nonzero(passes & ~is_common):,} are rarer than min_maf")
        passes &= is_common
    if preparation.max_p is not None:
        is_associated = log10_p <= np.log10(preparation.max_p)
        reasons.append(f"{np.count_nonzero(passes & ~is_associated):,} have a p above max_p")
        passes &= is_associated
    left = np.flatnonzero(passes)
    if not len(left):
        raise FitError(
            f"prepare: none of {store.n_variants:,} variants is left ({'; '.join(reasons)}). Loosen min_maf or max_p."
        )
    return left[np.argsort(log10_p[left], kind="stable")]


def _log10_p(store: GenotypeStore, samples: IntArray) -> Values:
    """(variant,) of the association with the trait; NaN where there is none to test."""
    scan = scan_logistic_score if store.kind == "binary" else scan_linear
    if store.kind == "multiclass":
        traits = (store.phenotype[:, None] == np.arange(len(store.classes))).astype(np.float64)
    else:
        traits = store.phenotype[:, None]
    found = scan(store.dosage, samples, traits=traits, covariates=store.covariates).log10_p
    least: Values = np.where(np.isnan(found).all(axis=0), np.nan, np.nanmin(np.nan_to_num(found, nan=1.0), axis=0))
    return least


def _fill(preparation: Preparation, store: GenotypeStore, samples: IntArray, columns: IntArray) -> FloatArray:
    """(feature,) see `Recipe.fill`; a mean is rounded to the steps in which dosages are held."""
    if preparation.impute == "none":
        return np.full(len(columns), np.nan, dtype=np.float32)
    moments = genotype_moments(store.dosage[:, columns], samples)
    found = moments.mode if preparation.impute == "mode" else np.rint(moments.mean * DOSAGE_STEPS) / DOSAGE_STEPS
    return found.astype(np.float32)


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


def _design(covariates: FloatArray) -> Values:
    return np.column_stack([np.ones(len(covariates)), covariates.astype(np.float64)])


class PreparedModel(GenotypeModel):
    """A model of prepared genotypes, with what prepares them.

    Args:
        inner: as the family made it.
        recipe: how its genotypes are prepared.
    """

    def __init__(self, inner: GenotypeModel, recipe: Recipe) -> None:
        self.inner, self.recipe = inner, recipe
        self.trait, self.kind, self.classes = inner.trait, inner.kind, inner.classes
        self.variants, self.covariate_names = recipe.variants, recipe.covariate_names
        self.libraries = tuple(sorted({"safetensors", *inner.libraries}))

    def predict(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """See `GenotypeModel.predict`."""
        recipe = self.recipe
        known = recipe.covariates(dosage, covariates)
        if not len(recipe.regression):
            return self.inner.predict(recipe.features(dosage), known)
        residual = self.inner.predict(recipe.features(dosage), known[:, :0])
        return np.asarray(residual + _design(known) @ recipe.regression, dtype=np.float32)

    def to(self, device: str, *, n_threads: int = 1) -> None:
        """See `Model.to`."""
        self.inner.to(device, n_threads=n_threads)

    def save(self, folder: Path) -> None:
        """Write what the family's model writes, and prepared.json, prepared.safetensors, prepared_variants.tsv."""
        from safetensors.numpy import save_file

        self.inner.save(folder)
        write_variants(self.variants, folder, name=_VARIANTS_FILE)
        save_file({"fill": self.recipe.fill, "regression": self.recipe.regression}, folder / _ARRAYS_FILE)
        record: Mapping[str, Any] = {
            "format": _FORMAT,
            "n_features": self.recipe.n_features,
            "covariates": list(self.recipe.covariate_names),
        }
        (folder / _FILE).write_text(json.dumps(record, indent=2) + "\n")

    @classmethod
    def load(cls, inner: GenotypeModel, folder: Path) -> Self:
        """The model that `save` wrote, around the family's own, which was read from the same folder."""
        from safetensors.numpy import load_file

        record = json.loads((folder / _FILE).read_text())
        arrays = load_file(folder / _ARRAYS_FILE)
        recipe = Recipe(
            variants=read_variants(folder, name=_VARIANTS_FILE),
            n_features=record["n_features"],
            fill=arrays["fill"],
            covariate_names=tuple(record["covariates"]),
            regression=arrays["regression"],
        )
        return cls(inner, recipe)


def with_preparation(model: GenotypeModel, folder: Path) -> GenotypeModel:
    """A family's model as it lies in a folder, within what prepares its genotypes if that lies there too."""
    return PreparedModel.load(model, folder) if (folder / _FILE).is_file() else model
