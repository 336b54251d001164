"""A host with block volumes attached."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.host import Host, HostArgs
from components.tags import Tags, child_options

# EC2 leaves /dev/sd[f-p] to EBS data volumes (EC2 User Guide, "Device names for volumes").
DEVICES = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")


class VolumesArgs(TypedDict):
    """Volumes of one server, all alike. `iops` is None for types that take no number. A `protect`ed one is neither
    deleted nor replaced, as long as it is.
    """

    count: int
    type: str
    size_gib: int
    iops: int | None
    zone: pulumi.Input[str]
    protect: bool
    tags: Tags


class StorageServer(pulumi.ComponentResource):
    """A host with `count` volumes, attached at /dev/sdf and on.

    On the way down the host goes first and takes its attachments with it; its volumes, free then, go last.
    Detaching them one by one would not do: LVM and the iSCSI target hold each disk open, and a host that has
    ended itself (its lifetime being over) can be neither stopped nor detached from.
    """

    host: Host
    disks: tuple[tuple[aws.ebs.Volume, str], ...]
    """Each volume with the device name that it is attached as."""

    def __init__(
        self, name: str, host: HostArgs, volumes: VolumesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tidemark:storage:StorageServer", name, {"volumes": volumes["count"]}, opts)
        self.disks = tuple(
            (
                aws.ebs.Volume(
                    f"{name}-volume-{number}",
                    availability_zone=volumes["zone"],
                    type=volumes["type"],
                    size=volumes["size_gib"],
                    iops=volumes["iops"],
                    # Costs no IOPS (EBS User Guide, "Amazon EBS encryption"), and a freed disk tells nothing.
                    encrypted=True,
                    tags=volumes["tags"].named(f"{name}-volume-{number}"),
                    opts=child_options(self, protect=volumes["protect"]),
                ),
                device,
            )
            for number, device in enumerate(DEVICES[: volumes["count"]], start=1)
        )
        made = [volume for volume, _ in self.disks]
        self.host = Host(name, {**host, "after": [*host["after"], *made]}, pulumi.ResourceOptions(parent=self))
        for number, (volume, device) in enumerate(self.disks, start=1):
            aws.ec2.VolumeAttachment(
                f"{name}-volume-{number}-attachment",
                instance_id=self.host.instance.id,
                volume_id=volume.id,
                device_name=device,
                opts=pulumi.ResourceOptions(parent=self, deleted_with=self.host.instance),
            )
        self.register_outputs({"volume_ids": [volume.id for volume in made]})


def baseline_iops(volume_type: str, size_gib: int, provisioned: int | None) -> int | None:
    """The IOPS that a volume has without bursting; None for types that are not measured in IOPS.

    gp2 has 3 IOPS a GiB, between 100 and 16,000.
    """
    if volume_type == "gp2":
        return max(100, min(16_000, 3 * size_gib))
    if volume_type == "gp3":
        return provisioned or 3_000
    return provisioned
