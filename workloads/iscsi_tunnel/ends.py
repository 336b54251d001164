"""The two ends of a tunnel: the server with its volume, and the machine that is the client."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from inventory import Host, Inventory, InventoryError, Volume
from workloads.connectors.base import Connector
from workloads.connectors.local import THIS_MACHINE, LocalConnector, local_user
from workloads.connectors.script import Script
from workloads.deployment import Deployment
from workloads.errors import WorkloadError
from workloads.iscsi import VOLUME_ID, initiator_name, target_name
from workloads.iscsi_tunnel.settings import SCRIPTS
from workloads.scripts import find_script
from workloads.sources import PROJECT, lab_dir


def script(name: str) -> Script:
    """The script called `name`, with the functions that it may use."""
    return find_script(name, SCRIPTS, "iscsi")


def server_of(inventory: Inventory) -> Host:
    """The host of the role server, with its one volume. What does not fit is named before any host is touched."""
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
    if not VOLUME_ID.fullmatch(server.volumes[0].id):
        raise WorkloadError(
            f"volume id {server.volumes[0].id!r} cannot stand in an IQN",
            "use letters, digits, point, hyphen and underscore",
            server.name,
        )
    return server


def client_of(inventory: Inventory, name: str | None) -> Host | None:
    """The host that is the client: the one called `name`, or else the one of that role; None for this machine, which
    it is where no host has the role, or when `name` says so.
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
class Ends:
    """Server and client of a deployment; `client_host` is None when this machine is the client."""

    deployment: Deployment
    client_host: Host | None

    @classmethod
    def of(cls, deployment: Deployment, client: str | None = None) -> Ends:
        """The ends that the inventory has; `client` names a host, or is `this`."""
        server_of(deployment.inventory)
        return cls(deployment, client_of(deployment.inventory, client))

    @property
    def server_host(self) -> Host:
        """The server, with its address as it is now."""
        return server_of(self.deployment.inventory)

    @property
    def volume(self) -> Volume:
        """What is exported."""
        return self.server_host.volumes[0]

    @property
    def server(self) -> Connector:
        """The connection to the server."""
        return self.deployment.hosts.connector(self.server_host.name)

    @property
    def client(self) -> Connector:
        """The connection to the client."""
        if self.client_host is None:
            return LocalConnector(local_user())
        return self.deployment.hosts.connector(self.client_host.name)

    @property
    def iqn(self) -> str:
        """The target's name."""
        return target_name(self.server_host.name, self.volume.id)

    def initiator(self, machine_name: str) -> str:
        """The client's name as the target knows it: that of the inventory, or this machine's own."""
        return initiator_name(machine_name if self.client_host is None else self.client_host.name)

    @property
    def client_name(self) -> str:
        """How the client is called."""
        return THIS_MACHINE if self.client_host is None else self.client_host.name

    def way(self) -> dict[str, str]:
        """How ssh on the client reaches the server: in the VPC by the private address, from here as the tasks do."""
        server, proxy = self.server_host, self.deployment.inventory.ssh.proxy_command or ""
        if self.client_host is not None:
            return {"server": server.private_address, "port": "22", "proxy": "", "directory": ""}
        if proxy and self.deployment.inventory.rehearsal:
            # The unit that runs it has none of this process's environment.
            proxy = f"env TIDEMARK_LAB_DIR={shlex.quote(str(lab_dir().absolute()))} {proxy}"
        return {
            "server": server.address,
            "port": str(server.port),
            "proxy": proxy,
            "directory": str(PROJECT) if proxy else "",
        }
