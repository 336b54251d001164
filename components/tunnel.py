"""The stack of iscsi-tunnel and encrypted-backup: a server whose volume is reached only through an SSH tunnel.

Other hosts may stand beside the server. Both experiments have the same settings.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.config import CommonConfig
from components.elastic_ip import ElasticIp
from components.elastic_ip_validation import ElasticIpSpec, read_elastic_ip
from components.experiment import ExperimentComponent, HostEntry
from components.host import Client
from components.limits import HostLimits, read_limits
from components.security_group import SSH_PORT
from components.settings import NONE, Settings
from components.stack_validation import (
    HostRequirement,
    Requirements,
    ValidatedStack,
    VolumeRequirement,
    validate_stack,
)
from components.storage_server import StorageServer
from components.volumes import VolumeSpec, read_volume

SERVER = "server"
VOLUME_NAME = f"{SERVER}-volume-1"
"""The volume's name in its stack, and its tag Name. `tidemark:deleteVolume` must be this name to delete it."""

_TYPE_KEYS = {SERVER: "tidemark:serverType", "client": "tidemark:clientType", "third": "tidemark:thirdType"}
_DELETE_VOLUME = "tidemark:deleteVolume"


@dataclass(frozen=True)
class TunnelConfig:
    """The settings of these stacks. `host_types` has each host's instance type by its name, which is its role too:
    without a client the user's own machine is the client, without a third host nobody tries the closed port. Without an
    Elastic IP the server gets another public address each time it starts.
    """

    host_types: dict[str, str]
    volume: VolumeSpec
    limits: HostLimits
    delete_volume: bool
    elastic_ip: ElasticIpSpec | None


def _read_delete_volume(settings: Settings) -> bool:
    name = settings.text_or_none(_DELETE_VOLUME)
    if name is not None and name != VOLUME_NAME:
        settings.add_error(_DELETE_VOLUME, f"this stack has no volume {name}", f"its volume is {VOLUME_NAME}")
    return name == VOLUME_NAME


def check(settings: Settings, common: CommonConfig) -> ValidatedStack[TunnelConfig]:
    """Reads and validates everything. The defaults are the published setup: 80 GB, and a client elsewhere."""
    types = {
        SERVER: settings.text_or(_TYPE_KEYS[SERVER], "t3.micro"),
        "client": settings.text_or_none(_TYPE_KEYS["client"]),
        "third": settings.text_or_none(_TYPE_KEYS["third"]),
    }
    config = TunnelConfig(
        host_types={name: instance_type for name, instance_type in types.items() if instance_type is not None},
        volume=read_volume(settings, VolumeSpec("gp3", 80)),
        limits=read_limits(settings, with_cpus=False),
        delete_volume=_read_delete_volume(settings),
        elastic_ip=read_elastic_ip(settings, default=NONE),
    )
    if config.delete_volume:
        note = f"volume: {VOLUME_NAME} is named by {_DELETE_VOLUME}: destroy deletes it, with what is on it"
    else:
        note = (
            f"volume: {VOLUME_NAME} is protected, since it may hold a backup: to let destroy delete it, set "
            f"{_DELETE_VOLUME} to {VOLUME_NAME} and run pulumi up first"
        )
    required = Requirements(
        hosts=[HostRequirement(_TYPE_KEYS[name], kind) for name, kind in config.host_types.items()],
        limits=config.limits,
        # All hosts are in one zone, since a volume can be attached only in its own.
        volumes=VolumeRequirement(config.volume, 1, config.host_types[SERVER], 1, "it is exported whole"),
        elastic_ip=config.elastic_ip,
        notes=[note],
    )
    return validate_stack(settings, common, config, required)


class Tunnel(ExperimentComponent[TunnelConfig]):
    """The server with its volume, and the hosts beside it. No security group rule opens the iSCSI target's port.

    The volume is protected unless the stack file names it to be deleted.
    """

    def __init__(
        self, name: str, stack: ValidatedStack[TunnelConfig], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        config = stack.config
        # A client of the stack comes from inside the VPC.
        ports = {"Tunnel": SSH_PORT} if "client" in config.host_types else {}
        super().__init__("tidemark:tunnel:Tunnel", name, stack, opts, ports=ports)
        server = StorageServer(
            SERVER,
            self.host_args(config.host_types[SERVER]),
            {
                "count": 1,
                "volume": config.volume,
                "zone": self.network.zone,
                "protect": not config.delete_volume,
                "tags": self.tags,
            },
            self.children,
        )
        hosts = {SERVER: server.host}
        for host, instance_type in config.host_types.items():
            if host != SERVER:
                hosts[host] = Client(host, self.host_args(instance_type), self.children).host
        elastic_ips = []
        if stack.elastic_ip is not None:
            # The next `up` gives it back to the server. A stopped server keeps it.
            elastic_ip = ElasticIp(
                f"{name}-address",
                {
                    "plan": stack.elastic_ip,
                    "instance_id": server.host.instance.id,
                    "depends_on": self.network.default_routes,
                    "tags": self.tags,
                },
                self.children,
            )
            elastic_ips.append(elastic_ip.entry)
        entries = [
            HostEntry(
                name=name,
                role=name,
                type=config.host_types[name],
                host=host,
                zone=self.network.zone,
                volumes=server.entries if name == SERVER else (),
            )
            for name, host in hosts.items()
        ]
        outputs = {"server_address": server.host.address, "volume_id": server.volumes[0].id}
        self.export(entries, outputs, elastic_ips=elastic_ips)
