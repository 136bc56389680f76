"""Small real projects, and the command line as a person runs it."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

from builders import SPEC, clean_environment, write_genome
from genotune.storage import Storage
from servers import MlflowServer, find_postgres, running_postgres

pytest_plugins = ["told_sweeps"]

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Several tests run at once: threads of one would wait for a CPU that another has.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test looks at a clock: a machine may have other work.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture
def tiny(tmp_path):
    """The path of a spec whose sweep takes a few seconds."""
    write_genome(tmp_path, lengths={"chrA": 40_000, "chrB": 12_000, "chrC": 12_000})
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC)
    return spec


@pytest.fixture(scope="module")
def ray_on_two_cpus():
    """A Ray in this process, started as every other in it: Ray reads how it is guarded once in a process's life."""
    import ray

    folder = tempfile.mkdtemp(prefix="gt", dir="/tmp")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "disabled")
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _temp_dir=folder,
        )
        yield
        ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL; a test that needs it is slow."""
    programs = find_postgres()
    if programs is None:
        pytest.skip("needs PostgreSQL: initdb and pg_ctl of Debian's package postgresql")
    with running_postgres(programs) as running:
        yield running


@pytest.fixture(scope="session")
def mlflow_server(postgres, tmp_path_factory):
    """An MLflow server on it, that a test may kill: the next asks it to be up again."""
    server = MlflowServer(postgres.uri, tmp_path_factory.mktemp("mlflow-server"))
    yield server
    server.kill()


@pytest.fixture
def s3(monkeypatch):
    """An S3 on this machine with an empty bucket `box`."""
    from s3_server import S3  # it takes a while to come in

    with S3(monkeypatch) as s3:
        s3.make_bucket("box")
        yield s3


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path, s3):
    """A sweep's place, in either kind of storage, that nobody has written to."""
    if request.param == "folder":
        return Storage(str(tmp_path / "kept" / "sweep"), patience_s=0)
    return Storage("s3://box/kept/sweep", patience_s=0)


@pytest.fixture
def edited(tiny):
    """Rewrites the tiny spec: each pair is a text that must be in it, and what it becomes."""

    def edit(*changes: tuple[str, str]) -> Path:
        text = tiny.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        tiny.write_text(text)
        return tiny

    return edit


@pytest.fixture
def genotune(tmp_path):
    """Runs the command line in a process of its own, as a person would."""

    def call(*arguments: object, timeout_s: float = 240) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "genotune.cli", *map(str, arguments)],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return call


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where nothing may skip (CI, which has every tool), a skipped test is a failure."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and os.environ.get("GENOTUNE_TESTS_MAY_SKIP") == "0":
        terminalreporter.write_line(f"{len(skipped)} tests skipped, and here none may.", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """See `pytest_terminal_summary`."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("GENOTUNE_TESTS_MAY_SKIP") == "0" and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
