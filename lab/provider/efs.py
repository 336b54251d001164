"""The types of EFS as calls to its API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.provider.resource_type import ResourceType, Values, given, tag_list

if TYPE_CHECKING:
    from mypy_boto3_efs.client import EFSClient


def retag(efs: EFSClient, resource_id: str, wanted: list[Any], gone: list[str]) -> None:
    """Deletes the tags of the keys `gone` and sets those of `wanted`."""
    if gone:
        efs.untag_resource(ResourceId=resource_id, TagKeys=gone)
    if wanted:
        efs.tag_resource(ResourceId=resource_id, Tags=wanted)


def _create_file_system(efs: EFSClient, inputs: Values) -> tuple[str, Values]:
    modes = ("performanceMode", "throughputMode", "provisionedThroughputInMibps", "encrypted", "availabilityZoneName")
    made = efs.create_file_system(**given(inputs, "creationToken", *modes), Tags=tag_list(inputs))
    return made["FileSystemId"], {"arn": made.get("FileSystemArn", "")}


def _create_mount_target(efs: EFSClient, inputs: Values) -> tuple[str, Values]:
    made = efs.create_mount_target(**given(inputs, "fileSystemId", "subnetId", "ipAddress", "securityGroups"))
    return made["MountTargetId"], {
        "ipAddress": made["IpAddress"],
        "availabilityZoneName": made["AvailabilityZoneName"],
        "networkInterfaceId": made["NetworkInterfaceId"],
    }


def _create_backup_policy(efs: EFSClient, inputs: Values) -> tuple[str, Values]:
    efs.put_backup_policy(
        FileSystemId=inputs["fileSystemId"], BackupPolicy={"Status": inputs["backupPolicy"]["status"]}
    )
    return inputs["fileSystemId"], {}


RESOURCE_TYPES: Mapping[str, ResourceType[EFSClient]] = {
    "aws:efs/fileSystem:FileSystem": ResourceType(
        _create_file_system,
        lambda efs, id_, _: efs.delete_file_system(FileSystemId=id_),
        lambda efs, id_: bool(efs.describe_file_systems(FileSystemId=id_)["FileSystems"]),
        computed=("arn",),
        name_input="creationToken",
    ),
    "aws:efs/mountTarget:MountTarget": ResourceType(
        _create_mount_target,
        lambda efs, id_, _: efs.delete_mount_target(MountTargetId=id_),
        lambda efs, id_: bool(efs.describe_mount_targets(MountTargetId=id_)["MountTargets"]),
        computed=("ipAddress", "availabilityZoneName", "networkInterfaceId"),
    ),
    # It is a property of its file system: gone with it, and switched off when it is deleted by itself.
    "aws:efs/backupPolicy:BackupPolicy": ResourceType(
        _create_backup_policy,
        lambda efs, id_, _: efs.put_backup_policy(FileSystemId=id_, BackupPolicy={"Status": "DISABLED"}),
        lambda efs, id_: efs.describe_backup_policy(FileSystemId=id_)["BackupPolicy"]["Status"] == "ENABLED",
    ),
}
