"""Which variants a trial uses, and in which order: filtered, pruned, ranked, clumped on the training samples alone."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genotune.genome.association import scan_linear, scan_logistic_score
from genotune.genome.genotype_moments import genotype_moments
from genotune.genome.ld import clump, prune
from genotune.store import FloatArray, GenotypeStore, IntArray, TraitsStore, Values
from genotune.trainables.kept import Kept
from genotune.trainables.preparation import Preparation
from genotune.trainables.trainable import FitError

_scans: Final = Kept[Values](most=2)
"""P-values, which trials with other thresholds ask for again."""


class _Sieve:
    """Variants that are left, and what became of the others."""

    def __init__(self, n_variants: int) -> None:
        self._passes = np.ones(n_variants, dtype=np.bool_)
        self._reasons: list[str] = []
        self._settings: list[str] = []

    @property
    def left(self) -> IntArray:
        """Indices, rising; one at least.

        Raises:
            FitError: none is left.
        """
        left = np.flatnonzero(self._passes)
        if len(left):
            return left
        advice = f"Loosen {' or '.join(self._settings)}" if self._settings else "Give it more training samples"
        raise FitError(
            f"prepare: none of {len(self._passes):,} variants is left ({'; '.join(self._reasons)}). {advice}."
        )

    def keep(self, passes: NDArray[np.bool_], reason: str, *, setting: str | None = None) -> None:
        """Leave out all others, for a reason; the setting that can be loosened, if one can."""
        n_lost = int(np.count_nonzero(self._passes & ~passes))
        if n_lost:
            self._reasons.append(f"{n_lost:,} {reason}")
            self._settings += [setting] if setting else []
        self._passes &= passes

    def keep_only(self, columns: IntArray, reason: str, *, setting: str | None = None) -> None:
        """The same, with those that stay by their indices."""
        passes = np.zeros(len(self._passes), dtype=np.bool_)
        passes[columns] = True
        self.keep(passes, reason, setting=setting)


def choose_variants(
    preparation: Preparation,
    store: GenotypeStore | TraitsStore,
    samples: IntArray,
    *,
    covariates: FloatArray,
    n_threads: int,
) -> IntArray:
    """(variant,) columns that are used, the highest-ranked first; of equal ones the earlier first.

    In this order: filters, pruning, p-values, ranking, clumping. With several traits a variant has the rank of the
    trait that it goes with best.

    Args:
        preparation: what is asked for.
        store: the data.
        samples: indices of the training samples; no other is looked at.
        covariates: (sample, covariate) of all samples, components among them.
        n_threads: CPU threads at most.

    Raises:
        FitError: no variant is left.
    """
    sieve = _Sieve(store.dosage.shape[1])
    _filter(sieve, preparation, store, samples)
    if preparation.prune is not None:
        left = sieve.left
        pruning = preparation.prune
        kept = prune(
            store.dosage[:, left],
            samples,
            variants=store.variants.take(left),
            window=pruning.window,
            max_r2=pruning.r2,
        )
        sieve.keep_only(left[kept], "are pruned", setting="prune.r2")
    strength = _strength(sieve, preparation, store, samples, covariates=covariates, n_threads=n_threads)
    left = sieve.left
    if preparation.clump is None:
        return left[np.argsort(strength[left], kind="stable")]
    clumps = clump(
        store.dosage[:, left],
        samples,
        variants=store.variants.take(left),
        log10_p=strength[left],
        window_bp=preparation.clump.window_bp,
        min_r2=preparation.clump.r2,
    )
    return left[clumps.leaders]


def _filter(sieve: _Sieve, preparation: Preparation, store: GenotypeStore | TraitsStore, samples: IntArray) -> None:
    moments = genotype_moments(store.dosage, samples)
    sieve.keep(moments.varies, "don't vary among the training samples")
    if preparation.min_maf:
        sieve.keep(moments.minor_frequency >= preparation.min_maf, "are rarer than min_maf", setting="min_maf")
    if preparation.min_call_rate:
        is_called = moments.call_rate >= preparation.min_call_rate
        sieve.keep(is_called, "have a call rate below min_call_rate", setting="min_call_rate")
    if preparation.min_hwe_p:
        is_mixed = moments.hardy_weinberg_p >= preparation.min_hwe_p
        sieve.keep(is_mixed, "have a Hardy-Weinberg p below min_hwe_p", setting="min_hwe_p")


def _strength(
    sieve: _Sieve,
    preparation: Preparation,
    store: GenotypeStore | TraitsStore,
    samples: IntArray,
    *,
    covariates: FloatArray,
    n_threads: int,
) -> Values:
    """(variant,) what variants are ranked by, the lowest first; those that have none, or a p above max_p, are left out.

    A log10 of p, or less than what the trees gain: never above 0, as `clump` asks for.
    """
    rank_by, max_p = preparation.rank_by, preparation.max_p
    each = store.each if isinstance(store, TraitsStore) else (store,)
    strength = np.zeros(store.dosage.shape[1])
    if rank_by.kind == "summary":
        if each[0].summary_log10_p is None:
            raise FitError("prepare.rank_by: summary: there is no other study. Name it in data.summary_statistics.")
        strength = each[0].summary_log10_p
        sieve.keep(~np.isnan(strength), "are not in the summary statistics")
    elif rank_by.kind == "association" or max_p is not None:
        key = (preparation.components, samples.tobytes())
        strength = _scans.get(store, key, make=lambda: _association(each, samples, covariates=covariates))
        sieve.keep(~np.isnan(strength), "can't be told from the covariates")
    if max_p is not None:
        sieve.keep(strength <= np.log10(max_p), "have a p above max_p", setting="max_p")
    if rank_by.kind != "trees":
        return strength
    from genotune.trainables.tree_ranking import tree_gain

    left, gain = sieve.left, np.zeros(len(strength))
    gains = [
        tree_gain(rank_by, one, one.known(samples), columns=left, covariates=covariates, n_threads=n_threads)
        for one in each
    ]
    if len(gains) > 1:  # a trait in larger units is not the more important one
        gains = [of_trait / max(of_trait.sum(), np.finfo(np.float64).tiny) for of_trait in gains]
    gain[left] = np.max(gains, axis=0)
    sieve.keep(gain > 0, "are used by none of the trees", setting="rank_by")
    return -gain


def _association(each: Sequence[GenotypeStore], samples: IntArray, *, covariates: FloatArray) -> Values:
    """(variant,) log10 of the least p of the associations with the traits; NaN where there is none to test."""
    scan = scan_logistic_score if each[0].kind == "binary" else scan_linear
    traits = np.concatenate([_tested(store) for store in each], axis=1)
    found = scan(each[0].dosage, samples, traits=traits, covariates=covariates).log10_p
    least: Values = np.where(np.isnan(found).all(axis=0), np.nan, np.nanmin(np.nan_to_num(found, nan=1.0), axis=0))
    return least


def _tested(store: GenotypeStore) -> Values:
    """(sample, column) what a trait is tested as: itself, or each of several classes against the others."""
    if store.kind != "multiclass":
        return store.phenotype[:, None]
    is_class: Values = (store.phenotype[:, None] == np.arange(len(store.classes))).astype(np.float64)
    is_class[np.isnan(store.phenotype)] = np.nan
    return is_class
