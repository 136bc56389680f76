"""A driver that is killed at chosen events and resumed, and a finished sweep that is extended."""

import signal
import subprocess
import sys

import pytest

from builders import clean_environment, rows
from genotune.journal import read_events, read_state
from sweeps import assert_record_is_complete, curves, runs, sweep_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# The command line, in a process that kills itself when it has written so many events of a kind.
DRIVER = """
import os, signal, sys
from genotune import cli, journal

kind, n = sys.argv.pop(1), int(sys.argv.pop(1))
opened, written = journal.Journal.__init__, []

def watch(event):
    written.append(event.kind)
    if written.count(kind) == n:
        os.kill(os.getpid(), signal.SIGKILL)

def open_and_watch(self, folder):
    opened(self, folder)
    self.follow(watch)

journal.Journal.__init__ = open_and_watch
cli.main()
"""

# Of each driver in turn: the event that it dies of, and which of that kind it is in its life. Each gets further.
MOMENTS = [
    ("sweep_started", 1),
    ("delivered", 1),
    ("driver_started", 1),
    ("proposed", 1),
    ("started", 1),
    ("report", 1),
    ("decision", 2),
    ("ended", 1),
    ("report", 3),
    ("proposals_ended", 1),
    ("winner", 1),
    ("baseline", 1),
    ("scored", 1),
    ("scored", 1),
    ("sweep_ended", 1),
    ("registered", 1),
]


def run_until(tmp_path, moment, *arguments):
    kind, n = moment
    return subprocess.run(
        [sys.executable, "-c", DRIVER, kind, str(n), *map(str, arguments)],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def ends(state):
    return [(trial.number, trial.status, trial.reason, trial.rung) for trial in state.trials.values()]


def assert_no_step_is_written_twice(tmp_path):
    twice = "select run_uuid, key, step from metrics group by run_uuid, key, step having count(*) > 1"
    assert rows(tmp_path / ".genotune" / "mlflow.db", twice) == []


def test_a_driver_killed_after_events_of_every_kind_comes_to_what_an_undisturbed_one_does(genotune, tiny, tmp_path):
    undisturbed = genotune("run", tiny, "--workspace", tmp_path / "undisturbed")
    assert undisturbed.returncode == 0, undisturbed.stderr
    (folder,) = (tmp_path / "undisturbed" / "sweeps").iterdir()
    expected, kinds = read_state(folder), {event.kind for event in read_events(folder / "journal.jsonl")}
    assert kinds == {kind for kind, _ in MOMENTS}, "a moment for each kind of event that such a sweep has"
    arguments = ["run", tiny]
    for moment in MOMENTS:
        result = run_until(tmp_path, moment, *arguments)
        assert result.returncode == -signal.SIGKILL, (moment, result.stdout, result.stderr)
        arguments = ["resume", sweep_folder(tmp_path).name]
    result = genotune(*arguments)
    assert result.returncode == 0, result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert curves(state) == curves(expected)
    assert ends(state) == ends(expected)
    assert state.winner == expected.winner
    assert state.scores == expected.scores
    assert len(state.tested) == 1
    assert_record_is_complete(tmp_path, state)
    assert_no_step_is_written_twice(tmp_path)


def test_a_finished_sweep_that_is_extended_comes_to_what_a_longer_one_does_and_says_what_was_seen(
    genotune, edited, tmp_path
):
    spec = edited(("budget: {trials: 5}", "budget: {trials: 8}"))
    longer = genotune("run", spec, "--workspace", tmp_path / "longer")
    assert longer.returncode == 0, longer.stderr
    (folder,) = (tmp_path / "longer" / "sweeps").iterdir()
    expected = read_state(folder)
    spec = edited(("budget: {trials: 8}", "budget: {trials: 3}"))
    assert genotune("run", spec).returncode == 0
    folder = sweep_folder(tmp_path)
    first = read_state(folder)
    edited(("budget: {trials: 3}", "budget: {trials: 8}"))
    refused = genotune("resume", folder.name)
    assert refused.returncode == 2
    assert "budget.trials: 3 when the sweep began, 8 now" in refused.stderr
    assert read_state(folder).n_events == first.n_events
    lower = genotune("resume", folder.name, "--extend", "trials=2")
    assert lower.returncode == 2
    assert "--extend trials=2: it is 3 now, and a limit can only be raised" in lower.stderr
    died = run_until(tmp_path, ("extended", 1), "resume", folder.name, "--extend", "trials=8")
    assert died.returncode == -signal.SIGKILL
    result = genotune("resume", folder.name)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(folder)
    assert curves(state) == curves(expected)
    assert state.winner == expected.winner
    assert state.winner["trial"] != first.winner["trial"], "or nothing is scored again here"
    assert state.scores == expected.scores
    assert [one.trial for one in state.tested] == [first.winner["trial"], state.winner["trial"]]
    assert f"scored 2 times, {first.scores['winner']['pearson']:.4f} by trial {first.winner['trial']}" in result.stdout
    assert "8 of 8 trials" in genotune("status", folder.name).stdout
    assert state.registered["version"] == "2"
    assert_record_is_complete(tmp_path, state)
    (parent,) = [tags for _, _, tags in runs(tmp_path) if tags["genotune.role"] == "sweep"]
    assert parent["genotune.budget.trials"] == "8"
    assert parent["genotune.tested"].startswith("2 times")
    again = genotune("resume", folder.name, "--extend", "trials=8")
    assert again.returncode == 0
    assert [event.kind for event in read_events(folder / "journal.jsonl")].count("extended") == 1
