"""The MLflow server of a cluster: its compose file, and its very command on a real PostgreSQL and an S3."""

import base64
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from cluster_files.closed_schema import BOOL, TEXT, closed, faults, items

from builders import clean_environment
from s3_server import S3
from servers import free_port
from sweeps import session_members

FOLDER = Path(__file__).parents[2] / "cluster" / "mlflow-server"
_TEXTS = {"type": "object", "additionalProperties": TEXT}
# Source: the Compose Specification, as far as we use it.
_SERVICE = closed(
    "image healthcheck restart security_opt",
    build=closed("context dockerfile", context=TEXT, dockerfile=TEXT),
    image={"type": "string", "pattern": r":[\w.-]*\d[\w.-]*$"},
    command=items(TEXT),
    entrypoint=items(TEXT),
    environment=_TEXTS,
    secrets=items(TEXT),
    ports=items({"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}),
    volumes=items(TEXT),
    depends_on={
        "type": "object",
        "additionalProperties": closed("condition", condition={"const": "service_healthy"}),
    },
    healthcheck=closed(
        "test interval timeout retries",
        test={"type": "array", "prefixItems": [{"const": "CMD"}]},
        interval=TEXT,
        timeout=TEXT,
        retries={"type": "integer"},
    ),
    read_only=BOOL,
    tmpfs=items(TEXT),
    cap_drop={"const": ["ALL"]},
    security_opt={"const": ["no-new-privileges:true"]},
    restart={"const": "unless-stopped"},
)
_COMPOSE = closed(
    "name services volumes secrets",
    name=TEXT,
    services={"type": "object", "additionalProperties": _SERVICE},
    volumes={"type": "object", "additionalProperties": {"type": "null"}},
    secrets={
        "type": "object",
        "additionalProperties": closed(
            "file", file={"type": "string", "pattern": r"^\$\{MLFLOW_SECRETS:\?[^}]+\}/\w+$"}
        ),
    },
)


def compose():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def test_the_compose_file_holds_what_the_schema_knows_and_listens_on_this_machine_alone():
    assert list(faults(compose(), _COMPOSE)) == []


def test_a_port_that_is_open_to_all_is_told():
    config = compose()
    config["services"]["mlflow"]["ports"] = ["5000:5000"]
    assert any("'5000:5000' does not match" in fault for fault in faults(config, _COMPOSE))


def test_every_secret_that_a_service_names_is_declared_and_made(tmp_path):
    config = compose()
    named = {secret for service in config["services"].values() for secret in service.get("secrets", [])}
    made = secrets_in(tmp_path / "secrets")
    assert named == set(config["secrets"]) == {path.name for path in made.iterdir()}
    assert made.stat().st_mode & 0o777 == 0o700
    assert len({path.read_text() for path in made.iterdir()}) == len(named)


def test_secrets_that_are_there_stay_as_they_are(tmp_path):
    before = {path.name: path.read_text() for path in secrets_in(tmp_path).iterdir()}
    assert {path.name: path.read_text() for path in secrets_in(tmp_path).iterdir()} == before


def test_nothing_is_made_where_no_folder_is_named():
    done = subprocess.run(
        ["sh", FOLDER / "make-secrets.sh"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "MLFLOW_SECRETS: names a folder for the secrets" in done.stderr


def test_a_server_without_a_secret_does_not_start(tmp_path):
    secrets = secrets_in(tmp_path)
    (secrets / "store_password").write_text("")
    done = subprocess.run(
        ["sh", FOLDER / "entrypoint.sh", "true"],
        env={"PATH": os.environ["PATH"], "SECRETS": str(secrets)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "store_password: is missing or empty; make-secrets.sh makes it." in done.stderr


def test_shellcheck_finds_nothing():
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck of Debian's package shellcheck")
    done = subprocess.run(["shellcheck", *FOLDER.glob("*.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_server_lets_in_who_has_the_password_and_nobody_else(postgres, tmp_path, monkeypatch):
    pytest.importorskip("flask_wtf", reason="needs Flask-WTF")
    secrets = secrets_in(tmp_path / "secrets")
    with S3(monkeypatch) as s3:
        make_places(postgres, s3)
        with running_server(postgres, s3, secrets, tmp_path) as uri:
            assert status(uri, "/health") == 200
            assert status(uri, EXPERIMENTS) == 401
            assert status(uri, EXPERIMENTS, "wrong") == 401
            password = (secrets / "mlflow_admin_password").read_text()
            assert status(uri, EXPERIMENTS, password) == 200
            monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
            monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
            assert artifact_of_a_run(uri, tmp_path) == "kept"


EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=1"


def secrets_in(folder):
    subprocess.run(
        ["sh", FOLDER / "make-secrets.sh"],
        env={"PATH": os.environ["PATH"], "MLFLOW_SECRETS": str(folder)},
        check=True,
        timeout=60,
    )
    return folder


def make_places(postgres, s3):
    """What compose's other two services make at their start: a database and a bucket."""
    import boto3
    import psycopg2

    with contextlib.closing(psycopg2.connect(postgres.uri.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("create database mlflow")
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{s3.port}")
    client.create_bucket(Bucket="mlflow")
    client.close()


@contextlib.contextmanager
def running_server(postgres, s3, secrets, folder):
    """The command of the compose file, on a port of its own."""
    port = free_port()
    service = compose()["services"]["mlflow"]
    command = [part.replace("--host=0.0.0.0", "--host=127.0.0.1") for part in service["command"]]
    command = [re.sub(r"--port=\d+", f"--port={port}", part) for part in command]
    address = re.fullmatch(r".*@127\.0\.0\.1:(\d+)/postgres", postgres.uri)
    environment = {
        **clean_environment(),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SECRETS": str(secrets),
        "MLFLOW_AUTH_CONFIG_PATH": str(FOLDER / "basic_auth.ini"),
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{s3.port}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PGHOST": "127.0.0.1",
        "PGPORT": address[1],
        "PGUSER": "postgres",
    }
    log = folder / "server.log"
    with log.open("wb") as sink:
        server = subprocess.Popen(
            ["sh", FOLDER / "entrypoint.sh", *command],
            cwd=folder,
            env=environment,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 240
        while status(f"http://127.0.0.1:{port}", "/health") != 200:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        for pid in session_members(server.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.wait(timeout=60)


def status(uri, path, password=None):
    """What the server answers, as a number; 0: nothing."""
    request = urllib.request.Request(uri + path)
    if password is not None:
        login = base64.b64encode(f"admin:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return 0


def artifact_of_a_run(uri, folder):
    """A text that goes to the store and comes back, by the server alone."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    run = client.create_run(client.create_experiment("on-a-cluster")).info.run_id
    client.log_text(run, "kept", "note.txt")
    return Path(client.download_artifacts(run, "note.txt", str(folder))).read_text()
