"""A sweep of the past is read back from MLflow and from its journal alike."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking.conftest import write_generation

from genotune.errors import SweepError
from genotune.tracking import names
from genotune.tracking.earlier import EarlierTrial, from_journal, from_mlflow, picks_of
from genotune.tuning.searchers import random_point, stream
from genotune.tuning.space import Template, parse_template

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)  # MLflow's own models

PARAMS: dict[str, Any] = {
    "windows": {"length_bp": 1024, "select": "tiles"},
    "learning_rate": {"log_uniform": [1e-4, 1e-2]},
    "rate": {"uniform": [0, 1], "step": 0.1},
    "n_blocks": {"int": [2, 6]},
    "channels": {"choice": [32, 64, "64", None, True, [1, 2]]},
    "schedule": {"choice": ["constant", {"kind": "plateau", "patience": {"log_int": [1, 4]}}, {"kind": "off"}, {}]},
    "layers": [{"width": {"int": [1, 3]}, "norm": {"choice": [None, {"kind": "batch"}]}}, "7", 7],
}


def template(params: dict[str, Any] = PARAMS) -> Template:
    made, problems = parse_template(params)
    assert problems == []
    return made


@given(seed=st.integers(0, 2**32))
def test_a_draw_is_found_again_by_the_texts_that_the_record_holds(seed: int) -> None:
    made = template()
    built = made.build(random_point({"cnn": made}, ["cnn"], stream(seed, 0)).picks)
    flat = names.flat_params(built)
    picks = picks_of(made, flat)
    assert picks is not None
    assert names.flat_params(made.build(picks)) == flat


GOOD = names.flat_params({"rate": 0.5, "fixed": 1.0, "inner": {"kind": "a"}})
SMALL = template({"rate": {"uniform": [0, 1]}, "fixed": 1.0, "inner": {"kind": "a"}})


def test_values_inside_of_the_space_are_placed() -> None:
    assert picks_of(SMALL, GOOD) == {"rate": 0.5}


@pytest.mark.parametrize(
    "change",
    [
        {"rate": "1.5"},
        {"rate": "true"},
        {"rate": "fast"},
        {"fixed": "2.0"},
        {"other": "1"},
        {"inner.kind": "b"},
        {"inner": "a"},
        {"rate.deep": "1"},
    ],
)
def test_a_trial_with_another_value_or_another_parameter_lies_outside(change: dict[str, str]) -> None:
    assert picks_of(SMALL, GOOD | change) is None


@pytest.mark.parametrize("lacking", list(GOOD))
def test_a_trial_that_lacks_a_parameter_lies_outside(lacking: str) -> None:
    assert picks_of(SMALL, {name: text for name, text in GOOD.items() if name != lacking}) is None


def write(sweep) -> None:
    sweep.begin()
    for trial in range(4):
        sweep.propose(trial, windows={"length_bp": 512}, channels=64, rate=0.1 * trial)
        sweep.start_trial(trial)
    sweep.report(0, 1, 0.5)
    sweep.report(0, 2, 0.625, rung=2)
    sweep.end_trial(0)
    sweep.report(1, 1, 0.25, rung=1, action="stop")
    sweep.end_trial(1, "stopped", "below")
    sweep.report(2, 1, 0.125)
    sweep.report(2, 2, None, action="stop")
    sweep.end_trial(2, "stopped", "not a number")


def same(trials: list[EarlierTrial]) -> list[str]:
    return [repr(trial._replace(params=dict(sorted(trial.params.items())))) for trial in trials]


def test_mlflow_and_the_journal_tell_the_same_of_a_sweep(sweep, mlflow_store, deliver) -> None:
    write(sweep)
    deliver(sweep)
    by_mlflow, by_journal = from_mlflow(mlflow_store.uri, "yeast-2401"), from_journal(sweep.folder)
    assert by_mlflow is not None
    assert by_mlflow[:4] == by_journal[:4]
    assert (by_mlflow.name, by_mlflow.metric, by_mlflow.bin_bp) == ("yeast-240101-abcdef", "pearson", "32")
    assert len(by_mlflow.digest) == 16
    ended = [trial for trial in by_mlflow.trials if trial.status in ("complete", "stopped")]
    assert same(ended) == same(by_journal.trials[:3])
    assert [trial.status for trial in by_journal.trials] == ["complete", "stopped", "stopped", ""]
    assert ended[0].curve == {1: 0.5, 2: 0.625}
    assert ended[0].params == {"windows.length_bp": "512", "channels": "64", "rate": "0.0"}
    assert ended[0].family == "poisson_cnn"
    assert math.isnan(ended[2].curve[2])


def test_a_trial_that_became_a_copy_is_told_as_far_as_its_first_params_go(sweep, mlflow_store, deliver) -> None:
    write_generation(sweep)
    deliver(sweep)
    by_mlflow, by_journal = from_mlflow(mlflow_store.uri, "yeast-2401"), from_journal(sweep.folder)
    assert by_mlflow is not None
    for trial in (by_mlflow.trials[0], by_journal.trials[0]):
        assert (trial.curve, trial.status) == ({1: 0.1, 2: 0.2}, "stopped")
        assert trial.params["rate"] == "0.1"


def test_what_mlflow_does_not_hold_is_none(mlflow_store, sweep, deliver) -> None:
    sweep.begin()
    deliver(sweep)
    assert from_mlflow(mlflow_store.uri, "yeast-25") is None
    assert from_mlflow(mlflow_store.uri, "yeast_240101") is None  # _ is any letter to LIKE
    assert from_mlflow(mlflow_store.uri, "yeast' or") is None


def test_of_a_server_that_is_away_a_person_is_told(caplog) -> None:
    assert from_mlflow("http://127.0.0.1:9", "yeast") is None
    assert "127.0.0.1:9" in caplog.text
    assert "yeast is looked for in the workspace." in caplog.text


def test_a_beginning_that_several_sweeps_share_is_refused(mlflow_store, sweep, deliver) -> None:
    sweep.begin()
    deliver(sweep)
    run = mlflow_store.parent
    tags = {names.SWEEP_ID: "yeast-240102-fedcba", names.ROLE: "sweep"}
    mlflow_store.client.create_run(run.info.experiment_id, tags=tags)
    with pytest.raises(
        SweepError, match=r"several sweeps begin so in MLflow: yeast-240101-abcdef, yeast-240102-fedcba"
    ):
        from_mlflow(mlflow_store.uri, "yeast-2401")
    found = from_mlflow(mlflow_store.uri, "yeast-240102-fedcba")
    assert found is not None
    assert (found.name, found.trials) == ("yeast-240102-fedcba", [])
