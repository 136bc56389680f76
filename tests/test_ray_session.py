"""A Ray of our own: alone on the machine's loopback, gone afterwards, and no trace of it in the environment."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builders import clean_environment
from genotune.errors import ResourceError
from genotune.ray_session import available_cpus, ray_session

SESSION = """
import os, sys
from genotune.ray_session import nodes, ray_session
before = dict(os.environ)
with ray_session(None, n_cpus=2) as session:
    import ray  # not before: it reads RAY_AUTH_MODE when it is imported
    assert session == (True, False, None)
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    [node] = nodes()
    print(node.cpus, ray.get_runtime_context().gcs_address, os.environ["RAY_AUTH_TOKEN"], flush=True)
    sys.stdin.readline()
    print(ray.get(ray.remote(lambda: 7).remote()), flush=True)
of_ray = {"RAY_CLIENT_MODE", "PYTHONBREAKPOINT"}  # set by importing it
left = (set(before) ^ set(os.environ)) - of_ray
print(sorted(left), flush=True)
"""


def start():
    return subprocess.Popen(
        [sys.executable, "-c", SESSION],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def folders_of(pid):
    return list(Path("/tmp").glob(f"gt{pid}-*"))


@pytest.fixture
def living():
    """The folder of a driver that lives."""
    folder = Path(f"/tmp/gt{os.getpid()}-living")
    folder.mkdir()
    with (folder / "held").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    shutil.rmtree(folder)


def test_two_private_rays_at_once_and_nothing_is_left(living):
    """A dead driver's folder is removed at the start of the next, a living one's is kept, and what is none of ours."""
    dead, other = (Path(f"/tmp/gt{os.getpid()}-{name}") for name in ("dead", "other"))
    for folder in (dead, other):
        folder.mkdir()
    (dead / "held").touch()
    first, second = start(), start()
    try:
        said = [process.stdout.readline().split() for process in (first, second)]
        assert not dead.exists()
        assert living.exists()
        assert [words[0] for words in said] == ["2.0", "2.0"]
        assert said[0][1] != said[1][1]
        assert said[0][2] != said[1][2]
        assert all(folders_of(process.pid) for process in (first, second))
        for process in (first, second):
            out, err = process.communicate("go\n", timeout=120)
            assert (process.returncode, out.split("\n")[0]) == (0, "7"), err
            assert out.split("\n")[1] == "[]", "the environment is as it was"
            assert folders_of(process.pid) == []
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
        other.rmdir()


def test_an_address_where_nobody_listens_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    before = dict(os.environ)
    with pytest.raises(ResourceError, match=r"127\.0\.0\.1:1: no Ray answers there"), ray_session(None):
        pass
    assert dict(os.environ) == before


def test_a_ray_that_does_not_come_up_in_time_is_told_with_what_to_do(monkeypatch):
    import ray

    def late(**_):
        raise Exception("The current node timed out during startup.\nMore lines.")  # noqa: TRY002 - as Ray does

    monkeypatch.setattr(ray, "init", late)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with (
        pytest.raises(ResourceError, match=r"timed out during startup\.\)\. It needs free memory"),
        ray_session(None),
    ):
        pass
    assert folders_of(os.getpid()) == []


def test_a_ray_that_needs_longer_than_it_gives_itself_is_waited_for(monkeypatch):
    """Ray asks in a loop of half a minute whether its node is known: here it asks once, and the answer is late."""
    import ray
    from ray._private import services

    asked = []

    def known_at_last(*_):
        asked.append(time.monotonic())
        if len(asked) < 4:
            raise RuntimeError("not known yet")

    def init(**_):
        services.get_node("gcs", "node")
        raise Exception("It goes on.")  # noqa: TRY002 - and ends here

    monkeypatch.setattr(services, "get_node", known_at_last)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ResourceError, match=r"\(It goes on\.\)"), ray_session(None):
        pass
    assert len(asked) == 4
    assert services.get_node is known_at_last


def test_a_process_has_the_cpus_that_it_may_use():
    assert available_cpus() == len(os.sched_getaffinity(0))
