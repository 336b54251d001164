"""efs-iops: clients in one or several zones that all mount one file system of EFS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from aws_offers import EFS_PROVISIONED_MIB_PER_S, ZONE_IDS_WITHOUT_EFS
from components import prices
from components.aws_settings import ENDPOINTS
from components.checked_stack import CPU_LIMIT, MEMORY_LIMIT, Checked, Wanted, Zones, check_stack, read_stack
from components.client import Client
from components.config import CommonConfig
from components.efs_offers import (
    AVAILABILITIES,
    BURSTING,
    GENERAL_PURPOSE,
    ONE_ZONE,
    PERFORMANCE_MODES,
    REGIONAL,
    THROUGHPUT_MODES,
    FileSystemDemand,
    FileSystemKeys,
    check_file_system,
    in_plain_words,
)
from components.file_system import ElasticFileSystem
from components.host import ROOT_VOLUME_GIB, ROOT_VOLUME_TYPE, HostArgs
from components.inventory_output import HostRow, inventory_output
from components.mount_target_group import MountTargetGroup
from components.settings import Settings
from components.site import declare_site

NAME = "efs-iops"

_CLIENTS = "tidemark:clients"
_CLIENT_TYPE = "tidemark:clientType"
_FILE_SYSTEM = FileSystemKeys(
    throughput_mode="tidemark:throughputMode",
    provisioned_mib_per_s="tidemark:provisionedMibPerS",
    performance_mode="tidemark:performanceMode",
    availability="tidemark:availability",
    client_zones="tidemark:clientZones",
)


@dataclass(frozen=True)
class EfsIopsConfig:
    """The settings of this experiment: `clients` hosts of one type, dealt out to `file_system.client_zones`
    zones. None: not limited.
    """

    clients: int
    client_type: str
    file_system: FileSystemDemand
    cpu_limit: int | None
    memory_limit_mib: int | None


def read_config(settings: Settings) -> EfsIopsConfig:
    """Read the experiment's own settings, each by itself. What is absent is as it was published."""
    low, high = EFS_PROVISIONED_MIB_PER_S
    return EfsIopsConfig(
        # Two were enough to reach every limit of one file system; sixteen show how it is shared.
        clients=settings.integer(_CLIENTS, 1, 16, default=2, example=2),
        client_type=settings.text_or(_CLIENT_TYPE, "m4.xlarge"),
        file_system=FileSystemDemand(
            throughput_mode=settings.choice(_FILE_SYSTEM.throughput_mode, THROUGHPUT_MODES, BURSTING, default=BURSTING),
            provisioned_mib_per_s=settings.integer_or_none(
                _FILE_SYSTEM.provisioned_mib_per_s, low, high, default=None, example=128
            ),
            performance_mode=settings.choice(
                _FILE_SYSTEM.performance_mode, PERFORMANCE_MODES, GENERAL_PURPOSE, default=GENERAL_PURPOSE
            ),
            availability=settings.choice(_FILE_SYSTEM.availability, AVAILABILITIES, REGIONAL, default=REGIONAL),
            # No region has more than six.
            client_zones=settings.integer(_FILE_SYSTEM.client_zones, 1, 6, default=1, example=1),
        ),
        cpu_limit=settings.integer_or_none(CPU_LIMIT, 1, 448, default=None, example=4),
        # Debian 12 with the tools of the experiment boots in 256 MiB; less leaves nothing to measure with.
        memory_limit_mib=settings.integer_or_none(MEMORY_LIMIT, 256, 1 << 24, default=None, example=512),
    )


def check(settings: Settings, project: str, directory: Path) -> Checked[EfsIopsConfig]:
    """Read and validate everything. Raises ValidationError with every fault; creates nothing."""
    common, config = read_stack(settings, project, directory, NAME, read_config)
    _check_endpoints(settings, common)
    _check_spread(settings, config)
    wanted = Wanted(
        types={_CLIENT_TYPE: config.client_type},
        instances={config.client_type: config.clients},
        cost=_cost(common, config),
        cost_keys=(
            _CLIENTS,
            _FILE_SYSTEM.throughput_mode,
            _FILE_SYSTEM.provisioned_mib_per_s,
            _FILE_SYSTEM.availability,
        ),
        cpu_limit=config.cpu_limit,
        memory_limit_mib=config.memory_limit_mib,
        zones=Zones(
            _FILE_SYSTEM.client_zones, config.file_system.client_zones, besides="EFS", lacking=ZONE_IDS_WITHOUT_EFS
        ),
    )
    checked = check_stack(
        settings,
        common,
        config,
        wanted,
        lambda _: check_file_system(settings, _FILE_SYSTEM, config.file_system, common.aws.region),
    )
    return checked.saying(in_plain_words(config.file_system, common.aws.region, checked.zones[0]))


