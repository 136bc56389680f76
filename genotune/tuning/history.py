"""What a searcher that learns knows of the trials so far: those in flight, and those that ended, the best first.

One order for every searcher: trials that completed, by their best value; then trials that were stopped, by how far
they came and then by their last value; last those that diverged or reported nothing. So no stopped trial counts as
better than a finished one, whatever it showed at an early epoch. Failed and killed trials teach nothing.
"""

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from genotune.tuning.placing import Point
from genotune.tuning.searchers import Outcome
from genotune.tuning.space import Direction

_BEFORE_ALL: Final = -(2**62)
"""Number of the first trial that was learned before the sweep; the sweep's own begin at 0."""

Merit = tuple[int, int, float]


class Ended(NamedTuple):
    """A trial to learn from.

    Attributes:
        number: of the proposal; below 0, of an earlier sweep.
        curve: objective by epoch, where it was a finite number.
        status: complete, or stopped.
        merit: the less, the better.
    """

    number: int
    point: Point
    curve: Mapping[int, float]
    status: Outcome
    merit: Merit

    @property
    def diverged(self) -> bool:
        """Whether it has nothing to show."""
        return self.merit[0] == _NOTHING


_COMPLETE: Final = 0
_STOPPED: Final = 1
_NOTHING: Final = 2


class History:
    """The trials of a sweep, and those that were learned before it.

    Args:
        direction: of the objective.
    """

    def __init__(self, direction: Direction) -> None:
        self._sign = -1.0 if direction == "maximize" else 1.0
        self._points: list[Point] = []
        self._in_flight: dict[int, Point] = {}
        self._ended: dict[int, Ended] = {}
        self._all = _Order()
        self._of: defaultdict[str, _Order] = defaultdict(_Order)
        self._n_before = 0

    @property
    def in_flight(self) -> list[tuple[int, Point]]:
        """Number and point of each trial that was proposed and has not ended, in order."""
        return sorted(self._in_flight.items(), key=lambda one: one[0])

    @property
    def n_ended(self) -> int:
        """How many there are to learn from."""
        return len(self._ended)

    def propose(self, point: Point) -> None:
        """The next trial is in flight."""
        self._in_flight[len(self._points)] = point
        self._points.append(point)

    def learn(self, point: Point, *, curve: Mapping[int, float], status: Outcome) -> None:
        """A trial of an earlier sweep."""
        self._end(_BEFORE_ALL + self._n_before, point, curve, status)
        self._n_before += 1

    def tell(self, number: int, *, curve: Mapping[int, float], status: Outcome) -> None:
        """How a trial ended; the last word counts."""
        self._in_flight.pop(number, None)
        before = self._ended.pop(number, None)
        if before is not None:
            self._all.remove(before)
            self._of[before.point.family].remove(before)
        self._end(number, self._points[number], curve, status)

    def ended(self, *, n_best: int, n_latest: int, family: str | None = None) -> list[Ended]:
        """The best trials and the latest of the others, in the order of proposal.

        Args:
            n_best: of the first.
            n_latest: of the others.
            family: whose; None: of all.
        """
        numbers = self._order(family).chosen(n_best, n_latest)
        return [self._ended[number] for number in sorted(numbers)]

    def of(self, number: int) -> Ended | None:
        """What is to be learned from a trial; None if nothing is, so far."""
        return self._ended.get(number)

    def best(self, n: int, family: str | None = None) -> list[Ended]:
        """The best trials, the best first."""
        return [self._ended[number] for _, number in self._order(family).by_merit[:n]]

    def share_above(self, trial: Ended) -> float:
        """The share of all trials that a trial is better than, between 0 and 1; half of itself is counted."""
        position = bisect_left(self._all.by_merit, (trial.merit, trial.number))
        return 1 - (position + 0.5) / len(self._all.by_merit)

    def _order(self, family: str | None) -> "_Order":
        return self._all if family is None else self._of[family]

    def _end(self, number: int, point: Point, curve: Mapping[int, float], status: Outcome) -> None:
        if status not in ("complete", "stopped"):
            return
        finite = {epoch: value for epoch, value in sorted(curve.items()) if math.isfinite(value)}
        trial = Ended(number, point, finite, status, self._merit(finite, curve, status))
        self._ended[number] = trial
        self._all.add(trial)
        self._of[point.family].add(trial)

    def _merit(self, finite: Mapping[int, float], curve: Mapping[int, float], status: Outcome) -> Merit:
        if not finite or (status == "stopped" and max(curve) not in finite):
            return (_NOTHING, 0, 0.0)
        if status == "complete":
            return (_COMPLETE, 0, min(self._sign * value for value in finite.values()))
        last = max(finite)
        return (_STOPPED, -last, self._sign * finite[last])


@dataclass
class _Order:
    """Trials by merit and by number, kept sorted, so that a sweep of thousands costs no more each time it is asked."""

    by_merit: list[tuple[Merit, int]] = field(default_factory=list)
    by_number: list[int] = field(default_factory=list)

    def add(self, trial: Ended) -> None:
        insort(self.by_merit, (trial.merit, trial.number))
        insort(self.by_number, trial.number)

    def remove(self, trial: Ended) -> None:
        del self.by_merit[bisect_left(self.by_merit, (trial.merit, trial.number))]
        del self.by_number[bisect_left(self.by_number, trial.number)]

    def chosen(self, n_best: int, n_latest: int) -> set[int]:
        best = {number for _, number in self.by_merit[:n_best]}
        # At most n_best of the latest are among the best already.
        latest = [number for number in self.by_number[-(n_best + n_latest) :] if number not in best]
        return best | set(latest[-n_latest:])
