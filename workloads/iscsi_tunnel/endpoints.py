"""The two endpoints of a tunnel: the server with its volume, and the machine that is the client."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from inventory import Host, Inventory, InventoryError, Volume
from workloads.connectors.base import Connector
from workloads.connectors.local import THIS_MACHINE, LocalConnector, local_user
from workloads.connectors.script import Script, ScriptResult
from workloads.deployment import Deployment
from workloads.errors import WorkloadError
from workloads.iscsi import check_volume_id, initiator_name, target_name
from workloads.paths import PROJECT, lab_dir
from workloads.scripts import find_script

SCRIPTS = Path(__file__).parent / "scripts"
TUNNEL_USER = "tidemark-tunnel"
MTU_MAX = 16380
"""Bytes of a tunnelled packet, which ssh reads at once: 16 KiB with the four bytes of its address family (OpenSSH's
CHAN_RBUF in channels.h, sys_tun_infilter in port-net.c). The client's end fits it to the segments of the path.
"""
LIMIT_SECONDS = 120
"""For how long requests to the disk wait for a lost connection; then they fail."""


def script(name: str) -> Script:
    """Returns the script called `name`, with the functions that it may use."""
    return find_script(name, SCRIPTS, "iscsi")


def merged_facts(result: ScriptResult) -> dict[str, Any]:
    """Returns the facts of a script as one object."""
    return {name: value for fact in result.facts for name, value in fact.items()}


def server_of(inventory: Inventory) -> Host:
    """Returns the host of the role server. Raises WorkloadError unless there is one, with one volume."""
    where = f"inventory of {inventory.stack}"
    try:
        servers = inventory.hosts_in("server")
    except InventoryError as error:
        raise WorkloadError(str(error), "a tunnel needs one host with the role server") from error
    if len(servers) != 1:
        raise WorkloadError(f"{where}: {len(servers)} hosts have the role server", "leave exactly one")
    (server,) = servers
    if len(server.volumes) != 1:
        raise WorkloadError(f"{where}: {server.name} has {len(server.volumes)} volumes", "leave exactly one")
    check_volume_id(server, server.volumes[0])
    return server


def client_of(inventory: Inventory, name: str | None) -> Host | None:
    """Returns the client: the host called `name`, by default the host of that role. None is this machine: where no host
    has the role, and when `name` is "this".
    """
    if name == "this":
        return None
    if name is not None:
        host = inventory.host(name)
        if host.role == "server":
            raise WorkloadError(f"{name} is the server", "name another host with --client, or `this`")
        return host
    clients = [host for host in inventory.hosts if host.role == "client"]
    if len(clients) > 1:
        names = ", ".join(host.name for host in clients)
        raise WorkloadError(f"{len(clients)} hosts have the role client", f"name one with --client: {names}")
    return clients[0] if clients else None


@dataclass(frozen=True)
class Attachment:
    """An attached volume: `device` is its stable name at the client, `disk` the kernel's current one. `volume_bytes` is
    its size at the server. `changed` counts what was changed to attach it: 0 when it was attached already.
    """

    volume: str
    device: str
    disk: str
    volume_bytes: int
    size_bytes: int
    block_bytes: int
    tun: str
    mtu_bytes: int
    server_address: str
    client_address: str
    changed: int


@dataclass(kw_only=True)
class TunnelEndpoints(Deployment):
    """A deployment with a server and a client; `client_host` is None when this machine is the client.

    `attached` is the volume as it was attached last, if it still is.
    """

    client_host: Host | None
    attached: Attachment | None = None

    @classmethod
    def of(cls, deployment: Deployment, client: str | None = None) -> Self:
        """Returns the endpoints in the inventory; `client` names a host, or is "this"."""
        server_of(deployment.inventory)
        return cls(**vars(deployment), client_host=client_of(deployment.inventory, client))

    @property
    def server_host(self) -> Host:
        """The server, with its current address."""
        return server_of(self.inventory)

    @property
    def volume(self) -> Volume:
        """The exported volume."""
        return self.server_host.volumes[0]

    @property
    def server(self) -> Connector:
        """The connection to the server."""
        return self.hosts.connector(self.server_host.name)

    @property
    def client(self) -> Connector:
        """The connection to the client."""
        if self.client_host is None:
            return LocalConnector(local_user())
        return self.hosts.connector(self.client_host.name)

    @property
    def iqn(self) -> str:
        """The target's name."""
        return target_name(self.server_host.name, self.volume.id)

    def initiator(self, machine_name: str) -> str:
        """Returns the client's initiator name: by its name in the inventory, or by this machine's own."""
        return initiator_name(machine_name if self.client_host is None else self.client_host.name)

    @property
    def client_name(self) -> str:
        """The client's name in messages and records."""
        return THIS_MACHINE if self.client_host is None else self.client_host.name

    def ssh_route(self) -> dict[str, str]:
        """Returns how ssh on the client reaches the server: by the private address in the VPC, else as the tasks do."""
        server, proxy = self.server_host, self.inventory.ssh.proxy_command or ""
        if self.client_host is not None:
            return {"server": server.private_address, "port": "22", "proxy": "", "directory": ""}
        if proxy and self.inventory.rehearsal:
            # The systemd unit that runs it has none of this process's environment.
            proxy = f"env TIDEMARK_LAB_DIR={shlex.quote(str(lab_dir().absolute()))} {proxy}"
        return {
            "server": server.address,
            "port": str(server.port),
            "proxy": proxy,
            "directory": str(PROJECT) if proxy else "",
        }
