"""What a sweep tries next: random draws, a grid, and the base of every searcher. Ask, tell, remember; no Ray in it.

Proposal number n depends on the settings, the space and what happened before it, and on nothing else: each is drawn
from a random stream of its own. So a searcher that is told a journal from the start proposes what the first one would.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from genotune.errors import Problem, SweepError
from genotune.settings import Settings
from genotune.tuning.domains import Domain, FloatRange, Pick
from genotune.tuning.own_points import OwnPoint, place_all
from genotune.tuning.placing import Point
from genotune.tuning.space import Direction, Draw, Space

Outcome = Literal["complete", "stopped", "failed", "killed"]

Further = Mapping[int, tuple[float, ...]]
"""The further objectives of a trial by epoch, turned so that lower is better; nothing where there is one objective."""

FIRST_TRIALS: Final = 3
"""Trials that each of several families gets before they compete."""

_FINENESS: Final = 2**53


class Searcher(ABC):
    """Proposes trials, numbered from 0 in the order of proposal.

    First come a person's own points. Then each family gets its first `FIRST_TRIALS` in turn, so that none is judged by
    less; then the searcher is free.

    Args:
        space: what there is to choose from.
        points: to be tried before all others, in this order.
    """

    def __init__(self, space: Space, *, points: Sequence[Point] = ()) -> None:
        self._space = space
        self._own_points = points
        self._n_asked = 0
        self._n_of: Counter[str] = Counter()
        self._dropped: set[str] = set()

    @property
    def families(self) -> tuple[str, ...]:
        """What there is to choose from."""
        return tuple(self._space)

    def ask(self, family: str | None = None) -> Draw | None:
        """The next proposal; None if the space is exhausted.

        Args:
            family: that it should be of, once each has had its first trials; a searcher with an order of its own goes
                on in that.
        """
        due = self._due()
        if self._n_asked < len(self._own_points):
            point: Point | None = self._own_points[self._n_asked]
        elif not due:
            return None
        else:
            one_of = (family,) if family is not None and len(due) > 1 else due
            # A searcher chooses among all families or is told which; where it chose one that is dropped, it is told.
            point = self._propose(self._n_asked, one_of if len(one_of) == 1 else tuple(self._space))
            if point is not None and point.family in self._dropped:
                point = self._propose(self._n_asked, (min(due, key=lambda one: self._n_of[one]),))
        if point is None:
            return None
        self._take(point)
        return Draw(point.family, dict(point.picks), self._space[point.family].build(point.picks))

    def drop(self, family: str) -> None:
        """Propose none of this family from now on."""
        self._dropped.add(family)

    def remember(self, draw: Draw) -> None:
        """Take in a proposal of an earlier life as the next one, exactly as if it had been asked for now.

        Raises:
            SweepError: this space has no such draw.
        """
        template = self._space.get(draw.family)
        point = Point(draw.family, dict(draw.picks))
        known = template is not None and template.holds(point.picks) and template.build(point.picks) == draw.params
        if not known or not self._may_follow(point):
            raise SweepError(
                f"trial {self._n_asked} of the journal ({draw.family}, {_listed(draw.picks)}) is not a draw of this "
                "space. The search-space file isn't the one that the sweep began with: put that one back, or start a "
                "new sweep."
            )
        self._take(point)

    def learn(self, point: Point, *, curve: Mapping[int, float], status: Outcome) -> None:
        """Take in a trial of an earlier sweep, before the first proposal; it doesn't count as one of this sweep.

        Nothing changes where a searcher doesn't learn; its settings refuse to start from another sweep.

        Args:
            point: of this space.
            curve: objective by epoch; not finite where it was not measured or not a number.
            status: how it ended.
        """
        del point, curve, status  # for searchers that learn

    def tell(self, number: int, *, curve: Mapping[int, float], status: Outcome, further: Further | None = None) -> None:
        """Learn how a trial ended; the last word on a trial counts.

        Args:
            number: of the proposal, from 0.
            curve: objective by epoch, the primary one of several; not finite where it was not measured or not a number.
            status: how it ended.
            further: objectives, where there are several.
        """
        del curve, status, further  # for searchers that learn
        assert 0 <= number < self._n_asked, f"trial {number} was never proposed"

    @abstractmethod
    def _propose(self, number: int, families: Sequence[str]) -> Point | None:
        """The point to try as trial `number`, of one of these families."""

    def _due(self) -> Sequence[str]:
        """The families that the next trial may be of; none if all are dropped."""
        left = tuple(family for family in self._space if family not in self._dropped)
        fewest = min((self._n_of[family] for family in left), default=0)
        if len(left) < 2 or fewest >= FIRST_TRIALS:
            return left
        return (next(family for family in left if self._n_of[family] == fewest),)

    def _may_follow(self, point: Point) -> bool:
        """Whether a point of the space can be the next proposal."""
        return self._n_asked >= len(self._own_points) or point == self._own_points[self._n_asked]

    def _take(self, point: Point) -> None:
        """Count a point as proposed."""
        self._n_asked += 1
        self._n_of[point.family] += 1


class SearcherSettings(Settings, ABC):
    """What a search-space file says under `search`.

    Attributes:
        seed: of the sweep: of the proposals, and of each trial's own random streams.
        points: tried before all others, in this order; they count as trials, and are learned from like others.
        start_from: sweeps whose trials are learned from before the first proposal, by their names.
    """

    learns: ClassVar[bool] = False
    """Whether its proposals depend on how trials ended."""

    takes_several_objectives: ClassVar[bool] = False
    """Whether it learns from more than the primary one, if it learns."""

    seed: Annotated[int, Field(ge=0)] = 0
    points: tuple[OwnPoint, ...] = ()
    start_from: tuple[str, ...] = ()

    @abstractmethod
    def build(self, space: Space, direction: Direction) -> Searcher:
        """A searcher that has proposed nothing yet."""

    def problems(self, space: Space) -> list[tuple[str, Problem]]:  # noqa: ARG002 - for searchers that can't take all
        """What in a space this search can't use: families, and problems with paths below their params."""
        return []

    def own_problems(self, space: Space) -> list[Problem]:
        """Points that aren't of the space, and sweeps to start from that nothing would learn from."""
        problems = [problem for one in place_all(self.points, space) for problem in one.problems]
        if self.start_from and not self.learns:
            kind = type(self).model_fields["kind"].default
            message = f"kind: {kind} learns from no trial; write kind: tpe, or leave start_from out."
            problems.append(Problem(("start_from",), message))
        twice = [name for name, n in Counter(self.start_from).items() if n > 1]
        problems += [Problem(("start_from",), f"{name} is named twice. Remove one.") for name in twice]
        return problems

    def points_in(self, space: Space) -> list[Point]:
        """The points, in the terms of the space that they were checked against."""
        return [one.point for one in place_all(self.points, space) if one.point is not None]


