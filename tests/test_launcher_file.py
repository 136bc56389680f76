"""Node types in files of Ray's cluster launcher: read as Ray reads them, and every fault with its line."""

from pathlib import Path

import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config

from genotune.cluster_file import read_cluster_file
from genotune.errors import SpecError

AWS = """\
cluster_name: spots
max_workers: 10
provider: {type: aws, region: us-east-1}
head_node_type: head
available_node_types:
  head:
    resources: {CPU: 0}
    node_config: {InstanceType: m7i.large}
  driver:
    max_workers: 2
    resources: {CPU: 2, driver: 1, memory: 17179869184}
    node_config: {InstanceType: r7i.xlarge}
  gpu_small:
    min_workers: 1
    max_workers: 4
    resources: {CPU: 8, GPU: 1}
    node_config:
      InstanceType: g6.2xlarge
      InstanceMarketOptions: {MarketType: spot}
"""


def written(tmp_path, text):
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return path


def read(tmp_path, *changes):
    text = AWS
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return read_cluster_file(written(tmp_path, text))


def test_node_types_are_what_the_file_says(tmp_path):
    cluster = read(tmp_path)
    head, driver, gpu = cluster.fleet.types
    assert (cluster.name, cluster.kind, cluster.fleet.max_workers) == ("spots", "Ray's cluster launcher", 10)
    assert head == ("head", 0, 0, None, 0, 0, True, False, {}, None)
    assert driver == ("driver", 2, 0, 16, 0, 2, False, False, {"driver": 1}, None)
    assert gpu == ("gpu_small", 8, 1, None, 1, 4, False, True, {}, None)
    assert cluster.notes == ()


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure"])
def test_rays_own_files_are_read_as_ray_reads_them(provider):
    path = Path(ray.autoscaler.__file__).parent / provider / "defaults.yaml"
    prepared = prepare_config(yaml.safe_load(path.read_text()))
    fleet = read_cluster_file(path).fleet
    assert fleet.max_workers == prepared["max_workers"]
    assert [one.name for one in fleet.types if one.is_head] == [prepared["head_node_type"]]
    for one in fleet.types:
        told = prepared["available_node_types"][one.name]
        assert (one.min_workers, one.max_workers) == (told["min_workers"], told["max_workers"])
        assert (one.cpus, one.gpus) == (told["resources"].get("CPU"), told["resources"].get("GPU", 0))
    assert [one.is_spot for one in fleet.types] == [False, True]


def test_a_type_without_a_limit_has_that_of_all(tmp_path):
    fleet = read(tmp_path, ("    max_workers: 2\n", ""), ("    max_workers: 4\n", "")).fleet
    assert [one.max_workers for one in fleet.types] == [0, 10, 10]


def test_a_file_without_a_limit_has_rays_own(tmp_path):
    assert read(tmp_path, ("max_workers: 10\n", "")).fleet.max_workers == 2


@pytest.mark.parametrize(
    "node_config",
    [
        "{InstanceMarketOptions: {MarketType: spot}}",
        "{scheduling: [{preemptible: true}]}",
        "{scheduling: {provisioningModel: SPOT}}",
        "{azure_arm_parameters: {priority: Spot}}",
    ],
)
def test_each_cloud_has_its_word_for_spot(tmp_path, node_config):
    fleet = read(tmp_path, ("{InstanceType: r7i.xlarge}", node_config)).fleet
    assert fleet.types[1].is_spot


@pytest.mark.parametrize(
    "node_config",
    [
        "{scheduling: [{preemptible: false}]}",
        "{scheduling: {provisioningModel: STANDARD}}",
        "{azure_arm_parameters: {priority: Regular}}",
        "{scheduling: spot}",
    ],
)
def test_a_machine_that_is_nobody_elses_is_no_spot(tmp_path, node_config):
    assert not read(tmp_path, ("{InstanceType: r7i.xlarge}", node_config)).fleet.types[1].is_spot


def test_what_an_anchor_is_merged_into_counts(tmp_path):
    anchors = (
        "head_node_type: head",
        "metadata:\n  spot: &spot {InstanceMarketOptions: {MarketType: spot}}\n"
        "  big: &big {<<: *spot, InstanceType: m7i.large}\nhead_node_type: head",
    )
    fleet = read(tmp_path, anchors, ("{InstanceType: r7i.xlarge}", "{<<: *big, InstanceType: r7i.xlarge}")).fleet
    assert fleet.types[1].is_spot


