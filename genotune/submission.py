"""A sweep sent from a person's desk to a cluster: what must hold before anything starts, and the job that keeps it."""

import logging
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from genotune.cluster_file import read_cluster_file
from genotune.cluster_jobs import ClusterJobs, SweepJob
from genotune.data.remote import is_url, masked
from genotune.errors import Problem, SweepError, UserError
from genotune.node_types import DRIVER_RESOURCE
from genotune.packing import pack
from genotune.profiles import Profile
from genotune.run import new_id
from genotune.spec import GroupSpec, Spec, read_sweeps, spec_error
from genotune.storage import place_fault
from genotune.sweep_group import check_name
from genotune.tracking.stores import is_server
from genotune.versions import here

log = logging.getLogger(__name__)

PROGRAM: Final = "python -m genotune.cli"
"""On the cluster's machines."""

_CLUSTER_FILE: Final = ".genotune-cluster.yaml"
"""In the folder that travels."""

_STOP_WAIT_S: Final = 90
"""So long Ray waits for a job that was asked to end: the driver writes down where it stands, and MLflow is told."""
_ANSWER_TIMEOUT_S: Final = 180.0
_BEGUN: Final = re.compile(r"^(Sweep|Group) \S+")
_ERROR: Final = re.compile(r"^(error|usage): ", re.IGNORECASE)
_NO_GENOTUNE: Final = "No module named genotune"


class Submission(NamedTuple):
    """What was submitted.

    Attributes:
        name: of the sweep.
        place: of all sweeps, in the storage.
        n_bytes: that travelled.
    """

    name: str
    place: str
    n_bytes: int


