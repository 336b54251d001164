"""Each resource type of the provider against the API: made, found, unmade, and unmade again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.errors import LabError
from lab.leak_check import account_leftovers
from lab.provider import resources
from tests.lab.conftest import REGION, Api

ZONE = f"{REGION}a"
TAGS = {"project": "tidemark", "Name": "one"}

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
GATEWAY = "aws:ec2/internetGateway:InternetGateway"
TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
KEY = "aws:ec2/keyPair:KeyPair"
PLACEMENT = "aws:ec2/placementGroup:PlacementGroup"
INSTANCE = "aws:ec2/instance:Instance"
VOLUME = "aws:ebs/volume:Volume"
ATTACHMENT = "aws:ec2/volumeAttachment:VolumeAttachment"
FILE_SYSTEM = "aws:efs/fileSystem:FileSystem"
MOUNT_TARGET = "aws:efs/mountTarget:MountTarget"
ADDRESS = "aws:ec2/eip:Eip"
ADDRESS_ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation"
BACKUP_POLICY = "aws:efs/backupPolicy:BackupPolicy"
BUCKET = "aws:s3/bucket:Bucket"
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
PROFILE = "aws:iam/instanceProfile:InstanceProfile"
UNTAGGED = (
    ROUTE,
    ASSOCIATION,
    ATTACHMENT,
    ADDRESS_ASSOCIATION,
    MOUNT_TARGET,
    BACKUP_POLICY,
    ACCESS_BLOCK,
    ENCRYPTION,
    BUCKET_POLICY,
    ROLE_POLICY,
)


def policy(action: str, **more: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **more}]})


class Stack:
    """Makes resources, with those that they need before them."""

    def __init__(self, api: Api, public_key: str) -> None:
        self.ec2 = api.ec2
        self.clients = api.clients
        self.made: dict[str, tuple[str, dict[str, Any]]] = {}
        image = api.ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
        self._inputs: dict[str, Callable[[], dict[str, Any]]] = {
            VPC: lambda: {"cidrBlock": "10.20.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": True},
            SUBNET: lambda: {"vpcId": self.id(VPC), "cidrBlock": "10.20.1.0/24", "availabilityZone": ZONE},
            GATEWAY: lambda: {"vpcId": self.id(VPC)},
            TABLE: lambda: {"vpcId": self.id(VPC)},
            ROUTE: lambda: {
                "routeTableId": self.id(TABLE),
                "destinationCidrBlock": "0.0.0.0/0",
                "gatewayId": self.id(GATEWAY),
            },
            ASSOCIATION: lambda: {"routeTableId": self.id(TABLE), "subnetId": self.id(SUBNET)},
            GROUP: lambda: {"name": "members", "description": "Members", "vpcId": self.id(VPC)},
            INGRESS: lambda: {
                "securityGroupId": self.id(GROUP),
                "ipProtocol": "tcp",
                "fromPort": 22.0,
                "toPort": 22.0,
                "cidrIpv4": "198.51.100.0/24",
            },
            EGRESS: lambda: {
                "securityGroupId": self.id(GROUP),
                "ipProtocol": "-1",
                "referencedSecurityGroupId": self.id(GROUP),
            },
            KEY: lambda: {"keyName": "mine", "publicKey": public_key},
            PLACEMENT: lambda: {"name": "near", "strategy": "cluster"},
            INSTANCE: lambda: {
                "ami": image,
                "instanceType": "c4.8xlarge",
                "subnetId": self.id(SUBNET),
                "vpcSecurityGroupIds": [self.id(GROUP)],
                "keyName": self.id(KEY),
                "placementGroup": self.id(PLACEMENT),
                "associatePublicIpAddress": True,
                "cpuOptions": {"coreCount": 2.0, "threadsPerCore": 2.0},
                "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required"},
                "rootBlockDevice": {"volumeType": "gp3", "volumeSize": 8.0, "deleteOnTermination": True},
                "instanceInitiatedShutdownBehavior": "terminate",
            },
            VOLUME: lambda: {"availabilityZone": ZONE, "size": 50.0, "type": "gp2"},
            ATTACHMENT: lambda: {
                "volumeId": self.id(VOLUME),
                "instanceId": self.id(INSTANCE),
                "deviceName": "/dev/sdf",
            },
            ADDRESS: lambda: {"domain": "vpc"},
            ADDRESS_ASSOCIATION: lambda: {"allocationId": self.id(ADDRESS), "instanceId": self.id(INSTANCE)},
            FILE_SYSTEM: lambda: {
                "creationToken": "file-system",
                "encrypted": True,
                "performanceMode": "generalPurpose",
                "throughputMode": "bursting",
            },
            BUCKET: lambda: {"bucket": "of-a-test", "forceDestroy": True},
            ACCESS_BLOCK: lambda: {"bucket": self.id(BUCKET), "blockPublicAcls": True, "blockPublicPolicy": True},
            ENCRYPTION: lambda: {
                "bucket": self.id(BUCKET),
                "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}],
            },
            BUCKET_POLICY: lambda: {
                "bucket": self.id(BUCKET),
                "policy": policy("s3:ListBucket", Principal="*", Resource="arn:aws:s3:::of-a-test"),
            },
            ROLE: lambda: {"name": "uploader", "assumeRolePolicy": policy("sts:AssumeRole", Principal="*")},
            ROLE_POLICY: lambda: {
                "name": "fill",
                "role": self.id(ROLE),
                "policy": policy("s3:PutObject", Resource="arn:aws:s3:::of-a-test/*"),
            },
            PROFILE: lambda: {"name": "uploader", "role": self.id(ROLE)},
            BACKUP_POLICY: lambda: {"fileSystemId": self.id(FILE_SYSTEM), "backupPolicy": {"status": "ENABLED"}},
            MOUNT_TARGET: lambda: {
                "fileSystemId": self.id(FILE_SYSTEM),
                "subnetId": self.id(SUBNET),
                "securityGroups": [self.id(GROUP)],
            },
        }

    def make(self, token: str) -> tuple[str, dict[str, Any]]:
        if token not in self.made:
            inputs = self._inputs[token]()
            if token not in UNTAGGED:
                inputs["tags"] = TAGS
            self.made[token] = resources.create(self.clients, token, inputs)
        return self.made[token]

    def id(self, token: str) -> str:
        return self.make(token)[0]

    def delete(self, token: str) -> None:
        resources.delete(self.clients, token, *self.made[token])

    def exists(self, token: str) -> bool:
        return resources.exists(self.clients, token, self.made[token][0])


@pytest.fixture
def stack(api: Api, lab_folder: Path) -> Stack:
    return Stack(api, (lab_folder / "id_ed25519.pub").read_text())


def test_every_type_that_the_provider_knows_is_tested_here(stack: Stack) -> None:
    assert set(stack._inputs) == set(resources.TOKENS)


@pytest.mark.parametrize("token", resources.TOKENS)
def test_made_found_unmade_and_unmade_again(stack: Stack, token: str) -> None:
    resource_id, outputs = stack.make(token)
    assert resource_id
    assert stack.exists(token)
    inputs = resources.whole_numbers(stack._inputs[token]())
    assert {key: outputs[key] for key in inputs} == inputs
    assert outputs["tagsAll"] == outputs.get("tags", {})
    assert None not in outputs.values()
    stack.delete(token)
    assert not stack.exists(token)
    stack.delete(token)  # gone already is well


def test_all_of_them_are_gone_when_each_is_unmade_twice_over(stack: Stack) -> None:
    """As after a destroy that was killed before it could empty its journal."""
    for token in resources.TOKENS:
        stack.make(token)
    for _ in range(2):
        for token in reversed(list(stack.made)):
            stack.delete(token)
        assert account_leftovers(stack.clients) == []


def test_tags_reach_the_api(stack: Stack) -> None:
    for token in (VPC, SUBNET, GATEWAY, TABLE, GROUP, KEY, INSTANCE, VOLUME, INGRESS, EGRESS):
        stack.make(token)
    found: dict[str, dict[str, str]] = {}
    for tag in stack.ec2.describe_tags()["Tags"]:
        found.setdefault(tag["ResourceId"], {})[tag["Key"]] = tag["Value"]
    for token in (VPC, SUBNET, GATEWAY, TABLE, GROUP, INSTANCE, VOLUME):
        assert found[stack.id(token)] == TAGS, token
    rules = stack.ec2.describe_security_group_rules()["SecurityGroupRules"]
    ours = [rule for rule in rules if rule["SecurityGroupRuleId"] in (stack.id(INGRESS), stack.id(EGRESS))]
    assert [{t["Key"]: t["Value"] for t in rule["Tags"]} for rule in ours] == [TAGS, TAGS]
    pair = stack.ec2.describe_key_pairs(KeyNames=[stack.id(KEY)])["KeyPairs"][0]
    assert {t["Key"]: t["Value"] for t in pair["Tags"]} == TAGS


def test_a_bucket_is_emptied_only_where_that_was_asked_for(stack: Stack) -> None:
    s3 = stack.clients.s3
    bucket, outputs = stack.make(BUCKET)
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"a/{number}", Body=b"x")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        resources.delete(stack.clients, BUCKET, bucket, {**outputs, "forceDestroy": False})
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 3
    stack.delete(BUCKET)
    assert not stack.exists(BUCKET)


def test_a_host_in_a_role_is_known_by_its_instance_profile(stack: Stack) -> None:
    profile = stack.id(PROFILE)
    inputs = {**stack._inputs[INSTANCE](), "iamInstanceProfile": profile}
    instance, _ = resources.create(stack.clients, INSTANCE, inputs)
    found = stack.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert found["IamInstanceProfile"]["Arn"].endswith(f"/{profile}")


def test_a_new_group_lets_nothing_out_that_no_rule_names(stack: Stack) -> None:
    group = stack.ec2.describe_security_groups(GroupIds=[stack.id(GROUP)])["SecurityGroups"][0]
    assert group["IpPermissions"] == []
    assert group["IpPermissionsEgress"] == []


def test_outputs_that_the_program_reads(stack: Stack) -> None:
    _, outputs = stack.make(INSTANCE)
    assert outputs["privateIp"].startswith("10.20.1.")
    assert outputs["publicIp"]
    assert outputs["availabilityZone"] == ZONE
    assert outputs["cpuOptions"] == {"coreCount": 2, "threadsPerCore": 2}
    assert stack.make(KEY)[1]["fingerprint"]


def test_an_attachment_of_an_instance_that_is_gone_is_gone(stack: Stack) -> None:
    stack.make(ATTACHMENT)
    stack.delete(INSTANCE)
    stack.delete(ATTACHMENT)
    assert not stack.exists(ATTACHMENT)


def test_an_instance_takes_its_root_with_it(stack: Stack) -> None:
    stack.make(INSTANCE)
    assert len(stack.ec2.describe_volumes()["Volumes"]) == 1
    stack.delete(INSTANCE)
    assert stack.ec2.describe_volumes()["Volumes"] == []


def test_what_still_has_something_in_it_is_not_unmade(stack: Stack) -> None:
    stack.make(SUBNET)
    with pytest.raises(ClientError, match="DependencyViolation"):
        stack.delete(VPC)
    assert stack.exists(VPC)


@pytest.mark.parametrize(
    "call",
    [
        lambda clients: resources.create(clients, "aws:rds/i:I", {}),
        lambda clients: resources.delete(clients, "aws:rds/i:I", "b", {}),
        lambda clients: resources.exists(clients, "aws:rds/i:I", "b"),
    ],
)
def test_an_unknown_type_is_refused_by_name(api: Api, call: Callable[[Any], object]) -> None:
    with pytest.raises(LabError, match=r"^aws:rds/i:I: not a type that the rehearsal region knows") as fault:
        call(api.clients)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        (50.0, 50),
        (0.5, 0.5),
        (True, True),
        ("1.0", "1.0"),
        ([1.0, {"a": 2.0, "b": None}], [1, {"a": 2, "b": None}]),
    ],
)
def test_whole_numbers_are_integers_again(given: Any, whole: Any) -> None:
    found = resources.whole_numbers(given)
    assert found == whole
    assert type(found) is type(whole)
