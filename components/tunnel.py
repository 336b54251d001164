"""A server whose volume is reached through an SSH tunnel alone, and the hosts that may stand around it.

iscsi-tunnel and encrypted-backup are both made of this: each names itself, and has the same settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from aws_offers import VOLUME_TYPES, InstanceType
from components import prices
from components.checked_stack import MEMORY_LIMIT, Checked, Wanted, check_stack, read_stack
from components.client import Client
from components.config import CommonConfig
from components.elastic_ip import ElasticIp
from components.elastic_ip_settings import ElasticIpDemand, read_elastic_ip
from components.host import ROOT_VOLUME_GIB, ROOT_VOLUME_TYPE, HostArgs
from components.inventory_output import HostRow, inventory_output, volume_row
from components.security_group import SSH_PORT
from components.settings import NONE, Settings
from components.site import declare_site
from components.storage_server import StorageServer, baseline_iops
from components.validation import (
    VolumeKeys,
    check_iops_of_host,
    check_volume,
)

SERVER = "server"
VOLUME_NAME = f"{SERVER}-volume-1"
"""The volume's name in its stack, as its tag Name has it: the word by which its deletion is asked for."""

_SERVER_TYPE = "tidemark:serverType"
_CLIENT_TYPE = "tidemark:clientType"
_THIRD_TYPE = "tidemark:thirdType"
_VOLUME = VolumeKeys("tidemark:volumeType", "tidemark:volumeSizeGib", "tidemark:volumeIops")
DELETE_VOLUME = "tidemark:deleteVolume"


@dataclass(frozen=True)
class TunnelConfig:
    """The settings of these stacks. `client_type` and `third_type` are None where there is no such host: the client is
    the person's own machine then, and no third host tries the closed port. `delete_volume` is whether the volume may be
    deleted, which its name in `tidemark:deleteVolume` says. None for `memory_limit_mib`: not limited; for `elastic_ip`:
    the server has another public address each time that it starts.
    """

    server_type: str
    client_type: str | None
    third_type: str | None
    volume_type: str
    volume_size_gib: int
    volume_iops: int | None
    memory_limit_mib: int | None
    delete_volume: bool
    elastic_ip: ElasticIpDemand | None

    @property
    def hosts(self) -> dict[str, str]:
        """Each host's type, by its name, which is its role, too."""
        types = {SERVER: self.server_type, "client": self.client_type, "third": self.third_type}
        return {name: instance_type for name, instance_type in types.items() if instance_type is not None}


def read_config(settings: Settings) -> TunnelConfig:
    """Read these settings, each by itself. Absent ones are as published: 80 GB, and a client elsewhere."""
    return TunnelConfig(
        server_type=settings.text_or(_SERVER_TYPE, "t3.micro"),
        client_type=settings.text_or_none(_CLIENT_TYPE),
        third_type=settings.text_or_none(_THIRD_TYPE),
        volume_type=settings.choice(_VOLUME.type, VOLUME_TYPES, "gp3", default="gp3"),
        volume_size_gib=settings.integer(_VOLUME.size_gib, 1, 65_536, default=80, example=80),
        volume_iops=settings.integer_or_none(_VOLUME.iops, 1, 256_000, default=None, example=3_000),
        # Debian 12 with the tools of the experiment boots in 256 MiB.
        memory_limit_mib=settings.integer_or_none(MEMORY_LIMIT, 256, 1 << 24, default=None, example=512),
        delete_volume=_read_delete_volume(settings),
        elastic_ip=read_elastic_ip(settings, default=NONE),
    )


def _read_delete_volume(settings: Settings) -> bool:
    name = settings.text_or_none(DELETE_VOLUME)
    if name is not None and name != VOLUME_NAME:
        settings.refuse(DELETE_VOLUME, f"this stack has no volume {name}", f"its volume is {VOLUME_NAME}")
    return name == VOLUME_NAME


def check(settings: Settings, project: str, directory: Path, experiment: str) -> Checked[TunnelConfig]:
    """Read and validate everything. Raises ValidationError with every fault; creates nothing."""
    common, config = read_stack(settings, project, directory, experiment, read_config)
    check_volume(
        settings,
        _VOLUME,
        config.volume_type,
        config.volume_size_gib,
        config.volume_iops,
        at_least_gib=1,
        why="it is exported whole",
    )
    keys = {SERVER: _SERVER_TYPE, "client": _CLIENT_TYPE, "third": _THIRD_TYPE}
    # One zone for all: a volume can be attached in its own zone alone.
    wanted = Wanted(
        types={keys[name]: instance_type for name, instance_type in config.hosts.items()},
        instances=Counter(config.hosts.values()),
        cost=_cost(common, config),
        cost_keys=(_VOLUME.type, _VOLUME.size_gib, _VOLUME.iops),
        memory_limit_mib=config.memory_limit_mib,
        elastic_ip=config.elastic_ip,
    )

    def check_iops(types: Mapping[str, InstanceType]) -> None:
        if config.server_type in types:
            check_iops_of_host(settings, _VOLUME, config.volume_iops, types[config.server_type])

    checked = check_stack(settings, common, config, wanted, check_iops)
    about_address = [] if checked.elastic_ip is None else [checked.elastic_ip.line]
    return checked.saying(_protection_words(config), *about_address)


