"""The text of a cluster file: which of its documents describes the cluster, and a reader that collects every fault."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from genotune.errors import Problem, SpecError, describe
from genotune.spec.reading import read_text, spec_error_in
from genotune.spec.yaml_source import YamlPath, YamlSource, YamlSyntaxError, parse_documents

_LAUNCHER_KEYS: Final = ("cluster_name", "provider", "available_node_types", "head_node_type")
_KUBERAY: Final[Mapping[str, YamlPath]] = {"RayCluster": ("spec",), "RayJob": ("spec", "rayClusterSpec")}
_SLURM: Final = re.compile(r"^#SBATCH\b", re.MULTILINE)


class Document(NamedTuple):
    """The document of a cluster file that describes the cluster.

    Attributes:
        path: the file.
        text: all of it.
        source: values and lines of the document.
        kind: 'launcher', 'RayCluster' or 'RayJob'.
        cluster: where its node types are described.
    """

    path: Path
    text: str
    source: YamlSource
    kind: str
    cluster: YamlPath

    @property
    def name(self) -> str:
        """Of the cluster; '' where it has none."""
        metadata = self.source.values.get("metadata")
        found = self.source.values if self.kind == "launcher" else metadata if isinstance(metadata, Mapping) else {}
        return str(found.get("cluster_name" if self.kind == "launcher" else "name") or "")

    def part(self, problems: list[Problem]) -> "Part":
        """Where the node types are described, read key by key."""
        found = Part(self.source.values, (), problems)
        return found.part(*map(str, self.cluster))

    def error(self, problems: list[Problem]) -> SpecError:
        """The error that names the lines of these faults."""
        return spec_error_in(self.path, self.source, problems)


def read_document(path: Path) -> Document:
    """The document of a cluster file that describes the cluster.

    Raises:
        SpecError: the file can't be read, is no YAML, or describes no cluster of Ray's.
    """
    text = read_text(path, what="cluster file")
    if _SLURM.search(text):
        message = (
            "a Slurm script, which describes no node types: the machines are those that Slurm gives the job. "
            "Give --address of the Ray that it starts."
        )
        raise SpecError([f"{path}:1: {message}"])
    try:
        documents = parse_documents(text)
    except YamlSyntaxError as error:
        raise SpecError([f"{path}:{error.line}: {error}"]) from None
    found = [one for source in documents if (one := _document(path, text, source)) is not None]
    if len(found) == 1:
        return found[0]
    if found:
        lines = ", ".join(str(one.source.line(())) for one in found)
        raise SpecError(
            [f"{path}:{found[1].source.line(())}: describes {len(found)} clusters (lines {lines}). Keep one."]
        )
    message = (
        "describes no cluster: neither a file of Ray's cluster launcher (cluster_name, provider, available_node_types) "
        "nor a RayCluster or RayJob of KubeRay."
    )
    raise SpecError([f"{path}:1: {message}"])


def _document(path: Path, text: str, source: YamlSource) -> Document | None:
    source = source._replace(values=_merged(source.values))
    values = source.values
    if not isinstance(values, Mapping):
        return None
    kind = values.get("kind")
    if isinstance(kind, str) and kind in _KUBERAY:
        return Document(path, text, source, kind, _KUBERAY[kind])
    if "apiVersion" not in values and any(key in values for key in _LAUNCHER_KEYS):
        return Document(path, text, source, "launcher", ())
    return None


def _merged(value: Any) -> Any:
    """The value with the mappings that `<<` names in their places, as Ray and kubectl read it (YAML 1.1)."""
    if isinstance(value, list):
        return [_merged(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    own = {key: _merged(one) for key, one in value.items()}
    named = own.pop("<<", {})
    found: dict[Any, Any] = {}
    for one in reversed(named if isinstance(named, list) else [named]):  # the first that has a key counts
        found |= one if isinstance(one, Mapping) else {}
    return found | own


class Part:
    """A part of a document, read key by key; what is wrong in it goes to a list that all parts share.

    Args:
        values: what stands there; None: nothing.
        path: where it stands.
        problems: takes the faults.
    """

    def __init__(self, values: Any, path: YamlPath, problems: list[Problem]) -> None:
        self.path = path
        self._problems = problems
        self.values: Mapping[str, Any] = {}
        if isinstance(values, Mapping):
            self.values = values
        elif values is not None:
            self.fault(None, f"found {describe(values)}; expected a mapping (key: value).")

    def fault(self, key: str | None, message: str) -> None:
        """Note what is wrong with a key, or with the whole."""
        self._problems.append(Problem(self.path if key is None else (*self.path, key), message))

    def part(self, *keys: str) -> "Part":
        """A mapping within; an empty one where it isn't there."""
        found = self
        for key in keys:
            found = Part(found.values.get(key), (*found.path, key), self._problems)
        return found

    def parts(self, key: str) -> list["Part"]:
        """A list of mappings within."""
        found = self.values.get(key)
        if found is None:
            return []
        if not isinstance(found, list):
            self.fault(key, f"found {describe(found)}; expected a list.")
            return []
        return [Part(one, (*self.path, key, index), self._problems) for index, one in enumerate(found)]

    def count(self, key: str) -> int | None:
        """A whole number that isn't negative; None where it isn't there, or is at fault."""
        found = self.values.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int):
            self.fault(key, f"found {describe(found)}; expected a whole number.")
            return None
        if found < 0:
            self.fault(key, f"found {found}; must be at least 0.")
            return None
        return found

    def word(self, key: str) -> str:
        """A text; '' where it isn't there, or is at fault."""
        found = self.values.get(key)
        if found is None:
            return ""
        if not isinstance(found, str):
            self.fault(key, f"found {describe(found)}; expected text.")
            return ""
        return found
