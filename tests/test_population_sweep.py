"""A population on Ray Tune: trained in generations, killed and resumed, and recorded."""

import json
import signal

import pytest
from test_resume import assert_no_step_is_written_twice, run_until

from builders import rows
from genotune.journal import read_state
from sweeps import assert_record_is_complete, curves, runs, sweep_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ASHA = "{kind: asha, max_epochs: 4, reduction_factor: 2}"
PBT = "{kind: pbt, max_epochs: 6, interval_epochs: 2, population: 4}"
# From a rate at which nothing is learned in six epochs to one at which much is.
RATES = ("{log_uniform: [1.0e-3, 3.0e-2]}", "{log_uniform: [1.0e-6, 3.0e-2]}")

# Of each driver in turn: the event that it dies of, and which of that kind it is in its life.
MOMENTS = [
    ("decision", 3),
    ("generation", 1),
    ("report", 2),
    ("generation", 1),
]


@pytest.fixture
def spec(edited):
    return edited((ASHA, PBT), ("budget: {trials: 5}", "budget: {trials: 4}"), RATES)


def numbers_of(tmp_path, trial, metric):
    """(step, value) of a metric of a trial, past MLflow's own eyes."""
    (run_id,) = [run_id for run_id, _, tags in runs(tmp_path) if tags.get("genotune.trial") == str(trial)]
    query = f"select step, value from metrics where run_uuid = '{run_id}' and key = '{metric}' order by step"
    return rows(tmp_path / ".genotune" / "mlflow.db", query)


def test_a_population_that_is_killed_again_and_again_comes_to_what_an_undisturbed_one_does(genotune, spec, tmp_path):
    undisturbed = genotune("run", spec, "--workspace", tmp_path / "undisturbed", timeout_s=600)
    assert undisturbed.returncode == 0, undisturbed.stderr
    (folder,) = (tmp_path / "undisturbed" / "sweeps").iterdir()
    expected = read_state(folder)
    assert [trial.status for trial in expected.trials.values()] == ["complete"] * 4
    assert list(expected.generations["poisson_cnn"]) == [2, 4]
    assert "note poisson_cnn: generation 1 ended at epoch 2; trials go on as changed copies: " in undisturbed.stdout
    arguments = ["run", spec]
    for moment in MOMENTS:
        result = run_until(tmp_path, moment, *arguments)
        assert result.returncode == -signal.SIGKILL, (moment, result.stdout, result.stderr)
        arguments = ["resume", sweep_folder(tmp_path).name]
    status = genotune("status", sweep_folder(tmp_path).name)
    assert "poisson_cnn: generation 2 ended at epoch 4; " in status.stdout
    result = genotune(*arguments, timeout_s=600)
    assert result.returncode == 0, result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert curves(state) == curves(expected)
    assert state.generations == expected.generations
    assert state.winner == expected.winner
    assert state.scores == expected.scores
    assert_record_is_complete(tmp_path, state)
    assert_no_step_is_written_twice(tmp_path)
    for trial in state.trials.values():
        rates = numbers_of(tmp_path, trial.number, "hyperparameter.learning_rate")
        assert rates == [(epoch, trial.fitted_with(epoch).params["learning_rate"]) for epoch in range(1, 7)]
    assert_copies_are_better_than_what_they_replace(state)
    assert_the_winner_is_what_it_was_at_its_epoch(sweep_folder(tmp_path), state)
    for folder in (sweep_folder(tmp_path) / "trials").iterdir():
        assert 1 <= len(list(folder.glob("epoch-*"))) <= 2, "the best and the last"


def assert_copies_are_better_than_what_they_replace(state):
    for epoch, parents in state.generations["poisson_cnn"].items():
        for copy, parent in parents.items():
            assert state.trials[copy].curve[epoch] < state.trials[parent].curve[epoch]
            assert state.trials[copy].curve[epoch + 1] > state.trials[copy].curve[epoch]


def assert_the_winner_is_what_it_was_at_its_epoch(folder, state):
    winner = state.trials[state.winner["trial"]]
    record = json.loads((folder / "trials" / state.winner["checkpoint"] / "model" / "model.json").read_text())
    fitted_with = winner.fitted_with(state.winner["epoch"]).params
    assert record["settings"]["learning_rate"] == fitted_with["learning_rate"]
    assert state.registered is not None
