"""What a task of efs-iops works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory import FileSystem, Host, Inventory, InventoryError
from workloads.connectors.script import Script, ScriptResult
from workloads.deployment import Deployment
from workloads.efs_iops.settings import EXPERIMENT, FOLDER, SCRIPTS
from workloads.scripts import find_script


def script(name: str) -> Script:
    """The script called `name`, with the functions that all share."""
    return find_script(name, SCRIPTS)


@dataclass(kw_only=True)
class Context(Deployment):
    """The deployment with its file system."""

    file_system: FileSystem

    @classmethod
    def of(cls, deployment: Deployment) -> Context:
        """A context for connections that are open."""
        return cls(
            hosts=deployment.hosts,
            console=deployment.console,
            results=deployment.results,
            file_system=file_system_of(deployment.inventory),
        )

    @property
    def clients(self) -> tuple[Host, ...]:
        """The hosts that mount the file system, in the inventory's order."""
        return self.inventory.hosts_in("client")

    def mount_target_of(self, host: Host) -> str:
        """The address of the mount target in the host's zone."""
        return self.file_system.mount_target_in(host.zone).address

    def on_clients(
        self, name: str, arguments: Mapping[str, Sequence[str]] | Sequence[str] = (), idle_timeout_seconds: float = 300
    ) -> dict[str, ScriptResult]:
        """Runs a script on every client at once; `arguments` are alike for all, or by the host's name."""
        by_host = arguments if isinstance(arguments, Mapping) else {host.name: arguments for host in self.clients}
        return self.hosts.run(script(name), by_host, idle_timeout_seconds=idle_timeout_seconds)


def file_system_of(inventory: Inventory) -> FileSystem:
    """The inventory's file system, which must have a mount target in the zone of every client.

    Raises InventoryError otherwise: nothing could be mounted.
    """
    if inventory.file_system is None:
        raise InventoryError(f"{inventory.stack}: no file_system in the inventory; {EXPERIMENT} needs one")
    for host in inventory.hosts_in("client"):
        inventory.file_system.mount_target_in(host.zone)
    return inventory.file_system


def folder_of(host: str) -> str:
    """The folder of a client's files: clients write to files of their own, as in the original."""
    return f"{FOLDER}/{host}"
