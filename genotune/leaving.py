"""Machines that are about to be taken away, as their cloud has said: trials there go on elsewhere after their epoch."""

import math
import time
from collections.abc import Callable, Collection
from typing import Any, Final

_EVERY_S: Final = 2.0


class LeavingMachines:
    """Asks Ray which machines are being drained, every few seconds at most.

    Args:
        ask: gives their ids.
    """

    def __init__(self, ask: Callable[[], Collection[str]]) -> None:
        self._ask = ask
        self._found: Collection[str] = ()
        self._asked_s = -math.inf

    def has(self, node: str) -> bool:
        """Whether a machine, by Ray's id, is about to go; '' is none."""
        if time.monotonic() - self._asked_s > _EVERY_S:
            self._found = self._ask()
            self._asked_s = time.monotonic()
        return node in self._found


def draining_nodes() -> Collection[str]:
    """Ray's ids of the machines that it drains: a cloud has given notice, or a person asked for it."""
    from ray._private import state

    found: Any = state.state.get_draining_nodes()
    return frozenset(found)
