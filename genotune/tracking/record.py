"""The runs of one sweep in MLflow: found by their tags, changed by their ids."""

import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from genotune.errors import SweepError
from genotune.tracking import names
from genotune.tracking.changes import Changes, RunChange
from genotune.tracking.faults import is_unfit
from genotune.tracking.front_plot import draw_front
from genotune.tracking.names import SWEEP, RunKey
from genotune.tracking.quality_plot import draw_histograms
from genotune.tracking.stores import is_server, open_client
from genotune.tracking.sweep_facts import DatasetFacts
from genotune.tracking.whole_runs import WholeRun, is_whole, takes_whole_runs, write_whole_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger(__name__)

_RUNS_A_PAGE: Final = 1000


class Record:
    """What MLflow holds of a sweep.

    Args:
        tracking_uri: of the store or server.
        experiment: its name; made if there is none.
        sweep_id: tags every run of the sweep.
        artifact_location: of an experiment that is made here; a server decides for itself.
        folder: the sweep's, with the files that are logged as they are.
    """

    def __init__(
        self, *, tracking_uri: str, experiment: str, sweep_id: str, artifact_location: str | None, folder: Path
    ) -> None:
        self.tracking_uri = tracking_uri
        self._experiment = experiment
        self._sweep_id = sweep_id
        self._artifact_location = None if is_server(tracking_uri) else artifact_location
        self._folder = folder
        self._experiment_id = ""
        self._run_ids: dict[RunKey, str] = {}
        self._deleted: set[RunKey] = set()

    @cached_property
    def _client(self) -> "MlflowClient":
        return open_client(self.tracking_uri)

    @cached_property
    def _takes_whole_runs(self) -> bool:
        return takes_whole_runs(self._client)

    def open(self) -> dict[RunKey, str]:
        """Find the experiment and the sweep's runs; give the status of each.

        Runs that a person deleted are left deleted, and count as ended. Of two runs of one thing the second is deleted:
        it was asked for again because the answer to the first request was lost.
        """
        known = {*self._run_ids.values()}
        self._run_ids, self._deleted = {}, set()
        self._experiment_id = self._find_experiment()
        found: dict[RunKey, str] = {}
        for key, runs in self._find_runs().items():
            kept, *spare = sorted(runs, key=lambda run: (run.is_deleted, run.run_id not in known, -run.n_told))
            self._run_ids[key] = kept.run_id
            found[key] = "FINISHED" if kept.is_deleted else kept.status
            if kept.is_deleted:
                self._deleted.add(key)
            for run in spare:
                if not run.is_deleted:
                    log.info("MLflow had a second run of %s; it is deleted: %s.", " ".join(key).rstrip(), run.run_id)
                    self._client.delete_run(run.run_id)
        return found

    def run_id(self, key: RunKey) -> str:
        """The id of a run.

        Raises:
            SweepError: MLflow has no such run.
        """
        if key not in self._run_ids:
            raise SweepError(f"{self._sweep_id}: MLflow holds no run of its {key.role} {key.name}".rstrip() + ".")
        return self._run_ids[key]

    def apply(self, changes: Changes) -> None:
        """Make the runs what the changes say, one whole after the other. Applied again, it changes nothing.

        The sweep's own run begins first and is changed last: it ends after its trials, and it names some of them.
        """
        if SWEEP in changes:
            self._begin(SWEEP, changes[SWEEP])
        left = self._without_whole(changes)
        for key, change in left.items():
            if key != SWEEP:
                self._apply(key, change, is_new=self._begin(key, change))
        if SWEEP in left:
            self._apply(SWEEP, left[SWEEP], is_new=False)

    def _begin(self, key: RunKey, change: RunChange) -> bool:
        """Make a run that begins with a change, unless it is there; whether it was made."""
        is_new = key not in self._run_ids and change.start_ms is not None
        if is_new:
            self._run_ids[key] = self._create(key, change)
        return is_new

    def _without_whole(self, changes: Mapping[RunKey, RunChange]) -> Mapping[RunKey, RunChange]:
        """The changes that are left when the runs which begin and end here have been made, if they can be at once."""
        from mlflow.exceptions import MlflowException

        whole = {
            key: change
            for key, change in changes.items()
            if key != SWEEP and key not in self._run_ids and SWEEP in self._run_ids and is_whole(change)
        }
        if not whole or not self._takes_whole_runs:
            return changes
        runs = [WholeRun(change, self._first_tags(key, change)) for key, change in whole.items()]
        try:
            ids = write_whole_runs(self._client, self._experiment_id, runs)
        except MlflowException as error:
            if not is_unfit(error):
                raise
            return changes  # none of them is there, and one by one it shows which can't be taken
        self._run_ids |= zip(whole, ids, strict=True)
        return {key: change for key, change in changes.items() if key not in whole}

    def _apply(self, key: RunKey, change: RunChange, *, is_new: bool) -> None:
        """Make one run what its change says, in as few calls as MLflow has for it: on sqlite each is a transaction.

        Args:
            key: of a run that is passed over where it was deleted, or never began.
            change: what is to become of it.
            is_new: it was made a moment ago: it has its tags, and MLflow says that it runs.
        """
        from mlflow.entities import Metric, Param, RunTag

        if key not in self._run_ids or key in self._deleted:
            return
        run_id = self._run_ids[key]
        links = {name: self._run_ids[of] for name, of in change.links.items() if of in self._run_ids}
        params = [Param(name, value) for name, value in change.params.items()]
        tags = [RunTag(name, value) for name, value in {**({} if is_new else change.tags), **links}.items()]
        metrics = [Metric(point.key, point.value, point.time_ms, point.step) for point in change.points]
        self._log(key, run_id, {"metrics": metrics, "params": params, "tags": tags})
        for name, text in change.texts.items():
            self._client.log_text(run_id, text, name)
        for name, histograms in change.plots.items():
            self._client.log_figure(run_id, draw_histograms(histograms), name)
        for name, front in change.fronts.items():
            self._client.log_figure(run_id, draw_front(front), name)
        for path in (self._folder / name for name in change.files):
            if path.is_file():
                self._client.log_artifact(run_id, str(path))
            else:
                log.warning("%s: is gone, so MLflow doesn't get it.", path)
        if change.dataset is not None:
            self._log_dataset(run_id, change.dataset)
        if change.end_ms is not None:
            self._client.set_terminated(run_id, change.status, change.end_ms)
        elif change.status is not None and not (is_new and change.status == "RUNNING"):
            self._client.update_run(run_id, status=change.status)

    def _log(self, key: RunKey, run_id: str, told: Mapping[str, list[Any]]) -> None:
        """Log metrics, params and tags, in as many calls as MLflow's limits ask for.

        What the store doesn't take whatever else becomes of it is left out with a warning: all that follows would wait
        for it for ever.
        """
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_batch(run_id, **told, synchronous=True)
        except MlflowException as error:
            # Of a run that was deleted meanwhile the next look takes care.
            if not is_unfit(error) or self._client.get_run(run_id).info.lifecycle_stage == "deleted":
                raise
        else:
            return
        for name, part in told.items():
            try:
                self._client.log_batch(run_id, **{name: part}, synchronous=True)
            except MlflowException as error:
                if not is_unfit(error):
                    raise
                what = " ".join(key).rstrip()
                log.warning("MLflow doesn't take the %s of %s, so they are left out there: %s", name, what, error)

    def _log_dataset(self, run_id: str, facts: DatasetFacts) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(facts.name, facts.digest, "local", facts.source, facts.schema, facts.profile)
        tags = [InputTag("mlflow.data.context", "training")]
        self._client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags)])

    def _create(self, key: RunKey, change: RunChange) -> str:
        run = self._client.create_run(
            self._experiment_id,
            start_time=change.start_ms,
            tags=self._first_tags(key, change),
            run_name=change.run_name,
        )
        run_id: str = run.info.run_id
        return run_id

    def _first_tags(self, key: RunKey, change: RunChange) -> dict[str, str]:
        """What a run is found by, and what else it begins with."""
        parent = {} if key == SWEEP else {names.PARENT_RUN_ID: self._run_ids[SWEEP]}
        return {names.SWEEP_ID: self._sweep_id, **key.tags, **change.tags, **parent}

    def _find_experiment(self) -> str:
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            return self._make_experiment()
        if experiment.lifecycle_stage == "deleted":
            message = (
                f"experiment {self._experiment!r} is deleted in MLflow. Restore it with `mlflow experiments restore "
                f"-x {experiment.experiment_id}`, or name another in tracking.experiment."
            )
            raise SweepError(message)
        found: str = experiment.experiment_id
        return found

    def _make_experiment(self) -> str:
        """A new experiment, or the one that another sweep has just made."""
        from mlflow.exceptions import MlflowException

        try:
            made: str = self._client.create_experiment(self._experiment, artifact_location=self._artifact_location)
        except MlflowException as error:
            other = self._client.get_experiment_by_name(self._experiment)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or other is None:
                raise
            made = other.experiment_id
        return made

    def _find_runs(self) -> dict[RunKey, list["_Found"]]:
        """All runs of the sweep by what they are of, the oldest first, deleted ones last."""
        from mlflow.entities import ViewType

        found: dict[RunKey, list[_Found]] = {}
        for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY):
            for run in self._search(view):
                key = names.key_of(run.data.tags)
                if key is not None:
                    n_inputs = len(run.inputs.dataset_inputs) if run.inputs else 0
                    n_told = len(run.data.params) + len(run.data.metrics) + n_inputs
                    one = _Found(run.info.run_id, run.info.status, run.info.lifecycle_stage == "deleted", n_told)
                    found.setdefault(key, []).append(one)
        return found

    def _search(self, view: int) -> "Iterator[Run]":
        """The sweep's runs of a view, page by page."""
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id],
                filter_string=f"tags.`{names.SWEEP_ID}` = '{self._sweep_id}'",
                run_view_type=view,
                max_results=_RUNS_A_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                break


class _Found(NamedTuple):
    """A run as MLflow has it.

    Attributes:
        n_told: params, metrics and inputs; a run that was asked for twice has none in one of the two.
    """

    run_id: str
    status: str
    is_deleted: bool
    n_told: int
