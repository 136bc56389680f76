"""A sweep's journal in its storage: a driver whose machine is gone goes on elsewhere with nothing lost.

It lies there in parts, each some whole lines. A part's name says which driver of the sweep wrote it, counted from 1,
and the number of its first event: 00002-0000000107. What a driver wrote holds until the first event of the next
driver's parts, so one that lives on unseen, cut off by the network, changes nothing. A small file, `driver`, says who
is at work: it is written again every few seconds, and a second driver waits whether that goes on.
"""

import contextlib
import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from genotune.data.remote import masked
from genotune.errors import HaltError, SweepError
from genotune.events import JOURNAL_FILE
from genotune.stop_requests import hand_in, is_request
from genotune.storage import Storage

log = logging.getLogger(__name__)

DRIVER_FILE: Final = "driver.json"
"""In the sweep's folder: which of its drivers, counted from 1, the journal there is of."""

_PLACE: Final = "journal"
_REQUESTS: Final = "requests"
_HOLDER: Final = "driver"
_PART: Final = re.compile(r"(\d{5})-(\d{10})")
_KEPT: Final = re.compile(r"[a-z]+\.(yaml|json)")
"""Files beside the journal that belong to the sweep; not requests, nor what a writer that died had begun."""
_PART_BYTES: Final = 1 << 18
_BEAT_S: Final = 5.0
LEASE_S: Final = 30.0
"""A driver that has not shown itself for so long is taken for dead."""


def is_at_work(place: Storage) -> bool:
    """Whether a driver has shown itself lately at a sweep's place in a storage; the clocks of both are compared.

    Raises:
        HaltError: the storage can't be read.
    """
    holder = _holder_at(place.part(_PLACE))
    return holder is not None and not holder.is_gone and time.time() - holder.seen_s < LEASE_S


def leave_request(place: Storage, name: str) -> None:
    """Ask the driver of a sweep, by the sweep's place in a storage, for something; it looks every few seconds.

    Raises:
        HaltError: the storage can't be written to.
    """
    place.part(_PLACE).part(_REQUESTS).write(name, b"")


class _Extent(NamedTuple):
    """How far a storage has a journal.

    Attributes:
        n_events: in it.
        driver: the last that wrote, from 1; 0: none did.
    """

    n_events: int
    driver: int


class _Holder(NamedTuple):
    """Who is at work on a sweep.

    Attributes:
        driver: from 1.
        host: its machine's name.
        pid: its process there.
        began: that process's start in the kernel's clock; '' where that isn't known.
        beat: counts up as long as it lives.
        seen_s: of the last beat, in seconds since 1970 by that machine's clock.
    """

    driver: int
    host: str
    pid: int
    began: str
    beat: int
    seen_s: float

    @property
    def is_gone(self) -> bool:
        """Whether it is known that the process has ended: it was on this machine."""
        return self.host == socket.gethostname() and self.began != "" and _began(self.pid) != self.began


def bring_journal(place: Storage, folder: Path) -> bool:
    """Write the journal of a sweep, with its spec, into its folder, unless what lies there is as new; whether it did.

    Args:
        place: of the sweep in its storage.
        folder: of the sweep on this machine; made where it is missing.

    Raises:
        SweepError: a part of it is missing.
        HaltError: the storage can't be read.
    """
    path, known = folder / JOURNAL_FILE, _known_driver(folder)
    extent = _extent(place.part(_PLACE))
    if not extent.driver or (path.exists() and extent.driver <= known):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for name in filter(_KEPT.fullmatch, place.part(_PLACE).files()):
        (folder / name).write_bytes(place.part(_PLACE).read(name) or b"")
    if path.exists():
        path.rename(path.with_name(f"journal-of-driver-{known}.jsonl"))
    draft = path.with_name(f".{JOURNAL_FILE}")
    draft.write_bytes(_content(place.part(_PLACE)))
    draft.rename(path)
    _note_driver(folder, extent.driver)
    return True


