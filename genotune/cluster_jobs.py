"""Ray's jobs on a cluster, asked over HTTP from a person's desk; what goes wrong is told in words that mend it."""

import contextlib
import logging
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from genotune.data.remote import masked
from genotune.errors import ResourceError, UserError
from genotune.profiles import Profile, token_of

JobStatus = Literal["pending", "running", "stopped", "succeeded", "failed"]

_REACH_TIMEOUT_S: Final = 5.0
_ASK_TIMEOUT_S: Final = 60.0
_LOOK_EVERY_S: Final = 1.0
_RAYS_OWN: Final = re.compile(r"^(\S+ \S+\tINFO job_manager\.py:.*|Running entrypoint for job .*)\n", re.MULTILINE)
_SWEEP: Final = "genotune.sweep"
_SPEC: Final = "genotune.spec"
_PLACE: Final = "genotune.place"


class SweepJob(NamedTuple):
    """A sweep that was submitted.

    Attributes:
        name: of the sweep, and of its job.
        spec: the file's name.
        place: of all sweeps in the storage.
        began_s: when it was submitted, in seconds since 1970.
        ended_s: None: it hasn't.
        message: Ray's, of how it stands.
    """

    name: str
    spec: str
    place: str
    status: JobStatus
    began_s: float
    ended_s: float | None
    message: str

    @property
    def has_ended(self) -> bool:
        """Whether no more comes of it by itself."""
        return self.status in ("stopped", "succeeded", "failed")


