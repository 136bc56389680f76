"""A population of trials that wait for each other: which of them go on as changed copies of others. Pure and seeded."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genotune.tuning.domains import Domain, Pick
from genotune.tuning.perturbing import perturbed
from genotune.tuning.searchers import random_share
from genotune.tuning.space import Direction, Draw, Space

if TYPE_CHECKING:
    from genotune.tuning.pbt import PBTSettings


class Member(NamedTuple):
    """A trial at the end of a generation.

    Attributes:
        trial: its number.
        value: the objective there; NaN where it is not a number.
        picks: that it came there with.
    """

    trial: int
    value: float
    picks: Mapping[str, Pick]


class Copy(NamedTuple):
    """A trial that goes on from where another one is.

    Attributes:
        trial: its number.
        parent: the number of the other.
        draw: the other's, with changes.
    """

    trial: int
    parent: int
    draw: Draw


class Population:
    """The trials of each family, at the ends of their generations. It remembers nothing.

    Source: Jaderberg et al. 2017 (Population based training), section 4.1: exploitation by truncation selection,
    exploration by perturbing or resampling. There each trial compares itself with what the others last showed; here
    all wait for each other and are compared at the same epoch, so that fewer machines than members do, and what
    happens depends on nothing but the values.

    Args:
        settings: how many copy, and how they change.
        space: that picks lie in.
        direction: whether higher or lower values are better.
        changing: of each family the domains whose picks may change.
        seed: of the sweep.

    Attributes:
        size: members of each family.
    """

    def __init__(
        self,
        settings: "PBTSettings",
        space: Space,
        *,
        direction: Direction,
        changing: Mapping[str, tuple[str, ...]],
        seed: int,
    ) -> None:
        self.size = settings.population
        self._settings, self._space, self._changing, self._seed = settings, space, changing, seed
        self._sign = -1.0 if direction == "maximize" else 1.0

    def copies(self, family: str, epoch: int, members: Sequence[Member]) -> list[Copy]:
        """Those of the worst quantile, each with a parent of the best quantile; the others go on as they are.

        Of equal values the earlier trial's is the better; what is not a finite number is worse than any, and nobody's
        parent. Of two members or more at least one copies.

        Args:
            family: of all of them.
            epoch: at whose end they are; each epoch and trial has a random stream of its own.
            members: all that are there.
        """
        ranked = sorted(members, key=lambda member: (self._loss(member), member.trial))
        n = max(1, math.floor(self._settings.quantile * len(ranked)))
        parents = [member for member in ranked[:n] if math.isfinite(member.value)]
        if len(ranked) < 2 or not parents:
            return []
        worst = sorted(ranked[-n:], key=lambda member: member.trial)
        return [self._copy(family, epoch, member.trial, parents) for member in worst]

    def _loss(self, member: Member) -> float:
        return self._sign * member.value if math.isfinite(member.value) else math.inf

    def _copy(self, family: str, epoch: int, trial: int, parents: Sequence[Member]) -> Copy:
        # An epoch is at least 1, so that no proposal's stream, (seed, number), is one of these.
        rng = np.random.default_rng([self._seed, trial, epoch])
        parent = parents[int(rng.integers(len(parents)))]
        template = self._space[family]
        picks = template.pick_each(lambda name, domain: self._explore(family, name, domain, parent.picks, rng))
        return Copy(trial, parent.trial, Draw(family, picks, template.build(picks)))

    def _explore(
        self, family: str, name: str, domain: Domain, before: Mapping[str, Pick], rng: np.random.Generator
    ) -> Pick:
        """A pick near the parent's, or anywhere in the domain; the parent's own where it may not change."""
        if name not in before:  # a condition that the parent did not fulfil
            return domain.at(random_share(rng))
        if name not in self._changing[family]:
            return before[name]
        if rng.random() < self._settings.resample_probability:
            return domain.at(random_share(rng))
        factors = self._settings.perturb
        return perturbed(domain, before[name], factors[int(rng.integers(len(factors)))])
