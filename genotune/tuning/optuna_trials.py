"""Points of a space in Optuna's terms, and back. Imported where a searcher is built: Optuna takes a moment to load."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from genotune.tuning.domains import Choice, Domain, FloatRange, IntRange, Pick
from genotune.tuning.history import Ended
from genotune.tuning.placing import Point
from genotune.tuning.space import Space

FAMILY: Final = "family"
_EPOCH_ZERO: Final = datetime(1970, 1, 1)  # nothing looks at the time


class KnownTrial(FrozenTrial):
    """A trial that nobody changes any more: a copy of it shares its values.

    Optuna's storage copies every trial that is added to it, deeply, which takes three quarters of the time of an ask.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copy.copy(self)

    def _validate(self) -> None:
        """It is of the space: with a thousand trials in flight to look again takes a quarter of an ask."""


def running_trial(space: Space, point: Point) -> KnownTrial:
    """A trial in flight."""
    return _trial(space, point, TrialState.RUNNING)


def ended_trial(space: Space, trial: Ended, *, best: float | None) -> KnownTrial:
    """A trial that ended.

    Optuna ranks complete trials by value, behind them stopped ones by their last epoch and its value; those without any
    come last. That is our order too, if what diverged has no value at all.

    Args:
        space: of the point.
        trial: it.
        best: its best value, if it completed.
    """
    if trial.status == "complete" and not trial.diverged:
        return _trial(space, trial.point, TrialState.COMPLETE, value=best)
    return _trial(space, trial.point, TrialState.PRUNED, curve={} if trial.diverged else trial.curve)


def valued_trial(space: Space, point: Point, losses: Sequence[float]) -> KnownTrial:
    """A trial that ended, with what it came to in several objectives."""
    return _trial(space, point, TrialState.COMPLETE, values=losses)


def suggest(trial: Trial, name: str, domain: Domain) -> Pick:
    """What the study's sampler picks."""
    if isinstance(domain, Choice):
        return int(trial.suggest_categorical(name, range(domain.n_options)))
    scale = _distribution(domain)
    if isinstance(scale, FloatDistribution):
        return _pick(trial.suggest_float(name, scale.low, scale.high, log=scale.log), domain)
    assert isinstance(scale, IntDistribution)
    return _pick(trial.suggest_int(name, scale.low, scale.high, log=scale.log), domain)


def _trial(
    space: Space,
    point: Point,
    state: TrialState,
    *,
    value: float | None = None,
    values: Sequence[float] | None = None,
    curve: Mapping[int, float] | None = None,
) -> KnownTrial:
    parameters = list(_parameters(space, point))
    return KnownTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=value,
        values=values,
        datetime_start=_EPOCH_ZERO,
        datetime_complete=_EPOCH_ZERO if state.is_finished() else None,
        params={name: _code(pick, domain) for name, pick, domain in parameters},
        distributions={name: _distribution(domain) for name, _, domain in parameters},
        user_attrs={},
        system_attrs={},
        intermediate_values=dict(curve or {}),
    )


def _parameters(space: Space, point: Point) -> Iterator[tuple[str, Pick, Domain]]:
    """Name in the study, pick and domain of what makes up a point."""
    families = list(space)
    if len(families) > 1:
        yield FAMILY, families.index(point.family), Choice(len(families))
    for name, pick in point.picks.items():
        yield f"{point.family}/{name}", pick, space[point.family].domains[name]


def _distribution(domain: Domain) -> BaseDistribution:
    """The domain in Optuna's terms; evenly spaced values by their index, so that no step is rounded."""
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
