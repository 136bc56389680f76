"""A cluster file: the node types that a cluster can have, and what they cost. Nothing of it is asked of a cloud."""

from pathlib import Path
from typing import Final, NamedTuple

from genotune.cluster_documents import read_document
from genotune.errors import Problem
from genotune.kuberay_file import read_kuberay
from genotune.launcher_file import launcher_notes, read_launcher
from genotune.node_types import Fleet, NodeType
from genotune.prices import Prices, PriceTable, price_table
from genotune.spec.messages import did_you_mean
from genotune.spec.reading import spec_error_in

_KINDS: Final = {"launcher": "Ray's cluster launcher", "RayCluster": "KubeRay", "RayJob": "KubeRay, a job"}


class ClusterFile(NamedTuple):
    """What a cluster file says.

    Attributes:
        name: of the cluster; '' where it has none.
        kind: whose file it is, in words.
        fleet: the machines that there can be; None: the file doesn't say.
        prices: None: it has none.
        notes: what a person should know though nothing is wrong, each with file and line.
    """

    path: Path
    name: str
    kind: str
    fleet: Fleet | None
    prices: Prices | None
    notes: tuple[str, ...] = ()


def read_cluster_file(path: Path) -> ClusterFile:
    """The node types and prices of a cluster file.

    Raises:
        SpecError: every fault of the file, each as 'file:line: key: what is wrong'.
    """
    document = read_document(path)
    table = price_table(document)
    problems = table.problems + [one for one in document.source.problems if one not in table.problems]
    part = document.part(problems)
    fleet = read_launcher(part) if document.kind == "launcher" else read_kuberay(part)
    problems += _unknown_types(table, fleet)
    if problems:
        raise spec_error_in(path, table.source, problems)
    notes = launcher_notes(part, fleet) if document.kind == "launcher" else []
    if fleet is not None:
        fleet = fleet._replace(types=tuple(_priced(one, table.prices) for one in fleet.types))
    return ClusterFile(path, document.name, _KINDS[document.kind], fleet, table.prices, document.error(notes).lines)


def _unknown_types(table: PriceTable, fleet: Fleet | None) -> list[Problem]:
    """Prices of machines that the cluster can't have."""
    if table.prices is None:
        return []
    known = [one.name for one in fleet.types] if fleet is not None else []
    return [
        Problem((*table.place, "node_hours", name), f"there is no node type {name!r}.{did_you_mean(name, known)}")
        for name in table.prices.node_hours
        if name not in known
    ]


def _priced(one: NodeType, prices: Prices | None) -> NodeType:
    """The type with what an hour of it costs, as far as the prices tell."""
    if prices is None:
        return one
    known = prices.node_hours.get(one.name)
    has_prices = not one.gpus or prices.gpu_hour is not None
    has_memory = not prices.memory_gib_hour or one.memory_gib is not None
    if known is None and one.cpus is not None and has_prices and has_memory:
        known = prices.hour(cpus=one.cpus, gpus=one.gpus, memory_gib=one.memory_gib or 0.0)
    return one._replace(price_hour=known)
