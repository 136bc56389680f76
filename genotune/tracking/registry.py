"""The winner of a sweep as a registered MLflow model that loads in a bare process."""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from genotune.errors import SweepError
from genotune.tracking import names
from genotune.tracking.faults import fault_of
from genotune.tracking.signatures import describe_model
from genotune.tracking.stores import open_client, shown_uri
from genotune.trainables.model import MODEL_FILE, Model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

_CODE: Final = Path(__file__).with_name("winner_model.py")
_REQUIREMENTS: Final = ("genotune", "mlflow", "numpy", "pandas", "pydantic")
_LOGGED_AS: Final = "winner"


class Registered(NamedTuple):
    """A version of a registered model.

    Attributes:
        run_id: the run that it came from.
        uri: what `mlflow.pyfunc.load_model` takes.
    """

    name: str
    version: str
    run_id: str
    uri: str


def register_winner(
    *, tracking_uri: str, run_id: str, model_folder: Path, name: str, model: Model, sweep_id: str
) -> Registered:
    """Log a winner as the model of its trial's run and register it under the alias `best`; once.

    A version of this sweep with the same bytes is found again, not made again; so is a model that was logged whole
    before its version could be made. The alias never goes back to an older version.

    Args:
        tracking_uri: MLflow's store or server.
        run_id: of the winner's trial.
        model_folder: what `Model.save` wrote.
        name: of the registered model.
        model: the same model, loaded.
        sweep_id: the sweep's.

    Raises:
        SweepError: MLflow did not take it; calling again goes on.
    """
    client = open_client(tracking_uri)
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    tags = {names.SWEEP_ID: sweep_id, names.MODEL_SHA256: _folder_sha256(model_folder)}
    try:
        version = _find_version(client, name, tags)
        if version is None:
            logged = _find_logged(client, run_id, tags) or _log_model(
                client, run_id, model_folder, model=model, tags=tags
            )
            version = _make_version(client, name, logged, run_id=run_id, tags=tags)
        _point_best_at(client, name, version)
    except (MlflowException, RequestException) as error:
        fault = fault_of(error, tracking_uri)
        message = f"{sweep_id}: the winner is not registered. {fault.words} Try again: genotune sync {sweep_id}"
        raise SweepError(message) from error
    return Registered(name, version, run_id, f"models:/{name}@{names.BEST}")


def fetch_model(model: str, *, tracking_uri: str, into: Path) -> Path:
    """The folder of a registered model's own files, which `load_model` reads.

    Args:
        model: NAME, NAME@ALIAS, models:/NAME@ALIAS or models:/NAME/VERSION; without either the best one.
        tracking_uri: MLflow's store or server.
        into: a folder that it is copied to.

    Raises:
        SweepError: MLflow has no such model, or it is none of genotune's.
    """
    client = open_client(tracking_uri)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    name = model.removeprefix("models:/")
    where = shown_uri(tracking_uri)
    try:
        if "/" in name:
            version = client.get_model_version(*name.split("/", 1))
        else:
            stem, _, alias = name.partition("@")
            version = client.get_model_version_by_alias(stem, alias or names.BEST)
        fetched = Path(download_artifacts(artifact_uri=version.source, tracking_uri=tracking_uri, dst_path=str(into)))
    except MlflowException as error:
        known = sorted(one.name for one in client.search_registered_models())
        listed = f"There is: {', '.join(known)}." if known else "It has none; name another --workspace."
        raise SweepError(f"{model}: no such folder, and no such model in MLflow ({where}). {listed}") from error
    found = next(fetched.glob(f"**/{MODEL_FILE}"), None)
    if found is None:
        raise SweepError(f"{model}: is in MLflow ({where}), but no model of genotune's.")
    return found.parent


def _find_version(client: "MlflowClient", name: str, tags: Mapping[str, str]) -> str | None:
    versions = client.search_model_versions(f"name = '{name}' and tags.`{names.SWEEP_ID}` = '{tags[names.SWEEP_ID]}'")
    same = [version for version in versions if version.tags.get(names.MODEL_SHA256) == tags[names.MODEL_SHA256]]
    return str(same[0].version) if same else None


def _find_logged(client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> "LoggedModel | None":
    """The same model, logged whole by an attempt that then failed; what one left half logged is deleted."""
    experiment_id = client.get_run(run_id).info.experiment_id
    filters = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    found = None
    for logged in client.search_logged_models([experiment_id], filter_string=" AND ".join(filters)):
        if str(logged.status) == "READY":
            found = logged
        else:
            client.delete_logged_model(logged.model_id)
    return found


def _log_model(
    client: "MlflowClient", run_id: str, folder: Path, *, model: Model, tags: Mapping[str, str]
) -> "LoggedModel":
    """Log the model as an output of its run."""
    from mlflow.entities import LoggedModelOutput

    run = client.get_run(run_id)
    facts = names.flat_params(model.facts())
    logged = client.create_logged_model(
        run.info.experiment_id, _LOGGED_AS, source_run_id=run_id, tags=dict(tags), params=facts, model_type="genotune"
    )
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of type hints of its own
        target = Path(temporary) / "model"
        _save(target, folder, model=model, logged=logged, facts=facts)
        client.log_model_artifacts(logged.model_id, str(target))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return logged


def _save(target: Path, folder: Path, *, model: Model, logged: "LoggedModel", facts: Mapping[str, str]) -> None:
    """Write the model in MLflow's format: our code, the family's arrays and JSON, nothing pickled."""
    import mlflow.pyfunc
    from mlflow.models import Model as MlflowModel

    described = describe_model(model)
    mlflow.pyfunc.save_model(
        target,
        mlflow_model=MlflowModel(
            artifact_path=logged.artifact_location,
            run_id=logged.source_run_id,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            metadata=dict(facts),
        ),
        python_model=str(_CODE),
        artifacts={"model": str(folder)},
        signature=described.signature,
        input_example=described.example,
        # MLflow lets a person set no more at loading than what stands here; this says no until they say otherwise.
        model_config={"trust_code": False} if model.facts().get("code") else None,
        pip_requirements=[
            f"{name}=={metadata.version(name).partition('+')[0]}" for name in sorted({*_REQUIREMENTS, *model.libraries})
        ],
    )


def _make_version(
    client: "MlflowClient", name: str, logged: "LoggedModel", *, run_id: str, tags: Mapping[str, str]
) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # By its place and not as models:/ID, which a database store looks up in MLflow's global store instead of its own.
    version = client.create_model_version(
        name, logged.artifact_location, run_id=run_id, tags=dict(tags), model_id=logged.model_id
    )
    link = json.dumps([{"name": name, "version": version.version}])
    client.set_logged_model_tags(logged.model_id, {names.MODEL_VERSIONS: link})
    return str(version.version)


def _point_best_at(client: "MlflowClient", name: str, version: str) -> None:
    best = client.get_registered_model(name).aliases.get(names.BEST)
    if best is None or int(best) < int(version):
        client.set_registered_model_alias(name, names.BEST, version)


def _folder_sha256(folder: Path) -> str:
    """Of the names and bytes of all files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
