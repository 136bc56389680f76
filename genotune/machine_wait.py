"""What trials wait for on a cluster: which machines are on their way, and which could not be started, and why."""

import contextlib
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from genotune.sweep_state import SweepState

log = logging.getLogger(__name__)

_AFTER_S: Final = 20.0
"""So long a trial waits before anybody is told: a process takes its time to start as well."""
_EVERY_S: Final = 5.0
_LONGEST: Final = 300
"""Characters of what a cloud says that are shown."""
_LATELY_S: Final = 600.0
_UNTOLD: Final = "a quota, or none to be had? Ray's monitor.log on the head says why"
"""Ray 2.60 keeps what the cloud said of most failures to itself."""


class Launches(NamedTuple):
    """What an autoscaler is at.

    Attributes:
        starting: machines on their way, by node type.
        failed: node types that could not be started lately, with what the cloud said.
    """

    starting: dict[str, int]
    failed: dict[str, str]


class MachineWait:
    """Says what trials wait for, when it has changed.

    Args:
        say: takes the words; '' once none waits any more.
        ask: what the autoscaler is at; None: there is none, or it doesn't answer.
    """

    def __init__(self, say: Callable[[str], None], ask: Callable[[], Launches | None]) -> None:
        self._say, self._ask = say, ask
        self._said = ""
        self._looked_s = -math.inf
        self._since_s: dict[int, float] = {}

    def look(self, state: SweepState) -> None:
        """Look at the trials that have no process, every few seconds."""
        now_s = time.monotonic()
        if now_s - self._looked_s < _EVERY_S:
            return
        self._looked_s = now_s
        without = {one.number for one in state.unended.values() if one.running_since_s is None and not one.is_paused}
        self._since_s = {number: self._since_s.get(number, now_s) for number in without}
        waiting = [number for number, since_s in self._since_s.items() if now_s - since_s >= _AFTER_S]
        words = self._words(len(waiting), n_running=len(state.unended) - len(without)) if waiting else ""
        if words != self._said:
            self._said = words
            self._say(words)

    def _words(self, n_waiting: int, *, n_running: int) -> str:
        """What is said; '' where trials only wait for others to end, as one always does."""
        launches = self._ask()
        if n_running and not (launches and (launches.starting or launches.failed)):
            return ""
        return wait_words(n_waiting, launches)


@contextlib.contextmanager
def first_machine_awaited(
    say: Callable[[str], None], ask: Callable[[], Launches | None], n_cpus: Callable[[], float]
) -> Iterator[None]:
    """For the block's time a cluster without a CPU is told of: nothing can be read there.

    Args:
        say: takes the words, when they have changed.
        ask: as of `MachineWait`.
        n_cpus: of all machines that are alive.
    """
    over = threading.Event()

    def watch() -> None:
        said = ""
        while not over.wait(_AFTER_S if not said else _EVERY_S):
            words = "" if n_cpus() else f"The data wait for {_machines_words(ask())}."
            if words and words != said:
                said = words
                say(words)

    thread = threading.Thread(target=watch, name="machine-wait", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def wait_words(n_trials: int, launches: Launches | None) -> str:
    """As a person is told, e.g. '2 trials wait for machines: 1 of worker is starting.'."""
    trials = "1 trial waits" if n_trials == 1 else f"{n_trials} trials wait"
    return f"{trials} for {_machines_words(launches)}."


def _machines_words(launches: Launches | None) -> str:
    if launches is None:
        return "room on the machines that there are"
    starting = [
        f"{count} of {name} {'is' if count == 1 else 'are'} starting" for name, count in launches.starting.items()
    ]
    failed = [f"{name} could not be started ({words})" for name, words in launches.failed.items()]
    return f"machines: {'; '.join([*starting, *failed]) or 'none is starting'}"


def launches_of(status: Any, *, now_s: float) -> Launches:
    """What Ray's autoscaler tells of itself.

    Args:
        status: Ray's ClusterStatus.
        now_s: in seconds since 1970; failures of long ago are left out.
    """
    starting = Counter[str]()
    for launch in status.pending_launches:
        starting[launch.ray_node_type_name] += launch.count
    starting.update(node.ray_node_type_name for node in status.pending_nodes)
    failed = {
        launch.ray_node_type_name: _short(launch.details)
        for launch in status.failed_launches
        if now_s - (launch.failed_ts_s or now_s) < _LATELY_S
    }
    return Launches(dict(starting), failed)


def ask_autoscaler() -> Launches | None:
    """What the autoscaler of the Ray that this process is on is at; None: there is none, or it doesn't answer."""
    import ray
    from ray.autoscaler.v2.sdk import get_cluster_status

    try:
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
    except Exception:
        log.debug("the autoscaler doesn't answer", exc_info=True)
        return None
    has_one = status.stats.autoscaler_version is not None or _any(status.pending_launches, status.failed_launches)
    return launches_of(status, now_s=time.time()) if has_one else None


def _any(*lists: Iterable[Any]) -> bool:
    return any(True for one in lists for _ in one)


def _short(details: str | None) -> str:
    text = " ".join((details or _UNTOLD).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
