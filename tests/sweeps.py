"""Sweeps as processes of their own, and what they leave behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from builders import SPEC, clean_environment, rows, write_genome
from genotune.journal import read_events, read_state


def sweep_folder(tmp_path):
    (folder,) = (tmp_path / ".genotune" / "sweeps").iterdir()
    return folder


def curves(state):
    """What a sweep did, without its clock: draws, objective by epoch, decisions, ends."""
    return [
        (
            trial.number,
            trial.params,
            trial.seed,
            dict(sorted(trial.curve.items())),
            dict(sorted(trial.decisions.items())),
            trial.status,
        )
        for trial in state.trials.values()
    ]


def runs(tmp_path):
    """(run id, status, tags) of everything that MLflow's database holds."""
    return runs_in(partial(rows, tmp_path / ".genotune" / "mlflow.db"))


def runs_in(ask, sweep_id=None):
    """(run id, status, tags) of everything that a database holds, or of one sweep.

    Args:
        ask: gives the rows of a query.
        sweep_id: of the sweep.
    """
    tags: dict[str, dict[str, str]] = {}
    for run_id, key, value in ask("select run_uuid, key, value from tags"):
        tags.setdefault(run_id, {})[key] = value
    found = ask("select run_uuid, status from runs where lifecycle_stage = 'active'")
    everything = [(run_id, status, tags[run_id]) for run_id, status in found]
    return [run for run in everything if sweep_id in (None, run[2].get("genotune.sweep_id"))]


def assert_record_is_complete(tmp_path, state):
    """One parent, one child per trial, none running, each with its params and every step once."""
    assert_database_is_complete(partial(rows, tmp_path / ".genotune" / "mlflow.db"), state)


def assert_database_is_complete(ask, state, sweep_id=None):
    """See `assert_record_is_complete`; of one sweep where others lie beside it in the database."""
    everything = runs_in(ask, sweep_id)
    parents = [run for run in everything if "mlflow.parentRunId" not in run[2]]
    children = {run[2]["genotune.trial"]: run for run in everything if "genotune.trial" in run[2]}
    assert len(parents) == 1
    assert sorted(int(run[2]["genotune.trial"]) for run in everything if "genotune.trial" in run[2]) == [*state.trials]
    assert not [run for run in everything if run[1] == "RUNNING"]
    for trial in state.trials.values():
        run_id, _, tags = children[str(trial.number)]
        assert tags["mlflow.parentRunId"] == parents[0][0]
        told = ask(f"select key, step from metrics where run_uuid = '{run_id}' order by step")
        assert len(told) == len(set(told)), f"trial {trial.number}: a step was written twice"
        steps = [step for key, step in told if key == "objective"]
        assert steps == sorted(trial.curve), f"trial {trial.number}"
        assert tags["genotune.family"] == trial.family
        params = dict(ask(f"select key, value from params where run_uuid = '{run_id}'"))
        beside = {"family": trial.family, "seed": trial.seed}
        assert params == {name: text_of(value) for name, value in flat({**trial.fitted_with(1).params, **beside})}


def flat(values, prefix=""):
    """Nested values under dotted names."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def text_of(value):
    return value if isinstance(value, str) else json.dumps(value)


def start(tiny, tmp_path, *arguments, **environment):
    """A driver in a process of its own, which a person may interrupt, even where a shell started the tests with '&'."""
    command = [sys.executable, "-m", "genotune.cli", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**clean_environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )


def wait_for(tmp_path, condition, process, *, timeout_s=120):
    """Until the journal says so."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        for folder in (tmp_path / ".genotune" / "sweeps").glob("*"):
            if (folder / "journal.jsonl").exists() and condition(read_state(folder)):
                return folder
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def session_members(session):
    """Processes of a session that are alive."""
    members = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(path.parent.name))
    return members


def kill_session(session):
    """End a session with all its processes at once."""
    for pid in session_members(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def assert_nothing_is_left_of(session):
    """The processes of a session end by themselves."""
    deadline = time.monotonic() + 90
    while session_members(session):
        assert time.monotonic() < deadline, session_members(session)
        time.sleep(0.1)


def session_processes(session, name):
    """Pids of the processes of a session whose command line has the name, in order."""
    found = []
    for pid in session_members(session):
        try:
            if name in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
        except OSError:
            continue
    return sorted(found)


def undisturbed(folder, *changes):
    """What the tiny sweep, run in a folder of its own, comes to without a fault.

    Args:
        folder: empty.
        changes: of the spec: each a text that is in it, and what it becomes.
    """
    write_genome(folder, lengths={"chrA": 40_000, "chrB": 12_000, "chrC": 12_000})
    text = SPEC
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (folder / "tiny.yaml").write_text(text)
    process = start(folder / "tiny.yaml", folder, "run", "tiny.yaml")
    output, errors = process.communicate(timeout=400)
    assert process.returncode == 0, output + errors
    return read_state(sweep_folder(folder))


def events(folder, kind=None):
    """The events of a sweep, or those of a kind."""
    return [event for event in read_events(folder / "journal.jsonl") if kind in (None, event.kind)]


def assert_a_killed_process_changes_nothing(genotune, spec, tmp_path, name, *, n_processes=1):
    """With a process of trial 0 killed after its first epoch the sweep ends as an undisturbed one does.

    Args:
        genotune: the fixture.
        spec: of two trials, one after another.
        tmp_path: where the sweep runs.
        name: in the command line of the process.
        n_processes: that have that name; the last is killed.
    """
    undisturbed = genotune("run", spec, "--workspace", tmp_path / "undisturbed", timeout_s=600)
    assert undisturbed.returncode == 0, undisturbed.stderr
    (folder,) = (tmp_path / "undisturbed" / "sweeps").iterdir()
    expected = read_state(folder)
    process = start(spec, tmp_path, "run", spec)
    wait_for(tmp_path, lambda state: 0 in state.trials and bool(state.trials[0].curve), process, timeout_s=300)
    victims = session_processes(process.pid, name)
    assert len(victims) == n_processes
    os.kill(victims[-1], signal.SIGKILL)
    output, errors = process.communicate(timeout=400)
    assert process.returncode == 0, output + errors
    folder = sweep_folder(tmp_path)
    state = read_state(folder)
    assert curves(state) == curves(expected)
    assert [event.values["trial"] for event in events(folder, "started")] == [0, 0, 1]
    reports = [(event.values["trial"], event.values["epoch"]) for event in events(folder, "report")]
    assert len(reports) == len(set(reports))
    assert_record_is_complete(tmp_path, state)
