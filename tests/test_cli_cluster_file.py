"""`--cluster FILE` as a person types it: check, run and resume."""

import subprocess
import sys

import pytest

from builders import clean_environment
from genotune.journal import read_state
from ray_nodes import RayNodes
from sweeps import events, wait_for

AWS = """\
cluster_name: spots
max_workers: 6
provider:
  type: aws
  region: us-east-1
  prices: {currency: USD, cpu_hour: 0.05, gpu_hour: 0.5, node_hours: {head: 0.1}}
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, node_config: {InstanceType: m7i.large}}
  gpu_small:
    max_workers: 4
    resources: {CPU: 8, GPU: 1, memory: 34359738368}
    node_config: {InstanceType: g6.2xlarge, InstanceMarketOptions: {MarketType: spot}}
"""
ASKING = ("objective:", "resources: {poisson_cnn: {cpus: 2, gpus: 0.5}}\nobjective:")
MONEY = ("budget: {trials: 5}\ntrials: {concurrent: 1}", "budget: {trials: 50, hours: 3, cost: 7 USD}")


@pytest.fixture
def aws(tmp_path):
    path = tmp_path / "aws.yaml"
    path.write_text(AWS)
    return path


def test_check_tells_where_trials_fit_what_it_costs_and_what_a_preemption_costs(genotune, edited, aws):
    result = genotune("check", edited(ASKING, MONEY), "--cluster", aws)
    assert result.returncode == 0, result.stderr
    largest = 0.1 + 4 * (8 * 0.05 + 0.5)
    machines = "(1 head, 4 gpu_small)"
    for line in (
        "note the memory of head, on which the driver builds the store, is not in the file.",
        f"cluster: spots ({aws}, Ray's cluster launcher), at most 6 workers",
        "  head: the head, each 0 CPUs, 0 GPUs, memory unknown",
        "  gpu_small: 0 to 4, each 8 CPUs, 1 GPUs, 32 GiB, spot",
        "fits: poisson_cnn on gpu_small (2 a machine); room for 8 at once",
        "cost: an hour of a trial of poisson_cnn is 0.35 USD",
        "cost: 7 USD last for so many of them: 20 of poisson_cnn",
        f"price: 0.10 USD an hour idle (1 head), at most {largest:.2f} USD an hour while its trials run {machines}",
        f"estimate: up to {3 * largest:.2f} USD in its 3 h",
        "preemption: a spot machine of gpu_small carries up to 2 trials of poisson_cnn",
        "  without notice each loses at most the epoch it is in, and goes on from its last checkpoint",
    ):
        assert f"{line}\n" in result.stdout
    assert "2 CPUs and 0.5 GPUs a trial, 8 at once" in result.stdout


def test_check_asks_no_live_machine_where_the_file_has_node_types(genotune, edited, aws):
    result = genotune("check", edited(ASKING), "--cluster", aws, "--address", "127.0.0.1:1")
    assert result.returncode == 0, result.stderr
    assert "fits: poisson_cnn on gpu_small" in result.stdout


def test_a_trial_that_fits_no_node_type_is_refused_with_what_is_nearest(genotune, edited, aws):
    spec = edited(("objective:", "resources: {poisson_cnn: {cpus: 16, gpus: 1}}\nobjective:"))
    result = genotune("check", spec, "--cluster", aws)
    assert result.returncode == 2
    assert (
        f"error: {spec}: resources.poisson_cnn: a trial asks for 16 CPUs, 1 GPUs; no node type of {aws} has that. The "
        "nearest is gpu_small with 8 CPUs, 1 GPUs, 32 GiB. Write cpus: 8 at most, or add a node type.\n"
    ) in result.stderr


def test_a_fault_of_the_file_is_told_with_its_line(genotune, tiny, aws):
    aws.write_text(AWS.replace("CPU: 8", "CPU: eight").replace("head: 0.1", "haed: 0.1"))
    told = genotune("check", tiny, "--cluster", aws)
    assert told.returncode == 2
    assert (
        f"{aws}:6: provider.prices.node_hours.haed: there is no node type 'haed'. Did you mean 'head'?" in told.stderr
    )
    assert f"{aws}:12: available_node_types.gpu_small.resources.CPU: found the text 'eight'" in told.stderr


def test_an_on_premise_file_is_told_to_say_nothing_and_this_machine_is_taken(genotune, tiny, tmp_path):
    (tmp_path / "lab.yaml").write_text("cluster_name: lab\nprovider: {type: local, head_ip: a, worker_ips: [b]}\n")
    result = genotune("check", tiny, "--cluster", tmp_path / "lab.yaml")
    assert result.returncode == 0, result.stderr
    assert "lab.yaml:2: provider: an on-premise file doesn't say what its machines have." in result.stdout
    assert "fits:" not in result.stdout


def test_run_on_this_machine_takes_prices_alone_from_the_file_and_asks_for_them(genotune, tiny, aws, tmp_path):
    aws.write_text(AWS.replace("prices:", "tags:"))
    result = genotune("run", tiny, "--cluster", aws)
    assert result.returncode == 2
    assert f"{aws}:3: provider.prices: there are no prices in this cluster file. Add them" in result.stderr
    assert not (tmp_path / ".genotune").exists()


def test_resume_says_that_a_cluster_file_is_of_no_use_without_a_cluster(genotune, aws):
    result = genotune("resume", "nothing", "--cluster", aws)
    assert result.returncode == 2
    assert f"error: --cluster {aws}: says what a cluster may start, and none is joined. Give --address" in result.stderr


GROWING = """\
cluster_name: growing
max_workers: 3
provider: {type: external}
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, node_config: {}}
  cpu: {max_workers: 3, resources: {CPU: 1}, node_config: {}}
"""


@pytest.mark.cluster
def test_trials_wait_for_machines_that_only_the_file_knows_of(edited, tmp_path):
    """A head without CPUs; the machine that an autoscaler would start comes once the sweep has begun."""
    spec = edited(("{concurrent: 1}", "{concurrent: 5}"))
    (tmp_path / "growing.yaml").write_text(GROWING)
    with RayNodes() as ray:
        command = [sys.executable, "-m", "genotune.cli", "run", str(spec), "--address", ray.address]
        named = {
            "cwd": tmp_path,
            "env": {**clean_environment(), "RAY_AUTH_MODE": "disabled"},
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        alone = [*command, "--workspace", str(tmp_path / "alone")]
        refused = subprocess.run(alone, check=False, timeout=240, **named)
        assert refused.returncode == 2
        assert "--cluster FILE names the node types." in refused.stderr
        process = subprocess.Popen([*command, "--cluster", "growing.yaml"], start_new_session=True, **named)
        folder = wait_for(tmp_path, lambda state: state.facts, process, timeout_s=240)
        ray.add()
        output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, output + errors
    assert read_state(folder).status == "complete"
    first = events(folder, "ended")[0].number
    assert sum(event.number < first for event in events(folder, "proposed")) == 3
