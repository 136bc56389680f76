"""A sweep on several nodes of one Ray: what each of them does of it, while one dies and another joins."""

import time

import pytest

from builders import YEAST_SPEC, YEAST_STORE_CHUNKS
from genotune.journal import read_state
from ray_nodes import RayNodes, chunks_received
from sweeps import assert_record_is_complete, events, kill_session, session_processes, start

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture
def ray():
    with RayNodes() as ray:
        yield ray


@pytest.fixture
def driver(ray, tmp_path):
    """Of the yeast sweep; its nodes may not try a trial twice."""
    nodes = [ray.add(), ray.add()]
    (tmp_path / "yeast.yaml").write_text(YEAST_SPEC.replace("trials: 4", "trials: 6"))
    arguments = ("run", "yeast.yaml", "--address", ray.address, "--as", "spread")
    storage = f"file://{tmp_path}/kept"
    driver = start(None, tmp_path, *arguments, RAY_AUTH_MODE="disabled", GENOTUNE_STORAGE=storage)
    yield driver, nodes
    kill_session(driver.pid)
    driver.wait()


def test_nodes_share_the_work_and_each_gets_the_store_once_while_one_dies_and_another_joins(ray, driver, tmp_path):
    driver, (first, second) = driver
    folder, decoded = tmp_path / ".genotune" / "sweeps" / "spread", set()
    deadline = time.monotonic() + 300
    while not ((folder / "journal.jsonl").exists() and read_state(folder).trials):
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline
        decoded |= {node for node in (first, second) if session_processes(node, "ReadBigWig")}
        time.sleep(0.01)
    assert decoded == {first, second}, "both decode"
    while not all(fits(node) for node in (first, second)) or n_reporting(folder) < 2:
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline, "both have trials"
        time.sleep(0.05)
    time.sleep(1)  # until its Ray has written down what came
    with_store = chunks_received(ray.folders[second])
    ray.lose(first)
    third = ray.add()
    had_trials = False
    while driver.poll() is None:
        had_trials = had_trials or fits(third)
        time.sleep(0.2)
    output, errors = driver.communicate()
    assert driver.returncode == 0, output + errors
    assert had_trials, "a node that joins gets its share"
    state = read_state(folder)
    assert {trial.status for trial in state.trials.values()} == {"complete"}, "though no trial may be tried twice"
    assert len(events(folder, "started")) == 6 + 1
    assert_record_is_complete(tmp_path, state)
    assert chunks_received(ray.folders[second]) <= with_store + 1, "no further copy for further trials"
    assert chunks_received(ray.folders[third]) in (YEAST_STORE_CHUNKS, YEAST_STORE_CHUNKS + 1)


def fits(node):
    """Whether a process of a trial is on a node."""
    return bool(session_processes(node, "ImplicitFunc"))


def n_reporting(folder):
    """Trials that have reported."""
    return sum(bool(trial.curve) for trial in read_state(folder).trials.values())
