"""The files for Kubernetes: a strict schema, what Ray's autoscaler reads in them, and what must hold of each."""

import copy
from pathlib import Path

import pytest
import yaml
from cluster_files.kuberay_schema import problems
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr as autoscaling

from genotune.prices import Prices

FOLDER = Path(__file__).parents[2] / "cluster"
FILES = ["kuberay.yaml", "kuberay-job.yaml", "kuberay-access.yaml"]


def documents(name):
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def cluster(name):
    """The cluster of a file, as one that stands alone."""
    (found,) = documents(name)
    spec = found["spec"].get("rayClusterSpec", found["spec"])
    return {"metadata": found["metadata"], "spec": spec}


def pods(name):
    (found,) = documents(name)
    spec = cluster(name)["spec"]
    templates = [spec["headGroupSpec"]["template"], *(group["template"] for group in spec["workerGroupSpecs"])]
    return templates + ([found["spec"]["submitterPodTemplate"]] if found["kind"] == "RayJob" else [])


@pytest.mark.parametrize("name", FILES)
def test_each_document_holds_what_the_schema_knows_and_nothing_else(name):
    assert [fault for document in documents(name) for fault in problems(document)] == []


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda spec: spec.update(authOption={"mode": "token"}), "'authOption' was unexpected"),
        (lambda spec: spec["authOptions"].update(mode="disabled"), "'token' was expected"),
        (lambda spec: spec["headGroupSpec"].update(serviceType="LoadBalancer"), "'ClusterIP' was expected"),
        (
            lambda spec: spec["workerGroupSpecs"][0]["template"]["spec"]["containers"][0].update(image="genotune"),
            "'genotune' does not match",
        ),
        (
            lambda spec: spec["workerGroupSpecs"][0]["template"]["spec"].pop("securityContext"),
            "'securityContext' is a required property",
        ),
    ],
)
def test_a_fault_of_a_cluster_is_told(break_it, message):
    (document,) = documents("kuberay.yaml")
    document = copy.deepcopy(document)
    break_it(document["spec"])
    assert any(message in fault for fault in problems(document))


@pytest.mark.parametrize("name", ["kuberay.yaml", "kuberay-job.yaml"])
def test_the_autoscaler_reads_a_head_without_cpu_one_group_of_drivers_and_spot_groups_from_zero(name):
    types = autoscaling(cluster(name))["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == 0
    assert types["driver"]["resources"] == {"CPU": 0, "driver": 1, "memory": 28 * 2**30}
    assert types["gpu-small-spot"]["resources"]["GPU"] == 1
    spot = [kind for kind in types if kind.endswith("-spot")]
    assert len(spot) >= 2
    assert all(types[kind]["min_workers"] == 0 for kind in spot)


def test_the_prices_are_those_of_the_node_types_that_the_autoscaler_reads():
    prices = yaml.safe_load(cluster("kuberay.yaml")["metadata"]["annotations"]["genotune/prices"])
    assert set(prices.pop("node_hours")) == set(autoscaling(cluster("kuberay.yaml"))["available_node_types"])
    assert Prices(**prices).currency == "USD"


@pytest.mark.parametrize("name", ["kuberay.yaml", "kuberay-job.yaml"])
def test_every_pod_is_within_the_network_policy_and_drivers_are_never_on_spot_nodes(name):
    (policy,) = [document for document in documents("kuberay-access.yaml") if document["kind"] == "NetworkPolicy"]
    chosen = policy["spec"]["podSelector"]["matchLabels"].items()
    assert all(chosen <= pod["metadata"]["labels"].items() for pod in pods(name))
    for group in cluster(name)["spec"]["workerGroupSpecs"]:
        spot = group["groupName"].endswith("-spot")
        assert ("tolerations" in group["template"]["spec"]) == spot
        assert group["template"]["spec"]["nodeSelector"]["genotune/pool"] == (
            group["groupName"] if spot else "on-demand"
        )


def test_every_account_that_a_pod_names_is_made():
    made = {
        found["metadata"]["name"] for found in documents("kuberay-access.yaml") if found["kind"] == "ServiceAccount"
    }
    named = {pod["spec"].get("serviceAccountName") for name in FILES[:2] for pod in pods(name)} - {None}
    assert named == made


def test_a_job_runs_on_a_driver_node_under_its_own_name_and_is_tried_again():
    (job,) = documents("kuberay-job.yaml")
    name = job["metadata"]["name"]
    assert job["spec"]["entrypoint"] == f"genotune run /specs/spec.yaml --as {name}"
    assert job["spec"]["entrypointResources"] == '{"driver": 1}'
    assert job["spec"]["backoffLimit"] > 0
    (driver,) = [group for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"] if group["groupName"] == "driver"]
    assert driver["template"]["spec"]["volumes"] == [{"name": "specs", "configMap": {"name": name}}]


def test_requests_are_limits_so_that_no_pod_is_evicted_for_what_others_take():
    for name in FILES[:2]:
        for group in cluster(name)["spec"]["workerGroupSpecs"]:
            for container in group["template"]["spec"]["containers"]:
                assert container["resources"]["requests"] == container["resources"]["limits"], group["groupName"]
