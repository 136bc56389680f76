"""Genotypes prepared for a family, on the training samples alone; kept in the process from trial to trial."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.errors import DataError
from genotune.genome.association import scan_linear, scan_logistic_score
from genotune.genome.components import Components, fit_components
from genotune.genome.genotype_moments import genotype_moments
from genotune.genome.ld import Window, clump, prune
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
from genotune.trainables.preparation import Preparation, Prepares
from genotune.trainables.prepared_model import PreparedModel, Recipe, design_of
from genotune.trainables.trainable import FitError, FitPlan, Progress, Report, Trainable


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
    features = _choose(preparation, store, samples)[:n_variants]
    spread = _spread(store, samples) if preparation.components else features[:0]
    beside = np.setdiff1d(spread, features)
    columns = np.concatenate([features, beside])
    place = np.empty(store.n_variants, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    recipe = Recipe(
        variants=store.variants.take(columns),
        n_features=len(features),
        fill=_fill(preparation, store, samples, features),
        in_components=place[spread],
        components=_components(preparation, store, samples, spread) if preparation.components else None,
        covariate_names=store.covariate_names,
        regression=np.empty(0),
    )
    dosage = store.dosage[:, columns]
    covariates = recipe.covariates(dosage, store.covariates)
    names, phenotype = recipe.names, store.phenotype
    if preparation.adjust == "residuals":
        design = design_of(covariates)
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
    if preparation.clump is None:
        return left[np.argsort(log10_p[left], kind="stable")]
    clumps = clump(
        store.dosage,
        samples,
        variants=store.variants,
        log10_p=np.where(passes, log10_p, np.nan),
        window_bp=preparation.clump.window_bp,
        min_r2=preparation.clump.r2,
    )
    return clumps.leaders


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
