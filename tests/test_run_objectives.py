"""A whole sweep with two objectives, its driver killed on the way: what it comes to, and what MLflow holds of it."""

import json
import re
import signal

import pytest
from test_resume import run_until

from builders import rows
from genotune.journal import read_state
from sweeps import assert_record_is_complete, curves, runs, sweep_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CHANGES = (
    ("{metric: pearson, bin_bp: 16}", "[{metric: pearson, bin_bp: 16}, {metric: n_parameters}]"),
    ("{trials: 5}", "{trials: 12}"),
    ("stem_width: 9", "stem_width: {choice: [3, 9]}"),
    # The second is the smallest that there is and hardly learns, so it is on the front beside better ones.
    (
        "seed: 3",
        "seed: 3, n_startup_trials: 4, points: ["
        "{params: {channels: 4, n_blocks: 0, stem_width: 9, learning_rate: 0.02}}, "
        "{params: {channels: 2, n_blocks: 0, stem_width: 3, learning_rate: 0.001}}]",
    ),
)


def front_by_definition(state):
    """Trials that no other beats, from the reports alone: the best pearson of each, and the size of that model."""
    stands = {}
    for trial in state.trials.values():
        epoch = max(trial.curve, key=lambda one: (trial.curve[one], -one))
        stands[trial.number] = (trial.curve[epoch], trial.metrics[epoch]["n_parameters"], trial.checkpoints[epoch])
    return {
        number: one
        for number, one in stands.items()
        if not any(other[0] >= one[0] and other[1] <= one[1] and other[:2] != one[:2] for other in stands.values())
    }


def test_the_front_in_mlflow_is_that_of_the_journal_and_of_a_sweep_that_nobody_disturbed(genotune, edited, tmp_path):
    spec = edited(*CHANGES)
    undisturbed = genotune("run", spec, "--workspace", tmp_path / "undisturbed", timeout_s=900)
    assert undisturbed.returncode == 0, undisturbed.stderr
    (folder,) = (tmp_path / "undisturbed" / "sweeps").iterdir()
    expected = read_state(folder)
    arguments = ["run", spec]
    for moment in (("ended", 5), ("decision", 3)):
        died = run_until(tmp_path, moment, *arguments)
        assert died.returncode == -signal.SIGKILL, died.stderr
        arguments = ["resume", sweep_folder(tmp_path).name]
    ended = genotune(*arguments, timeout_s=900)
    assert ended.returncode == 0, ended.stderr
    folder = sweep_folder(tmp_path)
    state = read_state(folder)
    assert curves(state) == curves(expected)
    assert state.winner == expected.winner
    assert_record_is_complete(tmp_path, state)
    front = front_by_definition(state)
    assert 1 < len(front) < len(state.trials)
    assert state.winner["value"] == max(value for value, *_ in front.values())
    assert_told_as_it_is(genotune, tmp_path, folder, front=front, said=ended.stdout)


def assert_told_as_it_is(genotune, tmp_path, folder, *, front, said):
    """The tags of each run, the table, `status`, and the last words of the run agree with the front."""
    words = {
        int(tags["genotune.trial"]): tags["genotune.front"] for *_, tags in runs(tmp_path) if "genotune.trial" in tags
    }
    assert {number for number, word in words.items() if word == "true"} == front.keys()
    assert set(words.values()) == {"true", "false"}
    table = [line.split("\t") for line in (folder / "front.tsv").read_text().splitlines()]
    assert {int(row[0]): (float(row[3]), float(row[4])) for row in table[1:]} == {
        number: pytest.approx(one[:2]) for number, one in front.items()
    }
    for row in table[1:]:
        assert row[5] == f"trials/{front[int(row[0])][2]}"
        assert (folder / row[5] / "model" / "model.json").exists(), "the checkpoint of each is kept"
    [(parent, artifacts)] = rows(
        tmp_path / ".genotune" / "mlflow.db",
        "select run_uuid, artifact_uri from runs where name = '" + folder.name + "'",
    )
    logged = tmp_path / ".genotune" / "artifacts" / parent / "artifacts"
    assert (logged / "front.tsv").read_text() == (folder / "front.tsv").read_text(), artifacts
    assert (logged / "front.png").stat().st_size > 1000
    shown = json.loads(genotune("status", folder.name, "--json").stdout)
    assert {one["trial"] for one in shown["front"]} == front.keys()
    assert re.search(rf"{len(front)} of 12 trials are on the front: .*; their checkpoints: front\.tsv", said)
