"""The durable record of a sweep: events, in order, each on disk before anything else acts on it.

MLflow, the live table and `resume` are readers of it. One event is one line of JSON. A line that a death of the driver
left half written is cut off when the journal is opened again. One driver writes at a time; a second is refused.
"""

import contextlib
import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple, Self

from genotune.errors import SweepError

JOURNAL_FILE: Final = "journal.jsonl"

_N_TRIES: Final = 10
_PAUSE_S: Final = 0.02

Kind = Literal[
    "sweep_started",  # sweep, spec_sha256, facts (what the record says of the sweep: versions, host, files)
    "driver_started",  # pid
    "quality",  # of the data: counts and histograms, no IDs (data/quality.py)
    "learned_before",  # sweeps, trials (family, picks, curve, status of each) that the searcher starts from, notes
    "proposed",  # trial, family, picks, params, seed
    "started",  # trial, device
    "report",  # trial, epoch, value (null: not a number), metrics, checkpoint (a path relative to the sweep, or null)
    "decision",  # trial, epoch, action: continue | stop, rung (null: no rung there), reason
    "stop_asked",  # trial (null: all of them): a person wants it to stop
    "ended",  # trial, status: complete | stopped | failed, reason
    "baseline",  # name, metrics on validation
    "delivered",  # upto: MLflow has every event up to this one
    "fold_scored",  # trial (a finalist), epoch, fold (from 0), n_folds, metrics on the fold that was held out
    "winner",  # trial, epoch, value, checkpoint
    "refitted",  # trial, epoch, model: the winner, fitted on training and validation; a path relative to the sweep
    "scored",  # split, subject: the winner or a baseline's name, metrics
    "tables",  # trial, files: the winner's tables in the sweep's folder; top: the most important features, or null
    "registered",  # name, version, run_id
    "interrupted",  # reason; what is live counts as killed until a resume starts it again
    "sweep_ended",  # status: complete | failed
]


class Event(NamedTuple):
    """One line: its number from 1, seconds since 1970, what happened, and to what."""

    number: int
    time_s: float
    kind: Kind
    values: Mapping[str, Any]


Status = Literal["proposed", "running", "complete", "stopped", "failed", "killed"]


