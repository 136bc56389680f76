"""Hyperband without waiting: brackets of asynchronous successive halving, each with a later first rung.

ASHA bets that early epochs tell which trial is good. Where they don't, brackets that first compare later, down to one
that never does, keep slow starters alive; each bracket is given about the same number of epochs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from genotune.tuning.schedulers import ASHAScheduler, ASHASettings, Decision, Scheduler
from genotune.tuning.space import Direction


class HyperbandSettings(ASHASettings):
    """Rungs as ASHA's, in as many brackets as there are rungs, and one without any.

    Attributes:
        reduction_factor: as ASHA's.
        min_epochs: the first rung of the first bracket.
    """

    kind: Literal["hyperband"] = "hyperband"  # type: ignore[assignment]

    def build(self, direction: Direction, *, own_epochs: Mapping[str, int] | None = None) -> Scheduler:
        """See `BaseSchedulerSettings.build`."""
        return HyperbandScheduler(self, direction, own_epochs=own_epochs or {})


class HyperbandScheduler(Scheduler):
    """Asynchronous Hyperband: a trial is in one bracket for good, and is compared within that alone.

    Of s + 1 brackets, the one with k rungs gets trials in proportion to (s + 1) / (k + 1) * factor^k, as Hyperband's
    do, by which each bracket costs about as many epochs. A family's trials are dealt out in the order of their first
    reports: each goes to the bracket that is furthest behind its share.

    Source: Li et al. 2018 (Hyperband), algorithm 1; Li et al. 2020 (A System for Massively Parallel Hyperparameter
    Tuning), section 3.3, for brackets of asynchronous successive halving.

    Args:
        settings: rungs and reduction factor.
        direction: whether higher or lower values are better.
        own_epochs: the last epoch of families that end earlier.
    """

    def __init__(self, settings: HyperbandSettings, direction: Direction, *, own_epochs: Mapping[str, int]) -> None:
        self._rungs = settings.rungs
        self._brackets = [
            ASHAScheduler(settings, direction, own_epochs=own_epochs, first_rung=first)
            for first in (*self._rungs, settings.max_epochs)
        ]
        n = len(self._brackets)
        weights = [n / (k + 1) * settings.reduction_factor**k for k in reversed(range(n))]
        self._shares = [weight / sum(weights) for weight in weights]
        self._bracket_of: dict[int, int] = {}
        self._n_in: dict[str, Counter[int]] = {}

    @property
    def rungs(self) -> tuple[int, ...]:
        """See `Scheduler.rungs`; those of the first bracket."""
        return self._rungs

    def decide(self, trial: int, family: str, epoch: int, value: float, further: Sequence[float] = ()) -> Decision:
        """See `Scheduler.decide`."""
        if trial not in self._bracket_of:
            counts = self._n_in.setdefault(family, Counter())
            n_now = counts.total() + 1
            bracket = max(range(len(self._brackets)), key=lambda one: n_now * self._shares[one] - counts[one])
            counts[bracket] += 1
            self._bracket_of[trial] = bracket
        return self._brackets[self._bracket_of[trial]].decide(trial, family, epoch, value, further)

    def occupancy(self) -> Mapping[str, Mapping[int, int]]:
        """See `Scheduler.occupancy`; of all brackets together."""
        found: dict[str, Counter[int]] = {}
        for bracket in self._brackets:
            for family, rungs in bracket.occupancy().items():
                found.setdefault(family, Counter()).update(rungs)
        return {family: {rung: counts[rung] for rung in sorted(counts)} for family, counts in found.items()}
