"""A sweep that starts from earlier ones: found, checked, placed, told, and kept in its journal."""

import json
import os
import signal

import pytest

from builders import SPEC
from genotune.errors import SweepError
from genotune.facts import sweep_facts
from genotune.journal import Journal, read_state
from genotune.plan import make_plan
from genotune.spec import read_spec
from genotune.warm_start import earlier_trials, is_owed, keep_earlier
from sweeps import events, start, sweep_folder, wait_for

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)  # MLflow's own models

SEARCH = "search: {kind: tpe, seed: 3}"
STARTED = "search: {kind: tpe, seed: 3, start_from: [tiny-1]}"
FIXED = {
    "windows": {"length_bp": 256, "stride_bp": 256, "select": "tiles"},
    "bin_bp": 16,
    "stem_width": 9,
}


def plan_of(tiny, *changes):
    text = SPEC.replace(SEARCH, STARTED)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    tiny.write_text(text)
    return make_plan(read_spec(tiny))


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    """MLflow is away: the workspace is what there is."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def earlier(tiny, tmp_path):
    """The folder of a sweep of the tiny spec with four trials, the last two of which teach nothing here."""
    folder = tmp_path / "workspace" / "sweeps" / "tiny-1"
    folder.mkdir(parents=True)
    plan = plan_of(tiny)
    with Journal(folder) as journal:
        journal.append("sweep_started", **sweep_facts(plan, "tiny-1"))
        for trial, (channels, rate, status) in enumerate(
            [(4, 0.01, "complete"), (2, 0.02, "stopped"), (8, 0.01, "complete"), (4, 0.01, "failed")]
        ):
            params = {**FIXED, "channels": channels, "n_blocks": 1, "learning_rate": rate}
            journal.append("proposed", trial=trial, family="poisson_cnn", picks={}, params=params, seed=1)
            for epoch, value in ((1, 0.25), (2, None if trial == 1 else 0.5)):
                journal.append("report", trial=trial, epoch=epoch, value=value, metrics={}, checkpoint=None)
            journal.append("ended", trial=trial, status=status, reason="")
    return folder


def found_by(plan, earlier):
    return earlier_trials(plan, sweep_facts(plan, "tiny-2"), earlier.parent / "tiny-2")


def test_trials_inside_of_the_space_are_learned_from_and_the_others_counted(tiny, earlier):
    found = found_by(plan_of(tiny), earlier)
    assert found.sweeps == ["tiny-1"]
    assert found.trials == [
        {
            "family": "poisson_cnn",
            "picks": {"channels": 1, "n_blocks": 1, "learning_rate": 0.01},
            "curve": [[1, 0.25], [2, 0.5]],
            "status": "complete",
        },
        {
            "family": "poisson_cnn",
            "picks": {"channels": 0, "n_blocks": 1, "learning_rate": 0.02},
            "curve": [[1, 0.25], [2, None]],
            "status": "stopped",
        },
    ]
    assert found.notes == [
        "learned from 2 of 4 trials of tiny-1; 1 lie outside of this space; 1 failed or didn't end",
    ]


def test_another_fixed_value_or_family_leaves_trials_out(tiny, earlier):
    assert found_by(plan_of(tiny, ("stem_width: 9", "stem_width: 7")), earlier).trials == []
    ridge = "models:\n  - family: ridge\n"
    before, after = SPEC.split("models:")[0], SPEC[SPEC.index("search:") :].replace(SEARCH, STARTED)
    tiny.write_text(before + ridge + after)
    found = found_by(make_plan(read_spec(tiny)), earlier)
    assert found.trials == []
    assert found.notes[0].startswith("learned from 0 of 4 trials of tiny-1; 3 lie outside of this space")


def test_other_data_are_noted(tiny, earlier):
    (note,) = found_by(plan_of(tiny, ("resolution_bp: 16", "resolution_bp: 8")), earlier).notes
    assert note.endswith("; its data, or how they are split or read, are not those of this sweep")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "metric: pearson",
            "metric: mse",
            r"objective\.metric: pearson, this sweep is by mse; .* Set objective\.metric",
        ),
        ("bin_bp: 16}", "bin_bp: 32}", r"objective\.bin_bp: 16, this sweep is by 32; such values can't be compared\."),
    ],
)
def test_a_sweep_that_was_judged_by_something_else_is_refused(tiny, earlier, old, new, told):
    with pytest.raises(SweepError, match=rf"start_from: tiny-1 was judged by {told}"):
        found_by(plan_of(tiny, (old, new)), earlier)


def test_a_sweep_that_nobody_knows_is_refused_with_those_there_are(tiny, earlier):
    plan = plan_of(tiny, ("tiny-1", "tidy"))
    with pytest.raises(SweepError, match=r"no such sweep .*, nor has the workspace\. tidy: .* There: tiny-1\."):
        found_by(plan, earlier)


def test_a_group_and_a_sweep_that_never_began_are_refused(tiny, earlier):
    (earlier.parent / "group-1").mkdir()
    (earlier.parent / "group-1" / "group.json").write_text("{}")
    with pytest.raises(SweepError, match=r"group-1 is a group of sweeps\. Name one of them\."):
        found_by(plan_of(tiny, ("tiny-1", "group-1")), earlier)
    (earlier.parent / "dead").mkdir()
    (earlier.parent / "dead" / "journal.jsonl").touch()
    with pytest.raises(SweepError, match=r"dead was ended before it began\. Leave it out\."):
        found_by(plan_of(tiny, ("tiny-1", "dead")), earlier)


def test_a_sweep_that_starts_from_none_asks_nobody(tiny, earlier):
    assert found_by(plan_of(tiny, (STARTED, SEARCH)), earlier) is None


def test_what_was_learned_is_owed_until_it_is_in_the_journal(tiny, earlier, tmp_path):
    plan = plan_of(tiny)
    with Journal(tmp_path) as journal:
        assert is_owed(plan, journal)
        assert not is_owed(plan_of(tiny, (STARTED, SEARCH)), journal)
        keep_earlier(journal, found_by(plan, earlier))
        assert not is_owed(plan, journal)
    assert len(read_state(tmp_path).learned_before["trials"]) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_learns_from_mlflow_once_and_goes_on_from_its_journal(genotune, tiny, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    first = genotune("run", tiny)
    assert first.returncode == 0, first.stderr
    folder = sweep_folder(tmp_path)
    # Not in the workspace any more: MLflow alone knows of it.
    folder.rename(tmp_path / "elsewhere")
    second = tiny.with_name("second.yaml")
    second.write_text(SPEC.replace(SEARCH, f"search: {{kind: tpe, seed: 3, start_from: [{folder.name[:-2]}]}}"))
    process = start(second, tmp_path, "run", second)
    began = wait_for(tmp_path, lambda state: any(trial.curve for trial in state.trials.values()), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    (tmp_path / ".genotune" / "mlflow.db").unlink()
    again = genotune("resume", began.name)
    assert again.returncode == 0, again.stderr
    (event,) = events(began, "learned_before")
    assert f"learned from 5 of 5 trials of {folder.name}" in again.stdout + again.stderr
    assert event.values["sweeps"] == [folder.name]
    expected = read_state(tmp_path / "elsewhere")
    for one, trial in zip(event.values["trials"], expected.trials.values(), strict=True):
        assert (one["picks"], one["status"]) == (trial.picks, trial.status)
        assert one["curve"] == json.loads(json.dumps(sorted(trial.curve.items())))
    state = read_state(began)
    assert (state.status, len(state.trials)) == ("complete", 5)
    # Eight trials are random at first; five were known.
    assert state.trials[0].picks == expected.trials[0].picks
    assert state.trials[3].picks != expected.trials[3].picks
