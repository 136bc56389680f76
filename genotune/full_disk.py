"""Whether an error means that a disk is full, whichever library met it."""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from genotune.errors import HaltError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WORDS: Final = ("no space left on device", "disk quota exceeded", "os error 28", "os error 122", "outofdiskerror")
"""How libraries of C++ and Rust, and Ray, which tells of another process's error as text, name the same."""
_LEAST_ROOM_BYTES: Final = 1 << 20


def full_disk(error: BaseException, *, folder: Path | None = None) -> HaltError | None:
    """What to tell a person if a disk is full, or the quota on it used up; None: the error means something else.

    Args:
        error: as it was raised; what it was raised from is looked at too.
        folder: that was written to: where there is hardly any room left, that is why, whatever a library says of it
            (torch: "file write failed", numpy: "requested and 0 written").
    """
    for one in _chain(error):
        if isinstance(one, HaltError):
            return one
        place = getattr(one, "filename", None) or folder
        where = f"{place}: " if place else ""
        if isinstance(one, OSError) and one.errno in _FULL:
            return HaltError(f"{where}{one.strerror or 'no space left on device'}. Free some space.")
        text = f"{type(one).__name__}: {one}"
        line = next((line for line in text.splitlines() if any(word in line.lower() for word in _WORDS)), None)
        if line is not None:
            return HaltError(f"{where}{line.strip().rstrip('.')}. Free some space.")
    if folder is not None and folder.exists() and shutil.disk_usage(folder).free < _LEAST_ROOM_BYTES:
        return HaltError(f"{folder}: no space left on the disk. Free some space.")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it was raised from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        cause = getattr(one, "cause", None)  # of Ray's errors: what was raised in the other process
        waiting += [one.__cause__, one.__context__, cause if isinstance(cause, BaseException) else None]
