"""A real sweep of the yeast CNN on a Ray that Ray's own autoscaler grows and shrinks, on instances that die."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from builders import YEAST_SPEC, YEAST_STORE_CHUNKS, clean_environment
from genotune.journal import read_state
from local_machines import HEAD
from ray_nodes import chunks_received
from servers import free_port
from sweeps import assert_record_is_complete, events, kill_session, session_members, start

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(900)]

TESTS = Path(__file__).parent
EMPTY = (
    *("cluster_synced_files", "initialization_commands", "setup_commands", "head_setup_commands"),
    *("worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"),
)
CLUSTER = {
    "cluster_name": "local",
    "max_workers": 2,
    "idle_timeout_minutes": 0.15,
    "upscaling_speed": 1.0,
    "head_node_type": HEAD,
    "provider": {
        "type": "external",
        "module": "local_machines.LocalMachines",
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "head_node_type": HEAD,
        "prices": {"currency": "USD", "cpu_hour": 0.04, "node_hours": {"worker": 0.05}},
    },
    "available_node_types": {
        HEAD: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "worker": {
            "resources": {"CPU": 1, "object_store_memory": 100_000_000},
            "node_config": {},
            "min_workers": 0,
            "max_workers": 2,
        },
    },
    # A provider of another kind than Ray's own gets no defaults for these.
    **{key: {} for key in ("auth", "file_mounts")},
    **{key: [] for key in EMPTY},
}


class Cloud:
    """The head, with the autoscaler on it; its instances lie in `folder`.

    Attributes:
        address: of the head.
        file: the cluster file.
    """

    def __init__(self, folder):
        from ray.util import get_node_ip_address

        ip, port = get_node_ip_address(), free_port()
        self.folder, self.address, self.file = folder, f"{ip}:{port}", folder / "cluster.yaml"
        provider = {**CLUSTER["provider"], "address": self.address, "folder": str(folder)}
        self.file.write_text(yaml.safe_dump({**CLUSTER, "provider": provider}))
        environment = {
            **clean_environment(),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")])),
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD,
            "RAY_NODE_TYPE_NAME": HEAD,
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "5",
            "RAY_debug_dump_period_milliseconds": "500",
        }
        command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", f"--node-ip-address={ip}"]
        command += [f"--port={port}", "--num-cpus=0", "--num-gpus=0", "--include-dashboard=false"]
        command += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        command += [f"--temp-dir={folder}/r", f"--autoscaling-config={self.file}"]
        self._log = folder / "head.log"
        with self._log.open("wb") as log:
            self._head = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)

    def wait_for_head(self):
        """Until it takes sweeps."""
        deadline = time.monotonic() + 180
        while "Ray runtime started" not in self._log.read_text():
            assert self._head.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def instances(self):
        """The sessions of all instances that there ever were, by name."""
        return {path.stem: int(path.read_text()) for path in self.folder.glob("local-*.pid")}

    def alive(self):
        """The names of those that run now."""
        return {name for name, session in self.instances().items() if session_members(session)}

    def end(self):
        """The head first, so that it starts no more."""
        kill_session(self._head.pid)
        self._head.wait()
        for session in self.instances().values():
            kill_session(session)

    def chunks_received(self, name):
        """See `ray_nodes.chunks_received`."""
        return chunks_received(self.folder / name)


@pytest.fixture
def cloud():
    with tempfile.TemporaryDirectory(prefix="gta", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cloud = Cloud(Path(folder))
        try:
            cloud.wait_for_head()
            yield cloud
        finally:
            cloud.end()


def wait_until(condition, driver, *, timeout_s):
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def trial_in(session, folder):
    """The trial that an instance works on, once it has reported; None where it has none."""
    with contextlib.suppress(OSError, ValueError):
        state = read_state(folder)
        running = {
            trial.number for trial in state.trials.values() if trial.status == "running" and len(trial.curve) > 1
        }
        for pid in session_members(session):
            opened = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
            for number in running:
                if any(f"/trial-{number:04d}/log.txt" in path for path in opened):
                    return number
    return None


@pytest.fixture
def drive(cloud, tmp_path):
    """Starts a driver of the yeast sweep on the cloud."""
    spec = tmp_path / "yeast.yaml"
    spec.write_text(YEAST_SPEC)
    drivers = []

    def drive(*arguments):
        command = ("run", spec, "--address", cloud.address, "--cluster", cloud.file, *arguments)
        storage = f"file://{tmp_path}/kept"
        told = {"RAY_AUTH_MODE": "disabled", "GENOTUNE_STORAGE": storage, "PYTHONUNBUFFERED": "1"}
        driver = start(None, tmp_path, *command, **told)
        drivers.append(driver)
        return driver

    yield drive
    for driver in drivers:
        kill_session(driver.pid)
        driver.wait()


def test_a_cloud_that_has_no_machine_to_give_is_told_of_and_waited_for(cloud, drive):
    (cloud.folder / "quota-spent").touch()
    driver = drive()
    for line in driver.stdout:
        if "The data wait for machines" in line:
            break
    assert "worker could not be started (a quota, or none to be had? Ray's monitor.log on the head says why)" in line
    logs = cloud.folder.glob("r/session_2*/logs/monitor*")
    assert any("VcpuLimitExceeded" in path.read_text() for path in logs)
    (cloud.folder / "quota-spent").unlink()
    output, errors = driver.communicate(timeout=500)
    assert driver.returncode == 0, output + errors


def test_a_sweep_brings_its_machines_survives_their_loss_and_lets_them_go(cloud, drive, tmp_path):
    assert cloud.instances() == {}
    driver = drive("--as", "grown")
    folder = tmp_path / ".genotune" / "sweeps" / "grown"
    first = wait_until(lambda: len(alive := cloud.alive()) == 2 and alive, driver, timeout_s=240)
    lost, trial = wait_until(
        lambda: next(
            ((name, n) for name in first if (n := trial_in(cloud.instances()[name], folder)) is not None), None
        ),
        driver,
        timeout_s=240,
    )
    kill_session(cloud.instances()[lost])
    wait_until(lambda: cloud.alive() - first, driver, timeout_s=240)
    output, errors = driver.communicate(timeout=500)
    assert driver.returncode == 0, output + errors
    state = read_state(folder)
    assert {one.status for one in state.trials.values()} == {"complete"}, "though no trial may be tried twice"
    started = [event.values["trial"] for event in events(folder, "started")]
    assert started.count(trial) == 2
    reports = [(event.values["trial"], event.values["epoch"]) for event in events(folder, "report")]
    assert len(reports) == len(set(reports)) == 4 * 8
    log = (folder / "trials" / f"trial-{trial:04d}" / "log.txt").read_text()
    assert log.count(f"trial {trial}: poisson_cnn") == 2
    assert log.count("epoch 1 of 8") == 1, "it went on from its checkpoint"
    assert_record_is_complete(tmp_path, state)
    (new,) = cloud.instances().keys() - first
    assert cloud.chunks_received(new) in (YEAST_STORE_CHUNKS, YEAST_STORE_CHUNKS + 1), "the store, once"
    deadline = time.monotonic() + 180
    while cloud.alive():
        assert time.monotonic() < deadline, "machines without work are let go"
        time.sleep(0.2)
