"""Cuts a host's power and restores it; starts instances and finds their addresses."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from inventory import Host, Inventory
from workloads.aws import ec2_client, is_instance_id, one_line
from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script
from workloads.errors import WorkloadError
from workloads.resource_watch import FINAL, GONE, instance_gone
from workloads.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

STATE_TIMEOUT_SECONDS = 600
SSH_TIMEOUT_SECONDS = 600
START_MAY_TAKE = f"at most {(STATE_TIMEOUT_SECONDS + SSH_TIMEOUT_SECONDS) // 60} minutes"
POLL_SECONDS = 1.0

# Nothing is synced, stopped or announced: the kernel restarts at once.
_CRASH = Script("crash", "echo 1 > /proc/sys/kernel/sysrq\necho b > /proc/sysrq-trigger\n# end of script")


class Power:
    """Kills and starts hosts.

    An instance is stopped by force through EC2's API and stays away until it is started. A person's own machine is
    crashed through SysRq and comes back by itself.
    """

    def __init__(self, hosts: ConnectionPool, tell: Callable[[str], None]) -> None:
        self._hosts = hosts
        self._tell = tell

    def kill(self, host: Host) -> None:
        """Cuts the host's power; returns when EC2 has accepted the request."""
        if is_instance_id(host.id):
            with one_line(f"forced stop of {host.name}"):
                ec2_client(self._hosts.inventory.region).stop_instances(InstanceIds=[host.id], Force=True)
            return
        self._tell(f"{host.name} is no EC2 instance: it is crashed through SysRq, and comes back by itself")
        # The connection breaks with the host, in one way or another.
        with contextlib.suppress(WorkloadError):
            self._hosts.connector(host.name).run(_CRASH, locked=False, idle_timeout_seconds=3)

    def stop(self, host: Host) -> None:
        """Shuts an instance down cleanly and waits until it is stopped; leaves any other machine up."""
        if not is_instance_id(host.id):
            self._tell(f"{host.name} is no EC2 instance: it stays up")
            return
        self._hosts.drop(host.name)
        with one_line(f"stop of {host.name}"):
            ec2_client(self._hosts.inventory.region).stop_instances(InstanceIds=[host.id])
        self._wait_for_state(host, {"stopped"})

    def start(self, host: Host) -> None:
        """Starts an instance; returns when EC2 has accepted the request."""
        if not is_instance_id(host.id):
            return
        self._wait_for_state(host, {"stopped", "running"})
        with one_line(f"start of {host.name}"):
            ec2_client(self._hosts.inventory.region).start_instances(InstanceIds=[host.id])

    def await_return(self, host: Host, tell: Callable[[str], None]) -> Host:
        """Waits until SSH answers; returns the host with its new address."""
        self._hosts.drop(host.name)
        if is_instance_id(host.id):
            tell(f"{host.name} starts")
            self._wait_for_state(host, {"running"})
            self._hosts.inventory = with_current_addresses(self._hosts.inventory)
        self._hosts.wait_for(host.name, tell, SSH_TIMEOUT_SECONDS)
        return self._hosts.inventory.host(host.name)

    def _wait_for_state(self, host: Host, states: set[str]) -> None:
        _Instances(self._hosts.inventory, [host]).wait_for(states)


class _Instances:
    """The EC2 instances of some hosts. Raises ResourceGone when one has been terminated, or stops while it starts."""

    def __init__(self, inventory: Inventory, hosts: Collection[Host]) -> None:
        self.client = ec2_client(inventory.region)
        self._inventory = inventory
        self._names = {host.id: host.name for host in hosts}
        self._came_up: set[str] = set()

    def look(self, states: Collection[str] = ("running",)) -> Mapping[str, InstanceTypeDef]:
        """Returns the instances by id, while they are expected to reach one of `states`."""
        with one_line(f"state of {', '.join(self._names.values())}"):
            answer = self.client.describe_instances(InstanceIds=list(self._names))
        found = {each["InstanceId"]: each for group in answer["Reservations"] for each in group["Instances"]}
        for instance_id, instance in found.items():
            state = instance["State"]["Name"]
            # Right after a start EC2 may still say `stopped`; once an instance was pending, `stopped` means its end.
            stopped_again = instance_id in self._came_up and state in GONE and "stopped" not in states
            if state in FINAL or stopped_again:
                rehearsal = self._inventory.rehearsal
                raise instance_gone(self.client, instance, self._names[instance_id], rehearsal=rehearsal)
            if state in ("pending", "running"):
                self._came_up.add(instance_id)
        return found

    def wait_for(
        self, states: Collection[str], act: Callable[[Mapping[str, InstanceTypeDef]], None] = lambda _: None
    ) -> Mapping[str, InstanceTypeDef]:
        """Waits until each instance is in one of `states`; calls `act` with the instances at each poll."""
        found: Mapping[str, InstanceTypeDef] = {}

        def arrived() -> bool:
            nonlocal found
            found = self.look(states)
            act(found)
            return all(each["State"]["Name"] in states for each in found.values())

        if not wait_until(arrived, timeout_seconds=STATE_TIMEOUT_SECONDS, interval_seconds=POLL_SECONDS):
            late = next(each for each in found.values() if each["State"]["Name"] not in states)
            where = "see `fab lab.status` and the region's log" if self._inventory.rehearsal else "see the EC2 console"
            raise WorkloadError(
                f"{late['InstanceId']} is {late['State']['Name']} after {STATE_TIMEOUT_SECONDS} s",
                where,
                self._names[late["InstanceId"]],
            )
        return found


def with_current_addresses(inventory: Inventory) -> Inventory:
    """Returns the inventory with its instances' current public addresses.

    EC2 gives an instance a new public address at each start, which the stack's output does not have; it has the id
    of an instance that was stopped at deployment instead of an address. Names and private addresses are a person's
    choice and stay.
    """
    hosts = _hosts_in_ec2(inventory)
    return _with_addresses(inventory, _Instances(inventory, hosts).look()) if hosts else inventory


def start_stopped_hosts(inventory: Inventory, tell: Callable[[str], None]) -> Inventory:
    """Starts stopped instances, and waits until all run; returns the inventory with their current public addresses."""
    hosts = _hosts_in_ec2(inventory)
    if not hosts:
        return inventory
    instances = _Instances(inventory, hosts)
    started: set[str] = set()

    def start(found: Mapping[str, InstanceTypeDef]) -> None:
        for instance_id, instance in found.items():
            if instance["State"]["Name"] == "stopped" and instance_id not in started:
                tell(f"{instance_id} is stopped: starting it")
                with one_line(f"start of {instance_id}"):
                    instances.client.start_instances(InstanceIds=[instance_id])
                started.add(instance_id)

    current = _with_addresses(inventory, instances.wait_for({"running"}, start))
    for host in _hosts_in_ec2(current):
        if host.address == host.id:
            raise WorkloadError(
                f"{host.id} runs and has no public address", "see whether its subnet gives it one", host.name
            )
    return current


def _hosts_in_ec2(inventory: Inventory) -> list[Host]:
    return [host for host in inventory.hosts if is_instance_id(host.id)]


def _with_addresses(inventory: Inventory, instances: Mapping[str, InstanceTypeDef]) -> Inventory:
    hosts = []
    for host in inventory.hosts:
        public_address = instances[host.id].get("PublicIpAddress") if host.id in instances else None
        is_replaced = host.address == host.id or (_is_ip_address(host.address) and host.address != host.private_address)
        hosts.append(replace(host, address=public_address) if public_address and is_replaced else host)
    return replace(inventory, hosts=tuple(hosts))


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
