"""An EC2 instance of a stack, and its first-boot script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from aws_offers import CpuOptions
from components.tags import DISPOSABLE_DATA, IGNORE_EXPIRY, Tags, child_options, expiry_of
from components.volumes import VolumeSpec

ROOT_VOLUME = VolumeSpec("gp3", 8)
"""8 GiB is what Debian's image needs, as published, with room for packages and logs."""
FIRST_BOOT_SCRIPT = Path(__file__).with_name("first-boot.sh")


def first_boot_script(*, lifetime_hours: int, memory_limit_mib: int | None) -> str:
    """Returns the script with its values filled in; None for no limit of memory.

    The values are whole numbers, so nothing needs quoting. No secret belongs there: every user who may describe the
    instance can read its user data.
    """
    values = {
        "@LIFETIME_HOURS@": str(int(lifetime_hours)),
        "@MEMORY_LIMIT_MIB@": "" if memory_limit_mib is None else str(int(memory_limit_mib)),
    }
    script = FIRST_BOOT_SCRIPT.read_text(encoding="ascii")
    for mark, value in values.items():
        if script.count(mark) != 1:
            raise ValueError(f"{FIRST_BOOT_SCRIPT.name} must have {mark} in it once")
        script = script.replace(mark, value)
    return script


class HostArgs(TypedDict):
    """Arguments of a host. None means: for `cpu_options` all CPUs of the type, for `memory_limit_mib` all its memory,
    for `placement_group` any place in the zone, for `instance_profile` no role.

    `uplink_mbit_per_s` limits the way to the internet in a rehearsal (a tag; no effect on AWS), None for no limit.
    `depends_on` must exist before the host boots, and be deleted after it, though the host does not refer to it:
    default routes, security group rules, volumes.
    """

    instance_type: str
    image_id: str
    subnet_id: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    placement_group: pulumi.Input[str] | None
    key_name: pulumi.Input[str]
    user_data: str
    cpu_options: CpuOptions | None
    memory_limit_mib: int | None
    instance_profile: pulumi.Input[str] | None
    uplink_mbit_per_s: int | None
    depends_on: Sequence[pulumi.Resource]
    tags: Tags


class Host(pulumi.ComponentResource):
    """An instance with an encrypted root volume, whose metadata needs a session token (IMDSv2).

    The subnet gives it a public address (components/network.py). If the instance asked for one itself, a refresh would
    miss the address while the instance is stopped, and plan a replacement.

    The host ends itself: the first-boot script sets a timer that powers it off when its lifetime is over, and an
    instance that powers itself off is terminated.
    """

    instance: aws.ec2.Instance
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    expires_at: pulumi.Output[str]

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:host:Host", name, {"instance_type": args["instance_type"]}, opts)
        limits = {"memory-limit-mib": args["memory_limit_mib"], "uplink-mbit-per-s": args["uplink_mbit_per_s"]}
        limit_tags = {tag: str(limit) for tag, limit in limits.items() if limit is not None}
        cpu = args["cpu_options"]
        self.instance = aws.ec2.Instance(
            f"{name}-instance",
            instance_type=args["instance_type"],
            ami=args["image_id"],
            subnet_id=args["subnet_id"],
            vpc_security_group_ids=[args["security_group_id"]],
            placement_group=args["placement_group"],
            key_name=args["key_name"],
            iam_instance_profile=args["instance_profile"],
            cpu_options=None
            if cpu is None
            else aws.ec2.InstanceCpuOptionsArgs(core_count=cpu.cores, threads_per_core=cpu.threads_per_core),
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                volume_type=ROOT_VOLUME.type,
                volume_size=ROOT_VOLUME.size_gib,
                encrypted=True,
                delete_on_termination=True,
                tags={**args["tags"].named(f"{name}-root"), **DISPOSABLE_DATA},
            ),
            instance_initiated_shutdown_behavior="terminate",
            user_data=args["user_data"],
            # The script runs at first boot only, so a changed script needs a new host.
            user_data_replace_on_change=True,
            tags={**args["tags"].named(name), **limit_tags},
            opts=child_options(
                self,
                # A newer image must not replace a running host.
                ignore=["ami", f"rootBlockDevice.{IGNORE_EXPIRY}"],
                depends_on=args["depends_on"],
                # The replacement gets the same volumes and Elastic IP, and EC2 does not attach them to a second
                # instance (AttachVolume: VolumeInUse).
                delete_before_replace=True,
            ),
        )
        self.address = self.instance.public_ip
        self.private_address = self.instance.private_ip
        self.expires_at = expiry_of(self.instance)
        self.register_outputs({"id": self.instance.id, "address": self.address})


class Client(pulumi.ComponentResource):
    """A host without volumes of its own, which uses those of other hosts, or a file system."""

    host: Host

    def __init__(self, name: str, host: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:client:Client", name, {"instance_type": host["instance_type"]}, opts)
        self.host = Host(name, host, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"id": self.host.instance.id})
