"""Two instances in moto's account and an Elastic IP: whoever has the address answers there, unless it is silenced."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from inventory import Inventory
from tests.instances import launch
from tests.workloads.fakes import host_key, inventory_document, inventory_of
from workloads.connectors.pool import ConnectionPool
from workloads.console import Console
from workloads.deployment import Deployment
from workloads.eip_region import plan as plans
from workloads.eip_region.context import Context
from workloads.eip_region.plan import Plan
from workloads.eip_region.probe import Endpoint, Probe

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

REGION = "eu-central-1"
PLAN = """
name = "quick"
moves = 2
before_seconds = 0.5
confirmations = 2
answer_seconds = 2

[aws]
interval_ms = 20
at_once = 10
connection_seconds = 0.5
settle_seconds = 1.2

[rehearsal]
interval_ms = 30
at_once = 2
connection_seconds = 1
settle_seconds = 0.5
"""


def quick_plan() -> Plan:
    """Shorter than a plan that a person may write."""
    plan = plans.Plan.read(PLAN, "plan.toml")
    return replace(plan, before_seconds=0.1, answer_seconds=1.0, aws=replace(plan.aws, settle_seconds=0.9))


def eip_document(ids: tuple[str, ...], allocation_id: str, address: str, **changes: Any) -> dict[str, Any]:
    """An inventory of hosts in zones of their own, and an address."""
    like = inventory_document()["hosts"][0]
    hosts = [
        {
            **like,
            "name": f"host-{number}",
            "role": "host",
            "id": instance_id,
            "zone": f"{REGION}{'abc'[number - 1]}",
            "address": f"192.0.2.{number}",
            "private_address": f"10.20.{number}.10",
            "host_keys": [host_key(number)],
            "volumes": [],
        }
        for number, instance_id in enumerate(ids, start=1)
    ]
    elastic_ip = {"id": allocation_id, "address": address, "allocated": True, "reassociate": False}
    found = {"stack": "eip-region.test", "experiment": "eip-region", "hosts": hosts, "elastic_ips": [elastic_ip]}
    return inventory_document(**{**found, **changes})


@dataclass
class World:
    """`silent` hosts answer nobody; `asked` counts what was asked of the address."""

    ec2: EC2Client
    inventory: Inventory
    silent: set[str] = field(default_factory=set)

    @property
    def allocation_id(self) -> str:
        return self.inventory.elastic_ips[0].id

    def holder(self) -> str | None:
        """The host that has the address, by name."""
        found = self.ec2.describe_addresses(AllocationIds=[self.allocation_id])["Addresses"][0].get("InstanceId")
        return {host.id: host.name for host in self.inventory.hosts}.get(found or "")

    def give_to(self, name: str) -> None:
        self.ec2.associate_address(
            AllocationId=self.allocation_id, InstanceId=self.inventory.host(name).id, AllowReassociation=True
        )

    def probe(self, _: Endpoint) -> Probe:
        """A connection, as a host of this world answers it."""
        started = time.time()
        holder = self.holder()
        answers = holder is not None and holder not in self.silent
        return Probe(
            started, started, time.time(), holder if answers else None, None if answers else "no answer in 1 s"
        )

    def context(self) -> Context:
        keys = {host.name: host.host_keys for host in self.inventory.hosts}
        return Context.of(Deployment(ConnectionPool(self.inventory, keys), Console()), quick_plan())


def make_world(ec2: EC2Client, **changes: Any) -> World:
    """Instances and an address, which nobody has."""
    ids = tuple(launch(ec2, 2))
    address = ec2.allocate_address(Domain="vpc")
    return World(ec2, inventory_of(eip_document(ids, address["AllocationId"], "203.0.113.9", **changes)))