def test_cpus_that_the_file_leaves_to_the_cloud_are_not_known_and_told_with_the_fix(tmp_path):
    cluster = read(tmp_path, ("{CPU: 8, GPU: 1}", "{}"))
    assert cluster.fleet.types[2].cpus is None
    [note] = cluster.notes
    place = f"{cluster.path}:16: available_node_types.gpu_small.resources: says no CPU; on AWS Ray asks the cloud"
    assert note.startswith(place)
    assert "Write resources: {CPU: .., GPU: .., memory: ..}" in note


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("{CPU: 8, GPU: 1}", "{CPU: -8}")], r":16: .*gpu_small\.resources\.CPU: found -8; must be at least 0"),
        ([("{CPU: 8, GPU: 1}", "{CPU: 4 cores}")], r":16: .*CPU: found the text '4 cores'; expected a whole number"),
        ([("{CPU: 8, GPU: 1}", "{CPU: 7.5}")], r":16: .*CPU: found 7\.5; expected a whole number"),
        ([("17179869184", "16GiB")], r":11: .*memory: found the text '16GiB'; .* Write memory: 17179869184\."),
        ([("17179869184", "16")], r":11: .*memory: found 16 bytes\. If GiB are meant, write memory: 17179869184\."),
        ([("17179869184", "plenty")], r":11: .*memory: found the text 'plenty'; Ray wants bytes, as a whole number\.$"),
        ([("head_node_type: head", "head_node_type: haed")], r":4: head_node_type: found .*Did you mean 'head'\?"),
        ([("head_node_type: head\n", "")], r"head_node_type: is missing"),
        ([("max_workers: 4", "max_workers: 0")], r":14: .*min_workers: found 1; max_workers is 0\. Lower it"),
        ([("max_workers: 10", "max_workers: 0")], r":2: max_workers: found 0; the node types' min_workers are 1"),
        (
            [("type: aws", "type: external"), ("max_workers: 10\n", ""), ("max_workers: 2", "min_workers: 0")],
            "how many",
        ),
        ([("    resources: {CPU: 0}", "    resources: 0")], r":7: .*head\.resources: found 0; expected a mapping"),
        (
            [("  head:\n    resources", "  head: 3\n  other:\n    resources")],
            r":6: .*head: found 3; expected a mapping",
        ),
        ([("{CPU: 8, GPU: 1}", "{CPU: 8, CPU: 1}")], r":16: .*'CPU' stands here twice"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path, changes, message):
    with pytest.raises(SpecError, match=message):
        read(tmp_path, *changes)


def test_all_faults_are_told_at_once(tmp_path):
    prices = "region: us-east-1, prices: {currency: USD, cpu_hour: -1}"
    with pytest.raises(SpecError) as error:
        read(
            tmp_path,
            ("{CPU: 8, GPU: 1}", "{CPU: x}"),
            ("max_workers: 2", "max_workers: y"),
            ("region: us-east-1", prices),
        )
    assert [line.split(": ")[1] for line in error.value.lines] == [
        "provider.prices.cpu_hour",
        "available_node_types.driver.max_workers",
        "available_node_types.gpu_small.resources.CPU",
    ]


def test_an_on_premise_file_says_nothing_of_its_machines(tmp_path):
    text = "cluster_name: lab\nprovider: {type: local, head_ip: 10.0.0.1, worker_ips: [10.0.0.2]}\n"
    cluster = read_cluster_file(written(tmp_path, text))
    assert cluster.fleet is None
    assert cluster.notes[0].startswith(
        f"{cluster.path}:2: provider: an on-premise file doesn't say what its machines have"
    )


def test_a_file_without_node_types_is_read_for_its_prices(tmp_path):
    text = "cluster_name: x\nprovider: {prices: {currency: EUR, cpu_hour: 1}}\navailable_node_types: {}\n"
    cluster = read_cluster_file(written(tmp_path, text))
    assert (cluster.fleet, cluster.prices.currency) == (None, "EUR")
    assert "for its prices alone" in cluster.notes[0]
