"""CMA-ES with margins: a cloud of numbers and a table of options that move, generation by generation, to the best.

Each family has a cloud of its own. A generation is a number of proposals that were drawn from one cloud; when so many
have completed or were stopped, the cloud moves by their order. Proposals that are asked for while others of the
generation still run are further draws from it, independent of each other; those that end late count in the next one.

Source: Hamano et al. 2025 (CatCMA with Margin: Single- and Multi-Objective Optimization for Continuous, Integer, and
Categorical Variables, arXiv 2504.07884), as the package cmaes has it. Auger and Hansen 2005 (A Restart CMA Evolution
Strategy With Increasing Population Size) for what happens when a cloud has shrunk to a point.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

import numpy as np

from genotune.tuning.domains import Choice, Domain, Pick
from genotune.tuning.history import Ended
from genotune.tuning.learning import LearningSearcher
from genotune.tuning.placing import Point
from genotune.tuning.promising import promising_family
from genotune.tuning.searchers import Further, Outcome, Searcher, SearcherSettings, random_point, stream
from genotune.tuning.space import Direction, Space, Template

if TYPE_CHECKING:
    from cmaes import CatCMAwM

_MOST_STEPS: Final = 50
"""A range of more whole steps is searched as if it were continuous, and rounded."""

_A_POINT: Final = 1e-3
"""A cloud has shrunk to a point when the numbers of a generation lie within this share of their ranges. The package's
own bound is 1e-12, at which trials of a model have long differed by nothing but their noise."""


class CMAESSettings(SearcherSettings):
    """A cloud of proposals for each family that moves and shrinks to where it is best; for many trials.

    Choices, and ranges of two values, are a table of probabilities; other ranges are numbers of one cloud. A condition
    is not known to the cloud: a parameter that isn't active is drawn along and thrown away, which slows the search of
    spaces with many conditions (tpe and gp know them). A person's points and earlier sweeps only say where a family's
    cloud begins: at the best of them. Families compete by their share of the best quarter of trials.
    """

    learns: ClassVar[bool] = True
    kind: Literal["cmaes"] = "cmaes"

    def build(self, space: Space, direction: Direction) -> Searcher:
        """See `SearcherSettings.build`."""
        return CMAESSearcher(space, settings=self, direction=direction)


class _Draw(NamedTuple):
    """A draw from a cloud, which the cloud knows by more than the point it comes to."""

    cloud: "_Cloud"
    solution: "CatCMAwM.Solution"
    point: Point


class CMAESSearcher(LearningSearcher):
    """A cloud for each family, moved by the history alone.

    A draw depends on the cloud and on the number of the proposal. So where a proposal of an earlier life is
    remembered, the draw is made once more, and what the cloud knows of it is there again.
    """

    def __init__(self, space: Space, *, settings: CMAESSettings, direction: Direction) -> None:
        super().__init__(space, settings=settings, direction=direction)
        self._seed = settings.seed
        self._clouds: dict[str, _Cloud] = {}
        self._draws: dict[int, _Draw] = {}

    def tell(self, number: int, *, curve: Mapping[int, float], status: Outcome, further: Further | None = None) -> None:
        """See `Searcher.tell`; a generation that has moved its cloud stays as it was told."""
        super().tell(number, curve=curve, status=status, further=further)
        draw = self._draws.get(number)
        if draw is None:
            return
        if self._clouds[draw.point.family] is not draw.cloud:
            del self._draws[number]
            return
        for told in draw.cloud.tell(number, draw.solution, self._history.of(number)):
            del self._draws[told]
        if draw.cloud.has_converged:
            self._clouds[draw.point.family] = draw.cloud.begun_anew(self._stream(number, "restart"))

    def _propose(self, number: int, families: Sequence[str]) -> Point:
        family = promising_family(self._history, families, self._stream(number, "family"))
        return self._draw(number, family)

    def _take(self, point: Point) -> None:
        number = self._n_asked
        # An earlier life's proposal is drawn again; a person's own point is no draw.
        if number >= len(self._own_points) and self._draw(number, point.family) != point:
            self._draws.pop(number, None)
        super()._take(point)

    def _draw(self, number: int, family: str) -> Point:
        if number in self._draws and self._draws[number].point.family == family:
            return self._draws[number].point
        template = self._space[family]
        if not _axes(template):
            return random_point(self._space, [family], self._stream(number, "draw"))
        if family not in self._clouds:
            best = self._history.best(1, family)
            self._clouds[family] = _Cloud(template, begin=best[0].point.picks if best else {})
        cloud = self._clouds[family]
        solution = cloud.ask(self._stream(number, "draw"))
        self._draws[number] = _Draw(cloud, solution, Point(family, cloud.picks(solution)))
        return self._draws[number].point

    def _stream(self, number: int, purpose: Literal["family", "draw", "restart"]) -> np.random.Generator:
        """A random stream for each thing that is drawn at a proposal."""
        purposes = ("family", "draw", "restart")
        return stream(self._seed, number).spawn(len(purposes))[purposes.index(purpose)]


class _Axes(NamedTuple):
    """The domains of a family by how they are searched."""

    numbers: dict[str, Domain]
    steps: dict[str, Domain]
    options: dict[str, Domain]


def _axes(template: Template) -> _Axes | None:
    """None where there is nothing to choose."""
    axes = _Axes({}, {}, {})
    for name, domain in template.domains.items():
        n_values = domain.n_values
        if n_values is None or (n_values > _MOST_STEPS and not isinstance(domain, Choice)):
            axes.numbers[name] = domain
        elif n_values == 2 or (n_values > 2 and isinstance(domain, Choice)):
            axes.options[name] = domain
        elif n_values > 2:
            axes.steps[name] = domain
    return axes if any(axes) else None


class _Cloud:
    """Where a family's proposals are drawn from.

    Args:
        template: of the family's space.
        begin: picks of the middle; of domains that have none, the middle of the domain.
        population: draws of a generation; None: what suits the number of domains.

    Attributes:
        has_converged: whether it has shrunk to where nothing new is drawn.
    """

    def __init__(self, template: Template, *, begin: Mapping[str, Pick], population: int | None = None) -> None:
        from cmaes import CatCMAwM

        axes = _axes(template)
        assert axes is not None
        self._template, self._axes = template, axes
        levels = [[domain.share(domain.value(i)) for i in range(_count(domain))] for domain in axes.steps.values()]
        middle = [
            domain.share(begin[name]) if name in begin else 0.5 for name, domain in (axes.numbers | axes.steps).items()
        ]
        given: dict[str, Any] = {}
        if axes.numbers:
            given["x_space"] = [[0.0, 1.0]] * len(axes.numbers)
        if axes.steps:
            given["z_space"] = levels
        if axes.options:
            given["c_space"] = [_count(domain) for domain in axes.options.values()]
        if middle:
            # A third of the domain to either side: Hansen 2016 (The CMA Evolution Strategy: A Tutorial), section C.3.
            given |= {"mean": np.array(middle), "cov": np.eye(len(middle)), "sigma": 0.3}
        self._moving = CatCMAwM(**given, population_size=population, seed=0)
        self._told: dict[int, tuple[Ended, CatCMAwM.Solution]] = {}
        self.has_converged = False

    def ask(self, rng: np.random.Generator) -> "CatCMAwM.Solution":
        """A draw from where the cloud is now."""
        self._moving.reseed_rng(int(rng.integers(2**32)))
        return self._moving.ask()

    def picks(self, solution: "CatCMAwM.Solution") -> dict[str, Pick]:
        """What a draw comes to in the space."""
        found: dict[str, Pick] = {}
        if solution.x is not None:
            pairs = zip(self._axes.numbers.items(), solution.x, strict=True)
            found |= {name: domain.at(float(share)) for (name, domain), share in pairs}
        if solution.z is not None:
            levels = zip(self._axes.steps.items(), solution.z, strict=True)
            found |= {name: _nearest(domain, float(share)) for (name, domain), share in levels}
        if solution.c is not None:
            rows = zip(self._axes.options.items(), solution.c, strict=True)
            found |= {name: domain.value(int(np.argmax(row))) for (name, domain), row in rows}
        return self._template.pick_each(lambda name, domain: found.get(name, domain.ends()[0]))

    def tell(self, number: int, solution: "CatCMAwM.Solution", trial: Ended | None) -> list[int]:
        """Take in how a draw ended (None: it teaches nothing), and move if that makes a generation: their numbers."""
        self._told.pop(number, None)
        if trial is None:
            return []
        self._told[number] = (trial, solution)
        if len(self._told) < self._moving.population_size:
            return []
        ranked = sorted(self._told.values(), key=lambda one: (one[0].merit, one[0].number))
        self._moving.tell([(told, float(rank)) for rank, (_, told) in enumerate(ranked)])
        numbers = np.array([told.x for _, told in ranked if told.x is not None])
        # Steps and options never stop changing: the margins see to it.
        self.has_converged = bool(numbers.size) and bool((np.ptp(numbers, axis=0) < _A_POINT).all())
        moved_by, self._told = list(self._told), {}
        return moved_by

    def begun_anew(self, rng: np.random.Generator) -> "_Cloud":
        """A cloud of twice as many draws a generation, somewhere else."""
        begin = self._template.pick_each(lambda _, domain: domain.at(float(rng.random())))
        return _Cloud(self._template, begin=begin, population=2 * self._moving.population_size)


def _count(domain: Domain) -> int:
    assert domain.n_values is not None
    return domain.n_values


def _nearest(domain: Domain, share: float) -> Pick:
    """The counted pick that lies this far along the domain."""
    picks = [domain.value(index) for index in range(_count(domain))]
    return min(picks, key=lambda pick: abs(domain.share(pick) - share))
