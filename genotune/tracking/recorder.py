"""The thread that tells MLflow what the journal holds, and remembers in the journal how far it has come."""

import contextlib
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from genotune.events import Event
from genotune.journal import Journal
from genotune.tracking.names import trial_key
from genotune.tracking.record import Record
from genotune.tracking.run_changes import Changes, Translator
from genotune.tracking.stores import shown_uri

log = logging.getLogger(__name__)

_GATHER_S: Final = 1.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_LONGEST_PAUSE_AT_THE_END_S: Final = 2.0


class Recorder:
    """Delivers a sweep's journal to MLflow in a thread of its own; the driver neither waits nor hears its errors.

    Whenever the store is opened (at the start, after an error) the runs are looked up by tag and the journal is read
    again from disk, from the first event; what MLflow has already is not sent again. So nothing is held in memory that
    a death could lose, and a store that has lost the sweep gets all of it.

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
        self._heard = deque[Event]()
        self._is_open = False
        self._has_warned = False
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
        while not (self._is_done() or self._is_broken) and time.monotonic() < deadline:
            self.start()
            self._news.set()
            assert self._thread is not None
            self._thread.join(max(0.0, deadline - time.monotonic()))
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
        return self._is_open and self._journal.last_news <= self._journal.state.delivered

    def _work(self) -> None:
        try:
            self._deliver_until_told()
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
            except _AwayError as away:
                self._is_open = False
                self._heard.clear()  # they are read from disk when it is opened again
                self._warn_once(str(away))
                self._wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            pause_s = _FIRST_PAUSE_S
            if self._finishing.is_set() and self._is_done():
                return
            self._news.wait()
            self._finishing.wait(_GATHER_S)

    def _deliver(self) -> None:
        """Send what is new, and note it."""
        if not self._is_open:
            self._open()
        last = self._read_news()
        self._translator.tell_front(self._changes)
        self._journal.sync()
        with _talking():
            self._record.apply(self._changes)
        self._is_open, self._changes = True, Changes()
        with self._writing:
            if last > self._journal.state.delivered and not self._given_up.is_set():
                self._journal.append("delivered", upto=last)

    def _open(self) -> None:
        """Look up what MLflow has, and read the journal up to now."""
        with _talking():
            found = self._record.open()
        self._translator, self._n_read, self._last_news = Translator(), 0, 0
        state, history = self._journal.state, Changes()
        n_delivered, n_now = state.delivered, state.n_events
        events = itertools.islice(self._journal.events(), n_now)
        for event in itertools.islice(events, n_delivered):
            self._take(event, history)
        self._changes = Changes() if history.begun <= found.keys() else history
        self._translator.settle(found, self._changes)
        for event in events:
            self._take(event, self._changes)

    def _read_news(self) -> int:
        """Take in every event up to now; the number of the last that is news to MLflow."""
        while self._heard:
            event = self._heard.popleft()
            if event.number > self._n_read:
                self._take(event, self._changes)
        return self._last_news

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

    def _warn_once(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            uri = self._record.tracking_uri
            message = "MLflow (%s) takes nothing now; the sweep goes on and is recorded later. %s"
            log.warning(message, shown_uri(uri), reason.replace(uri, shown_uri(uri)))


class _AwayError(Exception):
    """MLflow, or the way to it, failed."""


@contextlib.contextmanager
def _talking() -> Iterator[None]:
    """Whatever a server, a database or a disk fails with becomes one error; a defect of ours elsewhere doesn't."""
    try:
        yield
    except Exception as error:
        log.debug("MLflow failed", exc_info=True)
        raise _AwayError(str(error).partition("\n")[0]) from error
