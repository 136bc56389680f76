"""What a sweep would do on a cluster that is there in a file only: where its trials fit, and at what price."""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from genotune.cluster_file import ClusterFile
from genotune.errors import ResourceError
from genotune.machines import wanted_words
from genotune.node_types import Fleet, NodeType
from genotune.plan import SweepPlan, store_fault
from genotune.spec import Resources
from genotune.sweep_storage import root_of

_UNLEARNING: Final = ("grid", "random")
"""Searches that need no trial's end to propose the next."""


_LITTLE: Final = 1e-9


class FamilyFit(NamedTuple):
    """Where the trials of a family find a place.

    Attributes:
        workers: that one machine has room for, by node type; types without room left out.
        room: for trials, when the cluster is at its largest.
        at_once: trials that run then, no more than the sweep has or lets run.
    """

    workers: Mapping[str, int]
    room: int
    at_once: int


class ClusterForecast(NamedTuple):
    """What a cluster offers to a sweep.

    Attributes:
        fleet: the machines that there can be.
        families: by name.
        idle: machines of each type that run when nobody works.
        largest: machines of each type when the sweep has made the cluster as large, and as dear, as it can.
        spot: by node type that the cloud may take away, of each family the trials that one machine carries at most.
        notes: what a person should know though nothing is wrong.
    """

    fleet: Fleet
    families: Mapping[str, FamilyFit]
    idle: Mapping[str, int]
    largest: Mapping[str, int]
    spot: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]


def forecast_on(plan: SweepPlan, cluster: ClusterFile) -> ClusterForecast:
    """What a cluster offers to a sweep.

    Args:
        plan: of the sweep.
        cluster: whose node types are known.

    Raises:
        ResourceError: with every family whose trial fits no node type, and a store that its driver can't build.
    """
    fleet = cluster.fleet
    assert fleet is not None, "the file names node types"
    faults = []
    families = {}
    for family, forecast in plan.families.items():
        wanted = forecast.resources
        families[family] = _fit(wanted, fleet, n_trials=_n_trials(plan))
        if not fleet.trials_at_once(wanted):
            faults.append(f"{plan.spec.path}: resources.{family}: {_misfit(wanted, cluster, fleet)}")
    driver = fleet.driver
    if driver.memory_gib is not None:
        where = f"node type {driver.name}, on which the driver builds it,"
        fault = store_fault(plan, driver.memory_gib, where=where)
        faults += [] if fault is None else [fault]
    if faults:
        raise ResourceError("\n".join(faults))
    return ClusterForecast(
        fleet=fleet,
        families=families,
        idle=fleet.at_idle(),
        largest=_largest(plan, fleet, families),
        spot=_spot(fleet, families),
        notes=tuple(_notes(plan, fleet, families)),
    )


def _n_trials(plan: SweepPlan) -> int:
    """How many trials the sweep lets run at once."""
    settings = plan.spec.settings
    return min(settings.budget.trials, settings.trials.concurrent or settings.budget.trials)


def _fit(wanted: Resources, fleet: Fleet, *, n_trials: int) -> FamilyFit:
    workers = {one.name: n for one in fleet.types if one.is_there and (n := one.n_workers(wanted))}
    room = fleet.trials_at_once(wanted)
    return FamilyFit(workers, room, min(room, n_trials))


def _largest(plan: SweepPlan, fleet: Fleet, families: Mapping[str, FamilyFit]) -> dict[str, int]:
    """Machines of each type when each worker has the dearest one that it fits, up to what the file allows."""
    carrying = {name for fit in families.values() for name in fit.workers}
    n_workers = max(forecast.resources.workers for forecast in plan.families.values())

    def worth(one: NodeType) -> float:
        """Its price; what has none is started too."""
        return (one.price_hour or _LITTLE) if one.name in carrying else 0.0

    return fleet.at_most(worth, n_more=_n_trials(plan) * n_workers)


def _spot(fleet: Fleet, families: Mapping[str, FamilyFit]) -> dict[str, dict[str, int]]:
    """Of each spot type the trials of each family that have a worker on one machine, at most."""
    found = {
        one.name: {
            family: min(fit.workers[one.name], fit.at_once)
            for family, fit in families.items()
            if one.name in fit.workers
        }
        for one in fleet.types
        if one.is_spot
    }
    return {name: trials for name, trials in found.items() if trials}


