"""Node types in a RayCluster or RayJob of KubeRay, as Ray's autoscaler there reads them.

Source: ray 2.60.0, autoscaler/_private/kuberay/autoscaling_config.py; KubeRay 1.4, ray-operator/controllers/ray/utils.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from genotune.cluster_documents import Part
from genotune.errors import describe
from genotune.node_types import Fleet, NodeType
from genotune.quantities import parse_quantity

HEAD: Final = "headgroup"
"""What Ray calls the type of the head."""

_SPOT_KEYS: Final = (
    "cloud.google.com/gke-spot",
    "cloud.google.com/gke-preemptible",
    "karpenter.sh/capacity-type",
    "eks.amazonaws.com/capacityType",
    "kubernetes.azure.com/scalesetpriority",
)
_SPOT_VALUES: Final = ("spot", "true")
_EXAMPLE: Final = """'"{\\"driver\\": 1}"'"""


class _Resources(NamedTuple):
    """Where a group may say what its machines have, the first that does counts.

    Attributes:
        given: the group's own resources.
        started: parameters of `ray start`.
        container: resources of Ray's container.
    """

    given: Part
    started: Part
    container: Part

    def amount(self, of_given: str, of_started: str, of_container: str) -> float | None:
        """An amount, by its name in each place; a container's may have a maker's name before it (nvidia.com/gpu)."""
        if of_given in self.given.values:
            return _quantity(self.given, of_given)
        if of_started in self.started.values:
            return _quantity(self.started, of_started)
        for place in (self.container.part("limits"), self.container.part("requests")):
            for key in place.values:
                if str(key).rpartition("/")[2] == of_container:
                    return _quantity(place, str(key))
        return None


def read_kuberay(cluster: Part) -> Fleet | None:
    """The machines that KubeRay may start; None: they are at fault, or described elsewhere."""
    if not cluster.values:
        cluster.fault(None, "is missing. A RayJob that picks a cluster (clusterSelector) says nothing of its machines.")
        return None
    head = cluster.part("headGroupSpec")
    if not head.values:
        cluster.fault("headGroupSpec", "is missing: every cluster has a head.")
        return None
    grows = cluster.values.get("enableInTreeAutoscaling") is True
    groups = [_node_type(group, grows=grows) for group in cluster.parts("workerGroupSpecs")]
    names = [one.name for one in groups]
    for index, name in enumerate(names):
        if name in names[:index]:
            cluster.fault("workerGroupSpecs", f"two groups are called {name!r}. Rename one.")
    types = (_node_type(head, grows=grows, is_head=True), *groups)
    return Fleet(types, sum(one.max_workers for one in types))


def _node_type(group: Part, *, grows: bool, is_head: bool = False) -> NodeType:
    pod = group.part("template", "spec")
    containers = pod.parts("containers")
    if not containers:
        pod.fault("containers", "is missing: the first of them is Ray's.")
    container = (containers[0] if containers else pod).part("resources")
    says = _Resources(group.part("resources"), group.part("rayStartParams"), container)
    name = HEAD if is_head else group.word("groupName")
    if not name:
        group.fault("groupName", "is missing, and has no default.")
    cpus = says.amount("CPU", "num-cpus", "cpu")
    if cpus is None:
        container.fault(None, "says no CPU. Write limits: {cpu: .., memory: ..}, or num-cpus under rayStartParams.")
    memory = says.amount("memory", "memory", "memory")
    least, most = (0, 0) if is_head else _n_workers(group, grows=grows)
    return NodeType(
        name=name,
        cpus=None if cpus is None else math.ceil(cpus),
        gpus=math.ceil(says.amount("GPU", "num-gpus", "gpu") or 0),
        memory_gib=None if memory is None else memory / 2**30,
        min_workers=least,
        max_workers=most,
        is_head=is_head,
        is_spot=_is_spot(pod.values),
        custom=_custom(says),
    )


def _n_workers(group: Part, *, grows: bool) -> tuple[int, int]:
    """The fewest and the most machines of a worker group."""
    hosts = group.count("numOfHosts") or 1
    least, most, now = group.count("minReplicas") or 0, group.count("maxReplicas"), group.count("replicas") or 0
    if most is not None and least > most:
        group.fault("minReplicas", f"found {least}; maxReplicas is {most}. Lower it, or raise that.")
    if not grows:  # KubeRay keeps to `replicas`
        fixed = max(least, now if most is None else min(now, most))
        return fixed * hosts, fixed * hosts
    if most is None and "maxReplicas" not in group.values:
        group.fault("maxReplicas", "is missing, so that the group may grow without end. Write it.")
    return least * hosts, (most or 0) * hosts


def _quantity(part: Part, key: str) -> float:
    """An amount that isn't negative; 0 where it is at fault."""
    found = part.values.get(key)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    amount = (
        float(found) if is_number and found is not None else parse_quantity(found) if isinstance(found, str) else None
    )
    if amount is None or not math.isfinite(amount):
        part.fault(key, f"found {describe(found)}; expected an amount as Kubernetes writes it, e.g. 4, 500m or 16Gi.")
        return 0.0
    if amount < 0:
        part.fault(key, f"found {found}; must be at least 0.")
        return 0.0
    return amount


def _custom(says: _Resources) -> dict[str, float]:
    """Further resources; those of the group stand alone where there are any."""
    given = says.given
    if given.values:
        amounts = {str(key): _quantity(given, str(key)) for key in given.values if key not in ("CPU", "GPU", "memory")}
        return {key: amount for key, amount in amounts.items() if amount}
    text = says.started.values.get("resources")
    if text is None:
        return {}
    try:
        found = json.loads(str(text)[1:-1].replace("\\", ""))
        if isinstance(found, dict) and all(type(count) is int and count >= 0 for count in found.values()):
            return {name: count for name, count in found.items() if count}
    except ValueError:
        pass
    message = (
        f"found {describe(text)}; Ray wants whole numbers as JSON within two pairs of quotation marks: {_EXAMPLE}."
    )
    says.started.fault("resources", message)
    return {}


def _is_spot(pod: Mapping[str, Any]) -> bool:
    """Whether its pods may run on machines that the cloud may take away."""
    selector = pod.get("nodeSelector")
    chosen = selector.items() if isinstance(selector, Mapping) else ()
    if any(key in _SPOT_KEYS and str(value).lower() in _SPOT_VALUES for key, value in chosen):
        return True
    terms = [one for one in _mappings(pod.get("tolerations")) if one.get("key") in _SPOT_KEYS]
    if any(one.get("operator") == "Exists" or str(one.get("value")).lower() in _SPOT_VALUES for one in terms):
        return True
    return any(_wants_spot(term) for term in _mappings_within(pod.get("affinity")))


def _wants_spot(term: Mapping[str, Any]) -> bool:
    """Whether an expression of an affinity lets in machines of this kind."""
    if term.get("key") not in _SPOT_KEYS:
        return False
    values = term.get("values")
    named = any(str(value).lower() in _SPOT_VALUES for value in (values if isinstance(values, list) else []))
    return term.get("operator") == "Exists" or (term.get("operator") == "In" and named)


def _mappings(found: object) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, Sequence) else []


def _mappings_within(found: object) -> Iterator[Mapping[str, Any]]:
    """All mappings in a value, at any depth."""
    if isinstance(found, Mapping):
        yield found
        for value in found.values():
            yield from _mappings_within(value)
    elif isinstance(found, list):
        for value in found:
            yield from _mappings_within(value)
