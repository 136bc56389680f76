"""The machines that a cluster can have: its node types, how many of each, and what an hour of them costs."""

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from genotune.machines import MachineSize, workers_on
from genotune.spec import Resources

DRIVER_RESOURCE: Final = "driver"
"""The custom resource by which a sweep's driver finds its node."""


class NodeType(NamedTuple):
    """One kind of machine that a cluster starts.

    Attributes:
        name: as the cluster file calls it.
        cpus: None: the file doesn't say, so nothing is known to fit.
        memory_gib: None: not known; nothing is refused for it.
        min_workers: that always run.
        max_workers: beside the head.
        is_head: the head is of this type.
        is_spot: the cloud may take such a machine away.
        custom: further resources.
        price_hour: None: not known.
    """

    name: str
    cpus: float | None
    gpus: float
    memory_gib: float | None
    min_workers: int
    max_workers: int
    is_head: bool = False
    is_spot: bool = False
    custom: Mapping[str, float] = {}
    price_hour: float | None = None

    @property
    def size(self) -> MachineSize:
        """What one offers to trials; memory that isn't known is never short."""
        memory_gib = math.inf if self.memory_gib is None else self.memory_gib
        return MachineSize(self.cpus or 0.0, self.gpus, memory_gib, f"node type {self.name}")

    @property
    def is_there(self) -> bool:
        """Whether the cluster can have one."""
        return self.is_head or self.max_workers > 0

    @property
    def words(self) -> str:
        """What one has: '8 CPUs, 1 GPUs, 32 GiB'."""
        cpus = "unknown" if self.cpus is None else f"{self.cpus:g}"
        memory = "memory unknown" if self.memory_gib is None else f"{self.memory_gib:.4g} GiB"
        return f"{cpus} CPUs, {self.gpus:g} GPUs, {memory}"

    def n_workers(self, wanted: Resources) -> int:
        """How many workers of such trials one has room for."""
        return workers_on(self.size, wanted)


class Fleet(NamedTuple):
    """All machines that a cluster can have.

    Attributes:
        types: its node types, the head's among them.
        max_workers: of all types together, beside the head.
    """

    types: tuple[NodeType, ...]
    max_workers: int

    @property
    def head(self) -> NodeType:
        """The head's type."""
        return next(one for one in self.types if one.is_head)

    @property
    def driver(self) -> NodeType:
        """The type that a sweep's driver runs on: one made for it, else the head's."""
        return next((one for one in self.types if one.is_there and one.custom.get(DRIVER_RESOURCE)), self.head)

    def at_idle(self) -> dict[str, int]:
        """How many of each type run when nobody works."""
        return {one.name: one.min_workers + one.is_head for one in self.types}

    def at_most(self, worth: Callable[[NodeType], float], *, n_more: float = math.inf) -> dict[str, int]:
        """How many of each type there are when a sweep has made the cluster grow to what is worth most.

        Args:
            worth: of one machine; none is started that is worth nothing, but one for the driver.
            n_more: machines that are started for trials, at most.
        """
        counts = self.at_idle()
        driver = self.driver
        if not counts[driver.name] and driver.max_workers:
            counts[driver.name] = 1
        left = min(self.max_workers + 1 - sum(counts.values()), n_more)
        for one in sorted(self.types, key=worth, reverse=True):
            more = min(one.max_workers + one.is_head - counts[one.name], left) if worth(one) else 0
            counts[one.name] += max(0, int(more))
            left -= max(0, more)
        return counts

    def workers_at_once(self, wanted: Resources) -> int:
        """How many workers of such trials it has room for at its largest; they may be on several machines."""
        counts = self.at_most(lambda one: one.n_workers(wanted))
        return sum(counts[one.name] * one.n_workers(wanted) for one in self.types)

    def trials_at_once(self, wanted: Resources) -> int:
        """How many such trials it has room for at its largest."""
        return self.workers_at_once(wanted) // wanted.workers

    def hour(self, counts: Mapping[str, int]) -> float | None:
        """What an hour of so many machines of each type costs; None: a price among them isn't known."""
        each = [(counts[one.name], one.price_hour) for one in self.types if counts[one.name]]
        return None if any(price is None for _, price in each) else sum(n * price for n, price in each if price)
