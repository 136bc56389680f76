"""MLflow's UI on a workspace, as a browser shows it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from builders import clean_environment

CHROMIUM = shutil.which("chromium")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_it_answers(url, process, *, timeout_s=90):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert process.poll() is None, "the UI ended"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status
        except OSError:
            time.sleep(0.3)
    raise AssertionError("the UI does not answer")


@pytest.fixture
def ui(genotune, tiny, tmp_path):
    """The address of the UI on a workspace that holds a finished sweep."""
    assert genotune("run", tiny).returncode == 0
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "genotune.cli", "ui", "--port", str(port)],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_it_answers(url, process)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_ui_shows_each_trial_of_the_sweep_under_its_parent(ui, tmp_path):
    profile = tmp_path / "profile"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    page = f"{ui}/#/experiments/1/runs"
    command = [
        CHROMIUM,
        *flags,
        *quiet,
        f"--user-data-dir={profile}",
        "--virtual-time-budget=30000",
        "--window-size=1600,1200",
        "--dump-dom",
        page,
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    assert "tiny-" in result.stdout
