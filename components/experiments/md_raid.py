"""md-raid: storage servers that export their volumes by iSCSI, and a client that joins them by Linux
md-RAID.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from aws_offers import VOLUME_TYPES, InstanceType
from components import prices
from components.checked_stack import CPU_LIMIT, MEMORY_LIMIT, Checked, Wanted, check_stack, read_stack
from components.client import Client
from components.config import CommonConfig
from components.host import ROOT_VOLUME_GIB, ROOT_VOLUME_TYPE, HostArgs
from components.inventory_output import HostRow, inventory_output, volume_row
from components.placement import cluster_placement_group
from components.security_group import ISCSI_PORT
from components.settings import Settings
from components.site import declare_site
from components.storage_server import StorageServer, VolumesArgs, baseline_iops
from components.validation import (
    VolumeKeys,
    check_iops_of_host,
    check_volume,
)
from inventory import MD_RAID_STORAGE_HOSTS

NAME = "md-raid"

_STORAGE_SERVERS = "tidemark:storageServers"
_VOLUMES_PER_SERVER = "tidemark:volumesPerServer"
_STORAGE_TYPE = "tidemark:storageType"
_CLIENT_TYPE = "tidemark:clientType"
_VOLUME = VolumeKeys("tidemark:volumeType", "tidemark:volumeSizeGib", "tidemark:volumeIops")

# Each volume carries one logical volume of 15 GiB; LVM keeps 1 MiB for its metadata and deals in extents of 4
# MiB.
_LEAST_VOLUME_GIB = 16


@dataclass(frozen=True)
class MdRaidConfig:
    """The settings of this experiment. Each mirror has one leg from each storage server, so `storage_servers`
    is the number of its raid-devices, and `volumes_per_server` the number of mirrors. None: not limited, or
    no number.
    """

    storage_servers: int
    volumes_per_server: int
    storage_type: str
    client_type: str
    volume_type: str
    volume_size_gib: int
    volume_iops: int | None
    cpu_limit: int | None
    memory_limit_mib: int | None


def read_config(settings: Settings) -> MdRaidConfig:
    """Read the experiment's own settings, each by itself."""
    return MdRaidConfig(
        storage_servers=settings.integer(
            _STORAGE_SERVERS,
            MD_RAID_STORAGE_HOSTS,
            MD_RAID_STORAGE_HOSTS,
            default=MD_RAID_STORAGE_HOSTS,
            example=MD_RAID_STORAGE_HOSTS,
        ),
        volumes_per_server=settings.integer(_VOLUMES_PER_SERVER, 1, 10, default=5, example=5),
        storage_type=settings.text(_STORAGE_TYPE, "c4.8xlarge"),
        client_type=settings.text(_CLIENT_TYPE, "c4.8xlarge"),
        volume_type=settings.choice(_VOLUME.type, VOLUME_TYPES, "gp2"),
        volume_size_gib=settings.integer(_VOLUME.size_gib, 1, 65_536, example=50),
        volume_iops=settings.integer_or_none(_VOLUME.iops, 1, 256_000, default=None, example=3_000),
        cpu_limit=settings.integer_or_none(CPU_LIMIT, 1, 448, default=4, example=4),
        # Debian 12 with the tools of the experiment boots in 256 MiB; less leaves nothing to measure with.
        memory_limit_mib=settings.integer_or_none(MEMORY_LIMIT, 256, 1 << 24, default=2048, example=2048),
    )


def check(settings: Settings, project: str, directory: Path) -> Checked[MdRaidConfig]:
    """Read and validate everything. Raises ValidationError with every fault; creates nothing."""
    common, config = read_stack(settings, project, directory, NAME, read_config)
    check_volume(
        settings,
        _VOLUME,
        config.volume_type,
        config.volume_size_gib,
        config.volume_iops,
        at_least_gib=_LEAST_VOLUME_GIB,
        why="each carries a logical volume of 15 GiB",
    )
    wanted = Wanted(
        types={_STORAGE_TYPE: config.storage_type, _CLIENT_TYPE: config.client_type},
        instances=_instances(config),
        cost=_cost(common, config),
        cost_keys=(_STORAGE_SERVERS, _VOLUMES_PER_SERVER, _VOLUME.type, _VOLUME.size_gib, _VOLUME.iops),
        cpu_limit=config.cpu_limit,
        memory_limit_mib=config.memory_limit_mib,
        in_cluster=True,
    )

    def check_iops(types: Mapping[str, InstanceType]) -> None:
        if config.storage_type in types:
            check_iops_of_host(settings, _VOLUME, config.volume_iops, types[config.storage_type])

    return check_stack(settings, common, config, wanted, check_iops)


