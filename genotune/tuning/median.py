"""The median stopping rule: a trial ends when it has never been as good as the others were on average by then."""

import math
from bisect import insort
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from genotune.tuning.schedulers import BaseSchedulerSettings, Decision, Scheduler
from genotune.tuning.space import Direction


class MedianSettings(BaseSchedulerSettings):
    """Compare at every epoch.

    Attributes:
        min_epochs: the first epoch at which a trial is compared.
        min_trials: so many others must have come as far.
    """

    kind: Literal["median"] = "median"
    min_epochs: Annotated[int, Field(ge=1)] = 1
    min_trials: Annotated[int, Field(ge=1)] = 3

    @model_validator(mode="after")
    def _compares_before_the_end(self) -> Self:
        if self.min_epochs > self.max_epochs:
            raise ValueError(f"min_epochs is {self.min_epochs}; must be at most max_epochs ({self.max_epochs}).")
        return self

    @property
    def rungs(self) -> tuple[int, ...]:
        """See `BaseSchedulerSettings.rungs`."""
        return tuple(range(self.min_epochs, self.max_epochs))

    def build(self, direction: Direction, *, own_epochs: Mapping[str, int] | None = None) -> Scheduler:
        """See `BaseSchedulerSettings.build`."""
        return MedianScheduler(self, direction, own_epochs=own_epochs or {})


class MedianScheduler(Scheduler):
    """Stops a trial whose best value so far is worse than the median of the other trials' means up to that epoch.

    The others are the trials of its family that have reported that epoch, whatever became of them. A value that is no
    finite number is worse than any, as is every mean over it; a trial never goes on from one.

    Source: Golovin et al. 2017 (Google Vizier), section 3.2.1, where only completed trials are compared with; those
    that were stopped are counted too, as far as they came.

    Args:
        settings: from when on, and with how many others.
        direction: whether higher or lower values are better.
        own_epochs: the last epoch of families that end earlier.
    """

    def __init__(self, settings: MedianSettings, direction: Direction, *, own_epochs: Mapping[str, int]) -> None:
        self._settings = settings
        self._sign = -1.0 if direction == "maximize" else 1.0
        self._own_epochs = own_epochs
        self._losses: dict[int, dict[int, float]] = {}
        self._means: dict[str, dict[int, list[float]]] = {}
        self._decisions: dict[tuple[int, int], Decision] = {}

    @property
    def rungs(self) -> tuple[int, ...]:
        """See `Scheduler.rungs`."""
        return self._settings.rungs

    def decide(self, trial: int, family: str, epoch: int, value: float, further: Sequence[float] = ()) -> Decision:
        """See `Scheduler.decide`."""
        assert not further, "a spec with several objectives was refused"
        decided = self._decisions.get((trial, epoch))
        if decided is None:
            decided = self._decisions[trial, epoch] = self._compare(trial, family, epoch, value)
        return decided

    def occupancy(self) -> Mapping[str, Mapping[int, int]]:
        """See `Scheduler.occupancy`."""
        return {
            family: {epoch: len(means[epoch]) for epoch in sorted(means) if epoch in self.rungs}
            for family, means in self._means.items()
        }

    def _compare(self, trial: int, family: str, epoch: int, value: float) -> Decision:
        losses = self._losses.setdefault(trial, {})
        losses[epoch] = self._sign * value if math.isfinite(value) else math.inf
        means = self._means.setdefault(family, {}).setdefault(epoch, [])
        n, middle = len(means), _middle(means)
        insort(means, math.fsum(loss / len(losses) for loss in losses.values()))  # the sum alone may be too large
        last = self._own_epochs.get(family, self._settings.max_epochs)
        if epoch >= last:
            return Decision("continue", None, f"epoch {epoch} is the last")
        if epoch < self._settings.min_epochs:
            return Decision("continue", None, f"epoch {epoch} is before the first comparison")
        if not math.isfinite(value):
            return Decision("stop", epoch, f"epoch {epoch}: the objective is not a finite number")
        if n < self._settings.min_trials:
            return Decision("continue", epoch, f"epoch {epoch}: {n} others came so far")
        best = min(losses.values())
        verdict = "worse" if best > middle else "no worse"
        reason = f"epoch {epoch}: {self._sign * best:.4g} is {verdict} than the median {self._sign * middle:.4g}"
        return Decision("stop" if best > middle else "continue", epoch, f"{reason} of {n} others")


def _middle(ordered: Sequence[float]) -> float:
    """The median of numbers in order; NaN of none."""
    if not ordered:
        return math.nan
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
