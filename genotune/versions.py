"""Which genotune, Ray and Python are at work here, and what is to be said where another machine has others."""

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import NamedTuple

from genotune.errors import ResourceError


class Versions(NamedTuple):
    """Of what both sides of a submission run."""

    genotune: str
    ray: str
    python: str

    @property
    def text(self) -> str:
        """For a command line; `read_versions` reads it."""
        return json.dumps(self._asdict())

    def __str__(self) -> str:
        return f"genotune {self.genotune}, Ray {self.ray}, Python {self.python}"


def here() -> Versions:
    """Those of this process."""
    return Versions(metadata.version("genotune"), metadata.version("ray"), platform.python_version())


def read_versions(text: str) -> Versions:
    """What `Versions.text` gave on another machine."""
    values: Mapping[str, str] = json.loads(text)
    return Versions(**values)


def check_versions(desk: Versions, cluster: Versions) -> list[str]:
    """What differs between a desk and a cluster and does no harm, a sentence each.

    Raises:
        ResourceError: they run different genotunes, so that one spec may mean two things.
    """
    if desk.genotune != cluster.genotune:
        raise ResourceError(
            f"the cluster has genotune {cluster.genotune}, your machine {desk.genotune}: one spec may mean two sweeps. "
            f"Install the same on both, e.g. pip install genotune=={cluster.genotune} here."
        )
    notes = []
    if desk.ray != cluster.ray:
        notes.append(f"The cluster has Ray {cluster.ray}, your machine {desk.ray}; the sweep runs on the cluster's.")
    if desk.python.split(".")[:2] != cluster.python.split(".")[:2]:
        notes.append(f"The cluster has Python {cluster.python}, your machine {desk.python}; the cluster's is used.")
    return notes
