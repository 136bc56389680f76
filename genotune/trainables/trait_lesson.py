"""What training samples teach a network of one of its traits; those that lack it teach nothing of it."""

from typing import Final, NamedTuple

import numpy as np

from genotune.store import GenotypeStore, IntArray, Values
from genotune.trainables.class_weights import ClassWeight, sample_weights
from genotune.trainables.generalised_linear import fit_linear, targets_of

_START_PENALTY: Final = 1e-3


class TraitLesson(NamedTuple):
    """What is to be learned of a trait.

    Attributes:
        targets: (sample, output); NaN where the trait is not known.
        weights: (sample,) of mean one, zero where the trait is not known: whoever lacks it has no say in it, and every
            trait as much as any other.
        start: (output,) where predictions begin: at the mean, the share of each class, or the rate of the samples.
        scale: (output,) of a quantitative trait; else one.
    """

    targets: Values
    weights: Values
    start: Values
    scale: Values


def lesson_of(store: GenotypeStore, samples: IntArray, *, class_weight: ClassWeight) -> TraitLesson:
    """What training samples teach of a trait."""
    is_known = ~np.isnan(store.phenotype[samples])
    phenotype = store.phenotype[samples[is_known]]
    known = targets_of(store.kind, phenotype, n_classes=len(store.classes))
    of_known = sample_weights(class_weight, store.kind, phenotype)
    ones = np.ones((len(known), 1))
    start = fit_linear(store.kind, ones, known, weights=of_known, penalty=_START_PENALTY)[0]
    scale = float(known.std()) if store.kind == "quantitative" else 1.0
    targets, weights = np.full((len(samples), known.shape[1]), np.nan), np.zeros(len(samples))
    targets[is_known], weights[is_known] = known, of_known * (len(samples) / len(known))
    return TraitLesson(targets, weights, start, np.full(len(start), scale or 1.0))
