"""Rays that are there already: a head and further nodes as sessions of their own, so that a node can be lost whole."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from builders import clean_environment
from servers import free_port
from sweeps import session_members

_TIMEOUT_S = 120


def chunks_received(folder):
    """How many chunks of objects came to a node from others, as its Ray, in this folder, last wrote down."""
    for _ in range(10):  # it may just be writing
        for state in folder.glob("session_2*/logs/debug_state.txt"):
            found = re.search(r"num chunks received total: (\d+)\n", state.read_text())
            if found:
                return int(found[1])
        time.sleep(0.02)
    return 0


class RayNodes:
    """A head without CPUs and nodes beside it; all of it is ended with the block.

    Args:
        token: that all who come near are asked for; None: nobody is.
        environment: of all nodes, beside what they need.

    Attributes:
        address: of the head, for --address.
        nodes: the session of each node that was added.
        folders: of each node's session, as a machine of its own would have: `workspace` in it is GENOTUNE_WORKSPACE.
        metrics, head_metrics: where Prometheus would ask each node, and the head.
        dashboard: its address, with a token.
    """

    def __init__(self, *, token=None, environment=()):
        self._guard = {"RAY_AUTH_MODE": "disabled"}
        if token is not None:
            self._guard = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
        self._environment = dict(environment)

    def __enter__(self):
        self.address = f"127.0.0.1:{free_port()}"
        self._after = contextlib.ExitStack()
        self.nodes, self.folders, self.metrics = [], {}, {}
        port = self.address.partition(":")[2]
        dashboard = ["--include-dashboard=false"]
        if self._guard["RAY_AUTH_MODE"] == "token":
            self.dashboard = f"http://127.0.0.1:{free_port()}"
            dashboard = ["--include-dashboard=true", "--dashboard-host=127.0.0.1", "--dashboard-agent-listen-port=0"]
            dashboard.append(f"--dashboard-port={self.dashboard.rpartition(':')[2]}")
        metrics = free_port()
        self._start("--head", f"--port={port}", "--num-cpus=0", f"--metrics-export-port={metrics}", *dashboard)
        self.head_metrics = f"http://127.0.0.1:{metrics}/metrics"
        return self

    def __exit__(self, *_):
        self._after.close()

    def add(self, *, n_cpus=1, resources="{}"):
        """The session of a new node."""
        port = free_port()
        offer = [f"--num-cpus={n_cpus}", f"--resources={resources}", f"--metrics-export-port={port}"]
        self.nodes.append(self._start(f"--address={self.address}", *offer, "--dashboard-agent-listen-port=0"))
        self.metrics[self.nodes[-1]] = f"http://127.0.0.1:{port}/metrics"
        return self.nodes[-1]

    def node_id(self, session):
        """Ray's id of a node."""
        (state,) = self.folders[session].glob("session_2*/logs/debug_state.txt")
        return re.search(r'"ray\.io/node-id":"([0-9a-f]+)"', state.read_text())[1]

    def lose(self, session):
        """A node is gone, with all its processes at once, those first that have left its session."""
        for pid in [*self.others_of(session), *session_members(session)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def others_of(self, session):
        """Pids of the processes of a node that are in sessions of their own."""
        mark = f"GENOTUNE_WORKSPACE={self.folders.get(session)}/workspace".encode()
        inside, found = set(session_members(session)), []
        for path in Path("/proc").glob("[0-9]*/environ"):
            pid = int(path.parent.name)
            with contextlib.suppress(OSError):
                if pid not in inside and mark in path.read_bytes().split(b"\0"):
                    found.append(pid)
        return found

    def _start(self, *arguments):
        folder = self._after.enter_context(
            tempfile.TemporaryDirectory(prefix="gtn", dir="/tmp", ignore_cleanup_errors=True)
        )
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--node-ip-address=127.0.0.1"]
        command += [f"--temp-dir={folder}", *arguments]
        environment = {
            **clean_environment(),
            **self._guard,
            **self._environment,
            "GENOTUNE_WORKSPACE": f"{folder}/workspace",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "5",
            "RAY_debug_dump_period_milliseconds": "500",
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
        self.folders[node.pid] = Path(folder)
        return node.pid
