"""Sweeps submitted from a desk to a Ray of several nodes that asks for a token: real jobs, drivers and deaths."""

import json
import re
import subprocess
import sys
import time
import urllib.request

import pytest

from builders import clean_environment, rows
from genotune.journal import read_state
from ray_nodes import RayNodes
from servers import MlflowServer
from sweeps import assert_database_is_complete, curves, undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(900)]

TOKEN = "a-token-of-thirty-two-characters"
ONE = "trials: {concurrent: 1}\n"
LONG = (
    ("{kind: asha, max_epochs: 4, reduction_factor: 2}", "{kind: none, max_epochs: 200}"),
    ("trials: 5", "trials: 2"),
)
DRIVER = '{"driver": 1}'


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """An MLflow server, and a way to ask its database past it."""
    folder = tmp_path_factory.mktemp("mlflow")
    server = MlflowServer(f"sqlite:///{folder / 'mlflow.db'}", folder)
    server.ensure_up()
    yield server, lambda query: rows(folder / "mlflow.db", query)
    server.kill()


@pytest.fixture(scope="module")
def cluster(mlflow):
    """A head, two nodes for drivers, and one for trials."""
    with RayNodes(token=TOKEN, environment={"MLFLOW_TRACKING_URI": mlflow[0].uri}) as ray:
        ray.drivers = [ray.add(n_cpus=0, resources=DRIVER), ray.add(n_cpus=0, resources=DRIVER)]
        ray.add(n_cpus=2)
        yield ray