def submit(path: Path, profile: Profile, *, name: str | None) -> Submission:
    """Send a spec with its small files to a cluster, and start the job that keeps its driver at work.

    Args:
        path: the spec.
        profile: of the cluster.
        name: of the sweep; a sweep of this name that has begun goes on. None: a new one's.

    Raises:
        UserError: the spec, the cluster, or what one lacks for the other.
    """
    check_name(name)
    described = read_sweeps(path)
    spec = described if isinstance(described, Spec) else described.members[0].spec
    storage = _storage(spec, profile)
    environment = {"GENOTUNE_STORAGE": storage} if spec.settings.storage is None else {}
    environment |= _tracking(spec, profile)
    title = described.name if isinstance(described, GroupSpec) else described.settings.name
    called = name or f"{title}-{new_id()}"
    cluster = ClusterJobs(profile)
    _check_not_at_work(cluster, called)
    with tempfile.TemporaryDirectory(prefix="genotune-") as folder:
        package = pack(described, Path(folder))
        words = [*PROGRAM.split(), "supervise", package.spec, "--as", called, "--desk", here().text]
        words += _of_cluster_file(profile, package.folder)
        cluster.submit(
            called,
            shlex.join(words),
            package=package.folder,
            environment={**environment, "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_WAIT_S)},
            facts=(path.name, storage),
        )
    return Submission(called, storage, package.n_bytes)


def first_lines(cluster: ClusterJobs, name: str) -> Iterator[str]:
    """What a submitted sweep prints until it has begun.

    Raises:
        SweepError: it ends before.
    """
    told: list[str] = []
    for line in cluster.follow(name):
        told.append(line)
        if _BEGUN.match(line):
            yield line
            return
        if not _ERROR.match(line):
            yield line
    status, message = cluster.status(name)
    if status == "succeeded":  # it was finished before
        return
    raise SweepError(_why_ended(told, name, message))


def ask_cluster(cluster: ClusterJobs, arguments: list[str], *, name: str) -> str:
    """What a command of genotune prints on the cluster's head.

    Args:
        cluster: where.
        arguments: of the command.
        name: what it is about.

    Raises:
        UserError: it failed, with what it says.
    """
    job = f"{name}-asked-{new_id()}"
    cluster.submit(job, shlex.join([*PROGRAM.split(), *arguments]), package=None, environment={"COLUMNS": "160"})
    status = cluster.wait(job, timeout_s=_ANSWER_TIMEOUT_S)
    text = cluster.log(job)
    cluster.forget(job)
    if status != "succeeded":
        lines = text.splitlines()
        raise SweepError(_why_ended(lines, name, f"the cluster's head answered nothing ({status})"))
    return text


def place_of(job: SweepJob) -> str:
    """Of a sweep in its storage, as the commands of genotune take it."""
    return f"{job.place.rstrip('/')}/{job.name}"


def _of_cluster_file(profile: Profile, folder: Path) -> list[str]:
    """Options of `supervise` from the cluster file, which travels too: what the cluster may start, and its prices."""
    if profile.cluster_file is None:
        return []
    path = Path(profile.cluster_file).expanduser()
    fleet = read_cluster_file(path).fleet
    shutil.copyfile(path, folder / _CLUSTER_FILE)
    has_driver_nodes = fleet is not None and fleet.driver.custom.get(DRIVER_RESOURCE)
    return ["--cluster", _CLUSTER_FILE, *(["--driver-nodes"] if has_driver_nodes else [])]


def _storage(spec: Spec, profile: Profile) -> str:
    """Where checkpoints and the journal go.

    Raises:
        UserError: no place is named that all machines of a cluster can reach.
    """
    named = spec.settings.storage or profile.storage
    fix = (
        "On a cluster the machines come and go, so checkpoints and the record must lie where all of them can reach "
        "them: storage: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, or file:///FOLDER that all of them see"
    )
    if named is None:
        message = f"the spec names none. {fix}; in the spec, or in the cluster's profile."
        raise spec_error(spec, [Problem(("storage",), message)])
    if not is_url(named):
        message = f"found {named!r}, a folder. {fix}."
        raise spec_error(spec, [Problem(("storage",), message)])
    fault = place_fault(named)
    if fault is not None:
        raise UserError(f"storage of the cluster's profile: {fault}")
    return named


def _tracking(spec: Spec, profile: Profile) -> dict[str, str]:
    """What the driver is told of MLflow's server.

    Raises:
        UserError: a file or database of one machine is named, or a login stands in the address.
    """
    own = spec.settings.tracking.uri
    named = own or profile.tracking_uri
    if named is not None and not is_server(named):
        fix = "A driver may be on any machine: name an MLflow server, http://... or https://..."
        message = f"found {masked(named)!r}. {fix}"
        if own is not None:
            raise spec_error(spec, [Problem(("tracking", "uri"), message)])
        raise UserError(f"tracking_uri of the cluster's profile: {message}")
    if named is not None and masked(named) != named:
        raise UserError(
            f"tracking.uri: {masked(named)} holds a login, which the cluster's dashboard would show. Set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD on the cluster's machines instead."
        )
    return {} if named is None or own is not None else {"MLFLOW_TRACKING_URI": named}


def _check_not_at_work(cluster: ClusterJobs, name: str) -> None:
    """Nothing, if no job of the name is there; one that has ended makes way.

    Raises:
        SweepError: one is at work.
    """
    for job in cluster.sweeps():
        if job.name == name:
            if not job.has_ended:
                message = f"it is at work on the cluster already ({job.status}). Follow it: genotune logs -f {name}"
                raise SweepError(f"{name}: {message}")
            cluster.forget(name)


def _why_ended(lines: list[str], name: str, message: str) -> str:
    """What to tell of a job that ended too early."""
    text = "\n".join(lines)
    if _NO_GENOTUNE in text:
        fix = f"Install it there (pip install genotune=={here().genotune}), or use an image that has it."
        return f"the cluster's machines have no genotune. {fix}"
    for start, line in enumerate(lines):
        if _ERROR.match(line):
            return "\n".join([_ERROR.sub("", line), *lines[start + 1 :]]).strip()
    return f"{name}: {message.strip().rstrip('.')}. Its last lines:\n" + "\n".join(lines[-20:])
