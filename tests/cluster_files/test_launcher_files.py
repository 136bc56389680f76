"""The files of Ray's cluster launcher: Ray's own judgement, a strict schema, and what must hold of each."""

import copy
import re

import pytest
import yaml
from cluster_files.filling_in import CLUSTER, filled_in
from cluster_files.launcher_schema import problems
from ray.autoscaler._private.util import prepare_config, validate_config

from genotune.prices import Prices

CLOUDS = ["aws.yaml", "gcp.yaml", "azure.yaml"]
ALL = [*CLOUDS, "on-premise.yaml"]


@pytest.mark.parametrize("name", ALL)
def test_a_file_that_is_filled_in_is_one_for_ray_and_for_us(name):
    config = filled_in(name)
    validate_config(prepare_config(copy.deepcopy(config)))
    assert problems(config) == []


@pytest.mark.parametrize("name", ALL)
def test_ray_refuses_a_file_that_nobody_has_filled_in(name):
    config = yaml.safe_load((CLUSTER / name).read_text())
    with pytest.raises(
        (AssertionError, TypeError), match=r"Must provide a container & image name|'NoneType' has no len"
    ):
        validate_config(prepare_config(config))


@pytest.mark.parametrize(
    ("name", "node_type", "break_it", "problem"),
    [
        ("aws.yaml", "cpu-spot", lambda node: node.update(InstanceMarketOption={}), "InstanceMarketOption"),
        ("aws.yaml", "driver", lambda node: node["MetadataOptions"].update(HttpToken="required"), "HttpToken"),
        ("gcp.yaml", "cpu-spot", lambda node: node["scheduling"].update(provisionModel="SPOT"), "provisionModel"),
        ("azure.yaml", "cpu-spot", lambda node: node["azure_arm_parameters"].update(vmsize="x"), "vmsize"),
        (
            "azure.yaml",
            "driver",
            lambda node: node["azure_arm_parameters"].update(imageSku=2204),
            "imageSku: is no string",
        ),
    ],
)
def test_a_fault_of_a_machine_is_told_though_ray_accepts_it(name, node_type, break_it, problem):
    config = copy.deepcopy(filled_in(name))
    break_it(config["available_node_types"][node_type]["node_config"])
    validate_config(prepare_config(copy.deepcopy(config)))
    (found,) = problems(config)
    assert found.startswith(f"{node_type}.node_config: ")
    assert problem in found


@pytest.mark.parametrize("name", ALL)
def test_a_misspelt_key_of_the_provider_is_told_though_ray_accepts_it(name):
    config = filled_in(name)
    config["provider"]["regoin"] = "us-east-1"
    validate_config(prepare_config(copy.deepcopy(config)))
    assert any("'regoin' was unexpected" in problem for problem in problems(config))


@pytest.mark.parametrize("name", CLOUDS)
def test_a_node_type_without_a_price_is_told(name):
    config = filled_in(name)
    del config["provider"]["prices"]["node_hours"]["driver"]
    assert problems(config) == ["provider.prices.node_hours: driver is no node type, or has no price"]


@pytest.mark.parametrize("name", ALL)
def test_prices_of_resources_are_those_that_genotune_reads(name):
    prices = filled_in(name)["provider"]["prices"]
    prices.pop("node_hours", None)
    assert Prices(**prices).currency == "USD"


@pytest.mark.parametrize("name", CLOUDS)
def test_the_head_and_the_drivers_have_no_cpu_for_trials_and_only_workers_are_spot(name):
    types = filled_in(name)["available_node_types"]
    assert types["head"]["resources"]["CPU"] == types["driver"]["resources"]["CPU"] == 0
    assert [kind for kind, node in types.items() if "driver" in node["resources"]] == ["driver"]
    spot = {kind for kind, node in types.items() if "spot" in str(node["node_config"]).lower()}
    assert spot == {kind for kind in types if kind.endswith("-spot")}
    assert len(spot) == 3
    assert all(types[kind]["min_workers"] == 0 for kind in types if kind != "head"), "an idle hour costs the head alone"
    assert all("memory" in types[kind]["resources"] for kind in types if kind != "head")


@pytest.mark.parametrize("name", CLOUDS)
def test_no_more_workers_are_named_than_the_cluster_may_have(name):
    config = filled_in(name)
    types = config["available_node_types"]
    assert sum(node["max_workers"] for kind, node in types.items() if kind != "head") == config["max_workers"]


@pytest.mark.parametrize("name", ALL)
def test_nothing_listens_to_the_world_and_everything_asks_for_the_token(name):
    config = filled_in(name)
    (start,) = [command for command in config["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in start
    assert "0.0.0.0" not in (CLUSTER / name).read_text()
    assert "--env=RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    if name in CLOUDS:
        assert config["provider"]["use_internal_ips"] is True
        assert config["provider"]["cache_stopped_nodes"] is False


def test_aws_machines_ask_for_session_tokens_of_metadata_and_encrypt_their_disks():
    for kind, node_type in filled_in("aws.yaml")["available_node_types"].items():
        node = node_type["node_config"]
        assert node["MetadataOptions"]["HttpTokens"] == "required", kind
        assert all(
            disk["Ebs"]["Encrypted"] and disk["Ebs"]["DeleteOnTermination"] for disk in node["BlockDeviceMappings"]
        )
        assert node["IamInstanceProfile"]["Name"] == ("genotune-head" if kind == "head" else "genotune-worker")
        assert node["SecurityGroupIds"], "Ray would make one that is open to the world on port 22"


def test_google_machines_have_no_public_address_and_an_account_of_their_own():
    for kind, node_type in filled_in("gcp.yaml")["available_node_types"].items():
        node = node_type["node_config"]
        assert all("accessConfigs" not in interface for interface in node["networkInterfaces"])
        assert node["serviceAccounts"][0]["email"].startswith(
            "genotune-head@" if kind == "head" else "genotune-worker@"
        )


@pytest.mark.parametrize("name", ALL)
def test_no_secret_stands_in_a_file(name):
    text = (CLUSTER / name).read_text()
    assert not re.search(r"(?i)(password|secret_access_key|token)\s*[:=]\s*['\"]?[A-Za-z0-9+/]{12,}", text)
    assert "AKIA" not in text.replace("e.g.", "")


@pytest.mark.parametrize("name", [*ALL, "kuberay.yaml", "kuberay-job.yaml", "slurm.sbatch"])
def test_the_first_lines_say_what_starts_what_it_costs_and_the_three_commands(name):
    head = "\n".join((CLUSTER / name).read_text().splitlines()[:14])
    assert re.search(r"^# Starts ", head, re.MULTILINE)
    assert re.search(r"[Aa]n\s(# )?idle\s(# )?hour\s(# )?costs", head)
    for word in ("start", "use", "end"):
        assert re.search(rf"^#   {word} +\S", head, re.MULTILINE), word
