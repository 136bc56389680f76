"""What aws.yaml comes to in a made-up AWS: Ray's own launcher, and its head under the head's own policy.

A script, since moto and Ray's caches of clients stay in a process. Writes what came of it as JSON.
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path

os.environ.update(
    MOTO_IAM_LOAD_MANAGED_POLICIES="true",
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_DEFAULT_REGION="us-east-1",
    HOME=tempfile.mkdtemp(prefix="gtaws"),  # Ray keeps a key pair there
)

import boto3
from botocore.exceptions import ClientError
from cluster_files.filling_in import CLUSTER, filled_in
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.tags import TAG_RAY_NODE_KIND, TAG_RAY_NODE_NAME, TAG_RAY_NODE_STATUS

ACCOUNT = "123456789012"


def land(config):
    """Makes what iam/README.md makes, and names it in the file."""
    ec2 = boto3.resource("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")
    subnet = vpc.create_subnet(CidrBlock="10.0.1.0/24")
    group = ec2.create_security_group(GroupName="genotune", Description="itself alone", VpcId=vpc.id)
    image = next(iter(ec2.images.all()))
    iam = boto3.client("iam")
    trust = (CLUSTER / "iam" / "aws-trust-policy.json").read_text()
    for who in ("head", "worker"):
        iam.create_role(RoleName=f"genotune-{who}", AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName=f"genotune-{who}", PolicyName="genotune", PolicyDocument=actions_alone(who))
        iam.create_instance_profile(InstanceProfileName=f"genotune-{who}")
        iam.add_role_to_instance_profile(InstanceProfileName=f"genotune-{who}", RoleName=f"genotune-{who}")
    for node_type in config["available_node_types"].values():
        node_type["node_config"].update(ImageId=image.id, SubnetIds=[subnet.id], SecurityGroupIds=[group.id])
    return config


def actions_alone(who):
    """A policy for all resources and without conditions: moto judges actions, and EC2's resources not at all."""
    policy = json.loads((CLUSTER / "iam" / f"aws-{who}-policy.json").read_text())
    statements = [
        {"Effect": found["Effect"], "Action": found["Action"], "Resource": "*"} for found in policy["Statement"]
    ]
    return json.dumps({**policy, "Statement": statements})


def machine(instance):
    return {
        "type": instance.instance_type,
        "spot": instance.instance_lifecycle == "spot",
        "public": instance.public_ip_address,
        "profile": instance.iam_instance_profile["Arn"].partition("/")[2],
        "tokens": instance.metadata_options["HttpTokens"],
        "encrypted": all(volume.encrypted for volume in instance.volumes.all()),
    }


def start(provider, config, node_type, kind):
    tags = {TAG_RAY_NODE_KIND: kind, TAG_RAY_NODE_NAME: node_type, TAG_RAY_NODE_STATUS: "uninitialized"}
    provider.create_node(config["available_node_types"][node_type]["node_config"], tags, 1)


def refused(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"


@mock_aws
def main():
    config = prepare_config(land(filled_in("aws.yaml")))
    validate_config(config)
    resources = AWSNodeProvider.fillout_available_node_types_resources(config)["available_node_types"]
    config = bootstrap_aws(config)
    desk = AWSNodeProvider(config["provider"], config["cluster_name"])
    start(desk, config, "head", "head")
    role = boto3.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/genotune-head", RoleSessionName="head"
    )["Credentials"]
    keys = {
        "aws_access_key_id": role["AccessKeyId"],
        "aws_secret_access_key": role["SecretAccessKey"],
        "aws_session_token": role["SessionToken"],
    }
    with_keys = {**config["provider"], "aws_credentials": keys}
    head = AWSNodeProvider(with_keys, config["cluster_name"])
    ec2 = boto3.resource("ec2")
    with_policy(lambda: start(head, config, "cpu-spot", "worker"))
    started = [machine(instance) for instance in ec2.instances.all()]
    (worker,) = with_policy(lambda: head.non_terminated_nodes({TAG_RAY_NODE_KIND: "worker"}))
    others = with_policy(lambda: denials(keys))
    with_policy(lambda: head.terminate_node(worker))
    desk.terminate_nodes(desk.non_terminated_nodes({}))
    seen = {
        "resources": {name: node_type["resources"] for name, node_type in resources.items()},
        "groups": sorted(group.group_name for group in ec2.security_groups.all()),
        "roles": sorted(role["RoleName"] for role in boto3.client("iam").list_roles()["Roles"]),
        "started": started,
        "left": [instance.state["Name"] for instance in ec2.instances.all()],
        "denied": others,
    }
    sys.stdout.write(f"{json.dumps(seen)}\n")


def with_policy(act):
    """What `act` gives while every request is held to the policy of whoever sends it."""
    return set_initial_no_auth_action_count(0)(act)()


def denials(keys):
    ec2, iam, s3 = (boto3.client(name, **keys) for name in ("ec2", "iam", "s3"))
    return {
        "ec2:CreateSecurityGroup": refused(ec2.create_security_group, GroupName="x", Description="x"),
        "ec2:DescribeSubnets": refused(ec2.describe_subnets),
        "iam:CreateRole": refused(iam.create_role, RoleName="x", AssumeRolePolicyDocument="{}"),
        "s3:ListAllMyBuckets": refused(s3.list_buckets),
    }


if __name__ == "__main__":
    Path(os.environ["HOME"], ".ssh").mkdir()
    logging.disable(logging.INFO)
    main()
