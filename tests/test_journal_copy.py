"""A journal in a storage: what a driver elsewhere finds there, whoever died or lives on unseen."""

import json
import os
import subprocess
import sys
import time

import pytest

from genotune import journal_copy
from genotune.errors import HaltError, SweepError
from genotune.events import JOURNAL_FILE
from genotune.journal import Journal, read_events, read_state
from genotune.journal_copy import bring_journal, leave_request
from genotune.storage import Storage


@pytest.fixture
def machine(tmp_path):
    """A new machine's folder of the sweep."""

    def make(name):
        (tmp_path / name / "sweep").mkdir(parents=True)
        return tmp_path / name / "sweep"

    return make


@pytest.fixture
def quick(monkeypatch):
    """A driver that is gone is found out soon."""
    monkeypatch.setattr(journal_copy, "_BEAT_S", 0.1)
    monkeypatch.setattr(journal_copy, "LEASE_S", 0.6)


def propose(journal, trial=0):
    return journal.append("proposed", trial=trial, family="ridge", picks={"k": 1}, params={"k": 5}, seed=3)


def events_in(folder):
    return list(read_events(folder / JOURNAL_FILE))


def test_another_machine_finds_every_event_that_was_acted_on_and_the_files_beside_it(place, machine):
    here, there = machine("here"), machine("there")
    assert not bring_journal(place, there)
    with Journal(here) as journal:
        propose(journal)
        journal.copy_to(place, {"spec.yaml": b"name: tiny\n"})
        propose(journal, 1)
        assert bring_journal(place, there), "before the driver has ended"
        assert events_in(there) == events_in(here)
    assert (there / "spec.yaml").read_bytes() == b"name: tiny\n"
    assert [event.values["trial"] for event in events_in(there)] == [0, 1]


def test_an_event_that_is_found_out_again_goes_along_with_the_next_or_where_mlflow_is_told(place, machine):
    with Journal(machine("here")) as journal:
        journal.copy_to(place, {})
        journal._copy._ended.set()  # nobody beats
        journal._copy._thread.join()
        propose(journal)
        journal.append("started", trial=0, device="cpu")
        assert n_events_at(place, machine("at once")) == 1
        propose(journal, 1)
        assert n_events_at(place, machine("with the next")) == 3
        journal.append("started", trial=1, device="cpu")
        journal.sync()
        assert n_events_at(place, machine("synced")) == 4


def n_events_at(place, folder):
    bring_journal(place, folder)
    return len(events_in(folder))


@pytest.mark.usefixtures("quick")
def test_what_isnt_waited_for_is_there_within_seconds(place, machine):
    with Journal(machine("here")) as journal:
        journal.copy_to(place, {})
        propose(journal)
        journal.append("started", trial=0, device="cpu")
        deadline = time.monotonic() + 60
        for number in range(1000):
            there = machine(f"there{number}")
            bring_journal(place, there)
            if len(events_in(there)) == 2:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_many_events_lie_in_parts_of_a_bounded_size_and_come_back_in_order(place, machine, monkeypatch):
    monkeypatch.setattr(journal_copy, "_PART_BYTES", 500)
    here = machine("here")
    with Journal(here) as journal:
        for trial in range(20):
            propose(journal, trial)
        journal.copy_to(place, {})
        for trial in range(20, 60):
            propose(journal, trial)
    names = [name for name in place.part("journal").files() if name[0].isdigit()]
    assert len(names) > 10
    assert max(len(place.part("journal").read(name)) for name in names) < 800
    there = machine("there")
    assert bring_journal(place, there)
    assert events_in(there) == events_in(here)


@pytest.mark.usefixtures("quick")
def test_a_driver_elsewhere_goes_on_and_what_a_lost_one_still_writes_changes_nothing(place, machine):
    here, there, third = machine("here"), machine("there"), machine("third")
    lost = Journal(here)
    lost.copy_to(place, {})
    propose(lost)
    lost._copy._ended.set()  # cut off: it doesn't show itself, but lives
    lost._copy._thread.join()
    assert bring_journal(place, there)
    as_if_elsewhere(place)
    with Journal(there) as journal:
        journal.copy_to(place, {})
        propose(journal, 1)
        propose(lost, 7)
        propose(journal, 2)
        assert bring_journal(place, third)
        assert [event.values["trial"] for event in events_in(third)] == [0, 1, 2]
        lost._copy._beat()
        with pytest.raises(HaltError, match=r"another driver, on .*, has taken this sweep over\. It goes on there\."):
            propose(lost, 8)
        assert lost.fault is not None
    lost.close()
    assert bring_journal(place, here), "what the lost one wrote alone makes way"
    assert [event.values["trial"] for event in events_in(here)] == [0, 1, 2]
    assert (here / "journal-of-driver-1.jsonl").exists(), "and is kept"


