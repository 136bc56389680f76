"""The kinds of arrays that a store is made of, and which of its contigs or samples are for what."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CodeArray = NDArray[np.uint8]
DosageArray = NDArray[np.int8] | NDArray[np.uint16]
"""Copies of an allele: whole ones in int8, fractions of one in uint16 (see `DOSAGE_STEPS`)."""
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
TextArray = NDArray[np.str_]
Values = NDArray[np.float64]


class TrackSplits(NamedTuple):
    """Indices of the tracks to learn from, and of those to validate on."""

    train: IntArray
    validation: IntArray


class Splits(NamedTuple):
    """Indices of the contigs (or samples) that a trial may see. The test split is not among them.

    Attributes:
        tracks: where the tracks are split too; None: all of them are in all splits.
    """

    train: IntArray
    validation: IntArray
    tracks: TrackSplits | None = None