@dataclass
class TrialState:
    """A trial, as the events so far tell it.

    Attributes:
        number: from 0, in the order of proposal.
        curve: objective by epoch; NaN where it was not a number.
        checkpoints: path relative to the sweep's folder, by epoch. Older ones may have been deleted.
        rung: the highest rung (an epoch) that it reached, 0 if none.
        reason: why it ended.
    """

    number: int
    family: str
    picks: Mapping[str, Any]
    params: Mapping[str, Any]
    seed: int
    status: Status = "proposed"
    curve: dict[int, float] = field(default_factory=dict)
    metrics: dict[int, Mapping[str, float]] = field(default_factory=dict)
    decisions: dict[int, str] = field(default_factory=dict)
    checkpoints: dict[int, str] = field(default_factory=dict)
    rung: int = 0
    reason: str = ""
    device: str = ""
    proposed_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None  # None: not ended; a killed trial has not ended, it goes on after a resume
    running_since_s: float | None = None
    ran_before_s: float = 0.0

    def ran_s(self, now_s: float) -> float:
        """Seconds that it has run until now; between deaths and resumes nothing is counted."""
        running_s = 0.0 if self.running_since_s is None else max(0.0, now_s - self.running_since_s)
        return self.ran_before_s + running_s

    def stop_clock(self, now_s: float) -> None:
        """It runs no more."""
        self.ran_before_s, self.running_since_s = self.ran_s(now_s), None

    @property
    def epoch(self) -> int:
        """The last epoch that was reported; 0 if none."""
        return max(self.curve, default=0)

    @property
    def is_live(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("proposed", "running")


@dataclass
class SweepState:
    """A sweep, as the events so far tell it."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    trials: dict[int, TrialState] = field(default_factory=dict)
    stop_asked: set[int | None] = field(default_factory=set)
    """Trials that a person wants to stop; None: all."""
    delivered: int = 0
    n_events: int = 0
    active_s: float = 0.0
    """Seconds during which a driver was at work: between deaths and resumes nothing is counted."""
    last_s: float = 0.0
    quality: Mapping[str, Any] | None = None
    learned_before: Mapping[str, Any] | None = None
    winner: Mapping[str, Any] | None = None
    baselines: dict[str, Mapping[str, float]] = field(default_factory=dict)
    folds: dict[int, dict[int, Mapping[str, float]]] = field(default_factory=dict)
    """Metrics of each finalist by its trial's number, by fold."""
    refitted: Mapping[str, Any] | None = None
    scores: dict[str, Mapping[str, float]] = field(default_factory=dict)
    tables: Mapping[str, Any] | None = None
    registered: Mapping[str, Any] | None = None
    status: str = "running"

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        self.n_events = event.number
        if event.kind in ("driver_started", "interrupted", "sweep_ended"):
            # Of a driver that died without a word, nothing is known after its last event.
            end_s = self.last_s if event.kind == "driver_started" else event.time_s
            for trial in self.trials.values():
                trial.stop_clock(end_s)
        if event.kind != "driver_started" and self.last_s:
            self.active_s += max(0.0, event.time_s - self.last_s)
        self.last_s = event.time_s
        if event.kind in ("proposed", "started", "report", "decision", "ended"):
            self._apply_to_trial(event)
        else:
            self._apply_to_sweep(event.kind, event.values)

    def _apply_to_sweep(self, kind: Kind, values: Mapping[str, Any]) -> None:
        match kind:
            case "sweep_started":
                self.facts = values
            case "driver_started":
                self.status = "running"
            case "stop_asked":
                self.stop_asked.add(values["trial"])
            case "delivered":
                self.delivered = values["upto"]
            case "baseline":
                self.baselines[values["name"]] = values["metrics"]
            case "fold_scored":
                self.folds.setdefault(values["trial"], {})[values["fold"]] = values["metrics"]
            case "learned_before" | "winner" | "refitted" | "quality" | "tables" | "registered":
                setattr(self, kind, values)
            case "scored":
                self.scores[values["subject"]] = values["metrics"]
            case "sweep_ended":
                self.status = values["status"]
            case "interrupted":
                self.status = "interrupted"
                for trial in self.trials.values():
                    if trial.is_live:
                        trial.status = "killed"

    def _apply_to_trial(self, event: Event) -> None:
        values = event.values
        number = values["trial"]
        if event.kind == "proposed":
            self.trials[number] = TrialState(
                number=number,
                family=values["family"],
                picks=values["picks"],
                params=values["params"],
                seed=values["seed"],
                proposed_s=event.time_s,
            )
            return
        trial = self.trials[number]
        if event.kind == "started":
            trial.status, trial.device = "running", values["device"]
            trial.started_s = trial.started_s or event.time_s
            trial.running_since_s = trial.running_since_s or event.time_s
        elif event.kind == "report":
            epoch = values["epoch"]
            trial.curve[epoch] = float("nan") if values["value"] is None else values["value"]
            trial.metrics[epoch] = values["metrics"]
            if values["checkpoint"]:
                trial.checkpoints[epoch] = values["checkpoint"]
        elif event.kind == "decision":
            trial.decisions[values["epoch"]] = values["action"]
            if values["rung"] is not None:
                trial.rung = max(trial.rung, values["rung"])
            trial.reason = values["reason"]
        else:
            trial.status, trial.reason, trial.ended_s = values["status"], values["reason"], event.time_s
            trial.stop_clock(event.time_s)


class Journal:
    """The one writer of a sweep's journal, and its state so far.

    Args:
        folder: the sweep's folder.

    Raises:
        SweepError: another driver holds it, or a line in the middle can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        self._lock = threading.RLock()
        self._file = self.path.open("a+b")
        if not _hold(self._file):
            self._file.close()
            message = f"{folder.name}: another driver is at work on this sweep. Wait for it, or end it first."
            raise SweepError(message)
        try:
            self._cut_torn_line()
            self.events = list(read_events(self.path))
        except BaseException:
            self._file.close()
            raise
        self.state = SweepState()
        for event in self.events:
            self.state.apply(event)
        self._readers: list[Callable[[Event], None]] = []

    def append(self, kind: Kind, **values: Any) -> Event:
        """Write one event to disk, take it into the state, then tell the readers; no signal comes in between."""
        with self._lock, _signals_afterwards():
            event = Event(len(self.events) + 1, time.time(), kind, values)
            record = {"number": event.number, "time_s": event.time_s, "kind": kind, **values}
            self._file.write(json.dumps(record, allow_nan=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.events.append(event)
            self.state.apply(event)
            for reader in self._readers:
                reader(event)
            return event

    def follow(self, reader: Callable[[Event], None]) -> None:
        """Call the reader with every event from now on, in order, in the thread that appends it. It must be quick."""
        with self._lock:
            self._readers.append(reader)

    def close(self) -> None:
        """Let another driver have it."""
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


def _event(line: bytes, path: Path, number: int) -> Event:
    try:
        record = json.loads(line)
        return Event(record.pop("number"), record.pop("time_s"), record.pop("kind"), record)
    except (ValueError, KeyError):
        message = f"{path}:{number}: this line is not an event; the journal was changed by hand or by the disk."
        raise SweepError(message) from None
