"""The durable record: nothing lost, nothing half, one writer."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from genotune.errors import HaltError, SweepError
from genotune.events import JOURNAL_FILE
from genotune.journal import Journal, is_held, read_events, read_state


@pytest.fixture
def open_journal(tmp_path):
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Journal(tmp_path))


def propose(journal, trial=0, family="ridge"):
    return journal.append("proposed", trial=trial, family=family, picks={"k": 1}, params={"k": 5}, seed=3)


def test_events_are_numbered_from_one_and_come_back_in_order(open_journal, tmp_path):
    journal = open_journal()
    propose(journal)
    journal.append("started", trial=0, device="cpu")
    journal.close()
    again = open_journal()
    assert [(event.number, event.kind) for event in again.events()] == [(1, "proposed"), (2, "started")]
    assert next(again.events()).values["params"] == {"k": 5}


def test_an_event_is_on_disk_before_its_readers_hear_of_it(open_journal, tmp_path):
    journal = open_journal()
    seen = []
    journal.follow(
        lambda event: seen.append(json.loads((tmp_path / JOURNAL_FILE).read_bytes().splitlines()[-1])["number"])
    )
    propose(journal)
    propose(journal, trial=1)
    assert seen == [1, 2]


@pytest.mark.parametrize("lost_bytes", [1, 5, 30])
def test_a_torn_last_line_is_cut_off_and_the_rest_kept(open_journal, tmp_path, lost_bytes):
    journal = open_journal()
    propose(journal)
    propose(journal, trial=1)
    journal.close()
    path = tmp_path / JOURNAL_FILE
    path.write_bytes(path.read_bytes()[:-lost_bytes])
    assert list(read_state(tmp_path).trials) == [0]
    again = open_journal()
    assert list(again.state.trials) == [0]
    again.append("started", trial=0, device="cpu")
    assert read_state(tmp_path).trials[0].status == "running"


def test_a_line_in_the_middle_that_is_no_event_is_refused(open_journal, tmp_path):
    journal = open_journal()
    propose(journal)
    journal.close()
    path = tmp_path / JOURNAL_FILE
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    with pytest.raises(SweepError, match=r"journal.jsonl:1: this line is not an event"):
        open_journal()


def test_a_second_driver_is_refused(open_journal, tmp_path):
    first = open_journal()
    with pytest.raises(SweepError, match="another driver is at work on this sweep"):
        open_journal()
    first.close()
    open_journal()


def test_who_only_asks_whether_a_driver_is_at_work_keeps_none_from_beginning(open_journal, tmp_path):
    (tmp_path / JOURNAL_FILE).touch()
    asks = threading.Event()

    def ask():
        while not asks.is_set():
            is_held(tmp_path)
            time.sleep(0.001)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(50):
            open_journal().close()
    finally:
        asks.set()
        thread.join()


def test_a_trial_is_what_its_events_say(open_journal, tmp_path):
    journal = open_journal()
    propose(journal)
    journal.append("started", trial=0, device="cpu")
    journal.append(
        "report", trial=0, epoch=1, value=0.5, metrics={"train_loss": 1.0}, checkpoint="trial-0000/epoch-0001"
    )
    journal.append("decision", trial=0, epoch=1, action="continue", rung=1, reason="")
    journal.append("report", trial=0, epoch=2, value=None, metrics={}, checkpoint=None)
    journal.append("decision", trial=0, epoch=2, action="stop", rung=None, reason="not a number")
    trial = journal.state.trials[0]
    assert trial.epoch == 2
    assert trial.curve[1] == 0.5
    assert math.isnan(trial.curve[2])
    assert trial.checkpoints == {1: "trial-0000/epoch-0001"}
    assert (trial.rung, trial.decisions, trial.status) == (1, {1: "continue", 2: "stop"}, "running")
    journal.append("ended", trial=0, status="stopped", reason="not a number")
    assert trial.ended_s is not None
    assert read_state(tmp_path).trials[0].status == "stopped"


def test_an_interrupt_kills_what_is_live_and_only_that_and_it_may_start_again(open_journal, tmp_path):
    journal = open_journal()
    for number in (0, 1):
        propose(journal, trial=number)
        journal.append("started", trial=number, device="cpu")
    journal.append("ended", trial=0, status="complete", reason="9 epochs")
    journal.append("interrupted", reason="a signal")
    assert [trial.status for trial in journal.state.trials.values()] == ["complete", "killed"]
    assert journal.state.trials[1].ended_s is None
    journal.append("started", trial=1, device="cpu")
    assert journal.state.trials[1].status == "running"


def test_the_time_between_two_drivers_is_not_counted(open_journal, tmp_path):
    lines = [
        {"number": 1, "time_s": 100.0, "kind": "sweep_started", "sweep_id": "x"},
        {"number": 2, "time_s": 100.0, "kind": "driver_started", "pid": 1},
        {"number": 3, "time_s": 130.0, "kind": "delivered", "upto": 1},
        {"number": 4, "time_s": 9000.0, "kind": "driver_started", "pid": 2},
        {"number": 5, "time_s": 9010.0, "kind": "delivered", "upto": 3},
    ]
    (tmp_path / JOURNAL_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_state(tmp_path).active_s == pytest.approx(40.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_an_event_is_written_waits_until_it_is_whole(open_journal, tmp_path, number):
    def interrupt(*_):
        raise KeyboardInterrupt("by a signal")

    before = signal.signal(number, interrupt)
    try:
        journal = open_journal()
        reached = []
        journal.follow(lambda event: (signal.raise_signal(number), reached.append(event.number)))
        with pytest.raises(KeyboardInterrupt, match="by a signal"):
            propose(journal)
        assert reached == [1]
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)
    assert [event.number for event in journal.events()] == [1]
    assert list(read_state(tmp_path).trials) == [0]


def test_a_trial_is_charged_for_the_time_that_it_ran_and_not_for_the_time_between_drivers(tmp_path):
    trial = {"trial": 0}
    proposal = {**trial, "family": "ridge", "picks": {}, "params": {}, "seed": 1}
    events = [
        (100, "driver_started", {"pid": 1}),
        (101, "proposed", proposal),
        (110, "started", trial | {"device": "cpu"}),
        (130, "report", trial | {"epoch": 1, "value": 0.5, "metrics": {}, "checkpoint": None}),
        # The driver dies; an hour later another one goes on.
        (4000, "driver_started", {"pid": 2}),
        (4010, "started", trial | {"device": "cpu"}),
        (4015, "interrupted", {"reason": "by a signal"}),
        (9000, "driver_started", {"pid": 3}),
        (9001, "started", trial | {"device": "cpu"}),
        (9004, "ended", trial | {"status": "complete", "reason": "2 epochs"}),
    ]
    lines = [
        json.dumps({"number": number, "time_s": float(at_s), "kind": kind, **values})
        for number, (at_s, kind, values) in enumerate(events, start=1)
    ]
    (tmp_path / JOURNAL_FILE).write_text("\n".join(lines[:3]) + "\n")
    assert read_state(tmp_path).trials[0].ran_s(now_s=117) == 7
    (tmp_path / JOURNAL_FILE).write_text("\n".join(lines) + "\n")
    assert read_state(tmp_path).trials[0].ran_s(now_s=99_999) == 20 + 5 + 3


@contextlib.contextmanager
def full_disk_of(journal):
    """The journal's file is one that the kernel has no room for; afterwards there is room again."""
    kept = os.dup(journal._file.fileno())
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._file.fileno())
    try:
        yield
    finally:
        os.dup2(kept, journal._file.fileno())
        os.close(full)
        os.close(kept)


