"""A plateau of a whole sweep: trials end, and the best of them gets no better."""

import math
from collections import deque
from typing import Annotated

from pydantic import Field

from genotune.settings import Settings
from genotune.tuning.space import Direction


class PlateauSettings(Settings):
    """When a sweep has stopped getting better.

    Attributes:
        trials: so many ended trials in a row, whatever they ended by, are looked at.
        min_delta: they must have improved the best objective before them by so much, and by anything at all.
    """

    trials: Annotated[int, Field(ge=1)]
    min_delta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    def build(self, direction: Direction) -> "Plateau":
        """A plateau that no trial was told to yet."""
        return Plateau(self, direction)


class Plateau:
    """Is told the best objective of each trial that ends, in their order; knows whether they are on a plateau.

    Args:
        settings: how many trials, and by how much.
        direction: whether higher or lower objectives are better.
    """

    def __init__(self, settings: PlateauSettings, direction: Direction) -> None:
        self._settings = settings
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._bests: deque[float] = deque(maxlen=settings.trials + 1)

    def tell(self, values: list[float]) -> None:
        """Take in the objectives of a trial at its epochs; those that are not finite count for nothing."""
        best = max((self._sign * value for value in values if math.isfinite(value)), default=-math.inf)
        self._bests.append(max(best, self._bests[-1]) if self._bests else best)

    def forget(self) -> None:
        """Begin anew with the best so far."""
        self._bests = deque(list(self._bests)[-1:], maxlen=self._bests.maxlen)

    @property
    def reason(self) -> str:
        """What makes it a plateau, in words; '' if it is none, or if nothing finite came before the trials."""
        if len(self._bests) <= self._settings.trials or not math.isfinite(self._bests[0]):
            return ""
        gain = self._bests[-1] - self._bests[0]
        if gain > 0 and gain >= self._settings.min_delta:
            return ""
        last = "trial" if self._settings.trials == 1 else f"{self._settings.trials} trials"
        by = f" by {self._settings.min_delta:g}" if self._settings.min_delta else ""
        return f"the last {last} that ended did not improve the best objective{by}"
