"""Stores of genotypes made on the fly, with planted causal variants, for tests of families, scores and sweeps."""

from dataclasses import replace

import numpy as np

from genotune.store import (
    DOSAGE_STEPS,
    MISSING_DOSAGE,
    MISSING_STEPS,
    GenotypeStore,
    Splits,
    TableColumn,
    TraitsStore,
    Variants,
)

CLASS_NAMES = ("control", "case", "carrier", "mixed", "other", "sixth")


def build_genotypes(
    n_samples=300,
    n_variants=40,
    *,
    kind="quantitative",
    seed=0,
    n_classes=3,
    covariates=0,
    missing=0.0,
):
    """A store whose first four variants decide most of the trait; the rest is noise.

    Args:
        n_samples: of them.
        n_variants: of them.
        kind: of the trait.
        seed: of everything drawn.
        n_classes: of a multiclass trait.
        covariates: columns of covariates; the first one adds to the trait.
        missing: share of dosages that are not called.
    """
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.2, 0.5, n_variants)
    called = rng.binomial(2, frequency, (n_samples, n_variants)).astype(np.int8)
    measured = rng.normal(size=(n_samples, covariates)).astype(np.float32)
    causal = called[:, :4].astype(np.float64)
    value = (causal - causal.mean(axis=0)) @ np.array([1.0, -0.9, 0.8, 0.7])[: causal.shape[1]]
    value += measured[:, :1].sum(axis=1)
    dosage = called.copy()
    dosage[rng.random(called.shape) < missing] = MISSING_DOSAGE
    names = {"binary": CLASS_NAMES[:2], "multiclass": CLASS_NAMES[:n_classes]}.get(kind, ())
    return GenotypeStore(
        dosage=dosage,
        phenotype=_phenotype(value, kind, n_classes=n_classes, rng=rng),
        covariates=measured,
        samples=np.array([[f"F{i // 2}", f"I{i}"] for i in range(n_samples)]),
        variants=build_variants(n_variants, frequency=frequency),
        trait="height" if kind == "quantitative" else "trait",
        kind=kind,
        classes=names,
        covariate_names=tuple(f"PC{i + 1}" for i in range(covariates)),
    )


def build_traits(*args, gaps=0.0, seed=0, n_classes=3, **rest):
    """Two traits of the same samples: `build_genotypes`'s, and one that the next four variants decide.

    Args:
        args: of `build_genotypes`.
        gaps: share of the samples that lack the first trait, and of others that lack the second.
        seed: of everything drawn.
        n_classes: of multiclass traits.
        rest: of `build_genotypes`.
    """
    first, rng = build_genotypes(*args, seed=seed, n_classes=n_classes, **rest), np.random.default_rng(seed + 1)
    causal = np.maximum(first.dosage[:, 4:8], 0).astype(np.float64)
    value = (causal - causal.mean(axis=0)) @ np.array([0.9, 0.8, -1.0, 0.7])
    other = _phenotype(value + first.covariates[:, :1].sum(axis=1), first.kind, n_classes=n_classes, rng=rng)
    second = replace(first, trait="weight", phenotype=other)
    draw = rng.random(len(other))
    first.phenotype[draw < gaps] = np.nan
    second.phenotype[draw > 1 - gaps] = np.nan
    return TraitsStore.of([first, second])


def build_variants(n, *, frequency=None):
    """n variants on one contig, 1000 bp apart."""
    return Variants(
        ids=np.array([f"rs{i}" for i in range(n)], dtype=np.str_),
        contigs=np.full(n, "1"),
        starts=np.arange(n, dtype=np.int64) * 1000,
        counted=np.full(n, "A"),
        other=np.full(n, "G"),
        frequency=np.full(n, 0.3, np.float32) if frequency is None else frequency.astype(np.float32),
    )


def split_samples(store, *, train=0.7):
    """The first samples to learn from, the others to validate on."""
    n = round(store.n_samples * train)
    return Splits(np.arange(n, dtype=np.int64), np.arange(n, store.n_samples, dtype=np.int64))


def _phenotype(value, kind, *, n_classes, rng):
    noisy = value + rng.normal(0, 0.5, len(value))
    if kind == "quantitative":
        return 170 + 5 * noisy
    if kind == "binary":
        return (noisy > 0).astype(np.float64)
    if kind == "multiclass":
        edges = np.quantile(noisy, np.arange(1, n_classes) / n_classes)
        return np.searchsorted(edges, noisy).astype(np.float64)
    assert kind == "count"
    return rng.poisson(np.exp(0.5 + 0.6 * value)).astype(np.float64)


def with_steps(store, *, blur=0.0, seed=0):
    """The same store with dosages in steps of a copy: uint16, each moved by up to `blur` copies, within 0 and 2."""
    is_missing = store.dosage == MISSING_DOSAGE
    moved = store.dosage + np.random.default_rng(seed).uniform(-blur, blur, store.dosage.shape)
    steps = np.rint(np.clip(moved, 0, 2) * DOSAGE_STEPS)
    return replace(store, dosage=np.where(is_missing, MISSING_STEPS, steps).astype(np.uint16))


def with_tables(store, *, n_columns=5, missing=0.1, seed=0):
    """The same store with columns of two further tables: expression:G0 goes with the trait, all others are noise.

    Args:
        store: as `build_genotypes` makes it.
        n_columns: of the table expression; the table clinical has a category of three levels.
        missing: share of values that are unknown.
        seed: of everything drawn.
    """
    rng = np.random.default_rng(seed)
    trait = (store.phenotype - store.phenotype.mean()) / store.phenotype.std()
    expression = rng.normal(10, 3, size=(store.n_samples, n_columns))
    expression[:, 0] = 10 + 3 * trait + rng.normal(size=store.n_samples)
    site = rng.integers(0, 3, store.n_samples)
    features = np.column_stack([expression, site]).astype(np.float32)
    features[rng.random(features.shape) < missing] = np.nan
    columns = (*(TableColumn(f"expression:G{i}") for i in range(n_columns)), TableColumn("clinical:site", SITES))
    return replace(store, features=features, table_columns=columns)


SITES = ("Bonn", "Kiel", "Ulm")
