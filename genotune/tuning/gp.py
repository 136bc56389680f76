"""Gaussian processes: a trial where the model of the objective expects the largest improvement.

Each family has a process of its own, on the ranks of its trials among all. Conditions are real: only points of the
space are compared, and a parameter that isn't active stands still in the middle of its range. Trials in flight are
taken to come out as expected, and the next proposal keeps apart from them.

Source: Jones et al. 1998 (Efficient Global Optimization) for the improvement; Salinas et al. 2020 (A Quantile-based
Approach for Hyperparameter Transfer Learning), section 4, for ranks made normal, so that neither a value that is far
off nor the values of stopped trials bend the model; Ginsbourger et al. 2010 (Kriging is well-suited to parallelize
optimization), section 4, for the trials in flight (the kriging believer).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from genotune.tuning.domains import Choice, Domain, Pick
from genotune.tuning.history import Ended
from genotune.tuning.learning import LearningSearcher
from genotune.tuning.placing import Point
from genotune.tuning.promising import promising_family
from genotune.tuning.searchers import Searcher, SearcherSettings, random_point, stream
from genotune.tuning.space import Direction, Space, Template

Floats = NDArray[np.float64]

N_BEST: Final = 50
N_LATEST: Final = 150
"""Trials of a family that are learned from; the time of a proposal grows with the third power of their number."""

_N_RANDOM: Final = 200
_N_BEST_AROUND: Final = 5
_N_AROUND: Final = 40
_STEPS: Final = (0.1, 0.03, 0.01)
"""Shares of a range by which points near the best ones lie off, from round to round."""

_APART: Final = 0.02
"""Two trials in flight differ in some parameter by this share of its range at least: where the process is sure, it
would propose one place again and again."""


class GPSettings(SearcherSettings):
    """Model the objective of each family: its best 50 trials and the latest 150 others. For few, costly trials.

    Families compete by their share of the best quarter of trials.

    Attributes:
        n_startup_trials: the search is random until so many trials have completed or were stopped.
    """

    learns: ClassVar[bool] = True
    kind: Literal["gp"] = "gp"
    n_startup_trials: Annotated[int, Field(ge=1)] = 8

    def build(self, space: Space, direction: Direction) -> Searcher:
        """See `SearcherSettings.build`."""
        return GPSearcher(space, settings=self, direction=direction)


class _Candidate(NamedTuple):
    """Picks, and what is expected of them: improvement, and how many deviations the mean is above the best."""

    improvement: float
    above: float
    picks: dict[str, Pick]


class GPSearcher(LearningSearcher):
    """Processes that are fitted anew to the history for each proposal, so nothing but the history can matter."""

    def __init__(self, space: Space, *, settings: GPSettings, direction: Direction) -> None:
        super().__init__(space, settings=settings, direction=direction)
        self._settings = settings

    def _propose(self, number: int, families: Sequence[str]) -> Point:
        rng = stream(self._settings.seed, number)
        if self._history.n_ended < self._settings.n_startup_trials:
            return random_point(self._space, families, rng)
        family = promising_family(self._history, families, rng)
        known = self._history.ended(n_best=N_BEST, n_latest=N_LATEST, family=family)
        if not known or not self._space[family].domains:
            return random_point(self._space, [family], rng)
        return self._best_of(family, self._model(family, known), known, rng=rng)

    def _model(self, family: str, trials: Sequence[Ended]) -> "_Model":
        from scipy.special import ndtri

        scores = ndtri([self._history.share_above(trial) for trial in trials])
        in_flight = [point.picks for _, point in self._history.in_flight if point.family == family]
        return _Model(self._space[family], [trial.point.picks for trial in trials], scores, in_flight=in_flight)

    def _best_of(self, family: str, model: "_Model", known: Sequence[Ended], *, rng: np.random.Generator) -> Point:
        """The point of a family with the largest expected improvement, among random ones and those near the best."""
        template = self._space[family]
        tried = {_key(trial.point.picks) for trial in known}
        tried |= {_key(point.picks) for _, point in self._history.in_flight if point.family == family}
        centres = [trial.point.picks for trial in self._history.best(_N_BEST_AROUND, family)]
        draws = [random_point(self._space, [family], rng).picks for _ in range(_N_RANDOM)]
        found: list[_Candidate] = []
        for step in _STEPS:
            draws += [_near(template, picks, step, rng) for picks in centres for _ in range(_N_AROUND)]
            # In a small space all may have been tried; then the best is tried once more.
            fresh = [picks for picks in draws if _key(picks) not in tried] or draws
            fresh = model.apart(fresh) or fresh
            improvement, above = model.improvement(fresh)
            top = int(np.lexsort((above, improvement))[-1])
            found.append(_Candidate(float(improvement[top]), float(above[top]), fresh[top]))
            draws, centres = [], [found[-1].picks]
        return Point(family, max(found, key=lambda one: (one.improvement, one.above)).picks)


class _Model:
    """What is expected in a family's space.

    Args:
        template: of the space; with something to search.
        known: picks of trials that ended.
        scores: (trial,), of those; the more, the better.
        in_flight: picks of trials that have not ended.
    """

    def __init__(
        self,
        template: Template,
        known: Sequence[Mapping[str, Pick]],
        scores: Floats,
        *,
        in_flight: Sequence[Mapping[str, Pick]],
    ) -> None:
        from genotune.tuning.gaussian_process import condition, fit, predict

        self._template = template
        self._in_flight = self._coordinates(in_flight)
        widths = [_width(domain) for domain in template.domains.values()]
        x = self._coordinates(known)
        self._process = fit(x, scores, np.repeat(np.arange(len(widths)), widths))
        if in_flight:
            pending = self._in_flight
            values = np.append(scores, predict(self._process, pending).mean)
            # Without noise: what is in flight leaves nothing to be learned at its own place.
            noise = np.append(self._process.noise, np.zeros(len(pending)))
            self._process = condition(np.vstack([x, pending]), values, lengths=self._process.lengths, noise=noise)
        # What is expected there, not what trials came to: the luckiest of them is no mark to beat.
        self._best = float(predict(self._process, self._process.x).mean.max())

    def improvement(self, points: Sequence[Mapping[str, Pick]]) -> tuple[Floats, Floats]:
        """(point,) each; see `expected_improvement`."""
        from genotune.tuning.gaussian_process import expected_improvement, predict

        return expected_improvement(predict(self._process, self._coordinates(points)), self._best)

    def apart(self, points: Sequence[dict[str, Pick]]) -> list[dict[str, Pick]]:
        """Those of the points that aren't next to a trial in flight."""
        if not len(self._in_flight):
            return list(points)
        off = np.abs(self._coordinates(points)[:, None] - self._in_flight).max(axis=2).min(axis=1)
        return [picks for picks, far in zip(points, off, strict=True) if far >= _APART]

    def _coordinates(self, points: Sequence[Mapping[str, Pick]]) -> Floats:
        """(point, coordinate) between 0 and 1."""
        domains = self._template.domains.items()
        return np.array([[c for name, domain in domains for c in _coded(domain, one.get(name))] for one in points])


