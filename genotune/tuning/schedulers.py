"""Whether a trial goes on: asynchronous successive halving, and no scheduler at all. Decide; no Ray in it."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from genotune.errors import Problem
from genotune.settings import Settings
from genotune.tuning.domination import is_among_best
from genotune.tuning.space import Direction, Space

if TYPE_CHECKING:
    from genotune.tuning.population import Population

Action = Literal["continue", "stop", "pause"]
"""A trial that pauses waits for others; see `Population`."""

Changeable = Mapping[str, frozenset[str]]
"""Of each family the hyperparameters that may change while a fit runs."""


class Decision(NamedTuple):
    """What happens to a trial after an epoch.

    Attributes:
        action: whether it goes on, now or later.
        rung: the rung at which it was compared; None where it was not.
        reason: a sentence for the record.
    """

    action: Action
    rung: int | None
    reason: str


class Scheduler(ABC):
    """Decides at each report. A pure function of the reports so far, in their order."""

    @property
    @abstractmethod
    def rungs(self) -> tuple[int, ...]:
        """Epochs at which trials are compared, in order."""

    @abstractmethod
    def decide(self, trial: int, family: str, epoch: int, value: float, further: Sequence[float] = ()) -> Decision:
        """What happens to a trial that has reached the end of an epoch.

        An epoch that was decided already gets the same decision again, whatever the value.

        Args:
            trial: its number.
            family: its family; trials are compared within it.
            epoch: from 1.
            value: the objective, the primary one of several; NaN where one of them is not a number.
            further: the other objectives, turned so that lower is better.
        """

    @abstractmethod
    def occupancy(self) -> Mapping[str, Mapping[int, int]]:
        """How many trials have reached each rung, of each family that has reported."""


class BaseSchedulerSettings(Settings, ABC):
    """What a search-space file says under `scheduler`.

    Attributes:
        max_epochs: epochs of a trial that is never stopped.
    """

    takes_several_objectives: ClassVar[bool] = False
    """Whether it compares by more than the primary one, if it compares."""

    max_epochs: Annotated[int, Field(ge=1)]

    @property
    @abstractmethod
    def rungs(self) -> tuple[int, ...]:
        """Epochs at which trials are compared, in order."""

    @abstractmethod
    def build(self, direction: Direction, *, own_epochs: Mapping[str, int] | None = None) -> Scheduler:
        """A scheduler that has seen nothing yet.

        Args:
            direction: whether higher or lower values are better.
            own_epochs: the last epoch of families that end earlier than `max_epochs`.
        """

    @property
    def generation_epochs(self) -> int | None:
        """After so many epochs trials wait for each other; None: never."""
        return None

    def changing(self, space: Space, changeable: Changeable) -> Mapping[str, tuple[str, ...]]:  # noqa: ARG002 - nothing does
        """Of each family the domains whose picks may change while a trial runs; none if nothing changes.

        Args:
            space: of the sweep.
            changeable: what may change.
        """
        return {}

    def problems(self, space: Space, changeable: Changeable) -> list[Problem]:  # noqa: ARG002 - for those that can't take all
        """What in a space it can't use, with paths below `scheduler`; for the arguments see `changing`."""
        return []

    def n_trials(self, n_families: int) -> int | None:  # noqa: ARG002 - any number will do
        """The one number of trials that it can do with; None: it can do with any."""
        return None

    def build_population(
        self,
        space: Space,  # noqa: ARG002 - for those whose trials wait
        direction: Direction,  # noqa: ARG002
        *,
        changeable: Changeable,  # noqa: ARG002
        seed: int,  # noqa: ARG002
    ) -> "Population | None":
        """How trials go on that have waited for each other; None: none ever does.

        Args:
            space: of the sweep.
            direction: whether higher or lower values are better.
            changeable: what may change while a trial runs.
            seed: of the sweep.
        """
        return None


class ASHASettings(BaseSchedulerSettings):
    """Stop early what is not among the best at a rung.

    Attributes:
        reduction_factor: one in so many goes on, and each rung is so many times further than the one before.
        min_epochs: the first rung.
    """

    takes_several_objectives: ClassVar[bool] = True
    kind: Literal["asha"] = "asha"
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    min_epochs: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _rungs_come_before_the_end(self) -> Self:
        if self.min_epochs > self.max_epochs:
            raise ValueError(f"min_epochs is {self.min_epochs}; must be at most max_epochs ({self.max_epochs}).")
        return self

    @property
    def rungs(self) -> tuple[int, ...]:
        """See `BaseSchedulerSettings.rungs`."""
        rungs, rung = [], self.min_epochs
        while rung < self.max_epochs:
            rungs.append(rung)
            rung *= self.reduction_factor
        return tuple(rungs)

    def build(self, direction: Direction, *, own_epochs: Mapping[str, int] | None = None) -> Scheduler:
        """See `BaseSchedulerSettings.build`."""
        return ASHAScheduler(self, direction, own_epochs=own_epochs or {})


