"""list, status, stop, logs and sync, as a person at another terminal uses them."""

import json
import re

import pytest
from test_sweep_view import begin, run_trial

from genotune.journal import Journal, read_state
from sweeps import assert_record_is_complete, runs, start, sweep_folder, wait_for

LONG = ("{kind: asha, max_epochs: 4, reduction_factor: 2}", "{kind: none, max_epochs: 400}")


@pytest.fixture
def dead(tmp_path):
    """A sweep whose driver died in its second trial."""
    folder = tmp_path / ".genotune" / "sweeps" / "toy-261121-abcdef"
    with begin(folder) as journal:
        run_trial(journal, 0, [0.1, 0.5], status="complete")
        run_trial(journal, 1, [0.3])
    (folder / "driver.log").write_text("the driver's words\n")
    trial = folder / "trials" / "trial-0000"
    trial.mkdir(parents=True)
    (trial / "log.txt").write_text("epoch 1 of 2: pearson 0.1\n")
    return folder


def test_list_names_the_sweeps_with_their_best(genotune, dead):
    result = genotune("list")
    assert result.returncode == 0, result.stderr
    assert re.search(r"toy-261121-abcdef +died +2 of 4 +pearson 0\.5000 +0 \(toy\)", result.stdout)


def test_list_of_a_workspace_without_sweeps_says_where_it_looked(genotune, tmp_path):
    result = genotune("list", "--workspace", tmp_path / "none")
    assert result.returncode == 0
    assert f"No sweep in {tmp_path / 'none'}" in result.stdout
    assert json.loads(genotune("list", "--json", "--workspace", tmp_path / "none").stdout) == []


def test_status_shows_every_trial_whole_and_how_to_go_on(genotune, dead):
    result = genotune("status", "toy")
    assert result.returncode == 0, result.stderr
    assert "toy-261121-abcdef: died, last word" in result.stdout
    assert "best so far: pearson 0.5000, toy of trial 0" in result.stdout
    assert re.search(r"0 +toy +complete +2 +0\.5000 \(0\.5000\)", result.stdout)
    assert re.search(r"1 +toy +waiting +1 +0\.3000 \(0\.3000\)", result.stdout)
    assert "genotune resume toy-261121-abcdef" in result.stdout
    assert "MLflow lacks 10 events: genotune sync toy-261121-abcdef" in result.stdout


def test_status_shows_what_is_spent_and_which_families_get_no_more(genotune, dead):
    with Journal(dead) as journal:
        prices = {"prices": {"currency": "USD"}, "trial_hour_cost": {"toy": 1.0}}
        budget = {"trials": 4, "epochs": 9, "cost": "20 USD"}
        journal.append("sweep_started", **journal.state.facts, **prices, budget=budget)
        journal.append("extended", limits={"epochs": 12})
        journal.append("dropped", family="broken", reason="its first 3 trials all failed; trial 1: no")
    shown = genotune("status", "toy").stdout
    assert "3 of 12 epochs, 0.00 of 20 USD" in shown
    assert "broken gets no more trials: its first 3 trials all failed; trial 1: no" in shown
    assert json.loads(genotune("status", "toy", "--json").stdout)["spent"]["cost"].endswith(" USD")


def test_status_as_json_is_for_machines(genotune, dead):
    found = json.loads(genotune("status", "toy", "--json").stdout)
    assert found["status"] == "died"
    assert [trial["curve"] for trial in found["each_trial"]] == [{"1": 0.1, "2": 0.5}, {"1": 0.3}]
    assert [one["sweep"] for one in json.loads(genotune("list", "--json").stdout)] == [dead.name]


