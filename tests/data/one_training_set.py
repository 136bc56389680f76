"""Statistics of variants where all samples are one training set."""

import numpy as np

from genotune.data.variant_statistics import joint_statistics, training_sets


def sets_of_one(basis, *, is_fractional=False):
    """The samples of the basis as the only set."""
    n = len(basis.trait)
    return training_sets([basis], [np.arange(n)], n_samples=n, is_fractional=is_fractional)


def block_statistics(dosage, basis):
    """Statistics of (sample, variant) dosages of the samples of the basis."""
    (found,) = joint_statistics(dosage, sets_of_one(basis, is_fractional=dosage.dtype == np.uint16))
    return found
