"""Sweeps whose checkpoints go to a storage, over real HTTP: nothing is lost with the folder of the machine."""

import os
import shutil
import signal

import pytest

from genotune.journal import read_state
from sweeps import (
    assert_nothing_is_left_of,
    assert_record_is_complete,
    curves,
    events,
    start,
    sweep_folder,
    undisturbed,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ONE = "trials: {concurrent: 1}\n"
LONG = (
    ("{kind: asha, max_epochs: 4, reduction_factor: 2}", "{kind: none, max_epochs: 30}"),
    ("trials: 5", "trials: 2"),
)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What the sweep comes to without a fault, and without a storage."""
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), *LONG)


@pytest.fixture(params=["s3://box/lab", "kept"])
def place(request, s3):
    """What the spec says of its storage."""
    return request.param


def test_a_sweep_whose_checkpoints_are_all_lost_on_its_machine_goes_on_from_the_storage(
    genotune, edited, tmp_path, expected, place
):
    spec = edited(*LONG)
    spec = edited((ONE, f"{ONE}storage: {place}\n"))
    process = start(spec, tmp_path, "run", spec)
    folder = wait_for(tmp_path, lambda state: 1 in state.trials and bool(state.trials[1].curve), process, timeout_s=300)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert_nothing_is_left_of(process.pid)
    n_before = len(events(folder, "report"))
    shutil.rmtree(folder / "trials")
    result = genotune("resume", folder.name)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(folder)
    assert curves(state) == curves(expected)
    assert {**state.winner} == {**expected.winner}
    assert state.scores == expected.scores
    reports = [(event.values["trial"], event.values["epoch"]) for event in events(folder, "report")]
    assert len(reports) == len(set(reports)) == 60 > n_before
    assert_record_is_complete(tmp_path, state)


def test_a_sweep_whose_machine_is_lost_goes_on_on_another_by_the_same_command(genotune, edited, tmp_path, expected, s3):
    """The other has the spec and its data elsewhere, and nothing of the sweep."""
    edited(*LONG)
    spec = edited((ONE, f"{ONE}storage: s3://box/lab\n"))
    project = [path for path in tmp_path.iterdir() if path.is_file()]
    process = start(spec, tmp_path, "run", spec, "--as", "lost")
    folder = wait_for(tmp_path, lambda state: 1 in state.trials and bool(state.trials[1].curve), process, timeout_s=300)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert_nothing_is_left_of(process.pid)
    assert folder.name == "lost"
    n_before = len(events(folder, "decision"))
    other = tmp_path / "other"
    other.mkdir()
    for path in project:
        path.rename(other / path.name)
    shutil.rmtree(folder)
    result = genotune("run", other / "tiny.yaml", "--as", "lost", timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(folder)
    assert curves(state) == curves(expected)
    assert {**state.winner} == {**expected.winner}
    assert state.scores == expected.scores
    assert len(events(folder, "decision")) == 60 > n_before
    assert_record_is_complete(tmp_path, state)
    again = genotune("run", other / "tiny.yaml", "--as", "lost")
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(events(folder, "driver_started")) == 2, "a finished sweep is only told again"
    changed = other / "tiny.yaml"
    changed.write_text(changed.read_text().replace("trials: 2", "trials: 3"))
    refused = genotune("run", changed, "--as", "lost")
    assert refused.returncode == 2
    assert "no longer says what lost began with:\n  budget.trials: 2 when the sweep began, 3 now" in refused.stderr


def test_a_sweep_is_brought_back_from_its_place_in_the_storage(genotune, edited, tmp_path, s3):
    spec = edited(("trials: 5", "trials: 2"))
    process = start(spec, tmp_path, "run", spec, "--as", "lost", GENOTUNE_STORAGE="s3://box/lab")
    folder = wait_for(tmp_path, lambda state: 1 in state.trials, process, timeout_s=300)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert_nothing_is_left_of(process.pid)
    shutil.rmtree(folder)
    result = genotune("resume", "s3://box/lab/lost")
    assert result.returncode == 2
    assert "lost: its checkpoints are at s3://box/lab. To go on: GENOTUNE_STORAGE=s3://box/lab" in result.stderr
    result = genotune("resume", "s3://box/lab/other")
    assert result.returncode == 2
    assert "s3://box/lab/other: no sweep is there. Name its place as PLACE/SWEEP" in result.stderr
    process = start(spec, tmp_path, "resume", "s3://box/lab/lost", GENOTUNE_STORAGE="s3://box/lab")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors
    assert read_state(folder).status == "complete"


def test_a_storage_keeps_the_best_and_the_last_of_each_trial_and_what_the_winner_was_refitted_to(
    genotune, edited, tmp_path, s3
):
    spec = edited((ONE, f"{ONE}storage: s3://box/lab\nevaluation: {{refit: true}}\n"))
    result = genotune("run", spec)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = sweep_folder(tmp_path)
    here = {
        str(path.relative_to(folder)) for path in (folder / "trials").glob("trial-*/epoch-*") if not path.suffix
    } | {"refitted"}
    notes = [key for key in s3.keys("box", f"lab/{folder.name}/") if key.endswith(".whole")]
    assert {key.removeprefix(f"lab/{folder.name}/").removesuffix(".whole") for key in notes} == here
    everything = {key.split(f"lab/{folder.name}/")[1] for key in s3.keys("box") if not key.endswith(".whole")}
    contents = {key for key in everything if not key.startswith("journal/")}
    assert everything - contents == {"journal/00001-0000000001", "journal/spec.yaml", "journal/code.json"}
    n_files = sum(1 for name in here for path in (folder / name).rglob("*") if path.is_file())
    assert len(contents) == n_files


def test_a_winner_whose_folder_is_lost_is_registered_from_the_storage(genotune, edited, tmp_path, s3):
    away = "tracking: {uri: 'http://127.0.0.1:9'}\n"
    result = genotune("run", edited((ONE, f"{ONE}storage: s3://box/lab\n{away}")))
    folder = sweep_folder(tmp_path)
    assert read_state(folder).registered is None, result.stderr
    shutil.rmtree(folder / "trials")
    kept = folder / "spec.yaml"
    kept.write_text(kept.read_text().replace(away, ""))
    result = genotune("sync", folder.name)
    assert result.returncode == 0, result.stdout + result.stderr
    assert read_state(folder).registered["name"] == "tiny"


def test_a_storage_that_refuses_is_told_before_anything_runs(genotune, edited, tmp_path, s3):
    spec = edited((ONE, f"{ONE}storage: s3://nobodys/lab\n"))
    for command in ("check", "run"):
        result = genotune(command, spec)
        assert result.returncode == 2, result.stdout + result.stderr
        assert "tiny.yaml:24: storage: s3://nobodys/lab: no such bucket. Make it, or name another." in result.stderr
    assert not (tmp_path / ".genotune" / "sweeps").exists()


def test_a_storage_that_goes_away_interrupts_the_sweep_which_goes_on_when_it_is_back(
    genotune, edited, tmp_path, s3, expected
):
    spec = edited(*LONG)
    spec = edited((ONE, "trials: {concurrent: 1, timeout_minutes: 0.5}\nstorage: s3://box/lab\n"))
    process = start(spec, tmp_path, "run", spec)
    folder = wait_for(tmp_path, lambda state: 0 in state.trials and bool(state.trials[0].curve), process, timeout_s=300)
    s3.stop()
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 2, errors
    assert "s3://box/lab" in errors
    assert "can't be reached" in errors
    assert f"Then: genotune resume {folder.name}" in errors
    state = read_state(folder)
    assert state.status == "interrupted"
    assert [trial.status for trial in state.trials.values()] == ["killed"]
    s3.start()
    result = genotune("resume", folder.name)
    assert result.returncode == 0, result.stdout + result.stderr
    assert curves(read_state(folder)) == curves(expected)
    assert_record_is_complete(tmp_path, read_state(folder))
