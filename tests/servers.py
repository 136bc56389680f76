"""A real PostgreSQL, and a real MLflow server on it: on free ports, ended by their ids."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builders import clean_environment
from sweeps import session_members


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def find_postgres() -> Path | None:
    """The folder of PostgreSQL's programs: of the one in PATH, else of the newest that Debian has installed."""
    in_path = shutil.which("initdb")
    if in_path is not None:
        return Path(in_path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return installed[-1].parent if installed else None


class Postgres:
    """A PostgreSQL with one empty database, that listens on this machine alone.

    It refuses to run as root; then it runs as nobody, in a folder that is theirs.

    Args:
        programs: the folder of `initdb` and `pg_ctl`.
        folder: empty.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._as_whom: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._as_whom = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self._port = free_port()
        self._place = f"postgres@127.0.0.1:{self._port}/postgres"
        # The driver is named: SQLAlchemy took psycopg2 by itself up to 2.0, and takes psycopg from 2.1 on.
        self.uri = f"postgresql+psycopg2://{self._place}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "--log", str(self._folder / "log"), "--options", options)

    def restart(self) -> None:
        """End it at once, with every connection, and start it again."""
        self._run("pg_ctl", "restart", "--wait", "--mode=immediate", "--log", str(self._folder / "log"))

    def stop(self) -> None:
        """End it at once."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def rows(self, query: str) -> list[tuple]:
        """What the database really holds, past MLflow's own eyes."""
        import psycopg2

        with (
            contextlib.closing(psycopg2.connect(f"postgresql://{self._place}")) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query)
            return cursor.fetchall()

    def _run(self, program: str, *arguments: str) -> None:
        output = self._folder / "output"
        command = [str(self._programs / program), "--pgdata", str(self._folder / "data"), *arguments]
        with output.open("ab") as sink:  # a pipe would be held open by the server
            done = subprocess.run(
                command, cwd=self._folder, stdout=sink, stderr=sink, timeout=120, check=False, **self._as_whom
            )
        assert done.returncode == 0, output.read_text()


@contextlib.contextmanager
def running_postgres(programs: Path) -> Iterator[Postgres]:
    """A PostgreSQL for a block's time."""
    # Under /tmp itself: pytest's own folders are closed to the user that it runs as.
    with tempfile.TemporaryDirectory(prefix="gtpg", dir="/tmp", ignore_cleanup_errors=True) as folder:
        postgres = Postgres(programs, Path(folder))
        postgres.start()
        try:
            yield postgres
        finally:
            postgres.stop()


class MlflowServer:
    """An `mlflow server` in a session of its own, always on the same port.

    Args:
        store: URI of its database.
        folder: where its log lies, and the artifacts that only it can reach.

    Attributes:
        uri: that clients are told.
        artifacts: the folder of an experiment lies in it by its id.
    """

    def __init__(self, store: str, folder: Path) -> None:
        self.artifacts = folder / "kept"
        self._store = store
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"http://127.0.0.1:{self._port}"

    def ensure_up(self) -> None:
        """Start it if it is down, and wait until it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--workers", "1", "--backend-store-uri", self._store]
        command += ["--artifacts-destination", str(self.artifacts), "--serve-artifacts"]
        environment = {**clean_environment(), "MLFLOW_DISABLE_TELEMETRY": "true"}
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # processes that nothing here asks for
        log = self._folder / "server.log"
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=environment, stdout=sink, stderr=sink, start_new_session=True
            )
        deadline = time.monotonic() + 240
        while not self._answers():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """End it and its workers as a death of its machine would; without it, nothing."""
        if self._process is None:
            return
        for pid in session_members(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=60)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False
        return True
