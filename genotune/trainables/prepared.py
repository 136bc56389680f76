"""Genotypes prepared for a family, on the training samples alone; kept in the process from trial to trial."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.errors import DataError
from genotune.genome.components import Components, fit_components
from genotune.genome.covariate_filling import covariate_fill, filled_covariates
from genotune.genome.genotype_moments import genotype_moments
from genotune.genome.ld import Window, prune
from genotune.genome.thinning import spread_order
from genotune.store import (
    DOSAGE_STEPS,
    FloatArray,
    GenotypeStore,
    IntArray,
    Splits,
    Values,
)
from genotune.trainables.kept import Kept
from genotune.trainables.model import GenotypeModel, Model
from genotune.trainables.preparation import Preparation, Prepares, TablePreparation
from genotune.trainables.prepared_model import PreparedModel, Recipe, design_of, with_scores
from genotune.trainables.table_recipe import TableRecipe, fit_tables, in_levels_of
from genotune.trainables.trainable import FitError, FitPlan, Progress, Report, Trainable
from genotune.trainables.variant_choice import choose_variants


class Prepared(NamedTuple):
    """A store as a family is to see it, and how it was made."""

    store: GenotypeStore
    recipe: Recipe


_COMMON: Final = 0.05
"""Frequency of the rarer allele of variants that components are made of, at least."""

_MOST_SPREAD: Final = 20_000
"""Variants that components are made of, at most, before those that correlate are left out."""

_WINDOW_BP: Final = 1_000_000
_MOST_R2: Final = 0.2

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
    if isinstance(store, GenotypeStore) and not isinstance(trainable, Prepares) and store.table_columns:
        store = replace(store, features=None, table_columns=())
    if not _is_prepared(trainable, store):
        return trainable.fit(store, splits, report=report, plan=plan, resume=resume)
    prepared = (
        prepare(trainable.prepare, store, splits.train, n_variants=trainable.n_variants, n_threads=plan.n_threads)
        if isinstance(trainable, Prepares)
        else prepare(None, store, splits.train, n_variants=0)
    )

    def report_prepared(progress: Progress) -> float | None:
        assert isinstance(progress.model, GenotypeModel)
        return report(progress._replace(model=PreparedModel(progress.model, prepared.recipe)))

    model = trainable.fit(prepared.store, splits, report=report_prepared, plan=plan, resume=resume)
    assert isinstance(model, GenotypeModel)
    return PreparedModel(model, prepared.recipe)


def _is_prepared(trainable: Trainable[Any, Any], store: Any) -> bool:
    """Whether anything has to be done to the store before this family can learn from it."""
    if not isinstance(store, GenotypeStore):
        return False
    is_asked = isinstance(trainable, Prepares) and trainable.prepare is not None
    return is_asked or store.fills_covariates or bool(store.table_columns)


def prepare(
    preparation: Preparation | None,
    store: GenotypeStore,
    samples: IntArray,
    *,
    n_variants: int | None,
    n_threads: int = 1,
) -> Prepared:
    """The store prepared on these samples; the same object each time it is asked for, as long as it is kept.

    Args:
        preparation: what to do; None: genotypes stay as the store holds them, and only covariates that are unknown and
            further tables are prepared.
        store: the data.
        samples: indices of the training samples; no other is looked at.
        n_variants: that the family can use at most, those that are ranked highest; None: all.
        n_threads: CPU threads at most.

    Raises:
        FitError: no variant is left.
    """
    asked = "" if preparation is None else preparation.model_dump_json()
    return _prepared.get(
        store,
        (asked, n_variants, samples.tobytes()),
        make=lambda: _prepare(preparation, store, samples, n_variants=n_variants, n_threads=n_threads),
    )


def _prepare(
    preparation: Preparation | None, store: GenotypeStore, samples: IntArray, *, n_variants: int | None, n_threads: int
) -> Prepared:
    known, fill = store.covariates, np.empty(0, dtype=np.float32)
    if store.fills_covariates:
        fill = covariate_fill(known, store.covariate_names, samples=samples)
        known = filled_covariates(known, fill)
    spread, components = np.empty(0, dtype=np.int64), None
    features = np.arange(store.n_variants)[:n_variants]
    if preparation is not None:
        if preparation.components:
            spread = _spread(store, samples)
            components = _components(preparation, store, samples, spread)
            known = with_scores(known, components, store.dosage[:, spread])
        features = choose_variants(preparation, store, samples, covariates=known, n_threads=n_threads)[:n_variants]
    columns = np.concatenate([features, np.setdiff1d(spread, features)])
    place = np.empty(store.n_variants, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    recipe = Recipe(
        variants=store.variants.take(columns),
        n_features=len(features),
        fill=_fill(preparation, store, samples, features),
        in_components=place[spread],
        components=components,
        covariate_names=store.covariate_names,
        regression=np.empty(0),
        covariate_fill=fill,
        tables=_table_recipe(preparation, store, samples),
    )
    phenotype = store.phenotype
    if preparation is not None and preparation.adjust == "residuals":
        design = design_of(known)
        regression: Values = np.linalg.lstsq(design[samples], phenotype[samples], rcond=None)[0].astype(np.float64)
        recipe, phenotype = recipe._replace(regression=regression), phenotype - design @ regression
    # Without a preparation a view, since nothing is chosen and nothing filled.
    dosage = store.dosage[:, :n_variants] if preparation is None else recipe.features(store.dosage[:, features])
    made = replace(
        store,
        dosage=dosage,
        variants=recipe.variants.first(recipe.n_features),
        covariates=recipe.beside(known, _table_columns(recipe, store)),
        covariate_names=recipe.names_beside,
        phenotype=phenotype,
        summary_log10_p=None,
        features=None,
        table_columns=(),
        fills_covariates=False,
        n_shrunk=0 if recipe.tables is None else len(recipe.tables.names),
    )
    return Prepared(made, recipe)


def _table_recipe(preparation: Preparation | None, store: GenotypeStore, samples: IntArray) -> TableRecipe | None:
    """How further tables are prepared; None where there are none."""
    if store.features is None or not store.table_columns:
        return None
    chosen = TablePreparation() if preparation is None or preparation.tables is None else preparation.tables
    return fit_tables(chosen, store.features, store.table_columns, samples=samples)


def _table_columns(recipe: Recipe, store: GenotypeStore) -> FloatArray:
    """(sample, column) of further tables of all samples, as the recipe takes them."""
    everyone = np.arange(store.n_samples)
    if recipe.tables is None or store.features is None:
        return np.empty((len(everyone), 0), dtype=np.float32)
    return in_levels_of(recipe.tables.columns, store.features, store.table_columns, samples=everyone)


def _spread(store: GenotypeStore, samples: IntArray) -> IntArray:
    """(variant,) columns that components are made of: common ones, evenly over the genome, hardly correlated."""
    is_common = genotype_moments(store.dosage, samples).minor_frequency >= _COMMON
    variants = store.variants
    some = spread_order(variants.contigs, variants.starts, np.flatnonzero(is_common))[:_MOST_SPREAD]
    kept = prune(
        store.dosage[:, some], samples, variants=variants.take(some), window=Window(_WINDOW_BP), max_r2=_MOST_R2
    )
    return np.sort(some[kept])


def _components(preparation: Preparation, store: GenotypeStore, samples: IntArray, columns: IntArray) -> Components:
    generator = np.random.default_rng(0)  # of the random directions for many samples: the same in every trial
    try:
        return fit_components(
            store.dosage[:, columns], samples, n_components=preparation.components, generator=generator
        )
    except DataError as error:
        raise FitError(f"prepare.components: {error}") from error


def _fill(preparation: Preparation | None, store: GenotypeStore, samples: IntArray, columns: IntArray) -> FloatArray:
    """(feature,) see `Recipe.fill`; a mean is rounded to the steps in which dosages are held."""
    if preparation is None or preparation.impute == "none":
        return np.full(len(columns), np.nan, dtype=np.float32)
    moments = genotype_moments(store.dosage[:, columns], samples)
    found = moments.mode if preparation.impute == "mode" else np.rint(moments.mean * DOSAGE_STEPS) / DOSAGE_STEPS
    return found.astype(np.float32)
