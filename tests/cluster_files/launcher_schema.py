"""What may stand in a launcher file where Ray's own schema looks at nothing: `provider` and `node_config`.

AWS's machines are held to boto's model of RunInstances, Azure's to the template that Ray fills, Google's to what we use
of its instances.insert.
"""

import json
from pathlib import Path
from typing import Any

import ray.autoscaler
from cluster_files.closed_schema import BOOL, TEXT, closed, faults, items

_PRICE = {"type": "number", "minimum": 0}
_PRICES = closed(
    "currency cpu_hour",
    currency={"type": "string", "pattern": "^[A-Z]{3}$"},
    cpu_hour=_PRICE,
    gpu_hour=_PRICE,
    memory_gib_hour=_PRICE,
    node_hours={"type": "object", "additionalProperties": _PRICE},
)
_PROVIDERS = {
    "aws": closed(
        "type region use_internal_ips cache_stopped_nodes prices",
        type={"const": "aws"},
        region=TEXT,
        availability_zone=TEXT,
        use_internal_ips=BOOL,
        cache_stopped_nodes=BOOL,
        prices=_PRICES,
    ),
    "gcp": closed(
        "type region availability_zone project_id use_internal_ips prices",
        type={"const": "gcp"},
        region=TEXT,
        availability_zone=TEXT,
        project_id=TEXT,
        use_internal_ips=BOOL,
        cache_stopped_nodes=BOOL,
        prices=_PRICES,
    ),
    "azure": closed(
        "type location resource_group use_internal_ips cache_stopped_nodes prices",
        type={"const": "azure"},
        location=TEXT,
        subscription_id=TEXT,
        resource_group=TEXT,
        availability_zone=TEXT,
        use_internal_ips=BOOL,
        use_external_head_ip=BOOL,
        cache_stopped_nodes=BOOL,
        msi_name=TEXT,
        msi_resource_group=TEXT,
        prices=_PRICES,
    ),
    "local": closed(
        "type head_ip worker_ips prices",
        type={"const": "local"},
        head_ip=TEXT,
        worker_ips=items(TEXT),
        prices=_PRICES,
    ),
}
# Source: Compute Engine v1, instances.insert.
_GCP_NODE = closed(
    "machineType disks networkInterfaces serviceAccounts",
    machineType=TEXT,
    disks=items(
        closed(
            "boot autoDelete initializeParams",
            boot=BOOL,
            autoDelete=BOOL,
            type={"enum": ["PERSISTENT", "SCRATCH"]},
            initializeParams=closed("diskSizeGb sourceImage", diskSizeGb={"type": "integer"}, sourceImage=TEXT),
        )
    ),
    networkInterfaces=items(closed("subnetwork", subnetwork=TEXT)),
    serviceAccounts=items(closed("email scopes", email=TEXT, scopes=items(TEXT))),
    scheduling=closed(
        "provisioningModel",
        provisioningModel={"enum": ["SPOT", "STANDARD"]},
        instanceTerminationAction={"enum": ["DELETE", "STOP"]},
        onHostMaintenance={"enum": ["TERMINATE", "MIGRATE"]},
        automaticRestart=BOOL,
    ),
    shieldedInstanceConfig=closed("", enableSecureBoot=BOOL, enableVtpm=BOOL, enableIntegrityMonitoring=BOOL),
    metadata=closed("items", items=items(closed("key value", key=TEXT, value=TEXT))),
)


def problems(config: dict[str, Any]) -> list[str]:
    """Each fault of a launcher file, as `place: what`."""
    provider = config["provider"]["type"]
    found = [f"provider.{text}" for text in faults(config["provider"], _PROVIDERS[provider])]
    check = {"aws": _aws_problems, "gcp": _gcp_problems, "azure": _azure_problems}.get(provider)
    for name, node_type in config.get("available_node_types", {}).items():
        assert check is not None, f"no schema for the machines of {provider}"
        found += [f"{name}.node_config: {text}" for text in check(node_type["node_config"])]
    prices = set(config["provider"]["prices"].get("node_hours", {}))
    types = set(config.get("available_node_types", {}))
    found += [f"provider.prices.node_hours: {name} is no node type, or has no price" for name in sorted(prices ^ types)]
    return found


def _gcp_problems(node: dict[str, Any]) -> list[str]:
    return list(faults(node, _GCP_NODE))


def _aws_problems(node: dict[str, Any]) -> list[str]:
    import botocore.session
    from botocore.validate import ParamValidator

    asked = {key: value for key, value in node.items() if key != "SubnetIds"}  # Ray takes one of them
    found = [] if node.get("SubnetIds") and all(node["SubnetIds"]) else ["SubnetIds: names no subnet"]
    shape = botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    report = ParamValidator().validate({**asked, "MinCount": 1, "MaxCount": 1}, shape)
    return found + (report.generate_report().splitlines() if report.has_errors() else [])


def _azure_problems(node: dict[str, Any]) -> list[str]:
    template = Path(ray.autoscaler.__file__).parent / "_private" / "_azure" / "azure-vm-template.json"
    parameters = json.loads(template.read_text())["parameters"]
    known = set(parameters) | {"availability_zone"}
    of_ray = {"vmName", "vmCount", "vmTags", "provisionPublicIp", "msi", "nsg", "subnet", "adminUsername", "publicKey"}
    if set(node) - {"azure_arm_parameters", "tags"}:
        return [f"{key}: Azure's machines have no such setting" for key in node if key != "azure_arm_parameters"]
    given = node["azure_arm_parameters"]
    found = [f"{key}: Ray's template has no such parameter" for key in sorted(set(given) - known)]
    found += [f"{key}: Ray sets it itself" for key in sorted(set(given) & of_ray)]
    kinds = {"string": str, "securestring": str, "int": int, "bool": bool, "object": dict, "array": list}
    found += [
        f"{key}: is no {parameters[key]['type']}"
        for key in sorted(set(given) & set(parameters))
        if not isinstance(given[key], kinds[parameters[key]["type"]])
    ]
    return found + ([] if "vmSize" in given else ["vmSize: is missing"])
