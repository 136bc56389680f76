"""What a network of tracks is trained to make small, and how its outputs become values: settings.

The formulas are in loss_functions.py.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from genotune.columns import TargetKind
from genotune.settings import Settings, kind_of_text


class Poisson(Settings):
    """Negative log-likelihood of the total of each bin. Source: Kelley et al. 2018 (Basenji), Methods."""

    kind: Literal["poisson"] = "poisson"


class PoissonMultinomial(Settings):
    """Poisson likelihood of a window's total, and multinomial likelihood of how it is spread over the bins.

    Source: Avsec et al. 2021 (BPNet), equation 1; Linder et al. 2025 (Borzoi), Methods, the Poisson form of the total.

    Attributes:
        total_weight: of the total's term beside the profile's; with 1 the loss is `poisson`, but for a constant.
    """

    kind: Literal["poisson_multinomial"] = "poisson_multinomial"
    total_weight: Annotated[float, Field(gt=0)] = 0.2


class MeanSquaredError(Settings):
    """Squared difference of the transformed values, over the track's variance: 1 is no better than the mean."""

    kind: Literal["mse"] = "mse"


class WeightedMeanSquaredError(Settings):
    """As `mse`, bins with a high target counting more: 1 + strength * target / mean target of the track.

    The weights are divided by 1 + strength, so that they are 1 in the mean. Targets below zero count as zero in them.
    """

    kind: Literal["weighted_mse"] = "weighted_mse"
    strength: Annotated[float, Field(gt=0)] = 1.0


class BinaryCrossEntropy(Settings):
    """For labels, each track by itself.

    Attributes:
        positive_weight: of a positive bin; null: negatives per positive in the training contigs, by track.
    """

    kind: Literal["bce"] = "bce"
    positive_weight: Annotated[float, Field(gt=0)] | None = 1.0


class CategoricalCrossEntropy(Settings):
    """For bins of one class each, 'none of them' being one more."""

    kind: Literal["categorical"] = "categorical"


Loss = Annotated[
    Poisson
    | PoissonMultinomial
    | MeanSquaredError
    | WeightedMeanSquaredError
    | BinaryCrossEntropy
    | CategoricalCrossEntropy,
    Field(discriminator="kind"),
    BeforeValidator(kind_of_text),
]

LOSSES_OF: Final[Mapping[TargetKind, tuple[str, ...]]] = {
    "signal": ("poisson", "poisson_multinomial", "mse", "weighted_mse"),
    "binary": ("bce",),
    "multiclass": ("categorical",),
}
"""Kinds of loss that fit what the tracks hold, the usual one first."""

Link = Literal["softplus", "exp", "affine", "sigmoid", "softmax", "identity"]
"""How a network's outputs become values; `loss_functions.values_of` has the formulas."""

LINKS_OF: Final[Mapping[str, tuple[Link, ...]]] = {
    "poisson": ("softplus", "exp", "identity"),
    "poisson_multinomial": ("softplus", "exp", "identity"),
    "mse": ("affine", "softplus", "exp", "identity"),
    "weighted_mse": ("affine", "softplus", "exp", "identity"),
    "bce": ("sigmoid", "identity"),
    "categorical": ("softmax", "identity"),
}
"""Links that give values which a kind of loss can take, the usual one first."""


def default_loss(kind: TargetKind) -> Loss:
    """The usual loss for what the tracks hold."""
    if kind == "binary":
        return BinaryCrossEntropy()
    return CategoricalCrossEntropy() if kind == "multiclass" else Poisson()


def link_of(loss: Loss) -> Link:
    """The usual link of a loss."""
    return LINKS_OF[loss.kind][0]
