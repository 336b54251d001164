"""md-raid: storage servers that export their volumes by iSCSI, and a client that joins them with Linux md-RAID."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.config import CommonConfig
from components.experiment import Experiment, ExperimentComponent, HostEntry
from components.host import Client
from components.limits import HostLimits, read_limits
from components.security_group import ISCSI_PORT
from components.settings import Settings
from components.stack_validation import (
    HostRequirement,
    Requirements,
    ValidatedStack,
    VolumeRequirement,
    validate_stack,
)
from components.storage_server import StorageServer
from components.tags import child_options
from components.volumes import VolumeSpec, read_volume

_STORAGE_SERVERS = "tidemark:storageServers"
_VOLUMES_PER_SERVER = "tidemark:volumesPerServer"
_STORAGE_TYPE = "tidemark:storageType"
_CLIENT_TYPE = "tidemark:clientType"

STORAGE_SERVERS_MIN, STORAGE_SERVERS_MAX = 2, 8
"""Each mirror has a leg on each server: one server makes no mirror, and eight keep eight copies of everything. The
tasks take the same numbers.
"""
STORAGE_SERVERS = 3
"""As the original had them."""

VOLUMES_FOR_PLANS = 5
"""Volumes of each server that the plans short (the default) and full use: a stripe over five mirrors."""

# Each volume has one logical volume of 15 GiB; LVM keeps 1 MiB for its metadata, and its extents have 4 MiB.
_MIN_VOLUME_GIB = 16


@dataclass(frozen=True)
class MdRaidConfig:
    """The settings of this experiment. Each mirror has one leg on each storage server, so `storage_servers` is the
    number of a mirror's legs, and `volumes_per_server` the number of mirrors.
    """

    storage_servers: int
    volumes_per_server: int
    storage_type: str
    client_type: str
    volume: VolumeSpec
    limits: HostLimits


def check(settings: Settings, common: CommonConfig) -> ValidatedStack[MdRaidConfig]:
    """Reads and validates everything."""
    config = MdRaidConfig(
        storage_servers=settings.integer(_STORAGE_SERVERS, STORAGE_SERVERS_MIN, STORAGE_SERVERS_MAX, STORAGE_SERVERS),
        volumes_per_server=settings.integer(_VOLUMES_PER_SERVER, 1, 10, 5),
        storage_type=settings.text(_STORAGE_TYPE, "c4.8xlarge"),
        client_type=settings.text(_CLIENT_TYPE, "c4.8xlarge"),
        volume=read_volume(settings, VolumeSpec("gp2", 50), required=True),
        limits=read_limits(settings, default=HostLimits(4, 2048)),
    )
    volumes = config.volumes_per_server
    notes = []
    if volumes < VOLUMES_FOR_PLANS:
        notes.append(
            f"{_VOLUMES_PER_SERVER}: {volumes}, and the plans short (the default) and full need {VOLUMES_FOR_PLANS}: "
            f"set it to {VOLUMES_FOR_PLANS} or more, or run a plan of your own for {volumes} mirrors"
        )
    required = Requirements(
        hosts=[
            HostRequirement(_STORAGE_TYPE, config.storage_type, config.storage_servers, _STORAGE_SERVERS),
            HostRequirement(_CLIENT_TYPE, config.client_type),
        ],
        limits=config.limits,
        volumes=VolumeRequirement(
            config.volume,
            config.storage_servers * volumes,
            config.storage_type,
            _MIN_VOLUME_GIB,
            "each carries a logical volume of 15 GiB",
            _VOLUMES_PER_SERVER,
        ),
        in_cluster=True,
        notes=notes,
    )
    return validate_stack(settings, common, config, required)


class MdRaid(ExperimentComponent[MdRaidConfig]):
    """Storage servers and a client in one cluster placement group.

    The placement group gives each pair of hosts the full rate, 10 Gbit/s for c4.8xlarge. It is in one zone, so all
    hosts are, and share a subnet. Launch them together: a later one may find no room (InsufficientInstanceCapacity).
    All data uses private addresses, hence 9001-byte packets.
    """

    def __init__(
        self, name: str, stack: ValidatedStack[MdRaidConfig], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tidemark:experiments:MdRaid", name, stack, opts, ports={"iSCSI": ISCSI_PORT})
        config, zone = stack.config, self.network.zone
        group = f"{name}-placement-group"
        placement_group = aws.ec2.PlacementGroup(
            group, strategy="cluster", tags=self.tags.named(group), opts=child_options(self)
        ).name
        servers = [
            StorageServer(
                f"storage-{number}",
                self.host_args(config.storage_type, placement_group=placement_group),
                {
                    "count": config.volumes_per_server,
                    "volume": config.volume,
                    "zone": zone,
                    "protect": False,  # each run writes their content anew
                    "tags": self.tags,
                },
                self.children,
            )
            for number in range(1, config.storage_servers + 1)
        ]
        client = Client("client", self.host_args(config.client_type, placement_group=placement_group), self.children)
        entries = [
            HostEntry(
                name=f"storage-{number}",
                role="storage",
                type=config.storage_type,
                host=server.host,
                zone=zone,
                volumes=server.entries,
            )
            for number, server in enumerate(servers, start=1)
        ]
        entries.append(HostEntry("client", "client", config.client_type, client.host, zone))
        outputs = {
            "client_address": client.host.address,
            "storage_addresses": [server.host.address for server in servers],
        }
        self.export(entries, outputs)


EXPERIMENT = Experiment("md-raid", check, MdRaid)