@pytest.fixture
def desk(cluster, tmp_path):
    """Runs the command line as on another machine, with a profile called lab; and the profile's text."""
    profiles, token = tmp_path / "clusters.yaml", tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    lab = {"address": cluster.dashboard, "storage": f"file://{tmp_path / 'kept'}", "token_file": str(token)}
    profiles.write_text(json.dumps({"default": "lab", "clusters": {"lab": lab}}))
    environment = {**clean_environment(), "GENOTUNE_CLUSTERS": str(profiles), "HOME": str(tmp_path / "home")}

    def call(*arguments, timeout_s=300, **more):
        return subprocess.run(
            [sys.executable, "-m", "genotune.cli", *map(str, arguments)],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    call.token, call.kept = token, tmp_path / "kept"
    return call


def journal_of(cluster, name):
    """The folders that a sweep has on the nodes, the one that was written last first."""
    found = [folder / "workspace" / "sweeps" / name for folder in cluster.folders.values()]
    journals = [folder / "journal.jsonl" for folder in found if (folder / "journal.jsonl").exists()]
    return [path.parent for path in sorted(journals, key=lambda path: -path.stat().st_mtime)]


def scraped(cluster):
    """What Prometheus would be told. On one machine a driver may tell it through any node's Ray."""
    texts = []
    for address in (cluster.head_metrics, *cluster.metrics.values()):
        with urllib.request.urlopen(address, timeout=60) as answer:
            texts.append(answer.read().decode())
    return "\n".join(texts)


def wait_until(condition, *, timeout_s=300):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_submitted_sweep_survives_its_drivers_node_and_is_seen_from_the_desk(
    cluster, desk, mlflow, edited, tmp_path_factory
):
    expected = undisturbed(tmp_path_factory.mktemp("undisturbed"), *LONG)
    spec = edited(*LONG)
    result = desk("submit", spec, "--as", "survivor")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(
        r"^Submitted survivor \(0\.\d MB travelled\); its record: file:///.*/kept/survivor$", result.stdout, re.M
    )
    assert "Sweep survivor in " in result.stdout
    assert "Follow it: genotune logs -f survivor" in result.stdout
    twice = desk("submit", spec, "--as", "survivor")
    assert twice.returncode == 2
    assert "survivor: it is at work on the cluster already (running). Follow it: genotune logs -f" in twice.stderr
    wait_until(lambda: bool(read_state(journal_of(cluster, "survivor")[0]).trials.get(0, None)))
    wait_until(lambda: len(read_state(journal_of(cluster, "survivor")[0]).trials[0].curve) > 2)
    (first,) = [node for node in cluster.drivers if cluster.others_of(node)]
    status = desk("status", "survivor", "--address", "lab")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "survivor" in status.stdout
    assert "poisson_cnn" in status.stdout
    told = re.compile(r'^ray_genotune_trials\{.*state="running".*sweep="survivor".*\} 1\.0$', re.MULTILINE)
    wait_until(lambda: told.search(scraped(cluster)))
    assert re.search(r"^ray_genotune_epochs_total\{.*poisson_cnn.*\} \d", scraped(cluster), re.MULTILINE)
    cluster.lose(first)
    followed = desk("logs", "-f", "survivor", "--address", "lab", timeout_s=600)
    assert followed.returncode == 0, followed.stdout + followed.stderr
    assert "it is started again, and the sweep goes on." in followed.stdout
    assert "trial   1 poisson_cnn complete after epoch 200" in followed.stdout
    state = read_state(journal_of(cluster, "survivor")[0])
    assert len(journal_of(cluster, "survivor")) == 2, "on one node for drivers, then on the other"
    assert curves(state) == curves(expected)
    assert {**state.winner} == {**expected.winner}
    assert_database_is_complete(mlflow[1], state, "survivor")
    listed = desk("list", "--address", "lab", "--json")
    assert [(job["name"], job["status"]) for job in json.loads(listed.stdout)] == [("survivor", "succeeded")]
    plain = json.loads(desk("status", "survivor", "--address", "lab", "--json").stdout)
    assert (plain["status"], plain["trials"]["proposed"]) == ("complete", 2)
    again = desk("submit", spec, "--as", "survivor")
    assert again.returncode == 0, again.stdout + again.stderr
    cluster.drivers = [node for node in cluster.drivers if node != first]
    cluster.drivers.append(cluster.add(n_cpus=0, resources=DRIVER))


def test_two_specs_at_once_share_a_cluster_and_each_has_its_own_record(cluster, desk, mlflow, edited):
    spec = edited()
    for name in ("left", "right"):
        result = desk("submit", spec, "--as", name, "--no-wait")
        assert result.returncode == 0, result.stdout + result.stderr
    states = []
    for name in ("left", "right"):
        followed = desk("logs", "-f", name, "--address", "lab", timeout_s=600)
        assert followed.returncode == 0, followed.stdout + followed.stderr
        (folder,) = journal_of(cluster, name)
        states.append(read_state(folder))
        assert states[-1].status == "complete", followed.stdout
        assert_database_is_complete(mlflow[1], states[-1], name)
    assert curves(states[0]) == curves(states[1])


def test_a_sweep_is_stopped_from_the_desk_and_goes_on_when_it_is_submitted_again(cluster, desk, mlflow, edited):
    spec = edited(*LONG, ("name: tiny", "name: stopped"))
    assert desk("submit", spec, "--as", "stopped").returncode == 0
    wait_until(lambda: bool(read_state(journal_of(cluster, "stopped")[0]).trials.get(0, None)))
    result = desk("stop", "stopped", "--address", "lab")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "It has ended. To go on: genotune submit tiny.yaml --as stopped --address lab" in result.stdout
    assert read_state(journal_of(cluster, "stopped")[0]).status == "interrupted"
    again = desk("stop", "stopped", "--address", "lab")
    assert again.returncode == 2
    assert "it has ended already (stopped); there is nothing to stop." in again.stderr
    assert desk("submit", spec, "--as", "stopped").returncode == 0
    wait_until(lambda: bool(read_state(journal_of(cluster, "stopped")[0]).trials.get(1, None)))
    choose = desk("stop", "stopped", "--address", "lab", "--choose")
    assert choose.returncode == 0, choose.stdout + choose.stderr
    followed = desk("logs", "-f", "stopped", "--address", "lab")
    state = read_state(journal_of(cluster, "stopped")[0])
    assert state.status == "complete", followed.stdout
    assert {trial.status for trial in state.trials.values()} <= {"complete", "stopped"}
    assert_database_is_complete(mlflow[1], state, "stopped")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("sites.bw", "nothing.bw"), r"tiny\.yaml:6: data\.tracks\.sites\.path: no file of that name is there"),
        (("path: sites.bw", "path: /nowhere/sites.bw"), "/nowhere/sites.bw: no such file"),
        ((ONE, f"{ONE}storage: kept\n"), r"tiny\.yaml:24: storage: found 'kept', a folder\. On a cluster the machines"),
        ((ONE, f"{ONE}storage: s3://\n"), r"tiny\.yaml:24: storage: found 's3://'; write a folder, file:///FOLDER"),
        (
            (ONE, f"{ONE}tracking: {{uri: 'sqlite:///mlflow.db'}}\n"),
            r"tiny\.yaml:24: tracking\.uri: found 'sqlite:.*'\. A driver may be on any machine: name an MLflow",
        ),
        (("trials: 5", "trials: 0"), r"tiny\.yaml:22: budget\.trials"),
    ],
)
def test_what_a_cluster_cant_run_is_told_with_the_fix(desk, edited, change, words):
    result = desk("submit", edited(change))
    assert result.returncode == 2, result.stdout + result.stderr
    assert re.search(words, result.stderr), result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_a_token_that_is_wrong_or_missing_is_refused_with_the_fix(cluster, desk, edited):
    desk.token.write_text("another-token-of-thirty-two-char")
    for command in (["submit", edited()], ["list", "--address", "lab"]):
        result = desk(*command)
        assert result.returncode == 2, result.stdout + result.stderr
        assert f"{cluster.dashboard}: refuses the token that was sent. Is it this cluster's?" in result.stderr
    desk.token.write_text(TOKEN)
    desk.token.chmod(0o644)
    assert "others can read the cluster's token there. Then: chmod 600" in desk("list", "--address", "lab").stderr
    none = desk("list", "--address", cluster.dashboard.replace("127.0.0.1", "localhost"))
    assert none.returncode == 2
    assert "asks for a token, and none was found. Put the cluster's into ~/.ray/auth_token" in none.stderr


def test_an_address_that_is_down_or_no_dashboard_is_told_within_seconds(cluster, desk, mlflow):
    down = desk("list", "--address", "http://127.0.0.1:9")
    assert down.returncode == 2
    assert "http://127.0.0.1:9: nothing answers there (Connection refused). Is the cluster up, and the" in down.stderr
    other = desk("list", "--address", mlflow[0].uri)
    assert other.returncode == 2
    assert f"{mlflow[0].uri}: " in other.stderr
    unknown = desk("list", "--address", "lap")
    assert unknown.returncode == 2
    assert "has no cluster of that name. Did you mean 'lab'?" in unknown.stderr