class RandomSettings(SearcherSettings):
    """Each trial at random: after the first of each, a family, all alike; each domain evenly on its own scale."""

    kind: Literal["random"] = "random"

    def build(self, space: Space, direction: Direction) -> Searcher:  # noqa: ARG002 - nothing is compared
        """See `SearcherSettings.build`."""
        return RandomSearcher(space, seed=self.seed, points=self.points_in(space))


class GridSettings(SearcherSettings):
    """Every combination once, a trial of each family in turn; within a family the last domain changes fastest."""

    kind: Literal["grid"] = "grid"

    def build(self, space: Space, direction: Direction) -> Searcher:  # noqa: ARG002 - nothing is compared
        """See `SearcherSettings.build`."""
        return GridSearcher(space, points=self.points_in(space))

    def problems(self, space: Space) -> list[tuple[str, Problem]]:
        """Continuous ranges: a grid can't list them."""
        return [
            (family, Problem(template.path(name), _no_grid_message(domain)))
            for family, template in space.items()
            for name, domain in template.domains.items()
            if domain.n_values is None
        ]


class RandomSearcher(Searcher):
    """Independent draws, without end."""

    def __init__(self, space: Space, *, seed: int, points: Sequence[Point] = ()) -> None:
        super().__init__(space, points=points)
        self._seed = seed

    def _propose(self, number: int, families: Sequence[str]) -> Point:
        return random_point(self._space, families, stream(self._seed, number))


class GridSearcher(Searcher):
    """All points of a space without continuous ranges, each once: a person's own first, then the others in order."""

    def __init__(self, space: Space, *, points: Sequence[Point] = ()) -> None:
        super().__init__(space, points=points)
        in_turn = _in_turn([_points(space, family) for family in space])
        self._rest = (point for point in in_turn if point not in points)
        self._next = next(self._rest, None)

    def drop(self, family: str) -> None:
        """See `Searcher.drop`."""
        super().drop(family)
        if self._next is not None and self._next.family == family:
            self._go_to_next()

    def _propose(self, number: int, families: Sequence[str]) -> Point | None:  # noqa: ARG002 - the next is the next
        return self._next

    def _may_follow(self, point: Point) -> bool:
        if self._n_asked < len(self._own_points):
            return super()._may_follow(point)
        return point == self._next

    def _take(self, point: Point) -> None:
        is_own = self._n_asked < len(self._own_points)
        super()._take(point)
        if not is_own:
            self._go_to_next()

    def _go_to_next(self) -> None:
        self._next = next((point for point in self._rest if point.family not in self._dropped), None)


def stream(seed: int, number: int) -> np.random.Generator:
    """The random stream of one proposal."""
    return np.random.default_rng([seed, number])


def random_point(space: Space, families: Sequence[str], rng: np.random.Generator) -> Point:
    """A point at random: one of the families, all alike, then each active domain evenly on its own scale."""
    family = families[int(rng.integers(len(families)))]
    return Point(family, space[family].pick_each(lambda _, domain: domain.at(random_share(rng))))


def random_share(rng: np.random.Generator) -> float:
    """A number from 0 to 1, both included."""
    return float(rng.integers(_FINENESS, endpoint=True)) / _FINENESS


def _points(space: Space, family: str) -> Iterator[Point]:
    return (Point(family, picks) for picks in space[family].points())


def _in_turn(sources: list[Iterator[Point]]) -> Iterator[Point]:
    """One point of each source in turn, until all are exhausted."""
    while sources:
        left = []
        for source in sources:
            point = next(source, None)
            if point is not None:
                left.append(source)
                yield point
        sources = left


def _no_grid_message(domain: Domain) -> str:
    assert isinstance(domain, FloatRange)
    listed = f"choice: [{domain.low:.4g}, {domain.at(0.5):.4g}, {domain.high:.4g}]"
    if domain.log:
        return f"a continuous range; a grid needs values that can be counted. Write {listed}."
    step = (domain.high - domain.low) / 4
    return (
        f"a continuous range; a grid needs values that can be counted. Add a step, e.g. {step:.4g}, or write {listed}."
    )


def _listed(picks: Mapping[str, Pick]) -> str:
    return ", ".join(f"{name}: {pick}" for name, pick in picks.items()) or "no picks"
