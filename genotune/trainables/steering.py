"""How a fit is steered: what the objective's values say about the rest of it, and the learning rate of each step."""

import math
from typing import NamedTuple

from genotune.trainables.sequence_network import CosineSchedule, PlateauSchedule, SequenceNetwork


class Steering(NamedTuple):
    """What the objective's values so far say about the rest of the fit.

    Attributes:
        best: highest value so far; None before the first.
        stale: epochs since it was reached.
        waited: epochs without improvement since the learning rate was last lowered.
        lowered: how often it was.
    """

    best: float | None = None
    stale: int = 0
    waited: int = 0
    lowered: int = 0

    def after(self, value: float | None, *, plateau: PlateauSchedule | None) -> "Steering":
        """With one more epoch's value; None (not measured) changes nothing, NaN is no improvement."""
        if value is None:
            return self
        if math.isfinite(value) and (self.best is None or value > self.best):
            return Steering(best=value, lowered=self.lowered)
        waited = self.waited + 1
        if plateau is not None and waited >= plateau.patience:
            return Steering(self.best, self.stale + 1, 0, self.lowered + 1)
        return Steering(self.best, self.stale + 1, waited, self.lowered)


def learning_rate_at(step: int, settings: SequenceNetwork, *, n_steps: int, lowered: int = 0) -> float:
    """The learning rate of a step.

    Source of the cosine: Loshchilov and Hutter 2017 (SGDR), equation 5, one period down to zero.

    Args:
        step: from 0.
        settings: warm-up and schedule.
        n_steps: of the whole fit.
        lowered: how often a plateau has lowered it.
    """
    warm = round(settings.warmup * n_steps)
    rate = settings.learning_rate * min(1.0, (step + 1) / max(1, warm))
    if isinstance(settings.schedule, PlateauSchedule):
        return rate * settings.schedule.factor**lowered
    if isinstance(settings.schedule, CosineSchedule) and step >= warm:
        return rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, n_steps - warm)))
    return rate
