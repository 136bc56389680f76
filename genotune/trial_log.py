"""What a trial's process writes while it runs the trial, kept in a file of the trial's own."""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

LOG_FILE: Final = "log.txt"
"""In the trial's folder; of several workers that of rank 0, the others have one each."""

_LAST_BYTES: Final = 1 << 16


@contextlib.contextmanager
def logged(folder: Path, title: str, *, rank: int = 0) -> Iterator[None]:
    """Standard output and error of this process, and what genotune logs, in the trial's log while the block runs.

    By file descriptor, so that what a library of C writes, and what an interpreter says while it dies, is in it. An
    exception is written too, and raised on.

    Args:
        folder: of the trial; made if it isn't there.
        title: the first line, after the time: a trial that is tried again adds to its log.
        rank: of this worker.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"log-{rank}.txt" if rank else LOG_FILE
    streams = [(sys.stdout, 1), (sys.stderr, 2)]
    with (folder / name).open("ab", buffering=0) as file, contextlib.ExitStack() as after:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {title}\n".encode())
        for stream, number in streams:
            stream.flush()
            kept = os.dup(number)
            after.callback(os.close, kept)
            after.callback(os.dup2, kept, number)
            after.callback(stream.flush)
            os.dup2(file.fileno(), number)
        after.enter_context(_told_to_stderr())
        try:
            yield
        except Exception:
            log.exception("the trial failed")
            raise


@contextlib.contextmanager
def _told_to_stderr() -> Iterator[None]:
    """What genotune logs in this process goes to standard error meanwhile."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("genotune")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def last_log_lines(folder: Path, n: int) -> str:
    """The last lines of a trial's log; '' where it has none."""
    path = folder / LOG_FILE
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-n:])