def _check_endpoints(settings: Settings, common: CommonConfig) -> None:
    if common.aws.rehearsal and "efs" not in common.aws.endpoints and settings.good(ENDPOINTS):
        settings.refuse(ENDPOINTS, "no efs among them, so a file system would be created on AWS", "add efs")


def _check_spread(settings: Settings, config: EfsIopsConfig) -> None:
    zones = config.file_system.client_zones
    if settings.good(_CLIENTS, _FILE_SYSTEM.client_zones) and zones > config.clients:
        settings.refuse(
            _FILE_SYSTEM.client_zones,
            f"{zones} zones, and clients in {config.clients} of them at most ({_CLIENTS})",
            f"choose {config.clients} at most, or more clients",
        )


def _cost(common: CommonConfig, config: EfsIopsConfig) -> prices.Cost:
    roots = prices.VolumeDemand(config.clients, ROOT_VOLUME_TYPE, ROOT_VOLUME_GIB)
    instances = {config.client_type: config.clients}
    return prices.estimate(common.aws.region, instances, (roots,), config.file_system)


class EfsIops(pulumi.ComponentResource):
    """The whole experiment: network, security groups, key pair, file system, clients.

    A client mounts in its own zone, by a private address. Hosts and mount targets are made side by side, since
    nothing is mounted at boot.
    """

    inventory: pulumi.Output[str]
    stack_outputs: Mapping[str, pulumi.Input[object]]

    def __init__(self, name: str, checked: Checked[EfsIopsConfig], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:experiments:EfsIops", name, None, opts)
        common, config = checked.common, checked.config
        self._checked = checked
        below = pulumi.ResourceOptions(parent=self)

        self.site = declare_site(name, self, common, image_id=checked.image_id, zones=checked.zones, ports={})
        network, tags = self.site.network, self.site.tags
        self.mount_target_group = MountTargetGroup(
            f"{name}-mount-targets",
            {"vpc_id": network.vpc_id, "members_group_id": self.site.members.group_id, "tags": tags},
            below,
        )
        self.file_system = ElasticFileSystem(
            f"{name}-file-system",
            {
                "throughput_mode": config.file_system.throughput_mode,
                "provisioned_mib_per_s": config.file_system.provisioned_mib_per_s,
                "performance_mode": config.file_system.performance_mode,
                "one_zone": config.file_system.availability == ONE_ZONE,
                "zones": network.zones,
                "subnet_ids": network.subnet_ids,
                "security_group_id": self.mount_target_group.group_id,
                "tags": tags,
            },
            below,
        )
        self.clients = tuple(
            Client(f"client-{number + 1}", self._host_args(number), below) for number in range(config.clients)
        )

        self.inventory = self._inventory()
        self.stack_outputs = {
            "inventory": self.inventory,
            "client_addresses": [client.host.address for client in self.clients],
            "file_system_id": self.file_system.file_system.id,
            "expires_at": self.clients[0].host.expires_at,
            "usd_per_hour": checked.cost.text,
        }
        self.register_outputs({"inventory": self.inventory})

    def _host_args(self, number: int) -> HostArgs:
        """Of the number-th client, from 0: the zones are dealt out in turn."""
        config, subnet_ids = self._checked.config, self.site.network.subnet_ids
        return self.site.host_args(
            self._checked.types[config.client_type],
            cpu_limit=config.cpu_limit,
            memory_limit_mib=config.memory_limit_mib,
            subnet_id=subnet_ids[number % len(subnet_ids)],
            after=self.mount_target_group.rules,
        )

    def _inventory(self) -> pulumi.Output[str]:
        config, network = self._checked.config, self.site.network
        rows = [
            HostRow(
                name=f"client-{number + 1}",
                role="client",
                type=config.client_type,
                host=client.host,
                zone=network.zones[number % len(network.zones)],
            )
            for number, client in enumerate(self.clients)
        ]
        return inventory_output(
            self._checked.common,
            rows,
            cost=self._checked.cost,
            vpc_id=network.vpc_id,
            cpu_limit=config.cpu_limit,
            memory_limit_mib=config.memory_limit_mib,
            file_system=self.file_system.row,
        )
