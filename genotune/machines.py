"""What machines offer to trials, and how many trials find a place on them."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from genotune.spec import Resources

_ROUNDING: Final = 1e-9
"""0.3 CPUs are room for three of 0.1, though 0.3 / 0.1 is less than 3."""


class MachineSize(NamedTuple):
    """What a machine offers to trials."""

    cpus: float
    gpus: float
    memory_gib: float
    where: str


def this_machine() -> MachineSize:
    """What a private Ray on this machine would offer."""
    import os

    from genotune.ray_session import available_cpus

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return MachineSize(available_cpus(), _n_gpus(), memory / 2**30, "this machine")


def _n_gpus() -> int:
    """NVIDIA devices, as the driver lists them; torch is too slow to ask."""
    from pathlib import Path

    folder = Path("/proc/driver/nvidia/gpus")
    return len(list(folder.iterdir())) if folder.exists() else 0


def trials_at_once(wanted: Resources, machines: Sequence[MachineSize]) -> int:
    """How many such trials the machines have room for; the workers of one may be on several machines."""
    return workers_at_once(wanted, machines) // wanted.workers


def workers_at_once(wanted: Resources, machines: Sequence[MachineSize]) -> int:
    """How many workers of such trials the machines have room for."""
    return sum(workers_on(machine, wanted) for machine in machines)


def workers_on(machine: MachineSize, wanted: Resources) -> int:
    """How many workers of such trials one machine has room for."""
    shares = [machine.cpus / wanted.cpus]
    shares += [machine.gpus / wanted.gpus] if wanted.gpus else []
    shares += [machine.memory_gib / wanted.memory_gib] if wanted.memory_gib else []
    return math.floor(min(shares) + _ROUNDING)


def wanted_words(wanted: Resources) -> str:
    """What a worker of a trial asks for: '4 CPUs, 1 GPUs, 16 GiB'."""
    memory = "" if wanted.memory_gib is None else f", {wanted.memory_gib:g} GiB"
    return f"{wanted.cpus:g} CPUs, {wanted.gpus:g} GPUs{memory}"
