"""What a sample of a class weighs in the loss, so that a rare class is not ignored.

Probabilities of a model that was fitted with other weights than one are those of a population in which the classes are
as common as the weights make them: they rank samples, and are not calibrated.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from genotune.columns import TargetKind
from genotune.errors import Problem
from genotune.store import GenotypeOutline, Values

ClassWeight = Literal["none", "balanced"] | Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""none: every sample counts the same; balanced: every class does; a number: so much counts a sample of the second class
of a binary trait, the others one."""


def class_weight_problems(chosen: ClassWeight, outline: GenotypeOutline) -> list[Problem]:
    """Weights of classes for a trait that has none, or a number where there are more than two."""
    if chosen == "none" or outline.kind == "binary":
        return []
    if outline.kind != "multiclass":
        return [Problem(("class_weight",), f"found {chosen}; a {outline.kind} trait has no classes. Remove it.")]
    if chosen == "balanced":
        return []
    message = f"found {chosen:g}; a number is the weight of the second of two classes, the trait has "
    return [Problem(("class_weight",), f"{message}{outline.n_classes}. Write balanced, or none.")]


def sample_weights(chosen: ClassWeight, kind: TargetKind, phenotype: Values) -> Values:
    """(sample,) weights of mean one.

    Balanced ones are as scikit-learn's: number of samples / (number of classes * samples of the class), of the classes
    that occur. Source: King and Zeng 2001, section 4.2 (weighting by the share of a class).

    Args:
        chosen: of the settings.
        kind: of the trait; all weights are one if it has no classes.
        phenotype: (sample,) of the samples to learn from.
    """
    weights = np.ones(len(phenotype))
    if chosen == "none" or kind not in {"binary", "multiclass"}:
        return weights
    if chosen == "balanced":
        _, place, counts = np.unique(phenotype, return_inverse=True, return_counts=True)
        weights = len(phenotype) / (len(counts) * counts[place].astype(np.float64))
    else:
        weights[phenotype == 1] = chosen
    return np.asarray(weights / weights.mean())