def _misfit(wanted: Resources, cluster: ClusterFile, fleet: Fleet) -> str:
    """Why no trial finds a place, what is nearest, and the fix."""
    several = wanted.workers > 1
    asked = f"{wanted.workers} workers with {wanted_words(wanted)} each" if several else wanted_words(wanted)
    types = [one for one in fleet.types if one.is_there and one.cpus is not None]
    unknown = [one.name for one in fleet.types if one.is_there and one.cpus is None]
    more = f" What {', '.join(unknown)} has is not known: write its resources." if unknown else ""
    fitting = [one.name for one in types if one.n_workers(wanted)]
    if fitting:
        room = fleet.workers_at_once(wanted)
        return (
            f"a trial asks for {asked}; with {cluster.path} there is room for {room} of them, on {', '.join(fitting)}. "
            f"Ask for fewer workers, or raise max_workers.{more}"
        )
    if not types:
        return f"a trial asks for {asked}; of no node type of {cluster.path} the CPUs are known.{more}"
    nearest = max(types, key=lambda one: _nearness(one, wanted))
    short = _short(nearest, wanted)
    less = f"Write {' and '.join(short)} at most, or add a node type." if short else "Add a node type that has it."
    has_gpu = any(one.gpus for one in types)
    no_gpu = "" if has_gpu or not wanted.gpus else " GPUs count where the file says how many a node type has."
    return (
        f"a trial asks for {asked}; no node type of {cluster.path} has that. The nearest is {nearest.name} with "
        f"{nearest.words}. {less}{no_gpu}{more}"
    )


def _nearness(one: NodeType, wanted: Resources) -> tuple[float, float]:
    """The share of what is asked for that a type has, of what it lacks most and of all."""
    size = one.size
    shares = [min(1.0, size.cpus / wanted.cpus)]
    shares += [min(1.0, size.gpus / wanted.gpus)] if wanted.gpus else []
    shares += [min(1.0, size.memory_gib / wanted.memory_gib)] if wanted.memory_gib else []
    return min(shares), sum(shares)


def _short(one: NodeType, wanted: Resources) -> list[str]:
    """The settings that would fit a type, of what it hasn't enough of; none where it has no CPU at all."""
    size = one.size
    if not size.cpus or size.memory_gib == 0:
        return []
    found = [f"cpus: {size.cpus:g}"] if size.cpus < wanted.cpus else []
    found += [f"gpus: {size.gpus:g}"] if size.gpus < wanted.gpus else []
    short_of_memory = wanted.memory_gib is not None and size.memory_gib < wanted.memory_gib
    return [*found, *([f"memory_gib: {math.floor(size.memory_gib * 10) / 10:g}"] if short_of_memory else [])]


def _notes(plan: SweepPlan, fleet: Fleet, families: Mapping[str, FamilyFit]) -> list[str]:
    notes = []
    carrying = {name for fit in families.values() for name in fit.workers}
    head, driver = fleet.head, fleet.driver
    if head.name in carrying:
        notes.append(
            f"trials may run on the head ({head.name}), which all others wait for. CPU: 0 there keeps them away."
        )
    if driver is not head and driver.name in carrying:
        notes.append(f"trials may run on {driver.name} too, beside the driver: it has CPUs that are free for them.")
    if driver.is_spot:
        notes.append(
            f"the driver runs on {driver.name}, a spot type: when it is taken away, `genotune resume` goes on."
        )
    if driver.memory_gib is None:
        notes.append(f"the memory of {driver.name}, on which the driver builds the store, is not in the file.")
    asks = any(forecast.resources.memory_gib is not None for forecast in plan.families.values())
    blank = [one.name for one in fleet.types if asks and one.name in carrying and one.memory_gib is None]
    if blank:
        notes.append(f"the memory of {', '.join(blank)} is not in the file: whether trials fit there is not known.")
    settings = plan.spec.settings
    n_at_once = min((fit.at_once for fit in families.values()), default=0)
    if settings.search.kind not in _UNLEARNING and n_at_once == settings.budget.trials > 1:
        notes.append(
            f"all {n_at_once} trials find room at once, so that the search learns from none. "
            "trials: {concurrent: ..} holds some back."
        )
    store_gib = plan.store_nbytes / 2**30
    small = [one for one in fleet.types if one.name in carrying and (one.memory_gib or math.inf) < store_gib]
    notes += [
        f"{one.name} has {one.memory_gib:.4g} GiB, and the store takes {store_gib:.1f} GiB there." for one in small
    ]
    if root_of(plan.spec) is None and fleet.max_workers:
        notes.append(
            "storage is null: on a cluster checkpoints must outlive a machine. Write storage: s3://... (or gs://), or "
            "set GENOTUNE_STORAGE; `genotune submit` refuses otherwise."
        )
    return notes
