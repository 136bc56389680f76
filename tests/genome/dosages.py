"""Dosages for tests: whole copies in int8, or fractions of a copy in uint16."""

import numpy as np

from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, MISSING_STEPS, copies

DTYPES = (np.int8, np.uint16)


def draw_dosage(rng, n_samples, n_variants, *, missing=0.0, dtype=np.int8):
    frequency = rng.uniform(0.1, 0.9, n_variants)
    whole = rng.binomial(2, frequency, (n_samples, n_variants))
    gone = rng.random(whole.shape) < missing
    if dtype == np.int8:
        return np.where(gone, MISSING_DOSAGE, whole).astype(np.int8)
    steps = np.clip(np.round((whole + rng.normal(0, 0.2, whole.shape)) * DOSAGE_STEPS), 0, 2 * DOSAGE_STEPS)
    return np.where(gone, MISSING_STEPS, steps).astype(np.uint16)


def with_others_shuffled(rng, dosage, samples):
    """The same dosages of the given samples; of all others new ones."""
    other = rng.permuted(dosage, axis=0)
    other[samples] = dosage[samples]
    return other


def exact(dosage):
    """(sample, variant) float64 copies, NaN where not known."""
    return copies(dosage).astype(np.float64)
