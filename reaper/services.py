"""Finds what the other services have of this project: EFS, S3, IAM, and those of the scheduled reaper."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

from botocore.exceptions import ClientError

from reaper.plan import GLOBAL, Resource, ref
from reaper.tags import PROJECT, PROJECT_KEY, from_pairs, is_ours

PREFIX = f"{PROJECT}-"
"""The names of this project's roles, instance profiles, buckets, rules and alarms begin so; others are not looked at.
A name says nothing about the owner: the tags do.
"""

_GONE_SUFFIXES = ("NotFound", ".Unknown", "NotFoundException")
_GONE_CODES = frozenset({"NoSuchEntity", "NoSuchBucket", "404", "ResourceNotFound"})


def error_code(error: Exception) -> str:
    """Returns the code of an error that AWS answered; empty for another error."""
    return str(error.response.get("Error", {}).get("Code")) if isinstance(error, ClientError) else ""


def is_gone(error: Exception) -> bool:
    """Returns whether AWS answered that what was asked for does not exist."""
    code = error_code(error)
    return code.endswith(_GONE_SUFFIXES) or code in _GONE_CODES


@contextlib.contextmanager
def unless_gone() -> Iterator[None]:
    """Leaves the block when what it asks for was deleted after it had been listed; the others are found."""
    try:
        yield
    except ClientError as error:
        if not is_gone(error):
            raise


def listed(client: Any, call: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Returns what a call lists under a key, of all its pages."""
    for page in client.get_paginator(call).paginate(**arguments):
        yield from page.get(key, [])


def find_file_systems(efs: Any, region: str) -> Iterator[Resource]:
    """Returns file systems, which need the networks of their mount targets."""
    for system in listed(efs, "describe_file_systems", "FileSystems"):
        with unless_gone():
            tags = from_pairs(system.get("Tags"))
            if not is_ours(tags):
                continue
            needs: set[str] = set()
            targets = mount_targets(efs, system["FileSystemId"])
            for target in targets:
                needs |= {ref("subnet", target["SubnetId"])}
                if "VpcId" in target:
                    needs.add(ref("vpc", target["VpcId"]))
                with unless_gone():
                    answer = efs.describe_mount_target_security_groups(MountTargetId=target["MountTargetId"])
                    needs |= {ref("security-group", group) for group in answer["SecurityGroups"]}
            yield Resource(
                region,
                "file-system",
                system["FileSystemId"],
                tags,
                frozenset(needs),
                names=frozenset({system.get("FileSystemArn", system["FileSystemId"])}),
                created_at=system["CreationTime"],
                facts={
                    "bytes": system["SizeInBytes"]["Value"],
                    "one_zone": "AvailabilityZoneName" in system,
                    "throughput_mode": system.get("ThroughputMode"),
                    "provisioned_mib_per_s": system.get("ProvisionedThroughputInMibps"),
                    "interfaces": frozenset(
                        target["NetworkInterfaceId"] for target in targets if "NetworkInterfaceId" in target
                    ),
                },
            )


def mount_targets(efs: Any, file_system_id: str) -> list[dict[str, Any]]:
    """Returns the mount targets of a file system, also those that are being deleted."""
    return list(listed(efs, "describe_mount_targets", "MountTargets", FileSystemId=file_system_id))


def find_buckets(s3: Any, regions: Collection[str]) -> Iterator[Resource]:
    """Returns the buckets of these regions. One with versions is not this project's making, so it is left alone."""
    for bucket in s3.list_buckets().get("Buckets", []):
        with unless_gone():
            name = bucket["Name"]
            tags = bucket_tags(s3, name) if name.startswith(PREFIX) else {}
            if not is_ours(tags):
                continue
            # us-east-1 has no LocationConstraint, and an old bucket of eu-west-1 may have "EU".
            place = s3.get_bucket_location(Bucket=name).get("LocationConstraint") or "us-east-1"
            region = "eu-west-1" if place == "EU" else place
            if region in regions:
                versions = s3.get_bucket_versioning(Bucket=name).get("Status")
                barriers = ("it keeps versions, which no stack of this project asks for",) if versions else ()
                yield Resource(region, "bucket", name, tags, barriers=barriers, created_at=bucket["CreationDate"])


