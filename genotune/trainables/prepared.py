"""Genotypes prepared for a family, on the training samples alone; kept in the process from trial to trial."""

from dataclasses import replace
from functools import partial
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
    TraitsStore,
    Values,
)
from genotune.trainables.genotype_trainable import Epochs, GenotypeTrainable
from genotune.trainables.in_step import fit_in_step
from genotune.trainables.kept import Kept
from genotune.trainables.model import GenotypeModel, Model
from genotune.trainables.preparation import Preparation, Prepares, TablePreparation
from genotune.trainables.prepared_model import PreparedModel, Recipe, design_of, with_scores
from genotune.trainables.table_recipe import TableRecipe, fit_tables, in_levels_of
from genotune.trainables.trainable import FitError, FitPlan, Progress, Report, Trainable
from genotune.trainables.variant_choice import choose_variants


class Prepared(NamedTuple):
    """A store as a family is to see it, and how it was made."""

    store: GenotypeStore | TraitsStore
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

    A family that learns one trait at a time is fitted to each of several, with a preparation of its own.

    Raises:
        FitError: the preparation leaves nothing to learn from.
    """
    if isinstance(store, TraitsStore) and isinstance(trainable, GenotypeTrainable) and not trainable.learns_together:
        begin = {
            one.trait: partial(_prepared_epochs, trainable, one, splits_of(one, splits), plan) for one in store.each
        }
        return fit_in_step(begin, report=report, resume=resume)
    needed = _needed(trainable, store, splits.train, n_threads=plan.n_threads)
    if not isinstance(needed, Prepared):
        return trainable.fit(needed, splits, report=report, plan=plan, resume=resume)

    def report_prepared(progress: Progress) -> float | None:
        assert isinstance(progress.model, GenotypeModel)
        return report(progress._replace(model=PreparedModel(progress.model, needed.recipe)))

    model = trainable.fit(needed.store, splits, report=report_prepared, plan=plan, resume=resume)
    assert isinstance(model, GenotypeModel)
    return PreparedModel(model, needed.recipe)


def splits_of(store: GenotypeStore, splits: Splits) -> Splits:
    """Of the samples of the splits those whose trait is known."""
    return splits._replace(train=store.known(splits.train), validation=store.known(splits.validation))


def _prepared_epochs(
    trainable: GenotypeTrainable, store: GenotypeStore, splits: Splits, plan: FitPlan, resume: Path | None
) -> Epochs:
    """`fit_prepared` to one trait, waiting at the end of each epoch."""
    needed = _needed(trainable, store, splits.train, n_threads=plan.n_threads)
    if not isinstance(needed, Prepared):
        model: Model = yield from trainable.epochs(needed, splits, plan=plan, resume=resume)
        return model
    assert isinstance(needed.store, GenotypeStore)
    epochs, value = trainable.epochs(needed.store, splits, plan=plan, resume=resume), None
    while True:
        try:
            progress = epochs.send(value)
        except StopIteration as ended:
            return PreparedModel(ended.value, needed.recipe)
        assert isinstance(progress.model, GenotypeModel)
        value = yield progress._replace(model=PreparedModel(progress.model, needed.recipe))


def _needed(trainable: Trainable[Any, Any], store: Any, samples: IntArray, *, n_threads: int) -> Any:
    """The store as a family learns from it: prepared on these samples if it must be, else as it is.

    A family that prepares nothing has no use for further tables.
    """
    if not isinstance(store, GenotypeStore | TraitsStore):
        return store
    genotypes = store.genotypes if isinstance(store, TraitsStore) else store
    if isinstance(trainable, Prepares):
        if trainable.prepare is None and not genotypes.fills_covariates and not genotypes.table_columns:
            return store
        return prepare(trainable.prepare, store, samples, n_variants=trainable.n_variants, n_threads=n_threads)
    if isinstance(store, GenotypeStore) and store.table_columns:
        store = replace(store, features=None, table_columns=())
    return prepare(None, store, samples, n_variants=0) if genotypes.fills_covariates else store


def prepare(
    preparation: Preparation | None,
    store: GenotypeStore | TraitsStore,
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
    preparation: Preparation | None,
    store: GenotypeStore | TraitsStore,
    samples: IntArray,
    *,
    n_variants: int | None,
    n_threads: int,
) -> Prepared:
    genotypes = store.genotypes if isinstance(store, TraitsStore) else store
    known, fill = store.covariates, np.empty(0, dtype=np.float32)
    if genotypes.fills_covariates:
        fill = covariate_fill(known, genotypes.covariate_names, samples=samples)
        known = filled_covariates(known, fill)
    spread, components = np.empty(0, dtype=np.int64), None
    features = np.arange(genotypes.n_variants)[:n_variants]
    if preparation is not None:
        if preparation.components:
            spread = _spread(genotypes, samples)
            components = _components(preparation, genotypes, samples, spread)
            known = with_scores(known, components, store.dosage[:, spread])
        features = choose_variants(preparation, store, samples, covariates=known, n_threads=n_threads)[:n_variants]
    columns = np.concatenate([features, np.setdiff1d(spread, features)])
    place = np.empty(genotypes.n_variants, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    recipe = Recipe(
        variants=store.variants.take(columns),
        n_features=len(features),
        fill=_fill(preparation, genotypes, samples, features),
        in_components=place[spread],
        components=components,
        covariate_names=genotypes.covariate_names,
        regression=np.empty(0),
        covariate_fill=fill,
        tables=_table_recipe(preparation, genotypes, samples),
    )
    each = store.each if isinstance(store, TraitsStore) else (store,)
    phenotypes = [one.phenotype for one in each]
    if preparation is not None and preparation.adjust == "residuals":
        design = design_of(known)
        fits = [_regression(design, one, samples) for one in each]
        # A column for each of several traits, as their model's predictions have it.
        recipe = recipe._replace(regression=np.stack(fits, axis=1) if isinstance(store, TraitsStore) else fits[0])
        phenotypes = [one - design @ fit for one, fit in zip(phenotypes, fits, strict=True)]
    # Without a preparation a view, since nothing is chosen and nothing filled.
    dosage = store.dosage[:, :n_variants] if preparation is None else recipe.features(store.dosage[:, features])
    made = replace(
        genotypes,
        dosage=dosage,
        variants=recipe.variants.first(recipe.n_features),
        covariates=recipe.beside(known, _table_columns(recipe, genotypes)),
        covariate_names=recipe.names_beside,
        summary_log10_p=None,
        features=None,
        table_columns=(),
        fills_covariates=False,
        n_shrunk=0 if recipe.tables is None else len(recipe.tables.names),
    )
    stores = [
        replace(made, trait=one.trait, classes=one.classes, phenotype=phenotype, twin=None)
        for one, phenotype in zip(each, phenotypes, strict=True)
    ]
    return Prepared(TraitsStore.of(stores) if isinstance(store, TraitsStore) else stores[0], recipe)


def _regression(design: Values, store: GenotypeStore, samples: IntArray) -> Values:
    """(1 + covariate,) effects on the trait, of those of the samples that have it."""
    some = store.known(samples)
    effects: Values = np.linalg.lstsq(design[some], store.phenotype[some], rcond=None)[0].astype(np.float64)
    return effects


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
