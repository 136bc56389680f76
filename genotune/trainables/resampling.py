"""Classes of a binary trait made equally common in training, by imbalanced-learn; other samples are never touched.

Source: Chawla et al. 2002 (SMOTE), He et al. 2008 (ADASYN), Lemaitre et al. 2017 (imbalanced-learn).
"""

from collections.abc import Callable
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field

from genotune.errors import Problem
from genotune.settings import Settings, kind_of_text
from genotune.store import FloatArray, GenotypeOutline, IntArray, Values
from genotune.trainables.trainable import FitError

MOST_FLOATS: Final = 1 << 29
"""Features of all training samples as floats that may lie in memory: 2 GiB of float32."""


class AsTheyAre(Settings):
    """Samples as they are."""

    kind: Literal["none"] = "none"


class Over(Settings):
    """Samples of the rarer class are drawn again."""

    kind: Literal["over"] = "over"


class Under(Settings):
    """Samples of the commoner class are left out."""

    kind: Literal["under"] = "under"


class Smote(Settings):
    """Samples of the rarer class are made up between neighbours of that class.

    Attributes:
        k: neighbours.
    """

    kind: Literal["smote"] = "smote"
    k: Annotated[int, Field(ge=1)] = 5


class Adasyn(Settings):
    """As `smote`, more of them where the commoner class is near.

    Attributes:
        k: neighbours.
    """

    kind: Literal["adasyn"] = "adasyn"
    k: Annotated[int, Field(ge=1)] = 5


Resampling = Annotated[
    Annotated[AsTheyAre | Over | Under | Smote | Adasyn, Field(discriminator="kind")],
    BeforeValidator(kind_of_text),
]


class Resampled(NamedTuple):
    """What is learned from.

    Attributes:
        samples: (n,) indices, with those that are drawn again as often as they are.
        made_up: (m, feature) samples of the rarer class that nobody has; none if m is 0.
        made_up_class: theirs.
    """

    samples: IntArray
    made_up: FloatArray
    made_up_class: float


def resampling_problems(chosen: Resampling, outline: GenotypeOutline, *, n_features: int) -> list[Problem]:
    """Resampling of a trait that isn't binary, or of more features than fit memory as floats."""
    if chosen.kind == "none":
        return []
    if outline.kind != "binary":
        return [Problem(("resample",), f"found {chosen.kind}; it is for a binary trait, this one is {outline.kind}.")]
    fault = room_fault(outline.n_samples, n_features) if chosen.kind in {"smote", "adasyn"} else None
    return [] if fault is None else [Problem(("resample",), f"found {chosen.kind}; {fault}")]


def room_fault(n_samples: int, n_features: int) -> str | None:
    """What is wrong with holding so many features as floats; None if they fit."""
    if n_samples * n_features <= MOST_FLOATS:
        return None
    return (
        f"it holds {n_features} features of {n_samples} samples as floats, {n_samples * n_features / 2**28:.1f} GiB; "
        f"at most {MOST_FLOATS / 2**28:g} GiB are allowed. Use fewer variants (n_variants, data.keep_variants)."
    )


def resample(
    chosen: Resampling,
    samples: IntArray,
    classes: Values,
    *,
    rows: Callable[[IntArray], FloatArray],
    seed: int,
) -> Resampled:
    """The training samples with both classes equally common.

    Args:
        chosen: how.
        samples: (n,) indices to learn from.
        classes: (n,) 0 or 1 of each.
        rows: gives the features of samples, (n, feature), without missing values; asked only where some are made up.
        seed: of what is drawn.

    Raises:
        FitError: there are too few samples of a class.
    """
    nothing = np.empty((0, 0), dtype=np.float32)
    if chosen.kind == "none":
        return Resampled(samples, nothing, 0.0)
    counts = np.bincount(classes.astype(np.int64), minlength=2)
    rarer = int(counts[1] < counts[0])
    wanted = chosen.k + 1 if isinstance(chosen, Smote | Adasyn) else 1
    if counts.min() < wanted:
        advice = "Use a smaller k, or resample: over." if wanted > 1 and counts.min() > 0 else "Remove resample."
        raise FitError(
            f"resample: {chosen.kind} needs {wanted} training samples of each class; the rarer one has {counts.min()}. "
            f"{advice}"
        )
    if isinstance(chosen, Over | Under):
        return Resampled(samples[_drawn(chosen, classes, seed=seed)], nothing, 0.0)
    if counts[0] == counts[1]:
        return Resampled(samples, nothing, 0.0)
    return Resampled(samples, _made_up(chosen, rows(samples), classes, seed=seed), float(rarer))


def _drawn(chosen: Over | Under, classes: Values, *, seed: int) -> IntArray:
    """Places of the samples that stay, some more than once."""
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    kind = RandomOverSampler if chosen.kind == "over" else RandomUnderSampler
    sampler = kind(random_state=seed % 2**32)
    sampler.fit_resample(np.zeros((len(classes), 1), dtype=np.float32), classes.astype(np.int64))
    return np.asarray(sampler.sample_indices_, dtype=np.int64)


def _made_up(chosen: Smote | Adasyn, rows: FloatArray, classes: Values, *, seed: int) -> FloatArray:
    """(m, feature) samples that imbalanced-learn adds behind the given ones."""
    from imblearn.over_sampling import ADASYN, SMOTE

    state = seed % 2**32
    sampler = (
        SMOTE(k_neighbors=chosen.k, random_state=state)
        if isinstance(chosen, Smote)
        else ADASYN(n_neighbors=chosen.k, random_state=state)
    )
    try:
        found, _ = sampler.fit_resample(rows, classes.astype(np.int64))
    except (ValueError, RuntimeError) as error:
        raise FitError(f"resample: {chosen.kind} can't make up samples here: {error}") from error
    return np.asarray(found[len(rows) :], dtype=np.float32)