class NoSchedulerSettings(BaseSchedulerSettings):
    """Every trial runs to its last epoch."""

    takes_several_objectives: ClassVar[bool] = True
    kind: Literal["none"] = "none"

    @property
    def rungs(self) -> tuple[int, ...]:
        """None."""
        return ()

    def build(self, direction: Direction, *, own_epochs: Mapping[str, int] | None = None) -> Scheduler:  # noqa: ARG002 - nothing is compared
        """See `BaseSchedulerSettings.build`."""
        return NoScheduler()


class ASHAScheduler(Scheduler):
    """Asynchronous successive halving: a trial goes on from a rung iff it is among the best 1 / factor so far.

    Of n values that a rung of its family holds, its own included, the best max(1, floor(n / factor)) go on; of equal
    values the earlier one is the better. What is not a finite number is worse than any number, and never goes on.

    Of several objectives the best are those that no other beats in all of them, then those that only these beat, and so
    on; where not all of such a front can go on, those that cover it best, the best of the primary objective first: see
    `domination.best`. Source: Schmucker et al. 2021 (Multi-objective Asynchronous Successive Halving), who found that
    this does better than a weighted sum.

    Source: Li et al. 2020 (A System for Massively Parallel Hyperparameter Tuning), algorithm 2; but a trial that isn't
    promoted when it reaches a rung is stopped, not paused, which is Syne Tune's 'stopping' variant.

    Args:
        settings: rungs and reduction factor.
        direction: whether higher or lower values are better.
        own_epochs: the last epoch of families that end earlier.
        first_rung: earlier ones are left out.
    """

    def __init__(
        self, settings: ASHASettings, direction: Direction, *, own_epochs: Mapping[str, int], first_rung: int = 1
    ) -> None:
        self._settings = settings
        self._rungs = tuple(rung for rung in settings.rungs if rung >= first_rung)
        self._sign = -1.0 if direction == "maximize" else 1.0
        self._own_epochs = own_epochs
        self._losses: dict[str, dict[int, list[tuple[float, ...]]]] = {}
        self._decisions: dict[tuple[int, int], Decision] = {}

    @property
    def rungs(self) -> tuple[int, ...]:
        """See `Scheduler.rungs`."""
        return self._rungs

    def decide(self, trial: int, family: str, epoch: int, value: float, further: Sequence[float] = ()) -> Decision:
        """See `Scheduler.decide`."""
        last = self._own_epochs.get(family, self._settings.max_epochs)
        rungs = self._losses.setdefault(family, {rung: [] for rung in self._rungs if rung < last})
        if epoch not in rungs:
            return Decision(
                "continue", None, f"epoch {epoch} is the last" if epoch >= last else f"epoch {epoch} is no rung"
            )
        decided = self._decisions.get((trial, epoch))
        if decided is None:
            decided = self._decisions[trial, epoch] = self._compare(rungs[epoch], epoch, value, further)
        return decided

    def occupancy(self) -> Mapping[str, Mapping[int, int]]:
        """See `Scheduler.occupancy`."""
        return {family: {rung: len(losses) for rung, losses in rungs.items()} for family, rungs in self._losses.items()}

    def _compare(self, losses: list[tuple[float, ...]], rung: int, value: float, further: Sequence[float]) -> Decision:
        """Enter a value into a rung's losses, of one objective kept in order, and decide."""
        loss = (self._sign * value, *further) if math.isfinite(value) else (math.inf,)
        position = len(losses) if further else bisect_right(losses, loss)
        losses.insert(position, loss)
        if not math.isfinite(value):
            return Decision("stop", rung, f"rung {rung}: the objective is not a finite number")
        n_best = max(1, len(losses) // self._settings.reduction_factor)
        goes_on = _last_is_among(losses, n_best) if further else position < n_best
        verdict = "is among" if goes_on else "is not among"
        by = f" by {1 + len(further)} objectives" if further else ""
        reason = f"rung {rung}: {value:.4g} {verdict} the best {n_best} of {len(losses)}{by}"
        return Decision("continue" if goes_on else "stop", rung, reason)


def _last_is_among(losses: Sequence[tuple[float, ...]], n_best: int) -> bool:
    """Whether the last, which is finite, is one of the best n by all objectives."""
    finite = [loss for loss in losses if math.isfinite(loss[0])]
    return is_among_best(np.array(finite), len(finite) - 1, n_best)


class NoScheduler(Scheduler):
    """Never stops a trial."""

    @property
    def rungs(self) -> tuple[int, ...]:
        """None."""
        return ()

    def decide(self, trial: int, family: str, epoch: int, value: float, further: Sequence[float] = ()) -> Decision:  # noqa: ARG002 - all go on
        """See `Scheduler.decide`."""
        return Decision("continue", None, "no scheduler")

    def occupancy(self) -> Mapping[str, Mapping[int, int]]:
        """Nothing."""
        return {}