class JournalCopy:
    """The one writer of a journal in a storage.

    Args:
        place: of the sweep in its storage.
        folder: of the sweep on this machine, with the journal that goes there.

    Attributes:
        fault: why it takes no more: the storage is away, or another driver has taken the sweep over.

    Raises:
        SweepError: another driver is at work on the sweep.
        HaltError: the storage can't be written to.
    """

    def __init__(self, place: Storage, folder: Path) -> None:
        self._place, self._folder = place.part(_PLACE), folder
        self.fault: HaltError | None = None
        self._lock = threading.RLock()
        self._part, self._first, self._n_lines = bytearray(), 1, 0
        self._is_behind = False
        self._ended = threading.Event()
        self._holder = self._take()
        self._thread = threading.Thread(target=self._beat_until_ended, name="journal-copy", daemon=True)

    def begin(self, content: bytes, kept: Mapping[str, bytes]) -> None:
        """Put there what isn't yet of the lines so far, and the files beside them; from now on `add` and `flush`.

        Raises:
            HaltError: the storage can't be written to.
        """
        n_there = _extent(self._place).n_events
        self._first = n_there + 1
        for name, text in kept.items():
            self._place.write(name, text)
        for line in content.splitlines(keepends=True)[n_there:]:
            self.add(line)
            if len(self._part) > _PART_BYTES:
                self.flush()
        self.flush()
        for name in self._place.part(_REQUESTS).files():  # asked of an earlier driver
            self._place.part(_REQUESTS).forget(name)
        self._thread.start()

    def add(self, line: bytes) -> None:
        """The next event, which goes there with the next one that is waited for, or within seconds."""
        with self._lock:
            if len(self._part) > _PART_BYTES and not self._is_behind:
                self._first += self._n_lines
                self._part, self._n_lines = bytearray(), 0
            self._part += line
            self._n_lines += 1
            self._is_behind = True

    def flush(self) -> None:
        """Wait until all that was added lies there.

        Raises:
            HaltError: it doesn't, and won't.
        """
        with self._lock:
            if self.fault is not None:
                raise self.fault
            if not self._is_behind:
                return
            try:
                self._place.write(f"{self._holder.driver:05d}-{self._first:010d}", bytes(self._part))
            except HaltError as error:
                self.fault = error
                raise
            self._is_behind = False

    def close(self) -> None:
        """The rest goes there, and another driver may have the sweep."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(HaltError):
            self.flush()
            self._place.forget(_HOLDER)

    def _take(self) -> _Holder:
        """Make the sweep this driver's; one that is still there shows itself while this waits."""
        now = _holder_at(self._place)
        if now is not None and not now.is_gone:
            who = f"process {now.pid} on {now.host}"
            log.warning("Waiting up to %.0f s whether the last driver (%s) is gone.", LEASE_S, who)
            deadline = time.monotonic() + LEASE_S
            while time.monotonic() < deadline:
                time.sleep(_BEAT_S / 5)
                later = _holder_at(self._place)
                if later is None or later.is_gone:
                    break
                if later != now:
                    name = self._folder.name
                    raise SweepError(f"{name}: another driver is at work on this sweep ({who}). Wait, or end it first.")
        last = max(_extent(self._place).driver, 0 if now is None else now.driver, _known_driver(self._folder))
        holder = _Holder(last + 1, socket.gethostname(), os.getpid(), _began(os.getpid()), 0, time.time())
        self._place.write(_HOLDER, _as_json(holder))
        _note_driver(self._folder, holder.driver)
        return holder

    def _beat_until_ended(self) -> None:
        while not self._ended.wait(_BEAT_S):
            try:
                self._beat()
                self.flush()
            except HaltError as error:
                log.debug("The journal's copy waits: %s", error)

    def _beat(self) -> None:
        at_once = self._place._replace(patience_s=0)
        now = _holder_at(at_once)
        if now is not None and now.driver > self._holder.driver:
            place = masked(self._place.url)
            self.fault = HaltError(
                f"{place}: another driver, on {now.host}, has taken this sweep over. It goes on there."
            )
            return
        self._holder = self._holder._replace(beat=self._holder.beat + 1, seen_s=time.time())
        at_once.write(_HOLDER, _as_json(self._holder))
        for name in filter(is_request, at_once.part(_REQUESTS).files()):
            hand_in(self._folder, name)
            at_once.part(_REQUESTS).forget(name)


def _extent(place: Storage) -> _Extent:
    """How far the journal goes there; only the last part is read."""
    parts = list(filter(None, map(_PART.fullmatch, place.files())))
    if not parts:
        return _Extent(0, 0)
    last = parts[-1]
    n_lines = len((place.read(last[0]) or b"").splitlines())
    return _Extent(int(last[2]) - 1 + n_lines, int(last[1]))


def _content(place: Storage) -> bytes:
    """All lines that lie there.

    Raises:
        SweepError: a part is missing.
    """
    lines: list[bytes] = []
    for match in filter(None, map(_PART.fullmatch, place.files())):
        first = int(match[2])
        if first > len(lines) + 1:
            place_words, missing = masked(place.url), f"events {len(lines) + 1} to {first - 1}"
            raise SweepError(f"{place_words}: {missing} of the journal are missing. Were they removed? Put them back.")
        del lines[first - 1 :]
        lines += (place.read(match[0]) or b"").splitlines(keepends=True)
    return b"".join(lines)


def _holder_at(place: Storage) -> _Holder | None:
    text = place.read(_HOLDER)
    try:
        return None if text is None else _Holder(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _as_json(values: Any) -> bytes:
    return json.dumps(values._asdict()).encode()


def _began(pid: int) -> str:
    """When a process of this machine began, in the kernel's clock; '': there is none, or that isn't told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _known_driver(folder: Path) -> int:
    try:
        return int(json.loads((folder / DRIVER_FILE).read_text())["driver"])
    except (OSError, ValueError, KeyError):
        return 0


def _note_driver(folder: Path, driver: int) -> None:
    (folder / DRIVER_FILE).write_text(json.dumps({"driver": driver}) + "\n")
