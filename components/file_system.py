"""A file system of EFS, with a mount target in each zone that is used, and the mount targets' security group."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.file_system_validation import ONE_ZONE, FileSystemSpec
from components.network import suffix
from components.security_group import EGRESS, INGRESS, security_group_rule
from components.tags import DISPOSABLE_DATA, Tags, child_options
from inventory import FileSystem, MountTarget

NFS_PORT = 2049  # RFC 8881, section 2.9.3; NFSv4.1 needs no other


class MountTargetGroupArgs(TypedDict):
    """`host_group_id` is the security group of the hosts that mount the file system."""

    vpc_id: pulumi.Input[str]
    host_group_id: pulumi.Input[str]
    tags: Tags


class MountTargetGroup(pulumi.ComponentResource):
    """The security group of mount targets, and the rule that lets the hosts reach them.

    In: NFS from the hosts. Out: nothing, since a mount target only answers, and answers need no rule. The hosts' own
    rules do not lead here, so this adds one for NFS to this group. Two groups may refer to each other, since each rule
    is a resource of its own.
    """

    group_id: pulumi.Output[str]
    rules: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: MountTargetGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:security:MountTargetGroup", name, None, opts)
        tags, hosts = args["tags"], args["host_group_id"]
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description=f"Mount targets of {tags.project} {tags.stack}",
            vpc_id=args["vpc_id"],
            tags=tags.named(f"{name}-group"),
            opts=child_options(self),
        )
        self.group_id = group.id
        rule = partial(security_group_rule, self, name, tags)
        self.rules = (
            rule(group.id, INGRESS, "in-nfs", "tcp", NFS_PORT, "NFS from members", peer_id=hosts),
            rule(hosts, EGRESS, "members-out-nfs", "tcp", NFS_PORT, "NFS to mount targets", peer_id=group.id),
        )
        self.register_outputs({"group_id": self.group_id})


class FileSystemArgs(TypedDict):
    """Each of `subnet_ids` is in the zone at the same position of `zones`, and gets a mount target."""

    spec: FileSystemSpec
    zones: Sequence[pulumi.Input[str]]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    tags: Tags


class ElasticFileSystem(pulumi.ComponentResource):
    """An encrypted file system and its mount targets. A One Zone file system is in the first of the zones.

    It has no lifecycle policy: a file in infrequent access answers later, and is billed when it is read, so a
    measurement would be of something else. A mount target costs nothing, and traffic inside its zone is free, so each
    zone that is used has one.
    """

    file_system: aws.efs.FileSystem
    entry: pulumi.Output[FileSystem]
    """The file system for the inventory."""

    def __init__(self, name: str, args: FileSystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            "tidemark:storage:ElasticFileSystem", name, {"throughput_mode": args["spec"].throughput_mode}, opts
        )
        spec = args["spec"]
        one_zone = spec.availability == ONE_ZONE
        self.file_system = aws.efs.FileSystem(
            f"{name}-efs",
            # The provider makes the creation token: with a fixed one, the account could have one such stack only.
            performance_mode=spec.performance_mode,
            throughput_mode=spec.throughput_mode,
            provisioned_throughput_in_mibps=spec.provisioned_mib_per_s,
            availability_zone_name=args["zones"][0] if one_zone else None,
            encrypted=True,
            tags={**args["tags"].named(name), **DISPOSABLE_DATA},
            opts=child_options(self),
        )
        if one_zone:
            # By default One Zone has daily backups (CreateFileSystem, Backup). A backup would read during a
            # measurement, and stay in the account after `destroy`.
            aws.efs.BackupPolicy(
                f"{name}-backup-policy",
                file_system_id=self.file_system.id,
                backup_policy=aws.efs.BackupPolicyBackupPolicyArgs(status="DISABLED"),
                opts=pulumi.ResourceOptions(parent=self),
            )
        mount_targets = [
            aws.efs.MountTarget(
                f"{name}-mount-target{suffix(number)}",
                file_system_id=self.file_system.id,
                subnet_id=subnet_id,
                security_groups=[args["security_group_id"]],
                opts=pulumi.ResourceOptions(parent=self),
            )
            for number, subnet_id in enumerate(args["subnet_ids"], start=1)
        ]
        targets = [
            pulumi.Output.all(target.id, zone, target.ip_address).apply(lambda known: MountTarget(*known))
            for target, zone in zip(mount_targets, args["zones"], strict=True)
        ]
        # Modes are those of the arguments, since numbers come back from the engine as floats.
        self.entry = pulumi.Output.all(self.file_system.id, args["zones"][0], *targets).apply(
            lambda known: FileSystem(
                id=known[0],
                throughput_mode=spec.throughput_mode,
                provisioned_mib_per_s=spec.provisioned_mib_per_s,
                performance_mode=spec.performance_mode,
                one_zone=known[1] if one_zone else None,
                mount_targets=tuple(known[2:]),
            )
        )
        self.register_outputs({"id": self.file_system.id})
