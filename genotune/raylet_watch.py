"""Notices at once that Ray on this machine has died: Ray itself ends a driver some seconds later, without a word.

The raylet is the process that stands for a machine in Ray. The kernel tells of its death by a descriptor of the
process; a SIGINT then reaches the driver wherever it waits, as Ctrl-C would.
"""

import contextlib
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Final

from genotune.errors import HaltError

_CREDENTIALS: Final = "3i"  # pid, user, group

_losses: list[str] = []


def ray_loss() -> str | None:
    """How Ray was lost, if it was; the driver is then interrupted."""
    return _losses[-1] if _losses else None


@contextlib.contextmanager
def raylet_watched() -> Iterator[None]:
    """Ends the block when the raylet that this process is connected to dies; for the main thread, on Linux.

    Raises:
        HaltError: it died.
    """
    _losses.clear()
    pid = _raylet_pid()
    if pid is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    with contextlib.ExitStack() as after:
        process = os.pidfd_open(pid)
        after.callback(os.close, process)
        end_seen, end = os.pipe()
        after.callback(os.close, end_seen)
        thread = threading.Thread(target=_watch, args=(pid, process, end_seen), name="raylet-watch", daemon=True)
        thread.start()
        after.callback(thread.join)
        after.callback(os.close, end)
        try:
            yield
        except (KeyboardInterrupt, Exception) as error:
            if ray_loss() is None:
                raise
            raise HaltError(f"{ray_loss()} Was it killed, or the machine out of memory?") from error


def _watch(pid: int, process: int, end: int) -> None:
    ready, *_ = select.select([process, end], [], [])
    if process in ready and end not in ready:
        _losses.append(f"{socket.gethostname()}: Ray on this machine has died (its raylet, process {pid}, is gone).")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _raylet_pid() -> int | None:
    """The process that listens for this machine's Ray; None where the system doesn't tell."""
    from ray._private.worker import global_worker

    if not hasattr(socket, "SO_PEERCRED") or not hasattr(os, "pidfd_open"):
        return None
    assert global_worker.node is not None, "connected"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(global_worker.node.raylet_socket_name)
        size = struct.calcsize(_CREDENTIALS)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid: int = struct.unpack(_CREDENTIALS, credentials)[0]
    return pid
