"""Where MLflow keeps what it is told, and how to reach it quietly."""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from genotune.errors import SweepError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE: Final = "mlflow.db"
ARTIFACTS: Final = "artifacts"

_SERVERS: Final = ("http", "https", "databricks", "databricks-uc")
_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # what a sweep is about is nobody else's business
    "MLFLOW_LOGGING_LEVEL": "ERROR",  # the first use of a database tells of every migration
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # By default one call tries for minutes, and one that makes a run is sent again when only its answer was lost: the
    # recorder tries again by itself, after a look at what is there.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def tracking_uri_default(workspace: Path) -> str:
    """The sqlite store of a workspace."""
    return f"sqlite:///{workspace.resolve() / DATABASE}"


def resolve_tracking_uri(spec_uri: str | None, workspace: Path) -> str:
    """The store that a sweep is recorded in: the spec's word, MLFLOW_TRACKING_URI, or the workspace's own."""
    return spec_uri or os.environ.get("MLFLOW_TRACKING_URI") or tracking_uri_default(workspace)


def shown_uri(uri: str) -> str:
    """A store's URI without the user and password that may stand in it."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl()


def is_server(uri: str) -> bool:
    """Whether a server decides where artifacts lie."""
    return uri.partition(":")[0] in _SERVERS


def open_client(uri: str) -> "MlflowClient":
    """A client of this store, whatever MLflow's global state says. Nothing is sent to a server yet.

    A variable of MLflow's that the person has set is left as it is.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def ui_command(workspace: Path, *, port: int) -> list[str]:
    """The command line that shows a workspace's sweeps in MLflow's UI, for this machine only.

    Raises:
        SweepError: nothing was recorded in this workspace.
    """
    if not (workspace / DATABASE).exists():
        message = f"{workspace}: no {DATABASE}; no sweep was recorded here. Name another workspace with --workspace."
        raise SweepError(message)
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", tracking_uri_default(workspace)),
        *("--default-artifact-root", (workspace.resolve() / ARTIFACTS).as_uri()),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
