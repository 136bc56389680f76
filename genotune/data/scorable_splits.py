"""Whether splits hold samples enough to learn a trait and to judge what was learned."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from genotune.data.plink_samples import SampleFacts
from genotune.genome.contig_names import name_some
from genotune.genome.covariate_basis import dependent_columns
from genotune.genome.fold import Fold, SplitName

_FEW: Final = 10
"""An area under the curve has a standard error of about 0.1 with ten cases, of 0.13 with five."""


class SplitFault(NamedTuple):
    """A split that can't teach or can't judge.

    Attributes:
        split: its name.
        words: why, as the beginning of a sentence.
    """

    split: SplitName
    words: str


def split_faults(samples: SampleFacts, fold: Fold) -> Iterator[SplitFault]:
    """Splits that are empty, lack a class, or in which the trait doesn't vary: metrics aren't defined there."""
    for name, members in _splits(fold):
        if not len(members):
            yield SplitFault(name, f"{name} holds no sample")
            continue
        for trait in samples.traits:
            words = trait.fault_in(members, split=name)
            if words is not None:
                yield SplitFault(name, words)


def fold_fault(samples: SampleFacts, folds: Sequence[Fold]) -> str | None:
    """The first fold that can't be learned from or scored, in words; None: all can."""
    for number, fold in enumerate(folds, 1):
        for fault in split_faults(samples, fold):
            if fault.split != "test":
                return f"of fold {number} of {len(folds)}, {fault.words}"
    return None


def few_notes(samples: SampleFacts, fold: Fold) -> tuple[str, ...]:
    """What a person should know of classes of which a split holds few samples."""
    notes = []
    for trait in samples.traits:
        for index, label in enumerate(trait.classes):
            counts = {name: int(np.count_nonzero(trait.values[members] == index)) for name, members in _splits(fold)}
            if min(counts.values()) < _FEW:
                listed = ", ".join(f"{n:,} in {name}" for name, n in counts.items())
                notes.append(
                    f"{trait.name} {label}: {listed}. So few teach little and judge worse: another seed of the split "
                    "may find another winner."
                )
    return tuple(notes)


def covariate_notes(samples: SampleFacts, fold: Fold) -> tuple[str, ...]:
    """What a person should know of covariates that say nothing of their own in the training samples of a fold."""
    values = samples.covariates[fold.train]
    values = values[np.isfinite(values).all(axis=1)]
    if len(values) <= values.shape[1] + 1:
        return ()
    names = [name for name, bad in zip(samples.covariate_names, dependent_columns(values), strict=True) if bad]
    if not names:
        return ()
    return (
        f"covariates {name_some(names, most=4)}: constant, or a sum of multiples of those before, in the training "
        "samples. They add nothing, and ridge, to which each winner is compared, can't be fitted with them. Merge rare "
        "levels, or remove them from data.covariates.",
    )


def _splits(fold: Fold) -> list[tuple[SplitName, np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    return [("train", fold.train), ("validation", fold.validation), ("test", fold.test)]
