"""What `genotune check` does with one sweep: plan it, and hold it against machines and prices."""

import os
from typing import NamedTuple

from genotune.cluster_file import ClusterFile
from genotune.cluster_forecast import ClusterForecast, forecast_on
from genotune.machines import MachineSize, this_machine
from genotune.plan import SweepPlan, check_resources, make_plan
from genotune.prices import trial_hour_costs
from genotune.ray_session import nodes, ray_session
from genotune.spec import Spec
from genotune.sweep_storage import check_storage


class Checked(NamedTuple):
    """What a sweep will do.

    Attributes:
        machines: that it was held against; none: against the node types of a cluster file.
        cluster: the file; None: none was named.
        on_cluster: what its node types offer; None: it names none.
    """

    plan: SweepPlan
    machines: list[MachineSize]
    cluster: ClusterFile | None = None
    on_cluster: ClusterForecast | None = None


def check(spec: Spec, *, address: str | None = None, cluster: ClusterFile | None = None) -> Checked:
    """What a sweep will do. Decodes and trains nothing.

    Args:
        spec: of the sweep.
        address: of a Ray whose machines it is held against.
        cluster: whose node types it is held against instead, where it names any.

    Raises:
        UserError: everything that keeps it from running.
    """
    plan = make_plan(spec)
    check_storage(spec)
    on_cluster, machines = None, []
    if cluster is not None and cluster.fleet is not None:
        on_cluster = forecast_on(plan, cluster)
    else:
        machines = machines_at(address)
        check_resources(plan, machines)
    if cluster is not None and cluster.prices is not None:
        trial_hour_costs(plan, cluster.prices)
    return Checked(plan, machines, cluster, on_cluster)


def machines_at(address: str | None) -> list[MachineSize]:
    """Those of the Ray at the address; this one, where there is none."""
    if address is None and not os.environ.get("RAY_ADDRESS"):
        return [this_machine()]
    with ray_session(address):
        return ray_machines()


def ray_machines() -> list[MachineSize]:
    """Those of the Ray that this process is connected to."""
    return [MachineSize(node.cpus, node.gpus, node.memory / 2**30, "of this Ray") for node in nodes()]
