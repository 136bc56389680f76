"""Population based training: the worst trials go on from the best ones' weights, with other hyperparameters."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from genotune.errors import Problem
from genotune.tuning.population import Population
from genotune.tuning.schedulers import BaseSchedulerSettings, Changeable, Decision, Scheduler
from genotune.tuning.space import Direction, Space

_FIRST_KEY: Final = re.compile(r"[^.\[]+")


def _no_one(factor: float) -> float:
    if factor == 1:
        raise ValueError("found 1, which changes nothing; write factors above and below it, e.g. 0.8 and 1.25.")
    return factor


Factor = Annotated[float, Field(gt=0, allow_inf_nan=False), AfterValidator(_no_one)]


class PBTSettings(BaseSchedulerSettings):
    """Trials of a family are trained side by side, a generation at a time.

    At the end of each generation all wait; then the worst of them go on from the checkpoints of the best ones, with
    hyperparameters near theirs. Each family has a population of its own. See `Population`.

    Attributes:
        population: trials of each family.
        interval_epochs: epochs of a generation.
        quantile: this share of the population, the worst, copies from as many of the best.
        perturb: a number that changes is multiplied by one of these at random; of counted values and options the next
            one up or down is taken.
        resample_probability: of a hyperparameter that changes to be drawn anew from its whole domain instead.
        change: names of the searched parameters that change, e.g. [learning_rate]; null: all that may change while a
            fit of their family runs.
    """

    kind: Literal["pbt"] = "pbt"
    population: Annotated[int, Field(ge=2)] = 8
    interval_epochs: Annotated[int, Field(ge=1)] = 1
    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    perturb: Annotated[tuple[Factor, ...], Field(min_length=1)] = (0.8, 1.25)
    resample_probability: Annotated[float, Field(ge=0, le=1)] = 0.25
    change: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _a_generation_ends_before_the_fit(self) -> Self:
        if self.interval_epochs >= self.max_epochs:
            message = f"interval_epochs is {self.interval_epochs}; must be less than max_epochs ({self.max_epochs})"
            raise ValueError(f"{message}, or no trial ever goes on as another's copy.")
        return self

    @property
    def rungs(self) -> tuple[int, ...]:
        """The ends of generations after which trials go on."""
        return tuple(range(self.interval_epochs, self.max_epochs, self.interval_epochs))

    def build(self, direction: Direction, *, own_epochs: Mapping[str, int] | None = None) -> Scheduler:  # noqa: ARG002 - values are compared by the population
        """See `BaseSchedulerSettings.build`."""
        return PBTScheduler(self, own_epochs=own_epochs or {})

    @property
    def generation_epochs(self) -> int:
        """See `BaseSchedulerSettings.generation_epochs`."""
        return self.interval_epochs

    def changing(self, space: Space, changeable: Changeable) -> Mapping[str, tuple[str, ...]]:
        """See `BaseSchedulerSettings.changing`."""
        return {
            family: tuple(
                name
                for name in template.domains
                if _hyperparameter(name) in changeable[family] and (self.change is None or name in self.change)
            )
            for family, template in space.items()
        }

    def problems(self, space: Space, changeable: Changeable) -> list[Problem]:
        """Names of nothing that is searched, or that can't change in a running fit; families with nothing to change."""
        problems = [
            Problem(("change", index), fault)
            for index, name in enumerate(self.change or ())
            if (fault := _name_fault(name, space, changeable)) is not None
        ]
        for family, names in ({} if problems else self.changing(space, changeable)).items():
            if not names:
                problems.append(Problem(("kind",), f"found pbt; {_nothing_changes(family, changeable[family])}"))
        return problems

    def n_trials(self, n_families: int) -> int:
        """See `BaseSchedulerSettings.n_trials`; a population has its size from its first generation on."""
        return self.population * n_families

    def build_population(self, space: Space, direction: Direction, *, changeable: Changeable, seed: int) -> Population:
        """See `BaseSchedulerSettings.build_population`."""
        return Population(self, space, direction=direction, changing=self.changing(space, changeable), seed=seed)


class PBTScheduler(Scheduler):
    """Lets each trial pause at the end of each generation but the last; how it goes on, the population says.

    Args:
        settings: how long a generation is.
        own_epochs: the last epoch of families that end earlier.
    """

    def __init__(self, settings: PBTSettings, *, own_epochs: Mapping[str, int]) -> None:
        self._settings = settings
        self._own_epochs = own_epochs
        self._arrived: dict[str, dict[int, set[int]]] = {}

    @property
    def rungs(self) -> tuple[int, ...]:
        """See `Scheduler.rungs`."""
        return self._settings.rungs

    def decide(self, trial: int, family: str, epoch: int, value: float, further: Sequence[float] = ()) -> Decision:  # noqa: ARG002 - as in `build`
        """See `Scheduler.decide`."""
        assert not further, "a spec with several objectives was refused"
        last = self._own_epochs.get(family, self._settings.max_epochs)
        if epoch >= last:
            return Decision("continue", None, f"epoch {epoch} is the last")
        if epoch % self._settings.interval_epochs:
            return Decision("continue", None, f"epoch {epoch} is within a generation")
        self._arrived.setdefault(family, {}).setdefault(epoch, set()).add(trial)
        return Decision("pause", epoch, f"epoch {epoch}: waits for the others of its generation")

    def occupancy(self) -> Mapping[str, Mapping[int, int]]:
        """See `Scheduler.occupancy`."""
        return {
            family: {epoch: len(trials) for epoch, trials in sorted(arrived.items())}
            for family, arrived in self._arrived.items()
        }


def _hyperparameter(name: str) -> str:
    """The hyperparameter that a domain is part of: 'windows' of 'windows.length_bp'."""
    found = _FIRST_KEY.match(name)
    return name if found is None else found.group()


def _name_fault(name: str, space: Space, changeable: Changeable) -> str | None:
    """Why a name can't stand in `change`; None if it can."""
    families = [family for family, template in space.items() if name in template.domains]
    if not families:
        searched = dict.fromkeys(domain for template in space.values() for domain in template.domains)
        return f"found {name!r}; no parameter that is searched has this name. There: {', '.join(searched)}."
    fixed = [family for family in families if _hyperparameter(name) not in changeable[family]]
    return f"found {name!r}; {_nothing_changes(fixed[0], changeable[fixed[0]], name)}" if fixed else None


def _nothing_changes(family: str, changeable: frozenset[str], name: str = "") -> str:
    """What may change in a running fit of a family, where nothing that was asked for may."""
    able = ", ".join(sorted(changeable))
    if not able:
        return f"no hyperparameter of {family} can change while a fit runs. Use another scheduler, or leave it out."
    if name:
        return f"it can't change while a fit of {family} runs. There can: {able}."
    return (
        f"nothing that is searched in {family} may change while a fit runs (and stands in `change`, where that is "
        f"given). Search one of these: {able}."
    )
