"""How a resource of each kind is looked at and deleted: the calls, and the permissions that they take.

`tags` asks for one resource alone, right before it is deleted. `delete` makes the calls; it raises Busy while AWS is
not yet done with what has to end before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore import xform_name

from reaper.ec2 import attached_to
from reaper.plan import Resource
from reaper.services import bucket_tags, listed, mount_targets, profile_tags
from reaper.tags import from_pairs

Tags = Mapping[str, str]


class Busy(Exception):
    """What is deleted still ends, or something else still uses it. The text says what."""


@dataclass(frozen=True)
class Kind:
    """How one kind is deleted. `tags` returns the current tags, and raises botocore's NotFound errors, or LookupError.

    `begin` is what takes AWS long, and is begun for all resources before the first is waited for. `deletes` are the
    actions of IAM that change something, on resources whose ARN is `arn` (partition, region and account come before).
    """

    service: str
    tags: Callable[[Any, Resource], Tags]
    delete: Callable[[Any, Resource], object]
    deletes: tuple[str, ...]
    arn: str
    begin: Callable[[Any, Resource], object] | None = None


def _ec2(
    arn: str, described: str, parameter: str, *actions: str, delete: Callable[[Any, Resource], object] | None = None
) -> Kind:
    """A kind that Describe… returns under the name in it, given a list of `parameter`. Unless `delete` is given, the
    first of the actions deletes one.
    """

    def tags(ec2: Any, resource: Resource) -> Tags:
        found = getattr(ec2, xform_name(f"Describe{described}"))(**{f"{parameter}s": [resource.id]})[described]
        if len(found) != 1:
            raise LookupError(resource.id)
        return from_pairs(found[0].get("Tags"))

    def delete_one(ec2: Any, resource: Resource) -> object:
        return getattr(ec2, xform_name(actions[0]))(**{parameter: resource.id})

    return Kind("ec2", tags, delete or delete_one, tuple(f"ec2:{action}" for action in actions), f"{arn}/*")


def _instance(ec2: Any, resource: Resource) -> Mapping[str, Any]:
    (reservation,) = ec2.describe_instances(InstanceIds=[resource.id])["Reservations"]
    (instance,) = reservation["Instances"]
    return instance  # type: ignore[no-any-return]  # boto3's own description


def _tags_of_instance(ec2: Any, resource: Resource) -> Tags:
    instance = _instance(ec2, resource)
    if instance["State"]["Name"] == "terminated":
        raise LookupError(resource.id)
    return from_pairs(instance.get("Tags"))


def _wait_for_instance(ec2: Any, resource: Resource) -> None:
    state = _instance(ec2, resource)["State"]["Name"]
    if state != "terminated":
        raise Busy(f"it is {state}")


def _revoke_rule(ec2: Any, resource: Resource) -> None:
    _refuse_if_used(ec2, "group-id", resource.facts["group"])
    revoke = ec2.revoke_security_group_egress if resource.facts["is_egress"] else ec2.revoke_security_group_ingress
    revoke(GroupId=resource.facts["group"], SecurityGroupRuleIds=[resource.id])


def _delete_group(ec2: Any, resource: Resource) -> None:
    _refuse_if_used(ec2, "group-id", resource.id)
    ec2.delete_security_group(GroupId=resource.id)


def _delete_gateway(ec2: Any, resource: Resource) -> None:
    """Detaches it, but from no VPC in which somebody is left."""
    (gateway,) = ec2.describe_internet_gateways(InternetGatewayIds=[resource.id])["InternetGateways"]
    for vpc_id in attached_to(gateway):
        _refuse_if_used(ec2, "vpc-id", vpc_id)
        ec2.detach_internet_gateway(InternetGatewayId=resource.id, VpcId=vpc_id)
    ec2.delete_internet_gateway(InternetGatewayId=resource.id)


def _refuse_if_used(ec2: Any, name: str, value: str) -> None:
    found = ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": [value]}])["NetworkInterfaces"]
    if interfaces := sorted(each["NetworkInterfaceId"] for each in found):
        raise Busy(f"{value} is in use by {', '.join(interfaces)}")


def _tags_of_file_system(efs: Any, resource: Resource) -> Tags:
    (system,) = efs.describe_file_systems(FileSystemId=resource.id)["FileSystems"]
    return from_pairs(system.get("Tags"))


def _delete_mount_targets(efs: Any, resource: Resource) -> None:
    for target in mount_targets(efs, resource.id):
        if target["LifeCycleState"] not in ("deleting", "deleted"):
            efs.delete_mount_target(MountTargetId=target["MountTargetId"])


def _delete_file_system(efs: Any, resource: Resource) -> None:
    if left := mount_targets(efs, resource.id):
        raise Busy(f"it has {len(left)} mount targets")
    (system,) = efs.describe_file_systems(FileSystemId=resource.id)["FileSystems"]
    if system["LifeCycleState"] != "deleting":
        efs.delete_file_system(FileSystemId=resource.id)


def _tags_of_bucket(s3: Any, resource: Resource) -> Tags:
    s3.head_bucket(Bucket=resource.id)  # one without tags and one that is gone answer alike
    return bucket_tags(s3, resource.id)


def _delete_bucket(s3: Any, resource: Resource) -> None:
    bucket = resource.id
    for upload in listed(s3, "list_multipart_uploads", "Uploads", Bucket=bucket):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        if objects := [{"Key": each["Key"]} for each in page.get("Contents", [])]:
            errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors", [])
            if errors:
                raise Busy(f"{len(errors)} objects stay, such as {errors[0]['Key']} ({errors[0].get('Code')})")
    s3.delete_bucket(Bucket=bucket)


def _delete_profile(iam: Any, resource: Resource) -> None:
    for role in iam.get_instance_profile(InstanceProfileName=resource.id)["InstanceProfile"]["Roles"]:
        iam.remove_role_from_instance_profile(InstanceProfileName=resource.id, RoleName=role["RoleName"])
    iam.delete_instance_profile(InstanceProfileName=resource.id)


def _delete_role(iam: Any, resource: Resource) -> None:
    for name in iam.list_role_policies(RoleName=resource.id)["PolicyNames"]:
        iam.delete_role_policy(RoleName=resource.id, PolicyName=name)
    iam.delete_role(RoleName=resource.id)


def _delete_rule_of_schedule(events: Any, resource: Resource) -> None:
    if targets := events.list_targets_by_rule(Rule=resource.id)["Targets"]:
        events.remove_targets(Rule=resource.id, Ids=[target["Id"] for target in targets])
    events.delete_rule(Name=resource.id)


def _arn_of(resource: Resource) -> str:
    return next(name for name in sorted(resource.names) if name.startswith("arn:"))


KINDS: Mapping[str, Kind] = {
    "instance": Kind(
        "ec2",
        _tags_of_instance,
        _wait_for_instance,
        ("ec2:TerminateInstances",),
        "instance/*",
        begin=lambda ec2, each: ec2.terminate_instances(InstanceIds=[each.id]),
    ),
    "volume": _ec2("volume", "Volumes", "VolumeId", "DeleteVolume"),
    "elastic-ip": _ec2("elastic-ip", "Addresses", "AllocationId", "ReleaseAddress"),
    "placement-group": _ec2("placement-group", "PlacementGroups", "GroupName", "DeletePlacementGroup"),
    "key-pair": _ec2("key-pair", "KeyPairs", "KeyName", "DeleteKeyPair"),
    "security-group-rule": _ec2(
        "security-group",
        "SecurityGroupRules",
        "SecurityGroupRuleId",
        "RevokeSecurityGroupIngress",
        "RevokeSecurityGroupEgress",
        delete=_revoke_rule,
    ),
    "security-group": _ec2("security-group", "SecurityGroups", "GroupId", "DeleteSecurityGroup", delete=_delete_group),
    "subnet": _ec2("subnet", "Subnets", "SubnetId", "DeleteSubnet"),
    # Removes no association: EC2 refuses while a subnet has one, and that subnet may be somebody else's.
    "route-table": _ec2("route-table", "RouteTables", "RouteTableId", "DeleteRouteTable"),
    "internet-gateway": _ec2(
        "internet-gateway",
        "InternetGateways",
        "InternetGatewayId",
        "DetachInternetGateway",
        "DeleteInternetGateway",
        delete=_delete_gateway,
    ),
    "vpc": _ec2("vpc", "Vpcs", "VpcId", "DeleteVpc", "DetachInternetGateway"),
    "file-system": Kind(
        "efs",
        _tags_of_file_system,
        _delete_file_system,
        ("elasticfilesystem:DeleteMountTarget", "elasticfilesystem:DeleteFileSystem"),
        "file-system/*",
        begin=_delete_mount_targets,
    ),
    "bucket": Kind(
        "s3",
        _tags_of_bucket,
        _delete_bucket,
        ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteBucket"),
        "",
    ),
    "instance-profile": Kind(
        "iam",
        lambda iam, each: profile_tags(iam, each.id),
        _delete_profile,
        ("iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"),
        "instance-profile/",
    ),
    "role": Kind(
        "iam",
        lambda iam, each: from_pairs(iam.list_role_tags(RoleName=each.id)["Tags"]),
        _delete_role,
        ("iam:DeleteRolePolicy", "iam:DeleteRole"),
        "role/",
    ),
    "scheduled-rule": Kind(
        "events",
        lambda events, each: from_pairs(events.list_tags_for_resource(ResourceARN=_arn_of(each))["Tags"]),
        _delete_rule_of_schedule,
        ("events:RemoveTargets", "events:DeleteRule"),
        "rule/",
    ),
    "function": Kind(
        "lambda",
        lambda functions, each: functions.list_tags(Resource=_arn_of(each))["Tags"],
        lambda functions, each: functions.delete_function(FunctionName=each.id),
        ("lambda:DeleteFunction",),
        "function:",
    ),
    "alarm": Kind(
        "cloudwatch",
        lambda alarms, each: from_pairs(alarms.list_tags_for_resource(ResourceARN=_arn_of(each))["Tags"]),
        lambda alarms, each: alarms.delete_alarms(AlarmNames=[each.id]),
        ("cloudwatch:DeleteAlarms",),
        "alarm:",
    ),
    "log-group": Kind(
        "logs",
        lambda logs, each: logs.list_tags_for_resource(resourceArn=_arn_of(each))["tags"],
        lambda logs, each: logs.delete_log_group(logGroupName=each.id),
        ("logs:DeleteLogGroup",),
        "log-group:",
    ),
}
"""By the names in plan.py's ORDER."""
