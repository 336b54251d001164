"""The context of eip-region's tasks: connections, and what the experiment adds to them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inventory import Host
from workloads import deployment
from workloads.connectors.pool import ConnectionPool
from workloads.deployment import Deployment
from workloads.eip_region.address import Address, address_lock, elastic_ip_of
from workloads.eip_region.plan import Pace, Plan
from workloads.eip_region.probe import Prober, make_endpoint
from workloads.errors import WorkloadError
from workloads.experiment import Request
from workloads.host_keys import host_keys
from workloads.resource_watch import ResourceWatch
from workloads.run_stages import collect_logs

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(kw_only=True)
class Context(Deployment):
    """The deployment with its address and the plan; `moves` is the number of moves on record."""

    address: Address
    plan: Plan
    moves: int = 0

    @classmethod
    def of(cls, deployment: Deployment, plan: Plan) -> Context:
        """Returns a context for hosts whose keys are known."""
        return cls(**vars(deployment), address=Address(deployment.inventory), plan=plan)

    @property
    def pace(self) -> Pace:
        """The pace of probes and API calls: that of AWS, or of a rehearsal."""
        return self.plan.pace(rehearsal=self.inventory.rehearsal)

    def prober(self) -> Prober:
        """Returns a prober of the address."""
        keys = {host.name: self.hosts.keys_of(host.name) for host in self.inventory.hosts}
        address, pace = self.address.elastic_ip.address, self.pace
        endpoint = make_endpoint(address, self.inventory.ssh, keys, pace.connection_seconds)
        return Prober(endpoint, pace.interval_seconds, pace.at_once)

    def other_than(self, host: Host) -> Host:
        """Returns the first other host, in another zone where possible."""
        others = [each for each in self.inventory.hosts if each.name != host.name]
        if not others:
            raise WorkloadError(f"{host.name} is the only host", "an address moves between two: add one")
        return next((each for each in others if each.zone != host.zone), others[0])


@contextmanager
def connect(request: Request) -> Iterator[Context]:
    """Gives the context to a task, once no other task moves the address, and before any results are touched.

    It knows the hosts' keys, and logs in to none of them: a host that loses its address loses its connections.
    """
    inventory, console = request.inventory, request.console
    if request.task == "all":
        began = time.monotonic()
        with deployment.connected(inventory, console):  # logs in to each host once
            console.say("hosts", f"all are up after {time.monotonic() - began:.1f} s")
    with address_lock(elastic_ip_of(inventory).id, f"eip-region.{request.task}"):
        watch = ResourceWatch(inventory)
        keys = host_keys(inventory, watch=watch, tell=lambda words: console.say("hosts", words))
        with ConnectionPool(inventory, keys, watch.check) as hosts:
            yield Context.of(Deployment(hosts, console), request.plan)


def collect(context: Context) -> None:
    """Fetches the logs over connections to the hosts' current addresses, which the moves have changed."""
    with deployment.connected(context.inventory, context.console) as found:
        found.results = context.results
        collect_logs(found, SCRIPTS)
