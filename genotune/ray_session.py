"""A Ray to work on: one of our own for a laptop, or one that is there already."""

import contextlib
import fcntl
import gc
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NamedTuple

from genotune.errors import ResourceError
from genotune.node_types import Fleet
from genotune.raylet_watch import ray_loss, raylet_watched

log = logging.getLogger(__name__)

_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the same in a trial as in the driver
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the journal is the record
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # tune_adapters.py says how many wait
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # sweep.py ends a sweep at a point where the journal is whole
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

_TOKEN: Final = secrets.token_hex(32)
"""Of every private Ray of this process: Ray reads it once in a process's life."""
_ANSWER_TIMEOUT_S: Final = 5.0
_START_TIMEOUT_S: Final = 180.0
_SETTINGS_FRAME: Final = 4
_HELD_FILE: Final = "held"
"""In the folder of a private Ray: locked as long as its driver lives."""


class Node(NamedTuple):
    """What one machine of a cluster offers; memory in bytes."""

    cpus: float
    gpus: float
    memory: float


class Session(NamedTuple):
    """A Ray to work on.

    Attributes:
        is_private: nobody else is on it.
        goes_on: it outlives the work, with all that is not let go of.
        fleet: the machines that it may start, beside those that are there; None: none, or not known.
    """

    is_private: bool
    goes_on: bool
    fleet: Fleet | None = None


RaySession = Callable[[], AbstractContextManager[Session]]
"""Gives a Ray to work on for a block's time."""


@contextlib.contextmanager
def ray_session(address: str | None, *, n_cpus: int | None = None, fleet: Fleet | None = None) -> Iterator[Session]:
    """Ray, for as long as the block runs.

    A private Ray listens on this machine only, asks for a token that nobody else has, and is gone afterwards, as are
    its files. Its folder's name is short, since a socket's path has at most 107 bytes.

    Args:
        address: of a Ray to join; None: RAY_ADDRESS, else a private one.
        n_cpus: CPUs of a private Ray; None: as many as this process may use.
        fleet: what the Ray at the address may start, which it doesn't tell itself; None: not known.

    Raises:
        ResourceError: no Ray answers at the address, or none starts here.
        HaltError: Ray on this machine died.
    """
    address = address or os.environ.get("RAY_ADDRESS") or None
    with _environment(_QUIET):
        if address:
            with _joined(address), raylet_watched():
                yield Session(is_private=False, goes_on=True, fleet=fleet)
            return
        with _private(n_cpus or available_cpus()), raylet_watched():
            yield Session(is_private=True, goes_on=False)


def nodes() -> list[Node]:
    """The live machines of the Ray that this process is connected to."""
    import ray

    return [
        Node(
            resources.get("CPU", 0.0),
            resources.get("GPU", 0.0),
            resources.get("memory", 0.0),
        )
        for resources in (
            node["Resources"]
            for node in ray.nodes()  # type: ignore[no-untyped-call]
            if node["Alive"]
        )
    ]


def available_cpus() -> int:
    """CPUs that this process may use: a container's or a batch system's share, not the whole machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _joined(address: str) -> Iterator[None]:
    if not _answers(address):
        raise ResourceError(f"--address {address}: no Ray answers there. Is it running, and is this its GCS port?")

    try:
        _init_ray(address=address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        message = (
            f"--address {address}: no Ray answers there ({error}). Is it running, and does RAY_AUTH_MODE match its own?"
        )
        raise ResourceError(message) from error
    try:
        yield
    finally:
        _shut_down()


def _answers(address: str) -> bool:
    """Whether a server that speaks HTTP/2, as gRPC and so Ray does, listens at HOST:PORT within seconds.

    Asked first, since Ray itself tries for minutes and then ends the process. An address of another form is Ray's to
    judge. Source: RFC 9113, sections 3.4 and 6.5: each side begins with a SETTINGS frame.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return True
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_TIMEOUT_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return True  # it would not answer in plain text
            connection.settimeout(_ANSWER_TIMEOUT_S)
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS_FRAME, 0, 0, 0, 0, 0)))
            head = connection.recv(4)
            return len(head) == 4 and head[3] == _SETTINGS_FRAME
    except (OSError, OverflowError, UnicodeError):
        return False


@contextlib.contextmanager
def _private(n_cpus: int) -> Iterator[None]:
    root = (
        Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    )  # a long TMPDIR makes a long socket path
    _clear_leftovers(root)
    folder = tempfile.mkdtemp(prefix=f"gt{os.getpid()}-", dir=root)
    try:
        with (
            (Path(folder) / _HELD_FILE).open("w") as held,
            _environment({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _TOKEN}),
        ):
            fcntl.flock(held, fcntl.LOCK_EX)
            try:
                _start_ray(n_cpus, folder)
                yield
            finally:
                _shut_down()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start_ray(n_cpus: int, folder: str) -> None:
    """Start a private Ray.

    Raises:
        ResourceError: it did not come up in time.
    """
    try:
        with _patient_start():
            _init_ray(address="local", num_cpus=n_cpus, include_dashboard=False, _temp_dir=folder)
    except Exception as error:  # Ray raises just that when its node is late
        log.debug("Ray didn't start", exc_info=True)
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        message = (
            f"Ray did not start on this machine ({reason}). It needs free memory, space in {Path(folder).parent} and "
            f"/dev/shm, and on a busy machine up to {_START_TIMEOUT_S:.0f} seconds: is that one too busy?"
        )
        raise ResourceError(message) from error


@contextlib.contextmanager
def _patient_start() -> Iterator[None]:
    """For the block's time Ray waits for its node longer than its own half minute: a machine may be busy."""
    from ray._private import services

    get_node: Callable[..., Any] = services.get_node

    def get_node_when_it_is_there(*args: Any, **named: Any) -> Any:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                return get_node(*args, **named)
            except RuntimeError:  # as Ray's own loop: it isn't known yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    services.get_node = get_node_when_it_is_there
    try:
        yield
    finally:
        services.get_node = get_node


def _shut_down() -> None:
    """Leave Ray. No thread collects garbage meanwhile: Ray ends a process that lets go of an object just then."""
    import ray

    if ray_loss() is not None:
        _abandon()
        return
    gc.collect()  # what Tune leaves behind refers to Ray's objects
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        if was_enabled:
            gc.enable()


def _abandon() -> None:
    """Leave a Ray whose raylet is dead: who says goodbye to it is ended without a word. What is left of it goes too."""
    import atexit

    from ray._private import worker

    atexit.unregister(worker.shutdown)
    assert worker.global_worker.node is not None, "was connected"
    worker.global_worker.node.kill_all_processes(check_alive=False)


def _init_ray(**where: Any) -> None:
    """Connect to a Ray, quietly, and leave SIGTERM to us: Ray's own handler ends the process without a word."""
    import ray

    _quieten_ray()
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, configure_logging=False, **where)
    except SystemExit:  # that handler, while Ray starts
        raise KeyboardInterrupt from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_terminate)


def _quieten_ray() -> None:
    """Errors only: Tune warns of result files that it misses, which the journal replaces. Importing Ray sets levels."""
    for name in ("ray", "ray.data", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _clear_leftovers(root: Path) -> None:
    """Remove the folders of private Rays whose driver was killed; its processes end by themselves within a minute.

    The lock tells, and no process id: a driver in another container may share this folder.
    """
    for path in root.glob(f"gt*-*/{_HELD_FILE}"):
        with contextlib.suppress(OSError), path.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """These variables for the block's time; what a person has set stays."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
