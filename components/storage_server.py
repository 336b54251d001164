"""A host with block volumes attached."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.host import Host, HostArgs
from components.tags import DISPOSABLE_DATA, Tags, child_options
from components.volumes import VolumeSpec
from inventory import Volume

# EC2 leaves /dev/sd[f-p] to EBS data volumes (EC2 User Guide, "Device names for volumes").
DEVICES = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")


class VolumesArgs(TypedDict):
    """Volumes of one server, all alike. With `protect`, Pulumi neither deletes nor replaces them."""

    count: int
    volume: VolumeSpec
    zone: pulumi.Input[str]
    protect: bool
    tags: Tags


class StorageServer(pulumi.ComponentResource):
    """A host with `count` volumes, attached at /dev/sdf and on.

    `destroy` deletes the host first, and its attachments with it, then the volumes. Detaching one by one would fail:
    LVM and the iSCSI target hold each disk open, and a host that has ended itself can be neither stopped nor detached
    from.
    """

    host: Host
    volumes: tuple[aws.ebs.Volume, ...]
    entries: tuple[pulumi.Output[Volume], ...]
    """The volumes for the inventory, in the same order."""

    def __init__(
        self, name: str, host: HostArgs, volumes: VolumesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tidemark:storage:StorageServer", name, {"volumes": volumes["count"]}, opts)
        spec = volumes["volume"]
        self.volumes = tuple(
            aws.ebs.Volume(
                f"{name}-volume-{number}",
                availability_zone=volumes["zone"],
                type=spec.type,
                size=spec.size_gib,
                iops=spec.iops,
                # Encryption costs no IOPS (EBS User Guide, "Amazon EBS encryption").
                encrypted=True,
                tags={
                    **volumes["tags"].named(f"{name}-volume-{number}"),
                    **({} if volumes["protect"] else DISPOSABLE_DATA),
                },
                opts=child_options(self, protect=volumes["protect"]),
            )
            for number in range(1, volumes["count"] + 1)
        )
        self.entries = tuple(
            _entry(volume.id, device, spec) for volume, device in zip(self.volumes, DEVICES, strict=False)
        )
        self.host = Host(
            name, {**host, "depends_on": [*host["depends_on"], *self.volumes]}, pulumi.ResourceOptions(parent=self)
        )
        for number, (volume, device) in enumerate(zip(self.volumes, DEVICES, strict=False), start=1):
            aws.ec2.VolumeAttachment(
                f"{name}-volume-{number}-attachment",
                instance_id=self.host.instance.id,
                volume_id=volume.id,
                device_name=device,
                opts=pulumi.ResourceOptions(parent=self, deleted_with=self.host.instance),
            )
        self.register_outputs({"volume_ids": [volume.id for volume in self.volumes]})


def _entry(volume_id: pulumi.Output[str], device: str, spec: VolumeSpec) -> pulumi.Output[Volume]:
    """Only the id is an output: numbers come back from the engine as floats."""
    return volume_id.apply(lambda found: Volume(found, device, spec.size_gib, spec.type, spec.baseline_iops))