def as_if_elsewhere(place):
    """Who holds the sweep is on another machine, whose processes nobody here can see."""
    holder = json.loads(place.part("journal").read("driver"))
    place.part("journal").write("driver", json.dumps({**holder, "host": "elsewhere"}).encode())


@pytest.mark.usefixtures("quick")
def test_a_second_driver_is_refused_while_the_first_shows_itself(place, machine):
    with Journal(machine("here")) as journal:
        journal.copy_to(place, {})
        propose(journal)
        there = machine("there")
        bring_journal(place, there)
        with Journal(there) as second, pytest.raises(SweepError, match="sweep: another driver is at work on this swe"):
            second.copy_to(place, {})
        propose(journal, 1)


def test_after_a_driver_that_ended_nobody_waits(place, machine):
    here = machine("here")
    for trial in range(2):
        with Journal(here) as journal:
            began_s = time.monotonic()
            journal.copy_to(place, {})
            assert time.monotonic() - began_s < journal_copy.LEASE_S / 2
            propose(journal, trial)
    assert len(events_in(here)) == 2


def test_after_a_driver_that_was_killed_on_this_machine_nobody_waits(place, machine):
    here = machine("here")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from genotune.journal import Journal; from genotune.storage import Storage\n"
        "journal = Journal(Path(sys.argv[1])); journal.copy_to(Storage(sys.argv[2], patience_s=0), {})\n"
        "journal.append('sweep_started', spec_path='x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, here, place.url], check=False, env={**os.environ})
    assert died.returncode == -9
    with Journal(here) as journal:
        began_s = time.monotonic()
        journal.copy_to(place, {})
        assert time.monotonic() - began_s < journal_copy.LEASE_S / 2
        propose(journal)
    there = machine("there")
    assert bring_journal(place, there)
    assert [event.kind for event in events_in(there)] == ["sweep_started", "proposed"]


def test_a_machine_whose_disk_knows_more_than_the_storage_keeps_it_and_tells_it(place, machine, monkeypatch):
    here = machine("here")
    with Journal(here) as journal:
        journal.copy_to(place, {})
        propose(journal)
    with Journal(here) as journal:
        propose(journal, 1)  # as if the death came between disk and storage
    assert not bring_journal(place, here)
    with Journal(here) as journal:
        journal.copy_to(place, {})
    there = machine("there")
    assert bring_journal(place, there)
    assert [event.values["trial"] for event in events_in(there)] == [0, 1]


def test_a_part_that_was_removed_is_missed(place, machine, monkeypatch):
    monkeypatch.setattr(journal_copy, "_PART_BYTES", 200)
    with Journal(machine("here")) as journal:
        journal.copy_to(place, {})
        for trial in range(9):
            propose(journal, trial)
    names = [name for name in place.part("journal").files() if name[0].isdigit()]
    place.part("journal").forget(names[1])
    with pytest.raises(
        SweepError, match=r"events \d+ to \d+ of the journal are missing\. Were they removed\? Put them"
    ):
        bring_journal(place, machine("there"))


def test_a_storage_that_goes_away_for_good_lets_nothing_be_acted_on_but_the_disk_has_it(machine, s3):
    place, here = Storage("s3://box/kept/sweep", patience_s=0), machine("here")
    journal = Journal(here)
    journal.copy_to(place, {})
    s3.stop()
    with pytest.raises(HaltError, match=r"s3://box/kept/sweep/journal: can't be reached .*Is the network up\?"):
        propose(journal)
    assert journal.fault is not None
    with pytest.raises(HaltError):
        journal.append("interrupted", reason="the storage is away")
    journal.close()
    assert read_state(here).status == "interrupted"
    s3.start()
    with Journal(here) as journal:
        journal.copy_to(place, {})
    there = machine("there")
    assert bring_journal(place, there)
    assert read_state(there).status == "interrupted"


def test_what_was_asked_of_a_driver_that_died_is_no_part_of_the_record(place, machine):
    """Nor is what a writer that died had begun to write."""
    here, there = machine("here"), machine("there")
    with Journal(here) as journal:
        journal.copy_to(place, {"spec.yaml": b"name: tiny\n"})
        propose(journal)
    leave_request(place, "stop-sweep-choose")
    place.part("journal").write("spec.yaml.ab12cd34", b"nam")
    assert bring_journal(place, there)
    assert sorted(path.name for path in there.iterdir()) == ["driver.json", JOURNAL_FILE, "spec.yaml"]
