"""A cloud on this machine, for Ray's real autoscaler: an instance is a Ray that is started here, in its own session.

Ray's monitor imports this module by name, in a process of its own.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path

from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import NODE_KIND_HEAD, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

from sweeps import kill_session

HEAD = "head"
"""The head's instance, as RAY_CLOUD_INSTANCE_ID says there."""

_END_TIMEOUT_S = 8


class LocalMachines(NodeProvider):
    """Starts and ends instances; which of them there were, files in `folder` say.

    Args:
        provider_config: of the cluster file: address (of the head), folder, head_node_type.
        cluster_name: as the file says.
    """

    def __init__(self, provider_config, cluster_name):
        super().__init__(provider_config, cluster_name)
        self._lock = threading.RLock()
        self._folder = Path(provider_config["folder"])
        self._instances = {}
        self._tags = {
            HEAD: {
                TAG_RAY_NODE_KIND: NODE_KIND_HEAD,
                TAG_RAY_USER_NODE_TYPE: provider_config["head_node_type"],
            }
        }

    def non_terminated_nodes(self, tag_filters):
        """Instances with these tags; one whose Ray has ended is gone."""
        with self._lock:
            for name in [name for name, process in self._instances.items() if process.poll() is not None]:
                self._forget(name)
            return [name for name, tags in self._tags.items() if tag_filters.items() <= tags.items()]

    def is_running(self, node_id):
        """Whether there is such an instance."""
        return node_id in self.non_terminated_nodes({})

    def is_terminated(self, node_id):
        """Whether there is none."""
        return not self.is_running(node_id)

    def node_tags(self, node_id):
        """What Ray has noted of an instance."""
        with self._lock:
            return dict(self._tags[node_id])

    def set_node_tags(self, node_id, tags):
        """Ray notes something of an instance."""
        with self._lock:
            self._tags[node_id].update(tags)

    def internal_ip(self, node_id):
        """Its name: nobody connects to it by this."""
        return node_id

    def external_ip(self, node_id):
        """As `internal_ip`."""
        return node_id

    def create_node_with_resources_and_labels(self, node_config, tags, count, resources, labels):
        """Start instances, each with a folder of its own: two that start in one race for the name of a socket.

        While the folder holds a file `quota-spent`, the cloud has none to give.
        """
        if (self._folder / "quota-spent").exists():
            raise NodeLaunchException("VcpuLimitExceeded", "You have requested more vCPU than your limit.", None)
        for _ in range(count):
            self._start(f"local-{secrets.token_hex(4)}", tags, dict(resources))

    def terminate_node(self, node_id):
        """End an instance with all its processes."""
        with self._lock:
            process = self._instances.get(node_id)
        if process is None:
            return
        process.terminate()  # Ray then ends its processes
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_TIMEOUT_S)
        with self._lock:
            self._forget(node_id)

    def _start(self, name, tags, resources):
        folder = self._folder / name
        folder.mkdir()
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block"]
        command += [f"--address={self.provider_config['address']}", f"--node-name={name}", f"--temp-dir={folder}"]
        command += [f"--num-cpus={resources.pop('CPU', 0)}", f"--num-gpus={resources.pop('GPU', 0)}"]
        memory = int(resources.pop("object_store_memory", 100 << 20))
        command += [f"--object-store-memory={memory}", f"--resources={json.dumps(resources)}"]
        command += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        environment = {
            **os.environ,
            "RAY_CLOUD_INSTANCE_ID": name,
            "RAY_NODE_TYPE_NAME": tags[TAG_RAY_USER_NODE_TYPE],
            "GENOTUNE_WORKSPACE": f"{folder}/workspace",
        }
        with self._lock, (folder / "start.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            (self._folder / f"{name}.pid").write_text(str(process.pid))
            self._instances[name], self._tags[name] = process, dict(tags)

    def _forget(self, name):
        process = self._instances.pop(name, None)
        self._tags.pop(name, None)
        if process is not None:
            kill_session(process.pid)
            process.wait()
