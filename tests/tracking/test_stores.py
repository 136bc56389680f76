"""Where MLflow keeps what it is told."""

import subprocess
import sys

import pytest

from genotune.errors import SweepError
from genotune.tracking.stores import is_server, resolve_tracking_uri, shown_uri, tracking_uri_default, ui_command


def test_the_spec_comes_before_the_environment_and_that_before_the_workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://of-the-environment")
    assert resolve_tracking_uri("http://of-the-spec", tmp_path) == "http://of-the-spec"
    assert resolve_tracking_uri(None, tmp_path) == "http://of-the-environment"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert resolve_tracking_uri(None, tmp_path) == tracking_uri_default(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://alice:secret@db:5432/mlflow", "postgresql://***@db:5432/mlflow"),
        ("http://tracking:5000", "http://tracking:5000"),
        ("sqlite:////home/a/mlflow.db", "sqlite:////home/a/mlflow.db"),
    ],
)
def test_a_password_is_not_shown(uri, shown):
    assert shown_uri(uri) == shown


def test_a_server_decides_where_artifacts_lie_and_a_database_does_not():
    assert is_server("https://tracking")
    assert is_server("databricks")
    assert not is_server("postgresql://db/mlflow")
    assert not is_server("sqlite:////tmp/x.db")


def test_the_ui_listens_on_this_machine_only(tmp_path):
    (tmp_path / "mlflow.db").touch()
    command = ui_command(tmp_path, port=5123)
    assert command[:4] == [sys.executable, "-m", "mlflow", "server"]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "5123"
    assert command[command.index("--backend-store-uri") + 1] == tracking_uri_default(tmp_path)


def test_the_ui_of_a_workspace_without_sweeps_is_refused(tmp_path):
    with pytest.raises(SweepError, match=r"no mlflow\.db; no sweep was recorded here"):
        ui_command(tmp_path, port=5000)


def test_importing_tracking_loads_no_mlflow_and_its_first_use_says_nothing(tmp_path):
    code = (
        "import sys, genotune.tracking\n"
        "assert 'mlflow' not in sys.modules\n"
        "from genotune.tracking.stores import open_client\n"
        f"open_client('sqlite:///{tmp_path}/mlflow.db').search_experiments()\n"
        "assert 'ray' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (result.stdout, result.stderr) == ("", "")
