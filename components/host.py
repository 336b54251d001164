"""One machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from aws_offers import CpuOptions
from components.tags import EXPIRES_AT, IGNORE_EXPIRY, MEMORY_LIMIT, UPLINK, Tags, child_options

ROOT_VOLUME_GIB = 8
"""What Debian's image needs, as published, with room for packages and logs."""
ROOT_VOLUME_TYPE = "gp3"


class HostArgs(TypedDict):
    """What a host is made of. `cpu_options` None leaves all CPUs of the type, `memory_limit_mib` None all
    memory; `placement_group` None leaves it to AWS where in its zone the host stands.

    `instance_profile` names the one by which the host acts in a role, None for no role. `uplink_mbit_per_s` is how fast
    a rehearsal makes its way to the internet (a tag; on AWS it changes nothing), None as fast as it goes.

    `after` is what must be there before the host boots, and be taken away after it, though nothing of the
    host refers to it: the default route, the
    security group's rules, its volumes.
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
    after: Sequence[pulumi.Resource]
    tags: Tags


class Host(pulumi.ComponentResource):
    """An instance with an encrypted root volume and metadata by session token only (IMDSv2). Its public address is the
    subnet's gift (components/network.py): asked for here, it would be missed while the instance is stopped, and a
    refresh then plan another one in its place.

    It ends itself: the first-boot script sets a timer that powers it off when its lifetime is over, and an
    instance that powers itself off is terminated.
    """

    instance: aws.ec2.Instance
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]
    expires_at: pulumi.Output[str]

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:host:Host", name, {"instance_type": args["instance_type"]}, opts)
        tags = args["tags"].named(name)
        memory_limit_mib = args["memory_limit_mib"]
        limits = {MEMORY_LIMIT: memory_limit_mib, UPLINK: args["uplink_mbit_per_s"]}
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
                volume_type=ROOT_VOLUME_TYPE,
                volume_size=ROOT_VOLUME_GIB,
                encrypted=True,
                delete_on_termination=True,
                tags=args["tags"].named(f"{name}-root"),
            ),
            instance_initiated_shutdown_behavior="terminate",
            user_data=args["user_data"],
            # The script runs at first boot only; a host is what its first boot made of it.
            user_data_replace_on_change=True,
            tags={**tags, **limit_tags},
            opts=child_options(
                self,
                # A newer image must not replace a running host.
                ignore=["ami", f"rootBlockDevice.{IGNORE_EXPIRY}"],
                depends_on=args["after"],
                # Its successor gets its volumes and its Elastic IP, which EC2 gives to nobody else as long as it has
                # them (AttachVolume: VolumeInUse).
                delete_before_replace=True,
            ),
        )
        self.address = self.instance.public_ip
        self.private_address = self.instance.private_ip
        self.expires_at = self.instance.tags.apply(lambda found: str((found or {})[EXPIRES_AT]))
        self.register_outputs({"id": self.instance.id, "address": self.address})
