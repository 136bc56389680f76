"""What searchers that learn have in common: a history, of which their proposals are a function."""

from collections.abc import Mapping

from genotune.tuning.history import History
from genotune.tuning.placing import Point
from genotune.tuning.searchers import Further, Outcome, Searcher, SearcherSettings
from genotune.tuning.space import Direction, Space


class LearningSearcher(Searcher):
    """Keeps the history of its trials, and of those that were learned before them.

    Args:
        space: what there is to choose from.
        settings: with the points to be tried before all others.
        direction: of the objective.
    """

    def __init__(self, space: Space, *, settings: SearcherSettings, direction: Direction) -> None:
        super().__init__(space, points=settings.points_in(space))
        self._history = History(direction)

    def learn(self, point: Point, *, curve: Mapping[int, float], status: Outcome) -> None:
        """See `Searcher.learn`."""
        self._history.learn(point, curve=curve, status=status)

    def tell(self, number: int, *, curve: Mapping[int, float], status: Outcome, further: Further | None = None) -> None:
        """See `Searcher.tell`; a searcher that takes several objectives sees to the further ones."""
        super().tell(number, curve=curve, status=status, further=further)
        self._history.tell(number, curve=curve, status=status)

    def _take(self, point: Point) -> None:
        super()._take(point)
        self._history.propose(point)
