"""What comes from outside the driver: a store's way from node to node, and a PUT for each step that has a storage.

Two nodes on this machine, each a raylet with an object store of its own: one puts a store, the other gets it. The
bytes go through loopback, not a network, so this is what Ray's own copying allows. A PUT goes to an S3 that moto plays
on this machine, over HTTP: what is left when nothing is far away; a real S3 takes tens of milliseconds. It carries one
line of a journal, or 128 KiB: a part of the journal's copy is written again with each step, until it has 256.

    python benchmarks/node_terms.py
"""

import argparse
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from ray_nodes import RayNodes


def transfer_gb_s(n_mb: int, rounds: int) -> list[float]:
    """Gigabytes a second of a store that one node holds and another gets; and of a second `get` there, in seconds."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    with RayNodes() as nodes:
        nodes.add()
        nodes.add()
        os.environ["RAY_AUTH_MODE"] = "disabled"
        ray.init(address=nodes.address, log_to_driver=False)
        try:
            ids = [node["NodeID"] for node in ray.nodes() if node["Resources"].get("CPU")]
            assert len(ids) == 2, ids
            there = [NodeAffinitySchedulingStrategy(one, soft=False) for one in ids]
            put = ray.remote(_put).options(scheduling_strategy=there[0])
            get = ray.remote(_get).options(scheduling_strategy=there[1])
            found = []
            for _ in range(rounds):
                holder: list[Any] = ray.get(put.remote(n_mb))
                first_s, again_s = ray.get(get.remote(holder))
                print(f"  {n_mb} MB: {first_s:.2f} s, again on that node {1000 * again_s:.1f} ms", flush=True)
                found.append(n_mb / 1000 / first_s)
            return found
        finally:
            ray.shutdown()


def _put(n_mb: int) -> list[Any]:
    import ray

    return [ray.put(np.random.default_rng(1).integers(0, 255, n_mb * 10**6, dtype=np.uint8))]


def _get(holder: list[Any]) -> tuple[float, float]:
    import ray

    taken_s = []
    for _ in range(2):
        began_s = time.perf_counter()
        ray.get(holder[0])
        taken_s.append(time.perf_counter() - began_s)
    return taken_s[0], taken_s[1]


def put_ms(n_bytes: int, *, rounds: int = 200) -> list[float]:
    """Milliseconds by the clock of a PUT."""
    import pytest

    from s3_server import S3

    with pytest.MonkeyPatch.context() as environment, S3(environment) as s3:
        s3.make_bucket("kept")
        import s3fs

        files = s3fs.S3FileSystem()
        taken_ms = []
        for number in range(rounds):
            began_s = time.perf_counter()
            files.pipe_file(f"kept/part-{number:06d}", b"x" * n_bytes)
            taken_ms.append(1000 * (time.perf_counter() - began_s))
        return taken_ms[rounds // 10 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mb", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; Python {platform.python_version()}, ray {version('ray')}, s3fs {version('s3fs')}")
    print("a store from one node to another, two raylets on this machine:")
    speeds = transfer_gb_s(arguments.mb, arguments.rounds)
    print(f"  median {statistics.median(speeds):.2f} GB a second ({min(speeds):.2f} to {max(speeds):.2f})")
    for n_bytes in (300, 1 << 17):
        low, middle, high = statistics.quantiles(put_ms(n_bytes), n=4)
        print(f"a PUT of {n_bytes:,} bytes to moto's S3 on this machine:", end=" ")
        print(f"{middle:.1f} ms (quartiles {low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
