"""Node types in a file of Ray's cluster launcher, as Ray itself reads them.

Source: ray 2.60.0, autoscaler/ray-schema.json and autoscaler/_private/util.py.
"""

from collections.abc import Mapping
from typing import Any, Final

from genotune.cluster_documents import Part
from genotune.errors import Problem, describe
from genotune.node_types import Fleet, NodeType
from genotune.quantities import parse_quantity
from genotune.spec.messages import did_you_mean

_DEFAULT_MAX_WORKERS: Final[Mapping[str, int]] = {"aws": 2, "gcp": 2, "azure": 2, "spark": 8, "vsphere": 5}
"""Of all types, where a file says nothing. Source: autoscaler/*/defaults.yaml."""
_LEAST_BYTES: Final = 2**20
_RAYS_OWN: Final = ("CPU", "GPU", "object_store_memory")
_TRUE: Final = (True, "true", "True", "yes", "on")
_NO_CPUS: Final = "says no CPU; on AWS Ray asks the cloud what the instance type has, which is not done here"


def read_launcher(file: Part) -> Fleet | None:
    """The machines that the launcher may start; None: the file names no node types."""
    provider = str(file.part("provider").values.get("type"))
    if not file.values.get("available_node_types"):
        return None
    described = file.part("available_node_types")
    head = file.word("head_node_type")
    if head not in described.values:
        known = [str(name) for name in described.values]
        found = (
            f"found {describe(head)}.{did_you_mean(head, known)}" if head else "is missing: it names the head's type."
        )
        file.fault("head_node_type", found)
    max_workers = _max_workers(file, provider)
    types = [
        _node_type(described.part(name), is_head=name == head, max_workers=max_workers) for name in described.values
    ]
    least = sum(one.min_workers for one in types)
    if max_workers is not None and least > max_workers:
        file.fault("max_workers", f"found {max_workers}; the node types' min_workers are {least} together. Raise it.")
    if max_workers is None:
        max_workers = sum(one.max_workers for one in types)
    return Fleet(tuple(types), max_workers)


def launcher_notes(file: Part, fleet: Fleet | None) -> list[Problem]:
    """What a person should know though nothing is wrong."""
    provider = file.part("provider").values.get("type")
    if fleet is None:
        if provider == "local":
            message = (
                "an on-premise file doesn't say what its machines have. Give --address to hold trials against them."
            )
        else:
            message = "this file names no node types (available_node_types): it is read for its prices alone."
        return [Problem(("provider",), message)]
    unknown = [one.name for one in fleet.types if one.cpus is None]
    fix = "Write resources: {CPU: .., GPU: .., memory: ..} (memory in bytes); until then nothing is known to fit it."
    return [Problem(("available_node_types", name, "resources"), f"{_NO_CPUS}. {fix}") for name in unknown]


def _max_workers(file: Part, provider: str) -> int | None:
    """Of all types together; None: the file doesn't say, and Ray has no default of its own."""
    said = file.count("max_workers")
    return said if said is not None else _DEFAULT_MAX_WORKERS.get(provider)


def _node_type(part: Part, *, is_head: bool, max_workers: int | None) -> NodeType:
    resources = part.part("resources")
    counts = {str(name): resources.count(str(name)) for name in resources.values if name != "memory"}
    least, most = part.count("min_workers") or 0, part.count("max_workers")
    if most is None and not is_head and max_workers is None:
        part.fault("max_workers", "is missing, here and for the whole file: how many may be started? Write it.")
    if most is None:
        most = 0 if is_head else max_workers or 0
    elif least > most:
        part.fault("min_workers", f"found {least}; max_workers is {most}. Lower it, or raise that.")
    return NodeType(
        name=str(part.path[-1]),
        cpus=counts.get("CPU"),
        gpus=counts.get("GPU") or 0,
        memory_gib=_memory_gib(resources),
        min_workers=least,
        max_workers=most,
        is_head=is_head,
        is_spot=_is_spot(part.part("node_config").values),
        custom={name: count for name, count in counts.items() if name not in _RAYS_OWN and count},
    )


def _memory_gib(resources: Part) -> float | None:
    found = resources.values.get("memory")
    if isinstance(found, str):
        n_bytes = parse_quantity(found.removesuffix("B"))
        hint = "" if n_bytes is None else f" Write memory: {round(n_bytes)}."
        resources.fault("memory", f"found {describe(found)}; Ray wants bytes, as a whole number.{hint}")
        return None
    n_bytes = resources.count("memory")
    if n_bytes is not None and n_bytes < _LEAST_BYTES:
        resources.fault("memory", f"found {n_bytes} bytes. If GiB are meant, write memory: {n_bytes * 2**30}.")
    return None if n_bytes is None else n_bytes / 2**30


def _is_spot(node_config: Mapping[str, Any]) -> bool:
    """Whether the cloud may take the machine away: as AWS, Google and Azure say it."""
    market = _within(node_config, "InstanceMarketOptions").get("MarketType")
    scheduling = node_config.get("scheduling")
    of_google = [
        one for one in (scheduling if isinstance(scheduling, list) else [scheduling]) if isinstance(one, Mapping)
    ]
    return (
        str(market).lower() == "spot"
        or any(one.get("preemptible") in _TRUE or one.get("provisioningModel") == "SPOT" for one in of_google)
        or str(_within(node_config, "azure_arm_parameters").get("priority")).lower() in ("spot", "low")
    )


def _within(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return found if isinstance(found, Mapping) else {}
