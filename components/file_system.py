"""A network file system of AWS, with a way in for each zone that is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.network import suffix
from components.tags import Tags, child_options
from inventory import FileSystem, MountTarget


class FileSystemArgs(TypedDict):
    """The modes are words of EFS (components/efs_offers.py). `provisioned_mib_per_s` is None in a mode that
    takes no number; `one_zone` keeps the file system in the first of `zones` alone.

    `zones` and `subnet_ids` belong together one by one; in each is one mount target.
    """

    throughput_mode: str
    provisioned_mib_per_s: int | None
    performance_mode: str
    one_zone: bool
    zones: Sequence[pulumi.Input[str]]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    tags: Tags


class ElasticFileSystem(pulumi.ComponentResource):
    """An encrypted file system that keeps everything in its standard storage, and its mount targets.

    There is no lifecycle policy: a file that was moved to infrequent access answers later, and is billed when
    it is read, so that a measurement would be of another thing. A mount target costs nothing, and traffic
    inside its zone is free; so each zone that is used has one of its own, and no other zone has any.
    """

    file_system: aws.efs.FileSystem
    mount_targets: tuple[aws.efs.MountTarget, ...]
    row: pulumi.Output[FileSystem]
    """The file system as the inventory has it."""

    def __init__(self, name: str, args: FileSystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:storage:ElasticFileSystem", name, {"throughput_mode": args["throughput_mode"]}, opts)
        self._args = args
        self.file_system = aws.efs.FileSystem(
            f"{name}-efs",
            # The provider makes the creation token: a fixed one would refuse a second stack of the account.
            performance_mode=args["performance_mode"],
            throughput_mode=args["throughput_mode"],
            provisioned_throughput_in_mibps=args["provisioned_mib_per_s"],
            availability_zone_name=args["zones"][0] if args["one_zone"] else None,
            encrypted=True,
            tags=args["tags"].named(name),
            opts=child_options(self),
        )
        if args["one_zone"]:
            # One Zone is backed up daily unless this is said (CreateFileSystem, Backup): the backup would read
            # while something is measured, and stay in the account when all else is destroyed.
            aws.efs.BackupPolicy(
                f"{name}-backup-policy",
                file_system_id=self.file_system.id,
                backup_policy=aws.efs.BackupPolicyBackupPolicyArgs(status="DISABLED"),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.mount_targets = tuple(
            aws.efs.MountTarget(
                f"{name}-mount-target{suffix(number)}",
                file_system_id=self.file_system.id,
                subnet_id=subnet_id,
                security_groups=[args["security_group_id"]],
                opts=pulumi.ResourceOptions(parent=self),
            )
            for number, subnet_id in enumerate(args["subnet_ids"], start=1)
        )
        self.row = self._row()
        self.register_outputs({"id": self.file_system.id})

    def _row(self) -> pulumi.Output[FileSystem]:
        """Ids, zones and addresses as they came out; modes as asked for, since numbers come back as floats."""
        args = self._args
        targets = [
            pulumi.Output.all(target.id, zone, target.ip_address).apply(lambda known: MountTarget(*known))
            for target, zone in zip(self.mount_targets, args["zones"], strict=True)
        ]
        return pulumi.Output.all(self.file_system.id, args["zones"][0], *targets).apply(
            lambda known: FileSystem(
                id=known[0],
                throughput_mode=args["throughput_mode"],
                provisioned_mib_per_s=args["provisioned_mib_per_s"],
                performance_mode=args["performance_mode"],
                one_zone=known[1] if args["one_zone"] else None,
                mount_targets=tuple(known[2:]),
            )
        )
