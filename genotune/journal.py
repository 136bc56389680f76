"""The durable record of a sweep: events, in order, each on disk before anything else acts on it.

MLflow, the live table and `resume` are readers of it. One event is one line of JSON. A line that a death of the driver
left half written is cut off when the journal is opened again. One driver writes at a time; a second is refused.

A line is given to the system at once, so that it outlives the driver; that it outlives the machine too is waited for,
but for events that a resume finds out again. Nothing is held in memory but the state.
"""

import contextlib
import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Self

from genotune.errors import HaltError, SweepError
from genotune.events import FOUND_OUT_AGAIN, JOURNAL_FILE, Event, Kind
from genotune.full_disk import full_disk
from genotune.journal_copy import JournalCopy
from genotune.storage import Storage
from genotune.sweep_state import SweepState

_N_TRIES: Final = 10
_PAUSE_S: Final = 0.02


class Journal:
    """The one writer of a sweep's journal, and its state so far.

    Args:
        folder: the sweep's folder.

    Attributes:
        state: as the events so far tell it.
        last_news: number of the last event that is more than a note of what MLflow has.

    Raises:
        SweepError: another driver holds it, or a line in the middle can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        self.state = SweepState()
        self.last_news = 0
        self._lock = threading.RLock()
        self._file = self.path.open("a+b", buffering=0)  # nothing that failed is written again later
        self._fault: HaltError | None = None
        self._copy: JournalCopy | None = None
        if not _hold(self._file):
            self._file.close()
            message = f"{folder.name}: another driver is at work on this sweep. Wait for it, or end it first."
            raise SweepError(message)
        try:
            self._cut_torn_line()
            for event in self.events():
                self._take(event)
        except BaseException:
            self._file.close()
            raise
        self._readers: list[Callable[[Event], None]] = []

    @property
    def fault(self) -> HaltError | None:
        """Why it takes no more events: its disk is full or broken, or its copy's storage away or another driver's."""
        return self._fault or (None if self._copy is None else self._copy.fault)

    def events(self) -> Iterator[Event]:
        """All events so far, read from disk.

        Raises:
            SweepError: a line in the middle is not an event.
        """
        return read_events(self.path)

    def append(self, kind: Kind, **values: Any) -> Event:
        """Write one event to disk, take it into the state, then tell the readers; no signal comes in between.

        Where there is a copy, it has the event too when this returns; but one that a resume finds out again.

        Raises:
            HaltError: the disk doesn't take it: nothing of it stays, and no other event is taken. Or the copy doesn't.
        """
        waits = kind not in FOUND_OUT_AGAIN
        with self._lock, _signals_afterwards():
            event = Event(self.state.n_events + 1, time.time(), kind, values)
            line = _line(event)
            self._write(line, waits=waits)
            self._take(event)
            if self._copy is not None:
                self._copy.add(line)
            for reader in self._readers:
                reader(event)
        if self._copy is not None and waits:
            self._copy.flush()
        return event

    def copy_to(self, place: Storage, kept: Mapping[str, bytes]) -> None:
        """Keep a copy at the sweep's place in a storage from now on, with the files beside it that are given.

        Raises:
            SweepError: another driver, be it on another machine, is at work on the sweep.
            HaltError: the storage can't be written to.
        """
        self._copy = JournalCopy(place, self.path.parent)
        with self._lock:
            self._copy.begin(self.path.read_bytes(), kept)

    def sync(self) -> None:
        """Wait until the disk has every event: before anyone is told who would remember more than a resume knows.

        Raises:
            HaltError: the disk, or the copy, doesn't take them.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._fault_of(error) from None
        if self._copy is not None:
            self._copy.flush()

    def _take(self, event: Event) -> None:
        self.state.apply(event)
        if event.kind != "delivered":
            self.last_news = event.number

    def _write(self, line: bytes, *, waits: bool) -> None:
        if self._fault is not None:
            raise self._fault
        whole = os.fstat(self._file.fileno()).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
            if waits:
                os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):  # else it is cut off when the journal is opened again
                os.ftruncate(self._file.fileno(), whole)
            raise self._fault_of(error) from None

    def _fault_of(self, error: OSError) -> HaltError:
        """What is told from now on."""
        fix = "Free some space." if full_disk(error) else "Mend the disk."
        self._fault = HaltError(f"{self.path}: {error.strerror}. {fix}")
        return self._fault

    def follow(self, reader: Callable[[Event], None]) -> None:
        """Call the reader with every event from now on, in order, in the thread that appends it. It must be quick."""
        with self._lock:
            self._readers.append(reader)

    def close(self) -> None:
        """Let another driver have it."""
        if self._copy is not None:
            self._copy.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cut_torn_line(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)


def is_held(folder: Path) -> bool:
    """Whether a driver holds the journal of a sweep."""
    with (folder / JOURNAL_FILE).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _hold(file: IO[bytes]) -> bool:
    """Whether the journal is ours now; who only asks `is_held` has it for a moment, so we try more than once."""
    for _ in range(_N_TRIES):
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE_S)
    return False


@contextlib.contextmanager
def _signals_afterwards() -> Iterator[None]:
    """SIGINT and SIGTERM that arrive in the block are raised when it has ended. They only reach the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in caught:
            signal.raise_signal(late)


def read_events(path: Path) -> Iterator[Event]:
    """The events of a journal, in order; a torn last line is left out.

    Raises:
        SweepError: a line in the middle is not an event.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            yield _event(line, path, number)


class JournalReader:
    """A sweep's journal as it grows, read without taking hold of it: for another process.

    Args:
        folder: the sweep's.

    Attributes:
        state: as the events so far tell it.
        last_news: number of the last event that is more than a note of what MLflow has.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        self.state = SweepState()
        self.last_news = 0
        self._offset = 0

    def read_on(self) -> list[Event]:
        """The events that are new since the last call; a line that is not whole yet waits for the next.

        Raises:
            SweepError: a line is not an event.
        """
        with self.path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        events = [_event(line, self.path, self.state.n_events + n) for n, line in enumerate(whole.splitlines(), 1)]
        for event in events:
            self.state.apply(event)
            if event.kind != "delivered":
                self.last_news = event.number
        return events


def read_state(folder: Path) -> SweepState:
    """A sweep as its journal tells it, without taking hold of it: for a reader in another process."""
    reader = JournalReader(folder)
    reader.read_on()
    return reader.state


def _line(event: Event) -> bytes:
    record = {"number": event.number, "time_s": event.time_s, "kind": event.kind, **event.values}
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _event(line: bytes, path: Path, number: int) -> Event:
    try:
        record = json.loads(line)
        return Event(record.pop("number"), record.pop("time_s"), record.pop("kind"), record)
    except (ValueError, KeyError):
        message = f"{path}:{number}: this line is not an event; the journal was changed by hand or by the disk."
        raise SweepError(message) from None
