"""What the sweeps of a group came to, side by side: test scores, and over outer folds their mean and spread.

Source: Varma and Simon 2006, on nested cross-validation: whatever is chosen is chosen anew without the part that tests.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from genotune.metrics import METRICS
from genotune.sweep_state import SweepState

_COLUMNS: Final = ("sweep", "trait", "outer_fold", "status", "family", "metric", "winner")


class MemberOutcome(NamedTuple):
    """What one sweep of a group came to.

    Attributes:
        name: within the group.
        trait: what it predicts; None where all predict the same.
        outer_fold: which part tests it, from 1; None where there are no outer folds.
        folder: of the sweep; there may be none yet.
        state: as its journal tells it.
        failure: why it has no winner; None if it has one.
    """

    name: str
    trait: str | None
    outer_fold: int | None
    folder: Path
    state: SweepState
    failure: str | None

    @property
    def metric(self) -> str:
        """The objective of a sweep that has begun."""
        return str(self.state.facts["objective"]["metric"])

    @property
    def family(self) -> str:
        """Of the winner of a sweep that has ended."""
        assert self.state.winner is not None
        return self.state.trials[self.state.winner["trial"]].family

    def score(self, subject: str) -> float:
        """The objective on the test split, of 'winner' or a baseline; NaN where it is not defined."""
        return self.state.scores.get(subject, {}).get(self.metric, math.nan)


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1) of the numbers that are defined, and how many these are; NaN of too few."""

    mean: float
    sd: float
    n: int


class Compared(NamedTuple):
    """A baseline over the outer folds.

    Attributes:
        value: its own.
        gain: by how much the winner is better, fold by fold; positive is better whatever the metric's direction.
    """

    value: Spread
    gain: Spread


class Estimate(NamedTuple):
    """What nested folds say of the whole way from data to winner, for one trait.

    Attributes:
        trait: None where all sweeps have the same.
        metric: the objective.
        winner: test scores of the folds' winners.
        baselines: by family.
        wins: how often each family won, the most frequent first.
        n_folds: outer folds in all; those whose sweep failed are not in the means.
    """

    trait: str | None
    metric: str
    winner: Spread
    baselines: Mapping[str, Compared]
    wins: Mapping[str, int]
    n_folds: int


def spread(values: Iterable[float]) -> Spread:
    """Mean, standard deviation and number of what is finite."""
    finite = [value for value in values if math.isfinite(value)]
    mean = statistics.mean(finite) if finite else math.nan
    return Spread(mean, statistics.stdev(finite) if len(finite) > 1 else math.nan, len(finite))


def estimates(members: Sequence[MemberOutcome]) -> list[Estimate]:
    """The estimate of each trait over its outer folds; of a trait none of whose sweeps ended, nothing."""
    found = []
    for trait in dict.fromkeys(member.trait for member in members):
        folds = [member for member in members if member.trait == trait]
        ended = [member for member in folds if member.failure is None]
        if ended:
            found.append(_estimate(trait, ended, n_folds=len(folds)))
    return found


def _estimate(trait: str | None, ended: list[MemberOutcome], *, n_folds: int) -> Estimate:
    metric = ended[0].metric
    sign = 1.0 if METRICS[metric].direction == "maximize" else -1.0
    names = dict.fromkeys(name for member in ended for name in member.state.scores if name != "winner")
    return Estimate(
        trait=trait,
        metric=metric,
        winner=spread(member.score("winner") for member in ended),
        baselines={
            name: Compared(
                spread(member.score(name) for member in ended),
                spread(sign * (member.score("winner") - member.score(name)) for member in ended),
            )
            for name in names
        },
        wins=dict(Counter(member.family for member in ended).most_common()),
        n_folds=n_folds,
    )


def table_text(members: Sequence[MemberOutcome]) -> str:
    """A line for each sweep, with tabs between: what won, and the test scores of the winner and each baseline."""
    ended = [member for member in members if member.failure is None]
    names = list(dict.fromkeys(name for member in ended for name in member.state.scores if name != "winner"))
    lines = ["\t".join((*_COLUMNS, *names))]
    for member in members:
        head = (member.folder.name, member.trait or "", "" if member.outer_fold is None else str(member.outer_fold))
        if member.failure is not None:
            lines.append("\t".join((*head, "failed", *[""] * (3 + len(names)))))
            continue
        scores = (member.score(name) for name in ("winner", *names))
        cells = (f"{value:.10g}" if math.isfinite(value) else "" for value in scores)
        lines.append("\t".join((*head, "complete", member.family, member.metric, *cells)))
    return "\n".join(lines) + "\n"
