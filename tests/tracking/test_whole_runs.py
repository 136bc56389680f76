"""Runs that begin and end in one delivery, written into sqlite at once: as MLflow's own client would write them."""

import json
import shutil

import pytest
from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException

from genotune.tracking.stores import open_client
from genotune.tracking.whole_runs import takes_whole_runs, write_whole_runs

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)  # MLflow's own models


@pytest.fixture
def lose_all(tmp_path, empty_database):
    """Puts an empty store in the place of the sqlite store."""
    return lambda: shutil.copy(empty_database, tmp_path / "mlflow.db")


@pytest.mark.usefixtures("clock")
def test_trials_that_are_over_are_written_at_once_as_the_client_writes_them(
    sweep, sqlite_store, deliver, lose_all, monkeypatch
):
    write_three_that_are_over(sweep)
    sweep.propose(3)
    sweep.start_trial(3)
    n_written = []
    monkeypatch.setattr("genotune.tracking.record.write_whole_runs", told(n_written, write_whole_runs))
    deliver(sweep)
    at_once = plain(sqlite_store)
    assert n_written == [3]
    lose_all()
    monkeypatch.setattr("genotune.tracking.record.takes_whole_runs", lambda _: False)
    sweep.reopen()
    deliver(sweep)
    assert n_written == [3]
    assert plain(sqlite_store) == at_once


def test_trials_that_are_over_are_written_by_the_client_where_mlflow_refuses_them_together(
    sweep, sqlite_store, deliver, monkeypatch
):
    def refuse(*_):
        raise MlflowException("one of them", error_code=INVALID_PARAMETER_VALUE)

    monkeypatch.setattr("genotune.tracking.record.write_whole_runs", refuse)
    write_three_that_are_over(sweep)
    deliver(sweep)
    assert [run.info.status for run in sqlite_store.runs] == ["RUNNING", "FINISHED", "FAILED", "FINISHED"]
    assert all("duration_s" in sqlite_store.trial(number).data.metrics for number in range(3))


def write_three_that_are_over(sweep):
    """One that was stopped, one that failed with long words after a value that is no number, one with many params."""
    sweep.begin()
    for trial, n_params in enumerate((3, 3, 140)):
        sweep.propose(trial, **{f"p{i}": "é" * 90 for i in range(n_params)})
        sweep.start_trial(trial)
        for epoch, rung in ((1, 1), (2, None), (3, 3)):
            sweep.report(trial, epoch, None if trial == 1 and epoch == 2 else -0.5 * epoch, rung=rung)
    sweep.end_trial(0, "stopped", "below the best third")
    sweep.end_trial(1, "failed", "it broke\n" * 2000)
    sweep.end_trial(2)


def told(lengths, write):
    """Writes, and adds how many there were to the list."""

    def writing(client, experiment_id, runs):
        lengths.append(len(runs))
        return write(client, experiment_id, runs)

    return writing


def plain(store):
    """All that MLflow tells of the trials' runs, without what is different whenever a run is made."""
    runs = [run for run in store.runs if run.data.tags["genotune.role"] == "trial"]
    ids = {run.info.run_id for run in store.runs}
    curves = [{name: store.curve(run, name) for name in run.data.metrics} for run in runs]
    text = json.dumps([*zip([run.to_dictionary() for run in runs], curves, strict=True)])
    for number, run_id in enumerate(sorted(ids, key=text.find)):
        text = text.replace(run_id, f"run {number}")
    return json.loads(text)


def test_a_store_whose_tables_are_others_is_told_by_the_client(sqlite_store, monkeypatch):
    assert takes_whole_runs(sqlite_store.client)
    monkeypatch.setattr("genotune.tracking.whole_runs._COLUMNS", {"runs": "run_uuid name"})
    assert not takes_whole_runs(sqlite_store.client)
    assert not takes_whole_runs(open_client("http://127.0.0.1:9"))