def _width(domain: Domain) -> int:
    return domain.n_options if isinstance(domain, Choice) else 1


def _coded(domain: Domain, pick: Pick | None) -> list[float]:
    """The coordinates of a pick; None: it is not active."""
    if isinstance(domain, Choice):
        # Two options lie 1 apart, as the ends of a range do; one that is not active lies between them all.
        if pick is None:
            return [0.5**0.5 / domain.n_options] * domain.n_options
        return [0.5**0.5 * (index == pick) for index in range(domain.n_options)]
    return [0.5 if pick is None else domain.share(pick)]


def _near(template: Template, picks: Mapping[str, Pick], step: float, rng: np.random.Generator) -> dict[str, Pick]:
    """A point near another one: some of its picks moved or changed; what has become active is drawn at random."""
    chance = max(0.3, 1 / max(1, len(picks)))

    def moved(name: str, domain: Domain) -> Pick:
        if name not in picks:
            return domain.at(float(rng.random()))
        if rng.random() > chance:
            return picks[name]
        if isinstance(domain, Choice):
            return domain.at(float(rng.random()))
        if domain.n_values is not None and not getattr(domain, "log", False) and step * domain.n_values < 1:
            index = domain.index(picks[name]) + int(rng.choice([-1, 1]))
            return domain.value(min(max(index, 0), domain.n_values - 1))
        return domain.at(min(max(domain.share(picks[name]) + float(rng.normal(0, step)), 0.0), 1.0))

    return template.pick_each(moved)


def _key(picks: Mapping[str, Pick]) -> tuple[tuple[str, Pick], ...]:
    return tuple(picks.items())
