"""What a family that learns from bins one by one is to give for each: transformed totals, or labels. numpy only."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from genotune.genome.track_transforms import FittedTransform, apply_transform, fit_transform
from genotune.settings import Settings
from genotune.store import LABEL_SHARE, FloatArray, IntArray, SequenceStore

_LEAST: Final = LABEL_SHARE - 1e-6
"""A bin of which exactly half lies in peaks must not fail by the last digit of a float32."""


class TotalTargets(NamedTuple):
    """Transformed totals of bins.

    Attributes:
        values: (bin, track) float32.
        transforms: of each track, with what it took from these bins.
    """

    values: FloatArray
    transforms: tuple[FittedTransform, ...]


def total_targets(
    store: SequenceStore, means: FloatArray, *, bin_bp: int, transform: Sequence[Settings] | None
) -> TotalTargets:
    """Totals of bins as they are to be learned.

    Args:
        store: the data.
        means: (bin, track) mean signal per base, of the bins that are learned from.
        bin_bp: width of a bin.
        transform: of every track; None: as the store says of each.
    """
    own = store.transforms or ((),) * len(store.tracks)
    totals = means * np.float32(bin_bp)
    transforms = tuple(
        fit_transform(
            own[track] if transform is None else transform,
            mean=float(column.mean(dtype=np.float64)) / bin_bp,
            quantile=lambda share, column=column: float(np.quantile(column, share)),  # type: ignore[misc]
        )
        for track, column in enumerate(totals.T)
    )
    for track, one in enumerate(transforms):
        totals[:, track] = apply_transform(one, totals[:, track])
    return TotalTargets(totals, transforms)


def labels_of(shares: FloatArray) -> FloatArray:
    """1 where a bin is positive, else 0: at least `LABEL_SHARE` of its bases lie in a peak of the set.

    Args:
        shares: (bin, track).
    """
    return (shares >= _LEAST).astype(np.float32)


def classes_of(shares: FloatArray) -> IntArray:
    """(bin,) 0: none of the tracks; else one more than the track with the largest share, if that is `LABEL_SHARE`.

    Args:
        shares: (bin, track); of equal shares the first track's counts.
    """
    largest = shares.argmax(axis=1)
    return np.where(shares.max(axis=1) >= _LEAST, largest + 1, 0)