def _instances(config: MdRaidConfig) -> Counter[str]:
    instances = Counter({config.storage_type: config.storage_servers})
    instances[config.client_type] += 1
    return instances


def _cost(common: CommonConfig, config: MdRaidConfig) -> prices.Cost:
    instances = _instances(config)
    volumes = (
        prices.VolumeDemand(instances.total(), ROOT_VOLUME_TYPE, ROOT_VOLUME_GIB),
        prices.VolumeDemand(
            config.storage_servers * config.volumes_per_server,
            config.volume_type,
            config.volume_size_gib,
            config.volume_iops,
        ),
    )
    return prices.estimate(common.aws.region, instances, volumes)


class MdRaid(pulumi.ComponentResource):
    """The whole experiment: network, security group, key pair, cluster placement group, storage servers,
    client.

    Every host is in one placement group and one subnet, hence one zone; every data path uses private
    addresses, hence 9001-byte packets.
    """

    inventory: pulumi.Output[str]
    stack_outputs: Mapping[str, pulumi.Input[object]]

    def __init__(self, name: str, checked: Checked[MdRaidConfig], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:experiments:MdRaid", name, None, opts)
        common, config = checked.common, checked.config
        self._checked = checked
        below = pulumi.ResourceOptions(parent=self)

        self.site = declare_site(
            name, self, common, image_id=checked.image_id, zones=checked.zones, ports={"iSCSI": ISCSI_PORT}
        )
        tags = self.site.tags
        self._placement_group = cluster_placement_group(f"{name}-placement-group", tags, self)

        volumes: VolumesArgs = {
            "count": config.volumes_per_server,
            "type": config.volume_type,
            "size_gib": config.volume_size_gib,
            "iops": config.volume_iops,
            "zone": self.site.network.zone,
            "protect": False,  # what is on them is made anew by each run
            "tags": tags,
        }
        self.storage_servers = tuple(
            StorageServer(f"storage-{number}", self._host_args(config.storage_type), volumes, below)
            for number in range(1, config.storage_servers + 1)
        )
        self.client = Client("client", self._host_args(config.client_type), below)

        self.inventory = self._inventory()
        self.stack_outputs = {
            "inventory": self.inventory,
            "client_address": self.client.host.address,
            "storage_addresses": [server.host.address for server in self.storage_servers],
            "expires_at": self.client.host.expires_at,
            "usd_per_hour": checked.cost.text,
        }
        self.register_outputs({"inventory": self.inventory})

    def _host_args(self, instance_type: str) -> HostArgs:
        config = self._checked.config
        return self.site.host_args(
            self._checked.types[instance_type],
            cpu_limit=config.cpu_limit,
            memory_limit_mib=config.memory_limit_mib,
            subnet_id=self.site.network.subnet_id,
            placement_group=self._placement_group.name,
        )

    def _inventory(self) -> pulumi.Output[str]:
        config = self._checked.config
        iops = baseline_iops(config.volume_type, config.volume_size_gib, config.volume_iops)
        rows = [
            HostRow(
                name=f"storage-{number}",
                role="storage",
                type=config.storage_type,
                host=server.host,
                zone=self.site.network.zone,
                volumes=[
                    volume_row(volume, device, config.volume_size_gib, config.volume_type, iops)
                    for volume, device in server.disks
                ],
            )
            for number, server in enumerate(self.storage_servers, start=1)
        ]
        client = self.client.host
        rows.append(
            HostRow(name="client", role="client", type=config.client_type, host=client, zone=self.site.network.zone)
        )
        return inventory_output(
            self._checked.common,
            rows,
            cost=self._checked.cost,
            vpc_id=self.site.network.vpc_id,
            cpu_limit=config.cpu_limit,
            memory_limit_mib=config.memory_limit_mib,
        )
