"""Tree-structured Parzen estimator, by Optuna: trials like the good ones so far, unlike the rest.

Source: Bergstra et al. 2011 (Algorithms for Hyper-Parameter Optimization), section 4; Falkner et al. 2018 (BOHB)
for one estimator over all parameters. Conditions are real: a parameter that is not active is
neither suggested nor learned from.

With several objectives the good trials are those that few others beat in all of them, by Optuna's own split; stopped
ones stand behind finished ones, since Optuna's ranks no stopped trial there (`_get_pruned_trial_score` asks for the one
direction of a study). Source: Ozaki et al. 2022 (Multiobjective Tree-Structured Parzen Estimator), section 4.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from genotune.tuning.domains import Choice
from genotune.tuning.domination import best
from genotune.tuning.history import Ended
from genotune.tuning.layers import Standing, in_layers, standing_of
from genotune.tuning.learning import LearningSearcher
from genotune.tuning.placing import Point
from genotune.tuning.searchers import Further, Outcome, Searcher, SearcherSettings, random_point, stream
from genotune.tuning.space import Direction, Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

N_BEST: Final = 25
"""Trials that an estimator of the good ones is made of, at most: Optuna's `default_gamma`, after Bergstra et al. 2013
(Making a Science of Model Search). The best so many are always learned from, so that this estimator is what it would
be with all trials."""

N_LATEST: Final = 225
"""Of the others the latest are learned from. Optuna weighs the others the less, the older they are; leaving the oldest
out keeps the time of a proposal the same from the 250th trial on."""


class TPESettings(SearcherSettings):
    """Learn from the trials so far, the stopped ones too: the best 25, and the latest 225 of the others.

    Attributes:
        n_startup_trials: the search is random until so many trials have completed or were stopped.
        n_ei_candidates: points that are compared for one proposal.
    """

    learns: ClassVar[bool] = True
    takes_several_objectives: ClassVar[bool] = True
    kind: Literal["tpe"] = "tpe"
    n_startup_trials: Annotated[int, Field(ge=1)] = 8
    n_ei_candidates: Annotated[int, Field(ge=1)] = 24

    def build(self, space: Space, direction: Direction) -> Searcher:
        """See `SearcherSettings.build`."""
        return TPESearcher(space, settings=self, direction=direction)


class TPESearcher(LearningSearcher):
    """Optuna's sampler, asked in a study that is made anew from the history for each proposal.

    So nothing but the history can matter: neither what the sampler has in its memory, nor what Optuna notes beside a
    running trial that it proposed itself.
    """

    def __init__(self, space: Space, *, settings: TPESettings, direction: Direction) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        super().__init__(space, settings=settings, direction=direction)
        self._settings = settings
        self._direction = direction
        self._standings: dict[int, Standing] = {}
        self._told: dict[int, FrozenTrial] = {}

    def tell(self, number: int, *, curve: Mapping[int, float], status: Outcome, further: Further | None = None) -> None:
        """See `Searcher.tell`."""
        super().tell(number, curve=curve, status=status, further=further)
        self._standings.pop(number, None)
        self._told.pop(number, None)
        ended = self._history.of(number)
        if ended is not None and further:
            self._standings[number] = standing_of(ended, further, self._direction)

    def _propose(self, number: int, families: Sequence[str]) -> Point:
        from genotune.tuning.optuna_trials import FAMILY, suggest

        if self._history.n_ended < self._settings.n_startup_trials:
            return random_point(self._space, families, stream(self._settings.seed, number))
        trial = self._study(number).ask()
        assert len(families) in (1, len(self._space)), "one family's turn, or all are free"
        family = families[int(suggest(trial, FAMILY, Choice(len(families)))) if len(families) > 1 else 0]
        picks = self._space[family].pick_each(lambda name, domain: suggest(trial, f"{family}/{name}", domain))
        return Point(family, picks)

    def _study(self, number: int) -> "Study":
        """A study that knows the history, with a sampler seeded for this proposal."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group` is marked so
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=1,  # that enough have ended is known here
                n_ei_candidates=self._settings.n_ei_candidates,
                multivariate=True,
                group=True,
                constant_liar=True,
                seed=int(stream(self._settings.seed, number).integers(2**32)),
            )
        if self._standings:
            n_objectives = len(next(iter(self._standings.values())).losses)
            study = optuna.create_study(directions=["minimize"] * n_objectives, sampler=sampler)
            study.add_trials(self._known_of_several())
        else:
            study = optuna.create_study(direction=self._direction, sampler=sampler)
            study.add_trials(self._known())
        return study

    def _known(self) -> "list[FrozenTrial]":
        """What is learned from, in the order of proposal. What has not changed since the last proposal is kept."""
        from genotune.tuning.optuna_trials import ended_trial, running_trial

        before: dict[int, FrozenTrial] = self._told
        now: dict[int, FrozenTrial] = {}
        for trial in self._history.ended(n_best=N_BEST, n_latest=N_LATEST):
            now[trial.number] = before.get(trial.number) or ended_trial(self._space, trial, best=self._best(trial))
        for number, point in self._history.in_flight:
            now[number] = before.get(number) or running_trial(self._space, point)
        self._told = now
        return [now[number] for number in sorted(now)]

    def _known_of_several(self) -> "list[FrozenTrial]":
        """As `_known`, of several objectives: the best by all of them, and the latest of the others."""
        from genotune.tuning.optuna_trials import running_trial, valued_trial

        numbers = np.array(sorted(self._standings))
        losses = in_layers([self._standings[number] for number in numbers])
        chosen = best(losses, N_BEST)
        latest = np.setdiff1d(np.arange(len(numbers)), chosen)[-N_LATEST:]
        by_number: dict[int, FrozenTrial] = {}
        for index in (*chosen, *latest):
            ended = self._history.of(number := int(numbers[index]))
            assert ended is not None
            by_number[number] = valued_trial(self._space, ended.point, losses[index].tolist())
        by_number |= {number: running_trial(self._space, point) for number, point in self._history.in_flight}
        return [by_number[number] for number in sorted(by_number)]

    def _best(self, trial: Ended) -> float | None:
        best = max if self._direction == "maximize" else min
        return best(trial.curve.values(), default=None)
