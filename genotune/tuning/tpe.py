"""Tree-structured Parzen estimator, by Optuna: trials like the good ones so far, unlike the rest.

Source: Bergstra et al. 2011 (Algorithms for Hyper-Parameter Optimization), section 4; Falkner et al. 2018 (BOHB)
for one estimator over all parameters. Conditions are real: a parameter that is not active is
neither suggested nor learned from.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import Field

from genotune.tuning.domains import Choice, Domain, FloatRange, IntRange, Pick
from genotune.tuning.placing import Point
from genotune.tuning.searchers import Outcome, Searcher, SearcherSettings, random_point, stream
from genotune.tuning.space import Direction, Space

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

_FAMILY: Final = "family"


class TPESettings(SearcherSettings):
    """Learn from the trials so far, the stopped ones too.

    Attributes:
        n_startup_trials: the search is random until so many trials have completed or were stopped.
        n_ei_candidates: points that are compared for one proposal.
    """

    learns: ClassVar[bool] = True
    kind: Literal["tpe"] = "tpe"
    n_startup_trials: Annotated[int, Field(ge=1)] = 8
    n_ei_candidates: Annotated[int, Field(ge=1)] = 24

    def build(self, space: Space, direction: Direction) -> Searcher:
        """See `SearcherSettings.build`."""
        return TPESearcher(space, settings=self, direction=direction)


class TPESearcher(Searcher):
    """Optuna's sampler, asked in a study that is made anew from the history for each proposal.

    So nothing but the history can matter: neither what the sampler has in its memory, nor what Optuna notes beside a
    running trial that it proposed itself.
    """

    def __init__(self, space: Space, *, settings: TPESettings, direction: Direction) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        super().__init__(space, points=settings.points_in(space))
        self._settings = settings
        self._direction = direction
        self._worst = -math.inf if direction == "maximize" else math.inf
        self._points: list[Point] = []
        self._trials: list[FrozenTrial] = []

    def _propose(self, number: int, families: Sequence[str]) -> Point:
        from optuna.trial import TrialState

        n_learned = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in self._trials)
        if n_learned < self._settings.n_startup_trials:
            return random_point(self._space, families, stream(self._settings.seed, number))
        trial = self._study(number).ask()
        assert len(families) in (1, len(self._space)), "one family's turn, or all are free"
        family = families[int(_suggest(trial, _FAMILY, Choice(len(families)))) if len(families) > 1 else 0]
        picks = self._space[family].pick_each(lambda name, domain: _suggest(trial, f"{family}/{name}", domain))
        return Point(family, picks)

    def _take(self, point: Point) -> None:
        from optuna.trial import TrialState

        super()._take(point)
        self._points.append(point)
        self._trials.append(self._frozen(point, TrialState.RUNNING))

    def tell(self, number: int, *, curve: Mapping[int, float], status: Outcome) -> None:
        """See `Searcher.tell`."""
        from optuna.trial import TrialState

        super().tell(number, curve=curve, status=status)
        point = self._points[number]
        finite = {epoch: value for epoch, value in curve.items() if math.isfinite(value)}
        if status == "complete":
            best = max if self._direction == "maximize" else min
            value = best(finite.values(), default=self._worst)
            trial = self._frozen(point, TrialState.COMPLETE, value=value, curve=finite)
        elif status == "stopped":
            # Optuna ranks stopped trials by their last epoch and its value; one without any comes last.
            diverged = not curve or max(curve) not in finite
            trial = self._frozen(point, TrialState.PRUNED, curve={} if diverged else finite)
        else:
            trial = self._frozen(point, TrialState.FAIL)
        self._trials[number] = trial

    def _study(self, number: int) -> "Study":
        """A study that knows the history, with a sampler seeded for this proposal."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group` is marked so
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=self._settings.n_startup_trials,
                n_ei_candidates=self._settings.n_ei_candidates,
                multivariate=True,
                group=True,
                constant_liar=True,
                seed=int(stream(self._settings.seed, number).integers(2**32)),
            )
        study = optuna.create_study(direction=self._direction, sampler=sampler)
        study.add_trials(self._trials)
        return study

    def _frozen(
        self,
        point: Point,
        state: "TrialState",
        *,
        value: float | None = None,
        curve: Mapping[int, float] | None = None,
    ) -> "FrozenTrial":
        from optuna.trial import create_trial

        parameters = list(self._parameters(point))
        return create_trial(
            state=state,
            value=value,
            params={name: _code(pick, domain) for name, pick, domain in parameters},
            distributions={name: _distribution(domain) for name, _, domain in parameters},
            intermediate_values=dict(curve or {}),
        )

    def _parameters(self, point: Point) -> Iterator[tuple[str, Pick, Domain]]:
        """Name in the study, pick and domain of what makes up a point."""
        families = list(self._space)
        if len(families) > 1:
            yield _FAMILY, families.index(point.family), Choice(len(families))
        for name, pick in point.picks.items():
            yield f"{point.family}/{name}", pick, self._space[point.family].domains[name]


def _suggest(trial: "Trial", name: str, domain: Domain) -> Pick:
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(domain, Choice):
        return int(trial.suggest_categorical(name, range(domain.n_options)))
    scale = _distribution(domain)
    if isinstance(scale, FloatDistribution):
        return _pick(trial.suggest_float(name, scale.low, scale.high, log=scale.log), domain)
    assert isinstance(scale, IntDistribution)
    return _pick(trial.suggest_int(name, scale.low, scale.high, log=scale.log), domain)


def _distribution(domain: Domain) -> "BaseDistribution":
    """The domain in Optuna's terms; evenly spaced values by their index, so that no step is rounded."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Choice):
        return CategoricalDistribution(range(domain.n_options))
    if isinstance(domain, IntRange) and domain.log:
        return IntDistribution(domain.low, domain.high, log=True)
    if domain.n_values is not None:
        return IntDistribution(0, domain.n_values - 1)
    assert isinstance(domain, FloatRange)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def _code(pick: Pick, domain: Domain) -> Pick:
    """What stands for a pick in the study."""
    return domain.index(pick) if _is_indexed(domain) else pick


def _pick(code: Pick, domain: Domain) -> Pick:
    """The pick that something in the study stands for."""
    if _is_indexed(domain):
        return domain.value(int(code))
    low, high = domain.ends()
    return min(max(code, low), high)


def _is_indexed(domain: Domain) -> bool:
    on_log_scale = isinstance(domain, IntRange | FloatRange) and domain.log
    return domain.n_values is not None and not on_log_scale
