"""Transforms of a track: how a model sees its values, and the way back to the track's own units.

A transform acts on the total of a model's bin (the mean signal per base times its width), as the loss sees it. What it
takes from the data (a quantile, a depth) is learned on training contigs alone. Scores are always in the track's own
units: predictions are transformed back first. numpy and torch arrays alike; no torch in here.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from genotune.settings import Settings, kind_of_text


class NoTransform(Settings):
    """The values as they are."""

    kind: Literal["none"] = "none"


class Arcsinh(Settings):
    """Inverse hyperbolic sine: the value itself near zero, its logarithm far from it; defined below zero too."""

    kind: Literal["arcsinh"] = "arcsinh"


class Log1p(Settings):
    """The logarithm of one plus the value; values not below zero."""

    kind: Literal["log1p"] = "log1p"


class Clip(Settings):
    """Values above a limit count as the limit. There is no way back above it.

    Attributes:
        at: the limit.
        quantile: the limit is this quantile of the bins of the training contigs; one of the two is given.
    """

    kind: Literal["clip"] = "clip"
    at: Annotated[float, Field(gt=0)] | None = None
    quantile: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "Clip":
        if (self.at is None) == (self.quantile is None):
            raise ValueError("clip takes either `at`, a value, or `quantile`, of training bins, e.g. quantile: 0.999.")
        return self


class Scale(Settings):
    """All values times one factor.

    Attributes:
        depth: mean signal per base on the training contigs once it is scaled.
    """

    kind: Literal["scale"] = "scale"
    depth: Annotated[float, Field(gt=0)] = 1.0


TransformStep = Annotated[
    NoTransform | Arcsinh | Log1p | Clip | Scale, Field(discriminator="kind"), BeforeValidator(kind_of_text)
]


def _listed(value: object) -> object:
    # A strict model takes a list of JSON's own for a tuple, but none that comes from here.
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Transform = Annotated[tuple[TransformStep, ...], BeforeValidator(_listed)]
"""One step or a list of them, in order; a text stands for a step without settings: `arcsinh`, `[scale, arcsinh]`."""


class FittedStep(NamedTuple):
    """One step, with what it took from the training contigs: the factor of 'scale', the limit of 'clip'."""

    kind: str
    value: float = 1.0


FittedTransform = tuple[FittedStep, ...]


def fit_transform(transform: Sequence[Settings], *, mean: float, quantile: Callable[[float], float]) -> FittedTransform:
    """A transform with what it takes from the training contigs.

    Args:
        transform: the steps.
        mean: of the signal per base on the training contigs.
        quantile: gives a quantile of the totals of the training contigs' bins; only called where a step asks for it.

    Returns:
        Its steps; those that change nothing are left out.
    """
    fitted: FittedTransform = ()
    for step in transform:
        if isinstance(step, Arcsinh | Log1p):
            fitted += (FittedStep(step.kind),)
        elif isinstance(step, Scale):
            fitted += (FittedStep("scale", step.depth / mean if mean > 0 else 1.0),)
        elif isinstance(step, Clip):
            # Every step before it rises, so a quantile of what they make is what they make of the quantile.
            limit = step.at or float(apply_transform(fitted, np.float64(quantile(step.quantile or 0.0))))
            fitted += (FittedStep("clip", limit),)
    return fitted


def apply_transform(transform: FittedTransform, values: Any, xp: Any = np) -> Any:
    """The values as a model sees them; NaN stays NaN.

    Args:
        transform: fitted.
        values: totals of bins, any shape.
        xp: the arrays' library, numpy or torch.
    """
    for kind, value in transform:
        if kind == "scale":
            values = values * value
        elif kind == "clip":
            values = xp.clip(values, None, value)
        elif kind == "log1p":
            values = xp.log1p(values)
        else:
            values = xp.arcsinh(values)
    return values


def undo_transform(transform: FittedTransform, values: Any, xp: Any = np) -> Any:
    """The way back to totals of bins in the track's own units; what was clipped stays at the limit.

    Args:
        transform: fitted.
        values: as a model sees them, any shape.
        xp: the arrays' library, numpy or torch.
    """
    for kind, value in reversed(transform):
        if kind == "scale":
            values = values / value
        elif kind == "log1p":
            values = xp.expm1(values)
        elif kind == "arcsinh":
            values = xp.sinh(values)
    return values
