"""What the sweeps of a group will do, before any of them begins: every fault of every one at once."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from genotune.cluster_file import ClusterFile
from genotune.cluster_forecast import ClusterForecast, forecast_on
from genotune.data.source import SourcePlan, SourceSettings
from genotune.errors import DataError, UserError
from genotune.machines import MachineSize
from genotune.plan import SweepPlan, check_resources, make_plan
from genotune.spec import GroupSpec, Spec


class Planner:
    """Plans sweeps one after the other; what one reads as the one before it did is read once."""

    def __init__(self) -> None:
        self._settings: SourceSettings | None = None
        self._data: SourcePlan | None = None

    def plan(self, spec: Spec) -> SweepPlan:
        """The plan of a sweep; see `make_plan`."""
        settings = spec.settings.data
        if self._data is None:
            self._data = settings.plan(spec.folder)
        elif settings != self._settings:
            self._data = settings.plan_beside(spec.folder, self._data)
        self._settings = settings
        return make_plan(spec, data=self._data)


class GroupForecast(NamedTuple):
    """What a group will do.

    Attributes:
        group: what the file says.
        first: the plan of its first sweep.
        sizes: by member, what each split holds, in words.
        machines: that all was held against; none: against the node types of a cluster file.
        cluster: the file; None: none was named.
        on_cluster: what its node types offer to the first sweep; None: it names none.
    """

    group: GroupSpec
    first: SweepPlan
    sizes: Mapping[str, Mapping[str, str]]
    machines: Sequence[MachineSize]
    cluster: ClusterFile | None = None
    on_cluster: ClusterForecast | None = None


def forecast(group: GroupSpec, machines: Sequence[MachineSize], *, cluster: ClusterFile | None = None) -> GroupForecast:
    """What all members will do. Their plans are not kept, since each may hold large tables.

    Args:
        group: what the file says.
        machines: that each trial and store must fit; none: those are not known yet.
        cluster: whose node types they must fit, where it names any.

    Raises:
        DataError: everything that keeps a member from running, each fault once, with the members that have it.
    """
    planner, first, on_cluster = Planner(), None, None
    sizes: dict[str, Mapping[str, str]] = {}
    faults: dict[str, list[str]] = {}
    for member in group.members:
        try:
            plan = planner.plan(member.spec)
            if machines:
                check_resources(plan, machines)
            if cluster is not None and cluster.fleet is not None:
                of_member = forecast_on(plan, cluster)
                on_cluster = on_cluster or of_member
        except UserError as error:
            for line in str(error).splitlines():
                faults.setdefault(line, []).append(member.name)
            continue
        first = first or plan
        sizes[member.name] = {split: plan.name_split(split) for split in ("train", "validation", "test")}
    if faults:
        raise DataError("\n".join(_told(line, names, len(group.members)) for line, names in faults.items()))
    assert first is not None
    return GroupForecast(group, first, sizes, machines, cluster, on_cluster)


def _told(fault: str, members: list[str], n_members: int) -> str:
    """A fault with the members that have it, where not all do."""
    return fault if len(members) == n_members else f"{fault} (In the sweep of {', '.join(members)}.)"
