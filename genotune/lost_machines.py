"""Tells the failures of a trial from those of the machine that it ran on: only the first count against its retries.

Ray says at once that a process can't be reached, and only after some missed beats that its machine is dead. Until then
the trial goes on elsewhere, and whose failure it was is judged later.
"""

import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_DIED: Final = "its node has died"
_UNREACHED: Final = re.compile(r"The actor ([0-9a-f]+) is unavailable")
"""How Ray (2.60) speaks of the two."""

_MOST: Final = 20
"""So many machines may be lost under one trial; then it may be what ends them."""

_DOUBT_S: Final = 60.0
"""A machine that is alive so long afterwards was not to blame."""


class _Doubt(NamedTuple):
    """Failures whose cause isn't known yet.

    Attributes:
        n: how many.
        node: the machine of the last.
        since_s: by the monotonic clock.
    """

    trial: int
    n: int
    node: str
    since_s: float


class LostMachines:
    """Counts, for each trial, its own failures and the machines that it lost.

    Args:
        retries: how many failures of its own a trial may have.
        node_of: the machine of a process, by Ray's ids; '' where it isn't known.
        alive: the machines that are alive.
    """

    def __init__(self, retries: int, *, node_of: Callable[[str], str], alive: Callable[[], frozenset[str]]) -> None:
        self._retries, self._node_of, self._alive = retries, node_of, alive
        self._own: Counter[int] = Counter()
        self._lost: Counter[int] = Counter()
        self._doubts: list[_Doubt] = []

    def may_go_on(self, trial: int, text: str, *, n_failures: int) -> bool:
        """Whether a trial that was given up is started once more, since machines were lost under it.

        Args:
            trial: its number.
            text: of its failures, as Ray tells them.
            n_failures: that the text tells of.
        """
        n_lost, unreached = text.count(_DIED), _UNREACHED.findall(text)
        self._lost[trial] += n_lost
        self._own[trial] += max(0, n_failures - n_lost - len(unreached))
        if unreached:
            self._doubts.append(_Doubt(trial, len(unreached), self._node_of(unreached[-1]), time.monotonic()))
            self.look()
        if not (n_lost or unreached):
            return False
        in_doubt = sum(doubt.n for doubt in self._doubts if doubt.trial == trial)
        return self._own[trial] <= self._retries and self._lost[trial] + in_doubt <= _MOST

    def look(self) -> None:
        """Judge the failures whose cause wasn't known, as far as it is now; to be called from time to time."""
        if not self._doubts:
            return
        alive, waiting = self._alive(), []
        for doubt in self._doubts:
            if doubt.node and doubt.node not in alive:
                self._lost[doubt.trial] += doubt.n
            elif time.monotonic() - doubt.since_s > _DOUBT_S:
                self._own[doubt.trial] += doubt.n
            else:
                waiting.append(doubt)
        self._doubts = waiting


def node_of_actor(actor: str) -> str:
    """Ray's id of the machine that an actor is, or was, on; '' where it isn't known."""
    from ray._private import state

    found: Any = state.actors(actor)
    return str(found.get("Address", {}).get("NodeID", "")) if found else ""


def nodes_alive() -> frozenset[str]:
    """Ray's ids of the machines that are alive."""
    import ray

    return frozenset(node["NodeID"] for node in ray.nodes() if node["Alive"])  # type: ignore[no-untyped-call]