def _protection_words(config: TunnelConfig) -> str:
    if config.delete_volume:
        return f"volume: {VOLUME_NAME} is named by {DELETE_VOLUME}: destroy deletes it, with what is on it"
    return (
        f"volume: {VOLUME_NAME} is protected, since it may hold a backup: to let destroy delete it, set "
        f"{DELETE_VOLUME} to {VOLUME_NAME} and run pulumi up first"
    )


def _cost(common: CommonConfig, config: TunnelConfig) -> prices.Cost:
    instances = Counter(config.hosts.values())
    volumes = (
        prices.VolumeDemand(instances.total(), ROOT_VOLUME_TYPE, ROOT_VOLUME_GIB),
        prices.VolumeDemand(1, config.volume_type, config.volume_size_gib, config.volume_iops),
    )
    return prices.estimate(common.aws.region, instances, volumes)


class Tunnel(pulumi.ComponentResource):
    """The whole of such a stack: network, security group, key pair, the server with its volume, the hosts beside it.

    `name` is the experiment's, with which the names of the shared resources begin. Nothing but SSH comes in; the iSCSI
    target has no rule. The volume is protected unless its deletion is asked for by its name.
    """

    inventory: pulumi.Output[str]
    stack_outputs: Mapping[str, pulumi.Input[object]]

    def __init__(self, name: str, checked: Checked[TunnelConfig], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:tunnel:Tunnel", name, None, opts)
        common, config = checked.common, checked.config
        self._checked = checked
        below = pulumi.ResourceOptions(parent=self)
        # A client among the hosts comes from inside the VPC.
        within = {"Tunnel": SSH_PORT} if config.client_type is not None else {}
        self.site = declare_site(name, self, common, image_id=checked.image_id, zones=checked.zones, ports=within)
        self.server = StorageServer(
            SERVER,
            self._host_args(config.server_type),
            {
                "count": 1,
                "type": config.volume_type,
                "size_gib": config.volume_size_gib,
                "iops": config.volume_iops,
                "zone": self.site.network.zone,
                "protect": not config.delete_volume,
                "tags": self.site.tags,
            },
            below,
        )
        self.others = {
            host: Client(host, self._host_args(instance_type), below)
            for host, instance_type in config.hosts.items()
            if host != SERVER
        }
        self.elastic_ip = self._elastic_ip(name, below)
        self.inventory = self._inventory()
        (volume, _), *_ = self.server.disks
        self.stack_outputs = {
            "inventory": self.inventory,
            "server_address": self.server.host.address,
            "volume_id": volume.id,
            "expires_at": self.server.host.expires_at,
            "usd_per_hour": checked.cost.text,
        }
        self.register_outputs({"inventory": self.inventory})

    def _elastic_ip(self, name: str, below: pulumi.ResourceOptions) -> ElasticIp | None:
        """The server's, and put back where it belongs by the next `up`; while it stands still, the address is kept."""
        if self._checked.elastic_ip is None:
            return None
        return ElasticIp(
            f"{name}-address",
            {
                "plan": self._checked.elastic_ip,
                "instance_id": self.server.host.instance.id,
                "after": self.site.network.ways_out,
                "tags": self.site.tags,
            },
            below,
        )

    def _host_args(self, instance_type: str) -> HostArgs:
        return self.site.host_args(
            self._checked.types[instance_type],
            cpu_limit=None,
            memory_limit_mib=self._checked.config.memory_limit_mib,
            subnet_id=self.site.network.subnet_id,
        )

    def _inventory(self) -> pulumi.Output[str]:
        config, network = self._checked.config, self.site.network
        iops = baseline_iops(config.volume_type, config.volume_size_gib, config.volume_iops)
        hosts = {SERVER: self.server.host, **{name: client.host for name, client in self.others.items()}}
        rows = [
            HostRow(
                name=name,
                role=name,
                type=config.hosts[name],
                host=host,
                zone=network.zone,
                volumes=[
                    volume_row(volume, device, config.volume_size_gib, config.volume_type, iops)
                    for volume, device in (self.server.disks if name == SERVER else ())
                ],
            )
            for name, host in hosts.items()
        ]
        return inventory_output(
            self._checked.common,
            rows,
            cost=self._checked.cost,
            vpc_id=network.vpc_id,
            cpu_limit=None,
            memory_limit_mib=config.memory_limit_mib,
            elastic_ips=[] if self.elastic_ip is None else [self.elastic_ip.row],
        )
