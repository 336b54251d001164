"""Cutting a host's power and giving it back, wherever the host is."""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections.abc import Callable
from dataclasses import replace

from inventory import Host, Inventory
from workloads.aws import ec2_client, is_instance_id, one_line
from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script
from workloads.errors import WorkloadError
from workloads.resource_watch import FINAL, GONE, instance_gone, read_console

STATE_LIMIT_S = 600
SSH_LIMIT_S = 600
POLL_S = 1.0

# Nothing is synced, stopped or told: the kernel starts over at once.
_CRASH = Script("crash", "echo 1 > /proc/sys/kernel/sysrq\necho b > /proc/sysrq-trigger\n# end of script")


class Power:
    """Kills and starts hosts.

    An instance is stopped by force through EC2's API and stays away until it is started. A machine of one's
    own is crashed through SysRq and comes back by itself.
    """

    def __init__(self, hosts: ConnectionPool, tell: Callable[[str], None]) -> None:
        self._hosts = hosts
        self._tell = tell

    def kill(self, host: Host) -> None:
        """Takes the host away abruptly; returns when that is asked for."""
        if is_instance_id(host.id):
            client = ec2_client(self._hosts.inventory.region)
            with one_line(f"forced stop of {host.name}"):
                client.stop_instances(InstanceIds=[host.id], Force=True)
            return
        self._tell(f"{host.name} is no EC2 instance: it is crashed through SysRq, and comes back by itself")
        # The connection breaks with the host; how is of no interest.
        with contextlib.suppress(WorkloadError):
            self._hosts.connector(host.name).run(_CRASH, locked=False, idle_timeout_seconds=3)

    def stop(self, host: Host) -> None:
        """Shuts an instance down in order, and waits for that; any other machine stays up."""
        if not is_instance_id(host.id):
            self._tell(f"{host.name} is no EC2 instance: it stays up")
            return
        self._hosts.drop(host.name)
        client = ec2_client(self._hosts.inventory.region)
        with one_line(f"stop of {host.name}"):
            client.stop_instances(InstanceIds=[host.id])
        self._wait_state(host, {"stopped"})

    def start(self, host: Host) -> None:
        """Asks for the host's return."""
        if not is_instance_id(host.id):
            return
        client = ec2_client(self._hosts.inventory.region)
        self._wait_state(host, {"stopped", "running"})
        with one_line(f"start of {host.name}"):
            client.start_instances(InstanceIds=[host.id])

    def await_return(self, host: Host, tell: Callable[[str], None]) -> Host:
        """Waits until SSH answers, at the address that the host has then."""
        self._hosts.drop(host.name)
        if is_instance_id(host.id):
            tell(f"{host.name} starts")
            self._wait_state(host, {"running"})
            self._hosts.inventory = with_current_addresses(self._hosts.inventory)
        self._hosts.wait_for(host.name, tell, SSH_LIMIT_S)
        return self._hosts.inventory.host(host.name)

    def _wait_state(self, host: Host, wanted: set[str]) -> None:
        """Waits for one of these states; one that does not lead there ends the wait at once."""
        inventory = self._hosts.inventory
        client = ec2_client(inventory.region)
        deadline = time.monotonic() + STATE_LIMIT_S
        came_up = False
        while True:
            with one_line(f"state of {host.name}"):
                answer = client.describe_instances(InstanceIds=[host.id])
            instance = answer["Reservations"][0]["Instances"][0]
            state = instance["State"]["Name"]
            if state in wanted:
                return
            # Right after a start EC2 may still say `stopped`; once it was on its way up, that is its end.
            came_up = came_up or state in ("pending", "running")
            if state in FINAL or (came_up and "stopped" not in wanted and state in GONE):
                raise instance_gone(instance, host.name, read_console(client, host.id), rehearsal=inventory.rehearsal)
            if time.monotonic() > deadline:
                raise WorkloadError(
                    f"{host.id} is {state} after {STATE_LIMIT_S} s", where_to_look(inventory), host.name
                )
            time.sleep(POLL_S)


def where_to_look(inventory: Inventory) -> str:
    """Where a person sees what becomes of an instance."""
    return "see `fab lab.status` and the region's log" if inventory.rehearsal else "see the EC2 console"


def with_current_addresses(inventory: Inventory, tell: Callable[[str], None] | None = None) -> Inventory:
    """The inventory with the public addresses that its instances have now; stopped ones are started.

    EC2 gives an instance another public address at each start, which the stack's output does not know; one that was
    stopped when the stack was deployed has its id there in the place of an address. Addresses that are other names or
    private ones are someone's choice and stay. Raises ResourceGone when an instance has ended, or ends while it starts.
    """
    names = {host.id: host.name for host in inventory.hosts if is_instance_id(host.id)}
    if not names:
        return inventory
    client = ec2_client(inventory.region)
    public: dict[str, str] = {}
    deadline = time.monotonic() + STATE_LIMIT_S
    started: set[str] = set()
    came_up: set[str] = set()
    while True:
        with one_line("addresses of the instances"):
            answer = client.describe_instances(InstanceIds=list(names))
        waiting = []
        for reservation in answer["Reservations"]:
            for instance in reservation["Instances"]:
                instance_id, state = instance["InstanceId"], instance["State"]["Name"]
                public[instance_id] = instance.get("PublicIpAddress", "")
                if state in FINAL or (instance_id in started & came_up and state in GONE):
                    console = read_console(client, instance_id)
                    raise instance_gone(instance, names[instance_id], console, rehearsal=inventory.rehearsal)
                if state == "stopped" and instance_id not in started and tell is not None:
                    tell(f"{instance_id} is stopped: starting it")
                    with one_line(f"start of {instance_id}"):
                        client.start_instances(InstanceIds=[instance_id])
                    started.add(instance_id)
                if instance_id in started and state in ("pending", "running"):
                    came_up.add(instance_id)
                if state != "running":
                    waiting.append(instance_id)
        if not waiting or tell is None:
            break
        if time.monotonic() > deadline:
            raise WorkloadError(f"{waiting[0]} does not start", where_to_look(inventory), names[waiting[0]])
        time.sleep(POLL_S)
    if tell is not None:
        for host in inventory.hosts:
            if host.address == host.id in public and not public[host.id]:
                raise WorkloadError(
                    f"{host.id} runs and has no public address", "see whether its subnet gives it one", host.name
                )
    return replace(inventory, hosts=tuple(_moved(host, public.get(host.id, "")) for host in inventory.hosts))


def _moved(host: Host, public_address: str) -> Host:
    if host.address == host.id:
        return replace(host, address=public_address) if public_address else host
    try:
        ipaddress.ip_address(host.address)
    except ValueError:
        return host
    if not public_address or host.address in (public_address, host.private_address):
        return host
    return replace(host, address=public_address)
