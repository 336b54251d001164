"""eip-region: small hosts, each in a zone of its own, and an Elastic IP that the tasks move between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components import prices
from components.checked_stack import MEMORY_LIMIT, Checked, Wanted, Zones, check_stack, read_stack
from components.config import CommonConfig
from components.elastic_ip import ElasticIp
from components.elastic_ip_look_up import ElasticIpPlan
from components.elastic_ip_settings import NEW, ElasticIpDemand, read_elastic_ip
from components.host import ROOT_VOLUME_GIB, ROOT_VOLUME_TYPE, Host, HostArgs
from components.inventory_output import HostRow, inventory_output
from components.settings import Settings
from components.site import declare_site

NAME = "eip-region"

_HOSTS = "tidemark:hosts"
_HOST_TYPE = "tidemark:hostType"

# Each is in a zone of its own, and no region has more than six.
_MOST_HOSTS = 6


@dataclass(frozen=True)
class EipRegionConfig:
    """The settings of this experiment: `hosts` of one type, as many zones. None: not limited."""

    hosts: int
    host_type: str
    elastic_ip: ElasticIpDemand
    memory_limit_mib: int | None


def read_config(settings: Settings) -> EipRegionConfig:
    """Read the experiment's own settings, each by itself."""
    return EipRegionConfig(
        hosts=settings.integer(_HOSTS, 2, _MOST_HOSTS, default=2, example=2),
        # The least that is asked of it: it answers SSH.
        host_type=settings.text_or(_HOST_TYPE, "t3.micro"),
        # After a fault a stand-in: nothing is asked of it before `finish`.
        elastic_ip=read_elastic_ip(settings, default=NEW, needed=True) or ElasticIpDemand(None, False),
        # Debian 12 boots in 256 MiB.
        memory_limit_mib=settings.integer_or_none(MEMORY_LIMIT, 256, 1 << 24, default=None, example=256),
    )


def check(settings: Settings, project: str, directory: Path) -> Checked[EipRegionConfig]:
    """Read and validate everything. Raises ValidationError with every fault; creates nothing."""
    common, config = read_stack(settings, project, directory, NAME, read_config)
    wanted = Wanted(
        types={_HOST_TYPE: config.host_type},
        instances={config.host_type: config.hosts},
        cost=_cost(common, config),
        cost_keys=(_HOSTS,),
        memory_limit_mib=config.memory_limit_mib,
        zones=Zones(_HOSTS, config.hosts),
        elastic_ip=config.elastic_ip,
    )
    checked = check_stack(settings, common, config, wanted)
    return checked.saying(_address_of(checked).line)


def _address_of(checked: Checked[EipRegionConfig]) -> ElasticIpPlan:
    assert checked.elastic_ip is not None  # one is wanted, and where it can't be had that was raised
    return checked.elastic_ip


def _cost(common: CommonConfig, config: EipRegionConfig) -> prices.Cost:
    roots = prices.VolumeDemand(config.hosts, ROOT_VOLUME_TYPE, ROOT_VOLUME_GIB)
    # A host that has the Elastic IP has no other: so this is what it costs while none has it.
    return prices.estimate(common.aws.region, {config.host_type: config.hosts}, (roots,), elastic_ips=1)


class EipRegion(pulumi.ComponentResource):
    """The whole experiment: network, security group, key pair, the address, hosts.

    Which host has the address is for the tasks to decide (components/elastic_ip.py).
    """

    inventory: pulumi.Output[str]
    stack_outputs: Mapping[str, pulumi.Input[object]]

    def __init__(
        self, name: str, checked: Checked[EipRegionConfig], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tidemark:experiments:EipRegion", name, None, opts)
        common = checked.common
        self._checked = checked
        below = pulumi.ResourceOptions(parent=self)

        self.site = declare_site(name, self, common, image_id=checked.image_id, zones=checked.zones, ports={})
        self.elastic_ip = ElasticIp(
            f"{name}-address",
            {"plan": _address_of(checked), "instance_id": None, "after": [], "tags": self.site.tags},
            below,
        )
        self.hosts = tuple(
            Host(f"host-{number}", self._host_args(subnet_id), below)
            for number, subnet_id in enumerate(self.site.network.subnet_ids, start=1)
        )

        self.inventory = self._inventory()
        self.stack_outputs = {
            "inventory": self.inventory,
            "elastic_ip": self.elastic_ip.address,
            "expires_at": self.hosts[0].expires_at,
            "usd_per_hour": checked.cost.text,
        }
        self.register_outputs({"inventory": self.inventory})

    def _host_args(self, subnet_id: pulumi.Input[str]) -> HostArgs:
        config = self._checked.config
        return self.site.host_args(
            self._checked.types[config.host_type],
            cpu_limit=None,
            memory_limit_mib=config.memory_limit_mib,
            subnet_id=subnet_id,
            after=self.elastic_ip.resources,
        )

    def _inventory(self) -> pulumi.Output[str]:
        network = self.site.network
        rows = [
            HostRow(name=f"host-{number}", role="host", type=self._checked.config.host_type, host=host, zone=zone)
            for number, (host, zone) in enumerate(zip(self.hosts, network.zones, strict=True), start=1)
        ]
        return inventory_output(
            self._checked.common,
            rows,
            cost=self._checked.cost,
            vpc_id=network.vpc_id,
            cpu_limit=None,
            memory_limit_mib=self._checked.config.memory_limit_mib,
            elastic_ips=[self.elastic_ip.row],
        )
