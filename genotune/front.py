"""The front of a sweep with several objectives: the trials that no other beats in all of them.

A trial stands for the epoch at which its primary objective was best: the one that would win, and whose checkpoint is
kept. All of it is read from the journal's state.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.judging import recorded_name
from genotune.metrics import COSTS, Direction, direction_of
from genotune.sweep_state import SweepState, TrialState
from genotune.tuning.domination import Losses, first_front, hypervolume

FRONT_FILE: Final = "front.tsv"

_SHOWN: Final = 6
"""Trials of a front that are told in a line."""


class Objective(NamedTuple):
    """What trials are compared by, and whether more or less of it is better."""

    name: str
    direction: Direction

    @property
    def sign(self) -> float:
        """What turns it so that lower is better."""
        return 1.0 if self.direction == "minimize" else -1.0


class Standing(NamedTuple):
    """A trial at the epoch that it stands for, with each objective there."""

    trial: int
    epoch: int
    values: tuple[float, ...]


class Front(NamedTuple):
    """What is not beaten, and what was compared.

    Attributes:
        standings: of those on the front, the best of the primary objective first.
        others: of those that are beaten, in order.
        reference: the worst value of each objective among all of them; none if there are none.
    """

    objectives: tuple[Objective, ...]
    standings: tuple[Standing, ...]
    others: tuple[Standing, ...]
    reference: tuple[float, ...]

    @property
    def trials(self) -> frozenset[int]:
        """Numbers of those on the front."""
        return frozenset(one.trial for one in self.standings)

    @property
    def hypervolume(self) -> float:
        """What the front dominates of the space between it and the reference; 0 without any."""
        if not self.standings:
            return 0.0
        return hypervolume(_losses(self.standings, self.objectives), _turned(self.reference, self.objectives))


def objectives_of(facts: Mapping[str, Any]) -> tuple[Objective, ...]:
    """All objectives of a sweep, the primary one first; none before it has begun."""
    objective = facts.get("objective")
    if objective is None:
        return ()
    names = (objective["metric"], *objective.get("further", ()))
    return tuple(Objective(name, direction_of(name)) for name in names)


def front_of(state: SweepState) -> Front | None:
    """The front so far; None of a sweep with one objective."""
    objectives = objectives_of(state.facts)
    if len(objectives) < 2:
        return None
    found = [standing_of(trial, objectives) for trial in state.trials.values()]
    standings = [one for one in found if one is not None]
    if not standings:
        return Front(objectives, (), (), ())
    losses = _losses(standings, objectives)
    on_front = {int(index) for index in first_front(losses)}
    ahead = sorted(on_front, key=lambda index: (*losses[index], standings[index].trial))
    worst = (objective.sign * float(loss) for objective, loss in zip(objectives, losses.max(axis=0), strict=True))
    return Front(
        objectives,
        tuple(standings[index] for index in ahead),
        tuple(one for index, one in enumerate(standings) if index not in on_front),
        tuple(worst),
    )


def standing_of(trial: TrialState, objectives: tuple[Objective, ...]) -> Standing | None:
    """The epoch that a trial stands for, the earlier of equal ones; None if it has nothing to show."""
    finite = {epoch: value for epoch, value in trial.curve.items() if math.isfinite(value)}
    if not finite:
        return None
    primary, *further = objectives
    epoch = min(finite, key=lambda one: (primary.sign * finite[one], one))
    metrics = trial.metrics[epoch]
    return Standing(trial.number, epoch, (finite[epoch], *(metrics[recorded_name(one.name)] for one in further)))


def front_text(front: Front, state: SweepState) -> str:
    """A line for each trial of the front, with tabs between: where it stands, its checkpoint, its params as JSON."""
    lines = ["\t".join(("trial", "family", "epoch", *(one.name for one in front.objectives), "checkpoint", "params"))]
    for one in front.standings:
        trial = state.trials[one.trial]
        values = (f"{value:.10g}" for value in one.values)
        cells = (str(one.trial), trial.family, str(one.epoch), *values, checkpoint_of(trial, one.epoch))
        lines.append("\t".join((*cells, json.dumps(trial.params))))
    return "\n".join(lines) + "\n"


def write_front(state: SweepState, folder: Path) -> None:
    """Write the table of the front to the sweep's folder; nothing of one objective."""
    front = front_of(state)
    if front is not None:
        (folder / FRONT_FILE).write_text(front_text(front, state))


def checkpoint_of(trial: TrialState, epoch: int) -> str:
    """The path of an epoch's checkpoint relative to the sweep's folder; '' if there was none."""
    path = trial.checkpoints.get(epoch)
    return "" if path is None else f"trials/{path}"


def front_words(front: Front, state: SweepState) -> str:
    """'2 of 24 trials are on the front: 7 (pearson 0.6112, n_parameters 5,120), 3 (...)'."""
    n, n_all = len(front.standings), len(state.trials)
    shown = [f"{one.trial} ({values_words(front.objectives, one.values)})" for one in front.standings[:_SHOWN]]
    more = [f"{n - _SHOWN} more"] if n > _SHOWN else []
    is_are = "trial is" if n_all == 1 else "trials are"
    listed = f": {', '.join(shown + more)}" if shown else ""
    return f"{n} of {n_all} {is_are} on the front{listed}"


def values_words(objectives: tuple[Objective, ...], values: tuple[float, ...]) -> str:
    """'pearson 0.6112, n_parameters 5,120'."""
    return ", ".join(
        f"{one.name} {value_words(one.name, value)}" for one, value in zip(objectives, values, strict=True)
    )


def value_words(name: str, value: float) -> str:
    """A metric at four decimals, a cost as a whole number; a dash where it is none."""
    if not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if name in COSTS else f"{value:.4f}"


def further_cells(trial: TrialState, objectives: tuple[Objective, ...]) -> list[str]:
    """A trial's further objectives at the epoch that it stands for, as cells of a table; none of one objective."""
    standing = standing_of(trial, objectives) if objectives else None
    values = [math.nan] * len(objectives) if standing is None else standing.values
    return [value_words(one.name, value) for one, value in zip(objectives, values, strict=True)][1:]


def _losses(standings: list[Standing] | tuple[Standing, ...], objectives: tuple[Objective, ...]) -> Losses:
    return np.array([_turned(one.values, objectives) for one in standings])


def _turned(values: tuple[float, ...], objectives: tuple[Objective, ...]) -> list[float]:
    return [objective.sign * value for objective, value in zip(objectives, values, strict=True)]
