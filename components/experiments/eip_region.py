"""eip-region: small hosts, each in a zone of its own, and an Elastic IP that the tasks move between them."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.config import CommonConfig
from components.elastic_ip import ElasticIp
from components.elastic_ip_validation import NEW, ElasticIpSpec, read_elastic_ip
from components.experiment import Experiment, ExperimentComponent, HostEntry
from components.host import Host
from components.limits import HostLimits, read_limits
from components.region_validation import ZoneRequirement
from components.settings import Settings
from components.stack_validation import HostRequirement, Requirements, ValidatedStack, validate_stack

_HOSTS = "tidemark:hosts"
_HOST_TYPE = "tidemark:hostType"

# Each host is in a zone of its own, and no region has more than six.
_MAX_HOSTS = 6


@dataclass(frozen=True)
class EipRegionConfig:
    """The settings of this experiment: `hosts` hosts of one type, in as many zones."""

    hosts: int
    host_type: str
    elastic_ip: ElasticIpSpec
    limits: HostLimits


def check(settings: Settings, common: CommonConfig) -> ValidatedStack[EipRegionConfig]:
    """Reads and validates everything."""
    config = EipRegionConfig(
        hosts=settings.integer(_HOSTS, 2, _MAX_HOSTS, 2),
        # The smallest type: a host only answers SSH.
        host_type=settings.text_or(_HOST_TYPE, "t3.micro"),
        # After an error a placeholder: nothing uses it before the errors are raised.
        elastic_ip=read_elastic_ip(settings, default=NEW, required=True) or ElasticIpSpec(None, False),
        limits=read_limits(settings, with_cpus=False),
    )
    required = Requirements(
        hosts=[HostRequirement(_HOST_TYPE, config.host_type, config.hosts, _HOSTS)],
        limits=config.limits,
        zones=ZoneRequirement(_HOSTS, config.hosts),
        elastic_ip=config.elastic_ip,
        # A host with the Elastic IP has no other address, so this is the cost while no host has it.
        unassociated_elastic_ips=1,
    )
    return validate_stack(settings, common, config, required)


class EipRegion(ExperimentComponent[EipRegionConfig]):
    """The address and the hosts. The tasks decide which host has the address (components/elastic_ip.py)."""

    def __init__(
        self, name: str, stack: ValidatedStack[EipRegionConfig], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tidemark:experiments:EipRegion", name, stack, opts)
        assert stack.elastic_ip is not None  # required, so without one the errors were raised
        elastic_ip = ElasticIp(
            f"{name}-address",
            {"plan": stack.elastic_ip, "instance_id": None, "depends_on": [], "tags": self.tags},
            self.children,
        )
        entries = []
        zones = zip(self.network.subnet_ids, self.network.zones, strict=True)
        for number, (subnet_id, zone) in enumerate(zones, start=1):
            host_type = stack.config.host_type
            host_args = self.host_args(host_type, subnet_id=subnet_id, depends_on=elastic_ip.resources)
            host = Host(f"host-{number}", host_args, self.children)
            entries.append(HostEntry(f"host-{number}", "host", host_type, host, zone))
        self.export(entries, {"elastic_ip": elastic_ip.address}, elastic_ips=[elastic_ip.entry])


EXPERIMENT = Experiment("eip-region", check, EipRegion)
