"""A cluster file as a whole: what is one, and its prices by node type."""

import pytest

from genotune.cluster_file import read_cluster_file
from genotune.errors import SpecError

FILE = """\
cluster_name: x
max_workers: 3
provider:
  type: gcp
  prices: {currency: EUR, cpu_hour: 0.1, gpu_hour: 2, memory_gib_hour: 0.01, node_hours: {cheap: 0.05}}
head_node_type: head
available_node_types:
  head: {resources: {CPU: 2}, node_config: {}}
  cheap: {resources: {CPU: 4}, node_config: {}}
  gpu: {resources: {CPU: 4, GPU: 2, memory: 10737418240}, node_config: {}}
"""
UNKNOWN = "describes no cluster: neither a file of Ray's cluster launcher"


def read(tmp_path, text):
    (tmp_path / "cluster.yaml").write_text(text)
    return read_cluster_file(tmp_path / "cluster.yaml")


def test_a_machine_costs_what_the_table_says_or_what_it_has(tmp_path):
    prices = [one.price_hour for one in read(tmp_path, FILE).fleet.types]
    assert prices[1:] == [0.05, pytest.approx(4 * 0.1 + 2 * 2 + 10 * 0.01)]


def test_a_machine_whose_memory_has_a_price_and_is_not_known_has_none(tmp_path):
    assert read(tmp_path, FILE).fleet.types[0].price_hour is None
    free = read(tmp_path, FILE.replace("memory_gib_hour: 0.01, ", ""))
    assert free.fleet.types[0].price_hour == pytest.approx(0.2)


def test_a_machine_with_gpus_of_unknown_price_has_none(tmp_path):
    assert read(tmp_path, FILE.replace("gpu_hour: 2, ", "")).fleet.types[2].price_hour is None


def test_a_price_of_no_node_type_is_refused_with_what_is_near(tmp_path):
    message = r":5: provider\.prices\.node_hours\.cheep: there is no node type 'cheep'\. Did you mean 'cheap'\?"
    with pytest.raises(SpecError, match=message):
        read(tmp_path, FILE.replace("cheap: 0.05", "cheep: 0.05"))


@pytest.mark.parametrize("price", ["-1", ".inf", "x"])
def test_a_price_that_is_none_is_refused(tmp_path, price):
    with pytest.raises(SpecError, match=r":5: provider\.prices\.node_hours\.cheap: found"):
        read(tmp_path, FILE.replace("cheap: 0.05", f"cheap: {price}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", UNKNOWN),
        ("- a\n- b\n", UNKNOWN),
        ("just words\n", UNKNOWN),
        ("name: sweep\nmodels: []\n", UNKNOWN),
        ("apiVersion: v1\nkind: Pod\n", UNKNOWN),
        ("kind: [RayCluster]\n", UNKNOWN),
        ("provider: 3\n", r":1: provider: found 3; expected a mapping"),
        ("provider: [\n", "not YAML"),
        ("#!/bin/bash\n#SBATCH --nodes=2\nray start\n", r":1: a Slurm script, .* Give --address of the Ray"),
        (
            "kind: RayCluster\nspec: {}\n---\nkind: RayCluster\nspec: {}\n",
            r":4: describes 2 clusters \(lines 1, 4\)\. Keep",
        ),
        ("available_node_types: [a]\n", r":1: available_node_types: found a list of 1; expected a mapping"),
    ],
)
def test_what_is_no_cluster_file_is_told(tmp_path, text, message):
    with pytest.raises(SpecError, match=message):
        read(tmp_path, text)


def test_a_file_that_can_not_be_read_is_told_as_what_it_is(tmp_path):
    with pytest.raises(SpecError, match=r"none\.yaml: no such file\.$"):
        read_cluster_file(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match=r"a folder; give the cluster file in it\."):
        read_cluster_file(tmp_path)
    (tmp_path / "cluster.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(SpecError, match=r"not text in UTF-8; a cluster file is YAML\."):
        read_cluster_file(tmp_path / "cluster.yaml")