def bucket_tags(s3: Any, name: str) -> dict[str, str]:
    """Returns a bucket's tags; none if it has none, or is another account's."""
    try:
        return from_pairs(s3.get_bucket_tagging(Bucket=name)["TagSet"])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchTagSet", "NoSuchBucket", "AccessDenied"):
            return {}
        raise


def find_in_iam(iam: Any) -> Iterator[Resource]:
    """Returns roles and instance profiles. A profile needs its roles."""
    for profile in listed(iam, "list_instance_profiles", "InstanceProfiles"):
        with unless_gone():
            name = profile["InstanceProfileName"]
            roles = frozenset(ref("role", role["RoleName"]) for role in profile["Roles"])
            # Profiles of others are there only for the roles that they need.
            if not name.startswith(PREFIX) and not any(role.startswith(ref("role", PREFIX)) for role in roles):
                continue
            tags = profile_tags(iam, name)
            names = frozenset({profile["Arn"]})
            yield Resource(GLOBAL, "instance-profile", name, tags, roles, names=names)
    for role in listed(iam, "list_roles", "Roles"):
        with unless_gone():
            name = role["RoleName"]
            if not name.startswith(PREFIX):
                continue
            tags = from_pairs(iam.list_role_tags(RoleName=name)["Tags"])
            if not is_ours(tags):
                continue
            managed = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            barriers = tuple(f"the policy {each['PolicyName']} is attached to it" for each in managed)
            yield Resource(
                GLOBAL,
                "role",
                name,
                tags,
                barriers=barriers,
                names=frozenset({role["Arn"]}),
                created_at=role["CreateDate"],
            )


def profile_tags(iam: Any, name: str) -> dict[str, str]:
    """Returns the tags of an instance profile."""
    return from_pairs(iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"].get("Tags"))


def find_scheduled_reapers(client: Callable[[str], Any], region: str) -> Iterator[Resource]:
    """Returns the parts of scheduled reapers. Rule and function need the role, a function its log group."""
    events, functions, alarms, logs = (client(service) for service in ("events", "lambda", "cloudwatch", "logs"))
    for rule in listed(events, "list_rules", "Rules", NamePrefix=PREFIX):
        with unless_gone():
            tags = from_pairs(events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"])
            yield Resource(region, "scheduled-rule", rule["Name"], tags, names=frozenset({rule["Arn"]}))
    for function in listed(functions, "list_functions", "Functions"):
        with unless_gone():
            name = function["FunctionName"]
            if name.startswith(PREFIX):
                tags = functions.list_tags(Resource=function["FunctionArn"])["Tags"]
                needs = {ref("role", function["Role"].rpartition("/")[2])}
                if group := function.get("LoggingConfig", {}).get("LogGroup"):
                    needs.add(ref("log-group", group))
                names = frozenset({function["FunctionArn"]})
                yield Resource(region, "function", name, tags, frozenset(needs), names=names)
    for alarm in listed(alarms, "describe_alarms", "MetricAlarms", AlarmNamePrefix=PREFIX):
        with unless_gone():
            tags = from_pairs(alarms.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"])
            yield Resource(region, "alarm", alarm["AlarmName"], tags, names=frozenset({alarm["AlarmArn"]}))
    for group in listed(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=f"/aws/lambda/{PREFIX}"):
        with unless_gone():
            arn = group["arn"].removesuffix(":*")
            tags = logs.list_tags_for_resource(resourceArn=arn)["tags"]
            yield Resource(region, "log-group", group["logGroupName"], tags, names=frozenset({arn, group["arn"]}))


def find_tagged(tagging: Any, region: str) -> Iterator[Resource]:
    """Returns what all services but EC2 have with the project's tags, by the service's name.

    This answer may lag behind by a minute. It tells which services to ask, and shows what nothing here deletes.
    """
    ours = [{"Key": PROJECT_KEY, "Values": [PROJECT]}]
    for resource in listed(tagging, "get_resources", "ResourceTagMappingList", TagFilters=ours):
        # arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-0123, arn:aws:s3:::bucket
        _, _, service, _, _, name = resource["ResourceARN"].split(":", 5)
        if service != "ec2":
            yield Resource(region, service, name, from_pairs(resource["Tags"]))
