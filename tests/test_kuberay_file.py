"""Node types in manifests of KubeRay: read as Ray's autoscaler reads them, and every fault with its line."""

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from genotune.cluster_file import read_cluster_file
from genotune.errors import SpecError

MANIFEST = r"""apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: ray.io/v1
kind: RayCluster
metadata:
  name: sweeps
  namespace: genomics
  annotations:
    genotune/prices: |
      currency: USD
      cpu_hour: 0.04
      gpu_hour: 0.5
      node_hours: {headgroup: 0.2}
spec:
  enableInTreeAutoscaling: true
  headGroupSpec:
    rayStartParams: {num-cpus: "0"}
    template:
      spec:
        containers:
          - name: ray-head
            resources: {limits: {cpu: "2", memory: 8Gi}}
  workerGroupSpecs:
    - groupName: driver
      replicas: 1
      minReplicas: 0
      maxReplicas: 2
      rayStartParams: {resources: '"{\"driver\": 1}"'}
      template:
        spec:
          containers:
            - name: ray-worker
              resources: {limits: {cpu: 500m, memory: 16G}}
            - name: sidecar
              resources: {limits: {cpu: "64"}}
    - groupName: gpu
      minReplicas: 1
      maxReplicas: 4
      numOfHosts: 2
      rayStartParams: {}
      template:
        spec:
          nodeSelector: {cloud.google.com/gke-spot: "true"}
          containers:
            - name: ray-worker
              resources: {limits: {cpu: "8", memory: 32Gi, nvidia.com/gpu: "1"}}
"""


def written(tmp_path, text):
    path = tmp_path / "raycluster.yaml"
    path.write_text(text)
    return path


def changed(*changes):
    text = MANIFEST
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def read(tmp_path, *changes):
    return read_cluster_file(written(tmp_path, changed(*changes)))


def test_node_types_are_what_the_manifest_says(tmp_path):
    cluster = read(tmp_path)
    head, driver, gpu = cluster.fleet.types
    assert (cluster.name, cluster.kind, cluster.fleet.max_workers) == ("sweeps", "KubeRay", 10)
    assert head == ("headgroup", 0, 0, 8, 0, 0, True, False, {}, 0.2)
    assert driver == ("driver", 1, 0, 16e9 / 2**30, 0, 2, False, False, {"driver": 1}, 0.04)
    assert gpu == ("gpu", 8, 1, 32, 2, 8, False, True, {}, pytest.approx(8 * 0.04 + 0.5))


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("rayStartParams: {}", 'rayStartParams: {num-cpus: "3", num-gpus: "2", memory: "1000000000"}')],
        [("      numOfHosts: 2\n", "      resources: {CPU: 5, GPU: '1', memory: 4Gi, fast: 2}\n")],
        [('limits: {cpu: "8", memory: 32Gi, nvidia.com/gpu: "1"}', "requests: {cpu: 1500m, amd.com/gpu: 2}")],
    ],
)
def test_ray_reads_the_same(tmp_path, changes):
    cluster = read(tmp_path, *changes)
    [_, manifest] = yaml.safe_load_all(changed(*changes))
    told = _derive_autoscaling_config_from_ray_cr(manifest)
    assert cluster.fleet.max_workers == told["max_workers"]
    assert [one.name for one in cluster.fleet.types] == list(told["available_node_types"])
    for one in cluster.fleet.types:
        of_ray = told["available_node_types"][one.name]
        resources = dict(of_ray["resources"])
        assert (one.min_workers, one.max_workers) == (of_ray["min_workers"], of_ray["max_workers"])
        assert (one.cpus, one.gpus) == (resources.pop("CPU"), resources.pop("GPU", 0))
        memory = resources.pop("memory", None)
        assert one.memory_gib == (None if memory is None else memory / 2**30)
        assert one.custom == resources


def test_a_ray_job_brings_its_cluster(tmp_path):
    [_, manifest] = yaml.safe_load_all(MANIFEST)
    job = {**manifest, "kind": "RayJob", "spec": {"rayClusterSpec": manifest["spec"]}}
    cluster = read_cluster_file(written(tmp_path, yaml.safe_dump(job)))
    assert cluster.kind == "KubeRay, a job"
    assert cluster.fleet == read(tmp_path).fleet


