"""On a cluster's head: keeps the driver of a submitted sweep at work on another node, whatever becomes of that node.

The driver is a process of its own, `genotune run SPEC --as NAME`, held by an actor on its node. What it prints is
handed on, so that the job's log tells of the sweep wherever its drivers were. A node that is lost takes actor and
driver along; the next driver goes on from the sweep's storage.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Final, NamedTuple, cast

from genotune.node_types import DRIVER_RESOURCE
from genotune.ray_session import ray_session

_DONE: Final = 0
_THEIRS: Final = 2
_INTERRUPTED: Final = 130
_SHARE: Final = 0.25
"""Of a node that is there for drivers: so four find a place on it."""
_QUICK_S: Final = 60.0
_MOST_QUICK_ENDS: Final = 5
"""A driver that dies so often in a row, each time within a minute, is not started again."""
_PAUSE_S: Final = 2.0
_FIRST_START_S: Final = 20.0
_PR_SET_PDEATHSIG: Final = 1


class _Ended(NamedTuple):
    """What became of one driver.

    Attributes:
        code: its exit code; None: its node is gone, or the actor that held it.
        words: why there is none.
    """

    code: int | None
    words: str = ""


class _Host:
    """Holds a driver on its node.

    Args:
        command: of the driver.
    """

    def __init__(self, command: Sequence[str]) -> None:
        import ray

        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        kept |= {name: value for name, value in os.environ.items() if name.startswith(("RAY_AUTH_", "RAY_TLS_"))}
        kept |= {name: os.environ[name] for name in ("RAY_USE_TLS",) if name in os.environ}
        address = ray.get_runtime_context().gcs_address
        self._process = subprocess.Popen(
            list(command),
            env={**kept, "RAY_ADDRESS": address, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - calls one function of C
        )

    def lines(self) -> Iterator[str]:
        """What the driver prints, until it has ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:  # noqa: UP028 - Ray sends to the generator
            yield line

    def code(self) -> int:
        """The driver's exit code, once it has ended."""
        return self._process.wait()

    def terminate(self) -> None:
        """Ask the driver to end; it writes down where it stands."""
        self._process.terminate()


def _end_with_parent() -> None:
    """The kernel asks this process to end when the one that holds it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def supervise(
    command: Sequence[str], *, address: str | None, has_driver_nodes: bool, say: Callable[[str], None]
) -> int:
    """Keep a driver at work until its sweep has ended; its exit code.

    Args:
        command: of the driver; run again, it goes on.
        address: of the Ray; None: the one that this process is on.
        has_driver_nodes: there are, or can be, nodes for drivers alone.
        say: takes each line.

    Raises:
        UserError: no Ray is there.
    """
    asked_to_end = threading.Event()
    hosts: list[Any] = []

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        asked_to_end.set()
        threading.Thread(target=_terminate, args=(list(hosts),), daemon=True).start()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ray_session(address or "auto"):
            for number, handler in before.items():  # Ray sets some of its own
                del handler
                signal.signal(number, end)
            return _keep(command, hosts, has_driver_nodes=has_driver_nodes, say=say, asked_to_end=asked_to_end)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep(
    command: Sequence[str],
    hosts: list[Any],
    *,
    has_driver_nodes: bool,
    say: Callable[[str], None],
    asked_to_end: threading.Event,
) -> int:
    n_quick = 0
    while True:
        began_s = time.monotonic()
        ended = _drive(command, hosts, resources=_resources(has_driver_nodes), say=say)
        if ended.code in (_DONE, _THEIRS, _INTERRUPTED):
            return ended.code
        if asked_to_end.is_set():
            return _INTERRUPTED
        n_quick = n_quick + 1 if time.monotonic() - began_s < _QUICK_S else 0
        how = f"ended with code {ended.code}" if ended.code is not None else f"is gone ({ended.words})"
        if n_quick >= _MOST_QUICK_ENDS:
            say(f"The driver {how}, the {n_quick}th time within a minute; it is not started again.")
            return ended.code or 1
        say(f"The driver {how}; it is started again, and the sweep goes on.")
        time.sleep(_PAUSE_S)


def _drive(
    command: Sequence[str], hosts: list[Any], *, resources: Mapping[str, float], say: Callable[[str], None]
) -> _Ended:
    """One driver, from its start to its end."""
    import ray
    from ray.exceptions import RayActorError, RayTaskError

    options = {"num_cpus": 0, "resources": dict(resources), "max_concurrency": 4, "max_restarts": 0}
    host = cast(Any, ray.remote)(_Host).options(**options).remote(command)
    hosts[:] = [host]
    waits = threading.Timer(_FIRST_START_S, say, ["Waiting for a node for the driver."])
    waits.start()
    try:
        for line in host.lines.options(num_returns="streaming").remote():
            waits.cancel()
            say(cast(str, ray.get(line)).rstrip("\n"))
        return _Ended(ray.get(host.code.remote()))
    except RayActorError as error:
        return _Ended(None, str(error).strip().partition("\n")[0].rstrip("."))
    except RayTaskError as error:
        return _Ended(None, str(error.cause))
    finally:
        waits.cancel()
        hosts.clear()
        ray.kill(host)


def _resources(has_driver_nodes: bool) -> Mapping[str, float]:
    import ray

    is_there = DRIVER_RESOURCE in cast(Any, ray.cluster_resources)()
    return {DRIVER_RESOURCE: _SHARE} if has_driver_nodes or is_there else {}


def _terminate(hosts: Sequence[Any]) -> None:
    for host in hosts:
        host.terminate.remote()
