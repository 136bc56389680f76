"""aws.yaml in a made-up AWS, and the policies of its roles."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from builders import clean_environment

TESTS = Path(__file__).parents[1]
IAM = TESTS.parent / "cluster" / "iam"


def statements(name):
    return json.loads((IAM / name).read_text())["Statement"]


@pytest.fixture(scope="module")
def rehearsal():
    """What `aws_rehearsal.py` saw."""
    pytest.importorskip("moto.ec2", reason="needs moto[ec2,iam,s3]")
    done = subprocess.run(
        [sys.executable, "-m", "cluster_files.aws_rehearsal"],
        cwd=TESTS,
        env={**clean_environment(), "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_head_and_a_spot_worker_start_private_encrypted_and_with_their_own_roles(rehearsal):
    same = {"public": None, "tokens": "required", "encrypted": True}
    assert rehearsal["started"] == [
        {"type": "m7i.large", "spot": False, "profile": "genotune-head", **same},
        {"type": "c7i.4xlarge", "spot": True, "profile": "genotune-worker", **same},
    ]


@pytest.mark.slow
def test_ray_makes_no_role_and_no_security_group_of_its_own(rehearsal):
    assert rehearsal["roles"] == ["genotune-head", "genotune-worker"]
    assert set(rehearsal["groups"]) == {"default", "genotune"}


@pytest.mark.slow
def test_the_heads_policy_is_enough_to_start_and_end_workers_and_for_nothing_else(rehearsal):
    assert rehearsal["left"] == ["terminated", "terminated"]
    assert rehearsal["denied"] == {
        "ec2:CreateSecurityGroup": "AccessDenied",
        "ec2:DescribeSubnets": "AccessDenied",
        "iam:CreateRole": "AccessDenied",
        "s3:ListAllMyBuckets": "AccessDenied",
    }


@pytest.mark.slow
def test_ray_finds_the_cpus_and_gpus_of_the_machines_that_the_file_names(rehearsal):
    found = rehearsal["resources"]
    assert found["head"] == {"CPU": 0}
    assert found["driver"]["CPU"] == 0
    assert found["gpu-small-spot"]["accelerator_type:L4"] == 1
    assert found["gpu-large-spot"]["GPU"] == 4


def test_the_head_may_start_and_end_machines_of_its_own_cluster_alone():
    for statement in statements("aws-head-policy.json"):
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        assert not any("*" in action for action in actions), statement["Sid"]
        if statement["Resource"] == "*":
            assert all(action.startswith("ec2:Describe") for action in actions), statement["Sid"]
        if {"ec2:TerminateInstances", "ec2:CreateTags"} & set(actions):
            (condition,) = statement["Condition"]["StringEquals"].items()
            assert condition in [("aws:ResourceTag/ray-cluster-name", "genotune"), ("ec2:CreateAction", "RunInstances")]
        if "iam:PassRole" in actions:
            assert statement["Resource"].endswith(":role/genotune-worker")


def test_a_worker_may_touch_its_bucket_its_login_and_its_image_alone():
    for statement in statements("aws-worker-policy.json"):
        assert not re.search(r"\*", str(statement["Action"])), statement["Sid"]
        if statement["Resource"] == "*":
            assert statement["Action"] == "ecr:GetAuthorizationToken", "AWS knows no narrower resource for it"
