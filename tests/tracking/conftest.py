"""Journals written by hand, and what MLflow then holds."""

import itertools
import shutil
import uuid
import warnings
from types import SimpleNamespace

import pytest

from genotune.journal import Journal
from genotune.tracking.recorder import Recorder
from genotune.tracking.stores import open_client

SWEEP_ID = "yeast-240101-abcdef"
FACTS = {
    "sweep_id": SWEEP_ID,
    "spec_path": "/somewhere/cnn.yaml",
    "spec_text": "name: yeast  # as written\n",
    "resolved_text": "name: yeast\nbudget: {trials: 2}\n",
    "spec_sha256": "ab" * 32,
    "versions": {"genotune": "0.1.0", "numpy": "2.4.0"},
    "git_commit": "c0ffee+changes",
    "host": "bench-1",
    "platform": "Linux",
    "python": "3.11.7",
    "seed": 7,
    "files": [{"path": "/data/cuts.bw", "name": "cuts.bw", "role": "cutsites", "bytes": 12, "sha256": "cd" * 32}],
    "data": {"kind": "bigwig", "tracks": ["cutsites"], "resolution_bp": 32, "splits": {"train": ["chrI"]}},
    "objective": {"metric": "pearson", "direction": "maximize", "bin_bp": 32},
}


def write_generation(sweep):
    """A trial that goes on after its second epoch as a copy of another, whose rate and depth change; then it ends."""
    sweep.journal.append("sweep_started", **FACTS, changing={"poisson_cnn": ["rate", "depth"]})
    for trial, rate in ((0, 0.1), (1, 0.4)):
        params = {"rate": rate, "depth": "deep", "channels": 64}
        sweep.journal.append(
            "proposed", trial=trial, family="poisson_cnn", picks={"rate": rate, "depth": 1}, params=params, seed=trial
        )
        sweep.start_trial(trial)
        sweep.report(trial, 1, 0.1)
        sweep.report(trial, 2, 0.2 + trial, rung=2, action="pause")
    params = {"rate": 0.5, "depth": "shallow", "channels": 64}
    copies = [{"trial": 0, "parent": 1, "picks": {"rate": 0.5, "depth": 0}, "params": params}]
    sweep.journal.append("generation", family="poisson_cnn", epoch=2, copies=copies)
    sweep.start_trial(0)
    sweep.report(0, 3, 1.5)
    sweep.end_trial(0, reason="3 epochs")


class Sweep:
    """A sweep's folder with its journal, and the words that its events are written with."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(folder)

    def reopen(self):
        self.journal.close()
        self.journal = Journal(self.folder)

    def begin(self):
        self.journal.append("sweep_started", **FACTS)
        self.journal.append("driver_started", pid=1)

    def propose(self, trial, **params):
        self.journal.append(
            "proposed", trial=trial, family="poisson_cnn", picks={}, params=params or {"channels": 64}, seed=100 + trial
        )

    def start_trial(self, trial):
        self.journal.append("started", trial=trial, device="cpu")

    def report(self, trial, epoch, value, *, rung=None, action="continue"):
        metrics = {"train_loss": 1 / epoch} | ({} if value is None else {"validation.pearson": value})
        self.journal.append(
            "report", trial=trial, epoch=epoch, value=value, metrics=metrics, checkpoint=f"t{trial}/{epoch}"
        )
        reason = "below the best third" if action == "stop" else ""
        self.journal.append("decision", trial=trial, epoch=epoch, action=action, rung=rung, reason=reason)

    def end_trial(self, trial, status="complete", reason="2 epochs"):
        self.journal.append("ended", trial=trial, status=status, reason=reason)

    def run_trial(self, trial, *, n_epochs=2):
        self.propose(trial)
        self.start_trial(trial)
        for epoch in range(1, n_epochs + 1):
            self.report(trial, epoch, 0.1 * trial + epoch / 100)
        self.end_trial(trial)

    def times(self, kind, **values):
        """When each event of a kind happened, in MLflow's milliseconds."""
        return [
            int(event.time_s * 1000)
            for event in self.journal.events()
            if event.kind == kind and values.items() <= event.values.items()
        ]


class Mlflow:
    """What a store holds of the sweep.

    Args:
        uri: of the store.
        artifacts: the folder that holds one for each run, or of a server one for each experiment.
        experiment: that the sweep is recorded in.
    """

    def __init__(self, uri, artifacts, experiment="yeast"):
        self.uri = uri
        self.experiment = experiment
        self._artifacts = artifacts

    @property
    def artifacts(self):
        if not self.uri.startswith("http"):
            return self._artifacts
        return self._artifacts / self.client.get_experiment_by_name(self.experiment).experiment_id

    @property
    def client(self):
        return open_client(self.uri)

    @property
    def runs(self):
        experiment = self.client.get_experiment_by_name(self.experiment)
        runs = self.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
        # Several may have begun in one millisecond; the sort is stable.
        return sorted(runs, key=lambda run: int(run.data.tags.get("genotune.trial", -1)))

    @property
    def parent(self):
        (parent,) = [run for run in self.runs if run.data.tags["genotune.role"] == "sweep"]
        return parent

    def trial(self, number):
        (found,) = [run for run in self.runs if run.data.tags.get("genotune.trial") == str(number)]
        return found

    def curve(self, run, metric):
        """(step, value, time in ms) of each point."""
        history = self.client.get_metric_history(run.info.run_id, metric)
        return sorted((point.step, point.value, point.timestamp) for point in history)

    def everything(self):
        """All that is there, for comparing."""
        return [
            (
                run.info.run_id,
                run.info.run_name,
                run.info.status,
                run.info.start_time,
                run.info.end_time,
                sorted(run.data.params.items()),
                sorted(run.data.tags.items()),
                {name: self.curve(run, name) for name in sorted(run.data.metrics)},
                [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs],
            )
            for run in self.runs
        ]


EITHER_STORE = ["sqlite_store", pytest.param("server_store", marks=pytest.mark.slow)]
"""A database of its own, and an experiment of its own on a server with PostgreSQL: they keep the same promises."""


def asked_for(request):
    """The fixture that a parameter names."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def sweep(tmp_path):
    made = Sweep(tmp_path / "sweeps" / SWEEP_ID)
    yield made
    made.journal.close()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A store after MLflow's migrations, which take seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # MLflow's own models
        open_client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def sqlite_store(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Mlflow(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "artifacts")


@pytest.fixture
def server_store(mlflow_server):
    mlflow_server.ensure_up()
    return Mlflow(mlflow_server.uri, mlflow_server.artifacts, f"yeast {uuid.uuid4().hex}")


@pytest.fixture
def mlflow_store(sqlite_store):
    return sqlite_store


@pytest.fixture
def recorder_of(mlflow_store):
    """Makes the recorder of a sweep; the store's URI may be another."""

    def make(sweep, uri=None):
        return Recorder(
            sweep.journal,
            tracking_uri=uri or mlflow_store.uri,
            experiment=mlflow_store.experiment,
            sweep_id=SWEEP_ID,
            artifact_location=(sweep.folder.parents[1] / "artifacts").as_uri(),
        )

    return make


@pytest.fixture
def deliver(recorder_of):
    """Delivers all of a sweep's journal."""

    def run(sweep):
        recorder = recorder_of(sweep)
        recorder.start()
        assert recorder.finish(timeout_s=60)
        return recorder

    return run


@pytest.fixture
def clock(monkeypatch):
    """Every event is a second later than the one before."""
    ticks = itertools.count(1_700_000_000)
    monkeypatch.setattr("genotune.journal.time", SimpleNamespace(time=lambda: float(next(ticks))))
