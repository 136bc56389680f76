"""What `genotune check` does with one sweep: plan it, and hold it against machines and prices."""

import os
from typing import NamedTuple

from genotune.machines import MachineSize, this_machine
from genotune.plan import SweepPlan, check_resources, make_plan
from genotune.prices import Prices, trial_hour_costs
from genotune.ray_session import nodes, ray_session
from genotune.spec import Spec
from genotune.sweep_storage import check_storage


class Checked(NamedTuple):
    """What a sweep will do.

    Attributes:
        machines: that it was held against.
        prices: by which its trials cost; None: not known.
    """

    plan: SweepPlan
    machines: list[MachineSize]
    prices: Prices | None


def check(spec: Spec, *, address: str | None = None, prices: Prices | None = None) -> Checked:
    """What a sweep will do. Decodes and trains nothing.

    Raises:
        UserError: everything that keeps it from running.
    """
    plan = make_plan(spec)
    check_storage(spec)
    machines = machines_at(address)
    check_resources(plan, machines)
    if prices is not None:
        trial_hour_costs(plan, prices)
    return Checked(plan, machines, prices)


def machines_at(address: str | None) -> list[MachineSize]:
    """Those of the Ray at the address; this one, where there is none."""
    if address is None and not os.environ.get("RAY_ADDRESS"):
        return [this_machine()]
    with ray_session(address):
        return ray_machines()


def ray_machines() -> list[MachineSize]:
    """Those of the Ray that this process is connected to."""
    return [MachineSize(node.cpus, node.gpus, node.memory / 2**30, "of this Ray") for node in nodes()]