def test_without_the_autoscaler_there_are_as_many_as_are_said(tmp_path):
    fleet = read(tmp_path, ("  enableInTreeAutoscaling: true\n", "")).fleet
    assert [(one.min_workers, one.max_workers) for one in fleet.types] == [(0, 0), (1, 1), (2, 2)]


def spot(tmp_path, pod):
    return read(tmp_path, ('nodeSelector: {cloud.google.com/gke-spot: "true"}', pod)).fleet.types[2].is_spot


AFFINITY = (
    "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{"
    "matchExpressions: [{{key: karpenter.sh/capacity-type, operator: {}, values: [spot]}}]}}]}}}}}}"
)


@pytest.mark.parametrize(
    ("pod", "is_spot"),
    [
        ("nodeSelector: {karpenter.sh/capacity-type: spot}", True),
        ("nodeSelector: {karpenter.sh/capacity-type: on-demand}", False),
        ("nodeSelector: {eks.amazonaws.com/capacityType: SPOT}", True),
        ("tolerations: [{key: kubernetes.azure.com/scalesetpriority, value: spot, effect: NoSchedule}]", True),
        ("tolerations: [{key: nvidia.com/gpu, operator: Exists}]", False),
        (AFFINITY.format("In"), True),
        (AFFINITY.format("NotIn"), False),
        ("hostNetwork: false", False),
    ],
)
def test_spot_is_what_the_pods_may_run_on(tmp_path, pod, is_spot):
    assert spot(tmp_path, pod) == is_spot


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([('cpu: "8"', "cpu: 4 cores")], r":48: .*limits\.cpu: found the text '4 cores'; .* e\.g\. 4, 500m or 16Gi"),
        ([('cpu: "8"', 'cpu: "-8"')], r":48: .*limits\.cpu: found -8; must be at least 0"),
        ([('cpu: "8", ', "")], r":48: .*resources: says no CPU\. Write limits"),
        ([("      maxReplicas: 4\n", "")], r"workerGroupSpecs\[1\]\.maxReplicas: is missing, .* without end"),
        ([("minReplicas: 1", "minReplicas: 5")], r":39: .*minReplicas: found 5; maxReplicas is 4"),
        (
            [("    - groupName: gpu\n      minReplicas", "    - minReplicas")],
            r"workerGroupSpecs\[1\]\.groupName: is missing",
        ),
        ([("groupName: gpu", "groupName: driver")], r"workerGroupSpecs: two groups are called 'driver'"),
        ([(r"""'"{\"driver\": 1}"'""", """'{"driver": 1}'""")], r":30: .*resources: found .* two pairs of quotation"),
        ([("  headGroupSpec:", "  headGroup:")], r":16: spec\.headGroupSpec: is missing"),
        ([("            - name: sidecar", "            - name: [sidecar")], r"not YAML"),
        ([("cpu_hour: 0.04", "cpu_hour: -1")], r":13: metadata\.annotations\.genotune/prices\.cpu_hour: found -1"),
        ([("cpu_hour: 0.04", "cpu_hour: [")], r":1[3-5]: metadata\.annotations\.genotune/prices: not YAML"),
        (
            [("{headgroup: 0.2}", "{headgrup: 0.2}")],
            r":15: .*node_hours\.headgrup: there is no .* Did you mean 'headgroup'",
        ),
        (
            [("genotune/prices: |", "genotune/prices:")],
            r":11: metadata\.annotations\.genotune/prices: found a mapping .*; an annotation is text: write",
        ),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path, changes, message):
    with pytest.raises(SpecError, match=message):
        read(tmp_path, *changes)


def test_a_table_in_one_line_is_told_with_that_line(tmp_path):
    old = MANIFEST[MANIFEST.index("    genotune/prices") : MANIFEST.index("spec:\n")]
    one_line = '    genotune/prices: "{currency: USD, cpu_hour: x}"\n'
    with pytest.raises(SpecError, match=r":11: metadata\.annotations\.genotune/prices\.cpu_hour: found the text 'x'"):
        read(tmp_path, (old, one_line))


def test_a_job_on_a_cluster_of_another_file_is_told(tmp_path):
    job = "apiVersion: ray.io/v1\nkind: RayJob\nmetadata: {name: x}\nspec: {clusterSelector: {a: b}}\n"
    with pytest.raises(SpecError, match=r":4: spec\.rayClusterSpec: is missing\. A RayJob that picks a cluster"):
        read_cluster_file(written(tmp_path, job))