class ClusterJobs:
    """The jobs of one cluster.

    Args:
        profile: of the cluster.

    Raises:
        UserError: nothing answers at the address, it is no Ray, or it refuses the token.
    """

    def __init__(self, profile: Profile) -> None:
        self.address = masked(profile.address)
        _check_reached(profile.address)
        token = token_of(profile)
        self._has_token = token is not None
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with _quiet(), self._told():
            from ray.job_submission import JobSubmissionClient

            self._client = JobSubmissionClient(profile.address, headers=headers)
            self._ray_version = str(self._client._server_ray_version)

    @property
    def ray_version(self) -> str:
        """Of the cluster."""
        return self._ray_version

    def submit(
        self,
        name: str,
        command: str,
        *,
        package: Path | None,
        environment: Mapping[str, str],
        facts: tuple[str, str] | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        """Start a job.

        Args:
            name: of the job, and of the sweep.
            command: for its shell.
            package: a folder that it runs in a copy of; None: it needs none.
            environment: variables that it gets.
            facts: of a sweep: the spec's name, and the place of all sweeps in its storage; None: it is no sweep.
            resources: of the node that it runs on; None: it runs on the head.

        Raises:
            UserError: there is a job of that name, or the cluster takes none.
        """
        runtime: dict[str, Any] = {"env_vars": dict(environment)}
        if package is not None:
            runtime["working_dir"] = str(package)
        metadata = {} if facts is None else {_SWEEP: name, _SPEC: facts[0], _PLACE: facts[1]}
        with _quiet(), self._told():
            self._client.submit_job(
                entrypoint=command,
                submission_id=name,
                runtime_env=runtime,
                metadata=metadata,
                entrypoint_resources=dict(resources) if resources else None,
            )

    def sweeps(self) -> list[SweepJob]:
        """All sweeps that were submitted, the latest first."""
        with self._told():
            jobs = self._client.list_jobs()
        found = [_sweep(job) for job in jobs if _SWEEP in (job.metadata or {})]
        return sorted(found, key=lambda job: -job.began_s)

    def sweep(self, name: str) -> SweepJob:
        """One of them, by its name or the beginning of it.

        Raises:
            UserError: none or several are called so.
        """
        everything = self.sweeps()
        fitting = [job for job in everything if job.name == name] or [
            job for job in everything if job.name.startswith(name)
        ]
        if len(fitting) == 1:
            return fitting[0]
        problem = "several sweeps begin so" if fitting else "no such sweep was submitted"
        names = ", ".join(job.name for job in (fitting or everything)[:5]) or "none"
        raise UserError(f"{name}: {problem} at {self.address}. There: {names}.")

    def status(self, name: str) -> tuple[JobStatus, str]:
        """How a job stands, and Ray's message."""
        with self._told():
            info = self._client.get_job_info(name)
        return _status(info), info.message or ""

    def log(self, name: str) -> str:
        """All that a job has printed."""
        with self._told():
            return _RAYS_OWN.sub("", str(self._client.get_job_logs(name)))

    def follow(self, name: str) -> Iterator[str]:
        """What a job prints, a line at a time, until it has ended."""
        n_told = 0
        while True:
            status, _ = self.status(name)
            has_ended = status in ("stopped", "succeeded", "failed")
            text = self.log(name)
            whole = text if has_ended else text[: text.rfind("\n") + 1]
            yield from whole[n_told:].splitlines()
            n_told = max(n_told, len(whole))
            if has_ended:
                return
            time.sleep(_LOOK_EVERY_S)

    def stop(self, name: str) -> bool:
        """Ask a job to end; whether it was running."""
        with self._told():
            return bool(self._client.stop_job(name))

    def wait(self, name: str, *, timeout_s: float) -> JobStatus:
        """How a job stands once it has ended, or the time is over."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            status, _ = self.status(name)
            if status in ("stopped", "succeeded", "failed") or time.monotonic() > deadline_s:
                return status
            time.sleep(_LOOK_EVERY_S / 2)

    def forget(self, name: str) -> None:
        """Let go of what the cluster knows of a job that has ended."""
        with contextlib.suppress(UserError), self._told():
            self._client.delete_job(name)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What Ray raises as something that a person can mend.

        Raises:
            ResourceError: with the fix.
        """
        import requests
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise ResourceError(self._refusal(str(error))) from None
        except (ConnectionError, requests.exceptions.RequestException) as error:
            words = str(error).strip().partition("\n")[0]
            raise ResourceError(f"{self.address}: doesn't answer as Ray's dashboard does ({masked(words)}).") from None
        except (RuntimeError, ValueError, KeyError) as error:
            raise ResourceError(f"{self.address}: {masked(_reason(str(error)))}") from None

    def _refusal(self, words: str) -> str:
        if "Authentication failed" in words or self._has_token:
            return (
                f"{self.address}: refuses the token that was sent. Is it this cluster's? It is read from the profile's "
                "token_file, else RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token."
            )
        return (
            f"{self.address}: asks for a token, and none was found. Put the cluster's into ~/.ray/auth_token "
            "(chmod 600), or name a file with it: token_file in the profile, or RAY_AUTH_TOKEN_PATH."
        )


def _check_reached(address: str) -> None:
    """Nothing, if something listens there; Ray's client would wait for minutes.

    Raises:
        UserError: nothing does, or it is no address.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"--address {masked(address)}: a cluster's dashboard is meant, e.g. http://127.0.0.1:8265.")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname, port), timeout=_REACH_TIMEOUT_S):
            pass
    except (OSError, ValueError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ResourceError(
            f"{masked(address)}: nothing answers there ({words}). Is the cluster up, and the tunnel to it open "
            "(`ray dashboard FILE`, `kubectl port-forward`, `ssh -L 8265:127.0.0.1:8265`)?"
        ) from None


def _sweep(job: Any) -> SweepJob:
    facts = job.metadata
    ended_s = job.end_time / 1000 if job.end_time else None
    began_s = (job.start_time or 0) / 1000
    return SweepJob(
        facts[_SWEEP], facts[_SPEC], facts[_PLACE], _status(job), began_s, ended_s, (job.message or "").strip()
    )


def _status(job: Any) -> JobStatus:
    return str(job.status.value).lower()  # type: ignore[return-value]


def _reason(text: str) -> str:
    """What a server says of a fault: the last line of its traceback."""
    lines = [line for line in text.strip().strip(".").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "Ray gives no reason"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray's client tells of packages and versions on a logger of its own."""
    names = ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
