"""What a search may pick: a number from a range, or one of several options. Both ends are always included."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal

Pick = int | float
"""A number from a range; of a choice, the option's index."""


class Domain(ABC):
    """The values that one hyperparameter may take."""

    @property
    @abstractmethod
    def n_values(self) -> int | None:
        """How many there are; None for a continuous range."""

    @abstractmethod
    def ends(self) -> tuple[Pick, Pick]:
        """The lowest and the highest pick."""

    @abstractmethod
    def at(self, share: float) -> Pick:
        """The pick this far along the domain: 0 gives the lowest, 1 the highest, evenly drawn shares an even draw."""

    def share(self, pick: Pick) -> float:
        """How far along the domain a pick lies, from 0 to 1; of counted picks, the middle of the stretch of each."""
        assert self.n_values is not None
        return (self.index(pick) + 0.5) / self.n_values

    @abstractmethod
    def value(self, index: int) -> Pick:
        """The pick with this index, from 0; not for a continuous range."""

    @abstractmethod
    def index(self, pick: Pick) -> int:
        """The index of a pick; not for a continuous range."""

    @abstractmethod
    def holds(self, pick: object) -> bool:
        """Whether this is one of the picks, of the right type."""


@dataclass(frozen=True)
class FloatRange(Domain):
    """Numbers from `low` to `high`, evenly spread or evenly in their logarithm; with a step, only low + i * step."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def n_values(self) -> int | None:
        """See `Domain.n_values`."""
        return None if self.step is None else n_steps(self.low, self.high, step=self.step) + 1

    def ends(self) -> tuple[float, float]:
        """See `Domain.ends`."""
        return self.low, self.high

    def at(self, share: float) -> float:
        """See `Domain.at`."""
        if self.n_values is not None:
            return self.value(_index_at(share, self.n_values))
        if share in (0.0, 1.0):  # rounding may miss an end
            return self.high if share else self.low
        if self.log:
            between = math.exp(math.log(self.low) * (1 - share) + math.log(self.high) * share)
        else:
            between = self.low + share * (self.high - self.low)
        return min(max(between, self.low), self.high)

    def share(self, pick: Pick) -> float:
        """See `Domain.share`."""
        if self.n_values is not None:
            return super().share(pick)
        if self.log:
            return math.log(pick / self.low) / math.log(self.high / self.low)
        return (pick - self.low) / (self.high - self.low)

    def value(self, index: int) -> float:
        """See `Domain.value`. Exact to the decimals that were written: three steps of 0.1 are 0.3."""
        assert self.step is not None
        return float(exact(self.low) + index * exact(self.step))

    def index(self, pick: Pick) -> int:
        """See `Domain.index`."""
        assert self.step is not None
        return round((exact(pick) - exact(self.low)) / exact(self.step))

    def holds(self, pick: object) -> bool:
        """See `Domain.holds`."""
        if not isinstance(pick, float) or not self.low <= pick <= self.high:
            return False
        return self.step is None or self.value(self.index(pick)) == pick


@dataclass(frozen=True)
class IntRange(Domain):
    """Whole numbers low, low + step, ... high; evenly spread or evenly in their logarithm."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    @property
    def n_values(self) -> int:
        """See `Domain.n_values`."""
        return (self.high - self.low) // self.step + 1

    def ends(self) -> tuple[int, int]:
        """See `Domain.ends`."""
        return self.low, self.high

    def at(self, share: float) -> int:
        """See `Domain.at`. On a log scale each number has the stretch from half below it to half above it."""
        if not self.log:
            return self.value(_index_at(share, self.n_values))
        below, above = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return min(max(round(math.exp(below + share * (above - below))), self.low), self.high)

    def share(self, pick: Pick) -> float:
        """See `Domain.share`."""
        if not self.log:
            return super().share(pick)
        below, above = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return (math.log(pick) - below) / (above - below)

    def value(self, index: int) -> int:
        """See `Domain.value`."""
        return self.low + index * self.step

    def index(self, pick: Pick) -> int:
        """See `Domain.index`."""
        return (int(pick) - self.low) // self.step

    def holds(self, pick: object) -> bool:
        """See `Domain.holds`."""
        if not isinstance(pick, int) or isinstance(pick, bool):
            return False
        return self.low <= pick <= self.high and (pick - self.low) % self.step == 0


@dataclass(frozen=True)
class Choice(Domain):
    """One of several options; a pick is an index, from 0."""

    n_options: int

    @property
    def n_values(self) -> int:
        """See `Domain.n_values`."""
        return self.n_options

    def ends(self) -> tuple[int, int]:
        """See `Domain.ends`."""
        return 0, self.n_options - 1

    def at(self, share: float) -> int:
        """See `Domain.at`."""
        return _index_at(share, self.n_options)

    def value(self, index: int) -> int:
        """See `Domain.value`."""
        return index

    def index(self, pick: Pick) -> int:
        """See `Domain.index`."""
        return int(pick)

    def holds(self, pick: object) -> bool:
        """See `Domain.holds`."""
        return isinstance(pick, int) and not isinstance(pick, bool) and 0 <= pick < self.n_options


def exact(number: Pick) -> Decimal:
    """The number as it is written in decimals, so that 0.1 is a tenth."""
    return Decimal(str(number))


def n_steps(low: Pick, high: Pick, *, step: Pick) -> int:
    """How many whole steps fit between the ends."""
    return int((exact(high) - exact(low)) / exact(step))


def _index_at(share: float, n_values: int) -> int:
    return min(int(share * n_values), n_values - 1)
