"""efs-iops: clients in one or several zones that all mount one EFS file system."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from aws_offers import ZONE_IDS_WITHOUT_EFS
from components.aws_settings import require_endpoint
from components.config import CommonConfig
from components.experiment import Experiment, ExperimentComponent, HostEntry
from components.file_system import ElasticFileSystem, MountTargetGroup
from components.file_system_validation import CLIENT_ZONES, FileSystemSpec, read_file_system
from components.host import Client
from components.limits import HostLimits, read_limits
from components.region_validation import ZoneRequirement
from components.settings import Settings
from components.stack_validation import HostRequirement, Requirements, ValidatedStack, validate_stack

_CLIENTS = "tidemark:clients"
_CLIENT_TYPE = "tidemark:clientType"


@dataclass(frozen=True)
class EfsIopsConfig:
    """The settings of this experiment: `clients` hosts of one type, in `file_system.client_zones` zones."""

    clients: int
    client_type: str
    file_system: FileSystemSpec
    limits: HostLimits


def check(settings: Settings, common: CommonConfig) -> ValidatedStack[EfsIopsConfig]:
    """Reads and validates everything. The defaults are the published setup."""
    config = EfsIopsConfig(
        # Two were enough to reach every limit of one file system; sixteen show how it is shared.
        clients=settings.integer(_CLIENTS, 1, 16, 2),
        client_type=settings.text_or(_CLIENT_TYPE, "m4.xlarge"),
        file_system=read_file_system(settings),
        limits=read_limits(settings),
    )
    require_endpoint(settings, common.aws, "efs", "a file system")
    zones = config.file_system.client_zones
    if settings.is_valid(_CLIENTS, CLIENT_ZONES) and zones > config.clients:
        settings.add_error(
            CLIENT_ZONES,
            f"{zones} zones, and clients in {config.clients} of them at most ({_CLIENTS})",
            f"choose {config.clients} at most, or more clients",
        )
    required = Requirements(
        hosts=[HostRequirement(_CLIENT_TYPE, config.client_type, config.clients, _CLIENTS)],
        limits=config.limits,
        file_system=config.file_system,
        zones=ZoneRequirement(CLIENT_ZONES, zones, "EFS", ZONE_IDS_WITHOUT_EFS),
    )
    return validate_stack(settings, common, config, required)


class EfsIops(ExperimentComponent[EfsIopsConfig]):
    """The file system and its clients, dealt out to the zones in turn.

    A client mounts in its own zone, by a private address. Hosts and mount targets do not wait for each other, since
    nothing is mounted at boot.
    """

    def __init__(
        self, name: str, stack: ValidatedStack[EfsIopsConfig], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tidemark:experiments:EfsIops", name, stack, opts)
        config, network = stack.config, self.network
        group = MountTargetGroup(
            f"{name}-mount-targets",
            {"vpc_id": network.vpc_id, "host_group_id": self.security_group.group_id, "tags": self.tags},
            self.children,
        )
        file_system = ElasticFileSystem(
            f"{name}-file-system",
            {
                "spec": config.file_system,
                "zones": network.zones,
                "subnet_ids": network.subnet_ids,
                "security_group_id": group.group_id,
                "tags": self.tags,
            },
            self.children,
        )
        entries = []
        for number in range(config.clients):
            zone, subnet_id = (each[number % len(each)] for each in (network.zones, network.subnet_ids))
            host_args = self.host_args(config.client_type, subnet_id=subnet_id, depends_on=group.rules)
            client = Client(f"client-{number + 1}", host_args, self.children)
            entries.append(HostEntry(f"client-{number + 1}", "client", config.client_type, client.host, zone))
        outputs = {
            "client_addresses": [entry.host.address for entry in entries],
            "file_system_id": file_system.file_system.id,
        }
        self.export(entries, outputs, file_system=file_system.entry)


EXPERIMENT = Experiment("efs-iops", check, EfsIops)