def test_a_full_disk_is_told_and_no_event_is_taken_after_it(tmp_path):
    with Journal(tmp_path) as journal:
        journal.append("driver_started", pid=1)
        heard = []
        journal.follow(heard.append)
        with full_disk_of(journal), pytest.raises(HaltError, match=r"journal\.jsonl: No space left on device\. Free"):
            journal.append("interrupted", reason="x")
        assert journal.state.status == "running"
        with pytest.raises(HaltError, match="No space left on device"):
            journal.append("interrupted", reason="y")
        assert heard == []
    with Journal(tmp_path) as journal:
        assert [event.kind for event in journal.events()] == ["driver_started"]
        journal.append("interrupted", reason="z")
        assert journal.state.status == "interrupted"


FILL = """
import resource, sys
from pathlib import Path
from genotune.errors import HaltError
from genotune.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.append("driver_started", pid=1)
whole = journal.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 20, resource.RLIM_INFINITY))
try:
    journal.append("interrupted", reason="x" * 100)
except HaltError as error:
    print(error)
assert journal.path.stat().st_size == whole
"""


def test_what_a_full_disk_took_of_a_line_is_taken_back(tmp_path):
    """The kernel writes the 20 bytes that there is room for, then refuses."""
    result = subprocess.run([sys.executable, "-c", FILL, tmp_path], capture_output=True, text=True, check=True)
    assert "journal.jsonl: File too large. Free some space." in result.stdout
    assert [event.kind for event in read_events(tmp_path / "journal.jsonl")] == ["driver_started"]
