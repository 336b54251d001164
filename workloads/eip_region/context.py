"""What a task of eip-region works with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from inventory import Host, Inventory
from workloads import deployment
from workloads.connectors.pool import ConnectionPool
from workloads.console import Console
from workloads.deployment import Deployment
from workloads.eip_region.address import Address
from workloads.eip_region.plan import Pace, Plan
from workloads.eip_region.probe import Door, Prober, door
from workloads.errors import WorkloadError
from workloads.host_keys import host_keys
from workloads.resource_watch import ResourceWatch


@dataclass(kw_only=True)
class Context(Deployment):
    """The deployment with its address and the plan; `moves` counts those that were recorded."""

    address: Address
    plan: Plan
    moves: int = field(default=0)

    @classmethod
    def of(cls, found: Deployment, plan: Plan) -> Context:
        """A context for hosts whose keys are known."""
        address = Address(found.inventory)
        return cls(hosts=found.hosts, console=found.console, results=found.results, address=address, plan=plan)

    @property
    def pace(self) -> Pace:
        """How fast it is asked here."""
        return self.plan.pace(rehearsal=self.inventory.rehearsal)

    @property
    def door(self) -> Door:
        """The address, as a client knocks there."""
        keys = {host.name: self.hosts.keys_of(host.name) for host in self.inventory.hosts}
        return door(self.address.elastic_ip.address, self.inventory.ssh, keys, self.pace.connection_seconds)

    def prober(self) -> Prober:
        """New connections to the address, at the pace of here."""
        return Prober(self.door, self.pace.interval_seconds, self.pace.at_once)

    def host(self, name: str) -> Host:
        """The host of that name. Raises WorkloadError with the names there are."""
        for host in self.inventory.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.inventory.hosts)
        raise WorkloadError(f"--to {name}: no host of that name", f"its hosts are {names}")

    def other_than(self, host: Host) -> Host:
        """The first host that is not this one, of another zone where there is such a one."""
        others = [each for each in self.inventory.hosts if each.name != host.name]
        if not others:
            raise WorkloadError(f"{host.name} is the only host", "an address moves between two: add one")
        return next((each for each in others if each.zone != host.zone), others[0])


@contextmanager
def with_keys(inventory: Inventory, console: Console, plan: Plan) -> Iterator[Context]:
    """Nobody is logged in to: a host that loses its address loses its connections. Their keys are known."""
    watch = ResourceWatch(inventory)
    keys = host_keys(inventory, watch=watch, tell=lambda words: console.say("hosts", words))
    with ConnectionPool(inventory, keys, watch.check) as hosts:
        yield Context.of(Deployment(hosts, console), plan)


def await_boot(inventory: Inventory, console: Console) -> None:
    """Logs in to each host once, so that all are up."""
    began = time.monotonic()
    with deployment.connected(inventory, console):
        console.say("hosts", f"all are up after {time.monotonic() - began:.1f} s")
