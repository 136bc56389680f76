"""Runs that have begun and ended since MLflow was last told, written into its database all at once.

MLflow's client makes such a run in three calls, each of several transactions and queries: on sqlite more time than Ray
needs for a trial of some seconds. Where the client works on a database of its own (no server in between), whose
tables are those that this was written for, the rows of many runs go in by one statement for each table, in one
transaction: all of them are there, or none. They are what the client's calls would have written; the tests compare.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from genotune.tracking.changes import Point, RunChange

if TYPE_CHECKING:
    from mlflow import MlflowClient

_COLUMNS: Final[Mapping[str, str]] = {
    "runs": "artifact_uri deleted_time end_time entry_point_name experiment_id lifecycle_stage name run_uuid "
    "source_name source_type source_version start_time status user_id",
    "tags": "key run_uuid value",
    "params": "key run_uuid value",
    "metrics": "is_nan key run_uuid step timestamp value",
    "latest_metrics": "is_nan key run_uuid step timestamp value",
}
"""MLflow's tables that a run is in. With others the client's calls are made."""


class WholeRun(NamedTuple):
    """A run to be made that has ended.

    Attributes:
        tags: all of them, but for its name.
    """

    change: RunChange
    tags: Mapping[str, str]


def is_whole(change: RunChange) -> bool:
    """Whether a run begins and ends with a change, and has nothing but params, tags and metrics."""
    has_more = change.texts or change.plots or change.fronts or change.files or change.dataset or change.links
    return change.start_ms is not None and change.end_ms is not None and not has_more


def takes_whole_runs(client: "MlflowClient") -> bool:
    """Whether the client works on a database itself, with the tables that `write_whole_runs` knows."""
    from mlflow.store.db.base_sql_model import Base
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # One with workspaces is of a class of its own, and adds a condition to each query.
    if type(_store(client)) is not SqlAlchemyStore:
        return False
    tables = Base.metadata.tables
    return all(
        name in tables and {column.name for column in tables[name].columns} == {*columns.split()}
        for name, columns in _COLUMNS.items()
    )


def write_whole_runs(client: "MlflowClient", experiment_id: str, runs: Sequence[WholeRun]) -> list[str]:
    """Make the runs, all or none, and give their ids.

    Args:
        client: one that `takes_whole_runs`.
        experiment_id: of an experiment that is not deleted.
        runs: what they are to be.

    Raises:
        MlflowException: the experiment is gone or deleted, or a name or a value is not one that MLflow takes.
        SQLAlchemyError: the database failed.
    """
    from mlflow.store.db.base_sql_model import Base
    from sqlalchemy import insert

    store = _store(client)
    experiment = store.get_experiment(experiment_id)
    store._check_experiment_is_active(experiment)
    ids = [uuid.uuid4().hex for _ in runs]
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _COLUMNS}
    for run_id, run in zip(ids, runs, strict=True):
        for table, row in _rows(run, run_id, experiment):
            rows[table].append(row)
    with store.ManagedSessionMaker(read_only=False) as session:
        for table, of_table in rows.items():
            if of_table:
                session.execute(insert(Base.metadata.tables[table]), of_table)
    return ids


def _store(client: "MlflowClient") -> Any:
    return client._tracking_client.store


def _rows(run: WholeRun, run_id: str, experiment: Any) -> Iterable[tuple[str, dict[str, Any]]]:
    """The rows of one run, with the tables that they belong to; those of the run itself first."""
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
    from mlflow.utils.uri import append_to_uri_path
    from mlflow.utils.validation import _validate_batch_log_data

    change = run.change
    points = list(dict.fromkeys(change.points))
    _, params, tags = _validate_batch_log_data(  # type: ignore[no-untyped-call]
        [Metric(point.key, point.value, point.time_ms, point.step) for point in points],
        [Param(name, value) for name, value in change.params.items()],
        [RunTag(name, value) for name, value in {MLFLOW_RUN_NAME: change.run_name, **run.tags}.items()],
    )
    yield (
        "runs",
        {
            "run_uuid": run_id,
            "name": change.run_name,
            "experiment_id": int(experiment.experiment_id),
            "artifact_uri": append_to_uri_path(  # type: ignore[no-untyped-call]
                experiment.artifact_location, run_id, "artifacts"
            ),
            "status": change.status,
            "start_time": change.start_ms,
            "end_time": change.end_ms,
            "deleted_time": None,
            "lifecycle_stage": "active",
            "user_id": "unknown",
            "source_type": "UNKNOWN",
            "source_name": "",
            "source_version": "",
            "entry_point_name": "",
        },
    )
    for table, told in (("params", params), ("tags", tags)):
        for one in told:
            yield table, {"run_uuid": run_id, "key": one.key, "value": one.value}
    for table, of_table in (("metrics", points), ("latest_metrics", _latest(points))):
        for point in of_table:
            row = {"key": point.key, "value": point.value, "timestamp": point.time_ms, "step": point.step}
            yield table, {"run_uuid": run_id, "is_nan": False, **row}  # `measure` lets no NaN through


def _latest(points: Iterable[Point]) -> Iterable[Point]:
    """The last value of each metric, as MLflow orders them: by step, then time, then value."""
    latest: dict[str, Point] = {}
    for point in sorted(points, key=lambda point: (point.step, point.time_ms, point.value)):
        latest[point.key] = point
    return latest.values()
