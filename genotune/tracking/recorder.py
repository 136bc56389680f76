"""The thread that tells MLflow what the journal holds, and remembers in the journal how far it has come."""

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from genotune.errors import HaltError
from genotune.events import Event
from genotune.journal import Journal
from genotune.tracking.changes import Changes
from genotune.tracking.faults import Fault, fault_of
from genotune.tracking.names import RunKey, trial_key
from genotune.tracking.record import Record
from genotune.tracking.run_changes import Translator
from genotune.tracking.stores import is_server

log = logging.getLogger(__name__)

_GATHER_S: Final = 1.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_LONGEST_PAUSE_AT_THE_END_S: Final = 2.0
_EVENTS_AT_ONCE: Final = 1000
"""So many events are told, then it is noted: what a death or a silence of MLflow can make us tell again."""

_T = TypeVar("_T")


class Recorder:
    """Delivers a sweep's journal to MLflow in a thread of its own; the driver neither waits nor hears its errors.

    Whenever the store is opened (at the start, after an error) the runs are looked up by tag and the journal is read
    again from disk, from the first event; what MLflow has already is not sent again. So nothing is held in memory that
    a death could lose, and a store that has lost the sweep gets all of it.

    A server may carry out a request late whose answer we gave up. So at the end the runs are looked up once more, and
    what is there twice is deleted.

    Args:
        journal: of the sweep.
        tracking_uri: MLflow's store or server.
        experiment: MLflow's experiment, by name.
        sweep_id: the sweep's folder name, unique.
        artifact_location: of an experiment that has to be made, as a URI.
    """

    def __init__(
        self, journal: Journal, *, tracking_uri: str, experiment: str, sweep_id: str, artifact_location: str | None
    ) -> None:
        self._journal = journal
        self._record = Record(
            tracking_uri=tracking_uri,
            experiment=experiment,
            sweep_id=sweep_id,
            artifact_location=artifact_location,
            folder=journal.path.parent,
        )
        self._translator = Translator()
        self._changes = Changes()
        self._n_read = 0
        self._last_news = 0
        self._unread: Iterator[Event] = iter(())
        self._heard = deque[Event]()
        self._is_open = False
        self._in_doubt = is_server(tracking_uri)
        self._warned_of = set[str]()
        self._is_broken = False
        self._news = threading.Event()
        self._finishing = threading.Event()
        self._given_up = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        journal.follow(self._hear)

    def start(self) -> None:
        """Begin to deliver: first what MLflow doesn't have yet, then what comes."""
        self._given_up.clear()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="mlflow-recorder", daemon=True)
            self._thread.start()

    def finish(self, timeout_s: float) -> bool:
        """Whether MLflow has every event, after waiting for it so long. The thread ends; `start` begins again."""
        deadline = time.monotonic() + timeout_s
        self._finishing.set()
        try:
            while not (self._is_done() or self._is_broken) and time.monotonic() < deadline:
                self.start()
                self._news.set()
                assert self._thread is not None
                self._thread.join(max(0.0, deadline - time.monotonic()))
        finally:  # a person may be tired of waiting
            with self._writing:  # from here on the journal may be closed
                self._given_up.set()
            self._news.set()
            self._finishing.clear()
        return self._is_done()

    def trial_run_id(self, trial: int) -> str:
        """The id of a trial's run in MLflow, once it was delivered.

        Raises:
            SweepError: MLflow has no run of this trial.
        """
        return self._record.run_id(trial_key(trial))

    def _hear(self, event: Event) -> None:
        if event.kind != "delivered" and not self._is_broken:
            self._heard.append(event)
            self._news.set()

    def _is_done(self) -> bool:
        return self._is_open and not self._in_doubt and self._journal.last_news <= self._journal.state.delivered

    def _work(self) -> None:
        try:
            self._deliver_until_told()
        except HaltError as halt:  # the driver's own thread meets it too, and tells
            self._is_broken = True
            log.info("The rest is delivered later: %s", halt)
        except Exception:
            self._is_broken = True
            log.exception(
                "What happens from here on is not recorded in MLflow; the journal has it. A defect of genotune."
            )

    def _deliver_until_told(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._given_up.is_set():
            self._news.clear()
            try:
                self._deliver()
                if self._finishing.is_set():
                    self._look_again()
            except _AwayError as away:
                self._is_open, self._in_doubt = False, True
                self._heard.clear()  # they are read from disk when it is opened again
                self._warn_once(away.fault)
                self._wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            pause_s = _FIRST_PAUSE_S
            if self._finishing.is_set() and self._is_done():
                return
            self._news.wait()
            self._finishing.wait(_GATHER_S)

    def _deliver(self) -> None:
        """Send what is new, a part at a time, and note each."""
        if not self._is_open:
            self._open()
        while not self._given_up.is_set():
            n_taken = self._read_on()
            self._translator.tell_front(self._changes)
            self._journal.sync()
            self._ask_mlflow(lambda: self._record.apply(self._changes))
            self._is_open, self._changes = True, Changes()
            with self._writing:
                if self._last_news > self._journal.state.delivered and not self._given_up.is_set():
                    self._journal.append("delivered", upto=self._last_news)
            if n_taken < _EVENTS_AT_ONCE:
                break

    def _look_again(self) -> None:
        """Find what a request came to that was given up, once everything else is there."""
        if self._in_doubt:
            self._ask_mlflow(self._record.open)
            self._in_doubt = False

    def _open(self) -> None:
        """Look up what MLflow has, and find the place in the journal from where on it needs it."""
        found = self._ask_mlflow(self._record.open)
        state = self._journal.state
        n_delivered, n_now = state.delivered, state.n_events
        self._read_from_the_first(n_now)
        begun, history = set[RunKey](), Changes()
        for event in itertools.islice(self._unread, n_delivered):
            self._take(event, history)
            begun |= history.begun
            history.clear()
        self._changes = Changes()
        if begun <= found.keys():
            self._translator.settle(found, self._changes)
        else:
            self._read_from_the_first(n_now)

    def _read_from_the_first(self, n_events: int) -> None:
        self._translator, self._n_read, self._last_news = Translator(), 0, 0
        self._unread = itertools.islice(self._journal.events(), n_events)

    def _read_on(self) -> int:
        """Take in the next events, as many as are sent at once; how many there were."""
        n_taken = 0
        for event in itertools.islice(self._unread, _EVENTS_AT_ONCE):
            self._take(event, self._changes)
            n_taken += 1
        while self._heard and n_taken < _EVENTS_AT_ONCE:
            event = self._heard.popleft()
            if event.number > self._n_read:
                self._take(event, self._changes)
                n_taken += 1
        return n_taken

    def _take(self, event: Event, changes: Changes) -> None:
        self._translator.take(event, changes)
        self._n_read = event.number
        if event.kind != "delivered":
            self._last_news = event.number

    def _wait(self, pause_s: float) -> None:
        if self._finishing.is_set():
            self._given_up.wait(min(pause_s, _LONGEST_PAUSE_AT_THE_END_S))
        else:
            self._finishing.wait(pause_s)

    def _warn_once(self, fault: Fault) -> None:
        """Say what keeps MLflow from being told, once for each kind of fault."""
        if fault.kind not in self._warned_of:
            self._warned_of.add(fault.kind)
            log.warning("%s The sweep goes on and is recorded later.", fault.words)

    def _ask_mlflow(self, ask: Callable[[], _T]) -> _T:
        """What MLflow answers.

        Raises:
            _AwayError: a server, a database or a disk failed, whatever with; a defect of ours elsewhere is none.
        """
        try:
            return ask()
        except Exception as error:
            log.debug("MLflow failed", exc_info=True)
            raise _AwayError(fault_of(error, self._record.tracking_uri)) from error


class _AwayError(Exception):
    """MLflow, or the way to it, failed."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.words)
        self.fault = fault