def test_logs_are_those_of_the_driver_or_of_a_trial(genotune, dead):
    assert genotune("logs", "toy").stdout == "the driver's words\n"
    assert genotune("logs", "toy", "--trial", 0).stdout == "epoch 1 of 2: pearson 0.1\n"
    assert genotune("logs", "toy", "-f").stdout == "the driver's words\n"
    result = genotune("logs", "toy", "--trial", 1)
    assert result.returncode == 2
    assert "trial-0001/log.txt: is not there (yet)." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stop", "toy"], "no driver is at work on it (it died); there is nothing to stop."),
        (["stop", "toy", "--trial", "0", "--choose"], "--trial and --choose: one of them"),
        (["status", "toy", "--json", "-f"], "--json and --follow: one of them"),
        (["status", "nobody"], "nobody: no such sweep in"),
        (["logs", "toy", "--trial", "7"], "there is no trial 7; its 2 trials are numbered from 0 to 1."),
    ],
)
def test_a_mistake_is_told_plainly(genotune, dead, arguments, message):
    result = genotune(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_what_a_driver_is_at_work_on_is_delivered_by_that_and_an_ended_trial_cannot_be_stopped(genotune, dead):
    with Journal(dead):
        result = genotune("sync", "toy")
        assert result.returncode == 2
        assert "another driver is at work on this sweep" in result.stderr
        result = genotune("stop", "toy", "--trial", 0)
        assert result.returncode == 2
        assert "trial 0 has ended already (complete)" in result.stderr


def test_a_group_is_shown_by_its_sweeps_and_one_of_them_is_named_for_the_rest(genotune, dead):
    group = dead.parent / "mice-261121-aaaaaa"
    group.mkdir()
    members = {"CD8": dead.name, "MCH": "not-begun-261121-aaaaaa"}
    (group / "group.json").write_text(json.dumps({"spec_path": "mice.yaml", "members": members}))
    result = genotune("status", "mice")
    assert re.search(r"toy-261121-abcdef +died +2 of 4", result.stdout), result.stdout + result.stderr
    assert [one["sweep"] for one in json.loads(genotune("status", "mice", "--json").stdout)] == [dead.name]
    result = genotune("logs", "mice")
    assert result.returncode == 2
    assert "mice: a group of sweeps; name one of them: toy-261121-abcdef." in result.stderr
    result = genotune("stop", "mice")
    assert result.returncode == 2
    assert "no driver is at work on any sweep of this group" in result.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_trial_is_stopped_then_the_sweep_with_a_winner_chosen_from_what_is_there(edited, genotune, tmp_path):
    spec = edited(LONG)
    process = start(spec, tmp_path, "run", spec)
    folder = wait_for(tmp_path, lambda state: 0 in state.trials and len(state.trials[0].curve) > 1, process)
    result = genotune("stop", folder.name, "--trial", 0)
    assert result.returncode == 0, result.stderr
    wait_for(tmp_path, lambda state: 1 in state.trials and len(state.trials[1].curve) > 1, process)
    followed = start(spec, tmp_path, "logs", folder.name, "--trial", 1, "-f")
    assert genotune("stop", folder.name, "--choose").returncode == 0
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, output + errors
    state = read_state(folder)
    assert [trial.status for trial in state.trials.values()] == ["stopped", "stopped"]
    assert {trial.reason for trial in state.trials.values()} == {"stopped by hand"}
    assert all(trial.epoch < 400 for trial in state.trials.values())
    assert state.winner is not None
    assert state.registered is not None
    assert_record_is_complete(tmp_path, state)
    log, _ = followed.communicate(timeout=60)
    assert "epoch 1 of 400: pearson" in log


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_that_is_stopped_goes_on_with_resume(edited, genotune, tmp_path):
    spec = edited(("max_epochs: 4", "max_epochs: 40"), ("asha", "none"), (", reduction_factor: 2", ""))
    process = start(spec, tmp_path, "run", spec)
    folder = wait_for(tmp_path, lambda state: 0 in state.trials and bool(state.trials[0].curve), process)
    assert genotune("stop", folder.name).returncode == 0
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert read_state(folder).status == "interrupted"
    assert "KILLED" in {status for _, status, _ in runs(tmp_path)}
    result = genotune("resume", folder.name, timeout_s=400)
    assert result.returncode == 0, result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert {trial.epoch for trial in state.trials.values()} == {40}
    assert_record_is_complete(tmp_path, state)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_trial_whose_process_dies_again_and_again_fails_with_the_last_lines_of_its_log(edited, genotune, tmp_path):
    """A network of the user's own that writes a word and kills its process."""
    (tmp_path / "network.py").write_text(
        "import os\nimport torch\n\n\nclass Fatal(torch.nn.Module):\n"
        "    def __init__(self, **settings):\n        super().__init__()\n"
        "        print('about to die', flush=True)\n        os.kill(os.getpid(), 9)\n"
    )
    text = edited(("trials: 5", "trials: 3")).read_text()
    first, rest = text.split("  - family: poisson_cnn\n")
    after = rest[rest.index("search:") :]
    model = (
        "  - family: torch_module\n    params:\n      module: network.py:Fatal\n"
        "      windows: {length_bp: 256, stride_bp: 256, select: tiles}\n      bin_bp: 16\n"
    )
    spec = tmp_path / "tiny.yaml"
    spec.write_text(first + model + after)
    result = genotune("run", spec, timeout_s=400)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "about to die" in result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert {trial.status for trial in state.trials.values()} == {"failed"}


def test_status_shows_all_objectives_and_the_front(genotune, tmp_path):
    folder = tmp_path / ".genotune" / "sweeps" / "two-261121-abcdef"
    folder.mkdir(parents=True)
    with Journal(folder) as journal:
        objective = {"metric": "pearson", "direction": "maximize", "further": ["n_parameters"]}
        journal.append("sweep_started", objective=objective, resolved_text="budget: {trials: 4}\n")
        for number, n in enumerate((1000, 2000)):
            run_trial(journal, number, [])
            metrics = {"validation.pearson": 0.5, "n_parameters": n}
            journal.append("report", trial=number, epoch=1, value=0.5, metrics=metrics, checkpoint=None)
    shown = genotune("status", "two").stdout
    assert "1 of 2 trials are on the front: 0 (pearson 0.5000, n_parameters 1,000)" in shown
    assert re.search(r"epoch +pearson \(best\) +n_parameters +front +draw", shown)
    assert re.search(r"0 +toy +waiting +1 +0\.5000 \(0\.5000\) +1,000 +yes", shown)
    assert re.search(r"1 +toy +waiting +1 +0\.5000 \(0\.5000\) +2,000 *\n", shown)


def test_no_column_is_left_out_however_long_draws_and_reasons_are(genotune, dead):
    with Journal(dead) as journal:
        picks = {f"a_rather_long_name_{n}": 0.123 for n in range(4)}
        journal.append("proposed", trial=2, family="toy", picks=picks, params=picks, seed=2)
        journal.append("ended", trial=2, status="failed", reason="why it failed, in as many words as it takes " * 3)
    shown = genotune("status", "toy").stdout  # 80 characters wide, since it is no terminal
    assert re.search(r"trial +family +status +epoch +pearson \(best\) +draw +reason", shown)
    assert re.search(r"2 +toy +failed +0 +- \(-\) +a_rather_long[^…]*… +why it failed", shown)
