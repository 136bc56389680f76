"""Rays that are there already: a head and further nodes as sessions of their own, so that a node can be lost whole."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from builders import clean_environment
from sweeps import session_members

_TIMEOUT_S = 120


class RayNodes:
    """A head without CPUs and nodes beside it; all of it is ended with the block.

    Attributes:
        address: of the head, for --address.
        nodes: the session of each node that was added.
    """

    def __enter__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._after = contextlib.ExitStack()
        self.nodes = []
        port = self.address.partition(":")[2]
        self._start("--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false")
        return self

    def __exit__(self, *_):
        self._after.close()

    def add(self):
        """The session of a new node with one CPU."""
        self.nodes.append(self._start(f"--address={self.address}", "--num-cpus=1", "--dashboard-agent-listen-port=0"))
        return self.nodes[-1]

    def lose(self, session):
        """A node is gone, with all its processes at once."""
        for pid in session_members(session):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _start(self, *arguments):
        folder = self._after.enter_context(
            tempfile.TemporaryDirectory(prefix="gtn", dir="/tmp", ignore_cleanup_errors=True)
        )
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--node-ip-address=127.0.0.1"]
        command += [f"--temp-dir={folder}", *arguments]
        environment = {
            **clean_environment(),
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "5",
        }
        log = Path(folder) / "start.log"
        with log.open("w") as output:
            node = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._after.callback(node.wait, timeout=60)
        self._after.callback(self.lose, node.pid)
        deadline = time.monotonic() + _TIMEOUT_S
        while "Ray runtime started" not in log.read_text():
            assert node.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        return node.pid
