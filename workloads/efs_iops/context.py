"""The context of efs-iops's tasks: connections, and what the experiment adds to them; counters of the clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inventory import FileSystem, Host, Inventory, InventoryError
from workloads.clocks import HostClocks
from workloads.connectors.script import Script
from workloads.deployment import Deployment
from workloads.efs_iops import mountstats
from workloads.sampling import Parser, Sampler, Sampling, host_sampler
from workloads.scripts import find_script

SCRIPTS = Path(__file__).parent / "scripts"
MOUNT_POINT = "/mnt/efs"
FOLDER = f"{MOUNT_POINT}/tidemark"
"""All that this project writes on the file system; each client has a folder of its name in it."""


def script(name: str) -> Script:
    """Returns the script called `name`, with the functions that it may use."""
    return find_script(name, SCRIPTS)


@dataclass(kw_only=True)
class Context(Deployment):
    """The deployment with its file system; with `tls` it is mounted through amazon-efs-utils' tunnel."""

    file_system: FileSystem
    tls: bool = False

    @classmethod
    def of(cls, deployment: Deployment, *, tls: bool = False) -> Context:
        """Returns the context of open connections."""
        return cls(**vars(deployment), file_system=file_system_of(deployment.inventory), tls=tls)

    @property
    def clients(self) -> tuple[Host, ...]:
        """The hosts that mount the file system, in the inventory's order."""
        return self.inventory.hosts_in("client")

    def mount_target_of(self, host: Host) -> str:
        """Returns the address of the mount target in the host's zone."""
        return self.file_system.mount_target_in(host.zone).address


def file_system_of(inventory: Inventory) -> FileSystem:
    """Returns the inventory's file system. Raises InventoryError without one, or without a mount target in the zone of
    each client.
    """
    if inventory.file_system is None:
        raise InventoryError(f"{inventory.stack}: no file_system in the inventory; efs-iops needs one")
    for host in inventory.hosts_in("client"):
        inventory.file_system.mount_target_in(host.zone)
    return inventory.file_system


def folder_of(host: str) -> str:
    """Returns the folder of a client's files: clients write to files of their own, as in the original."""
    return f"{FOLDER}/{host}"


def sampling(context: Context, clocks: HostClocks) -> Sampling:
    """Samples every client for the duration of a `with` block: its CPU and network, and its NFS mount."""

    def phase(host: str) -> list[str]:
        """Returns at which microsecond of a host's second a second of the runner begins."""
        return [str(round(clocks.offset_s(host) % 1 * 1_000_000))]

    counted = Sampler(script("client_mountstats"), phase, "mountstats", mountstats_lines)
    samplers = [host_sampler(script("host_sample"), context.hosts), counted]
    return Sampling(context.hosts, context.results, samplers)


def mountstats_lines(host: str) -> Parser:
    """Returns a reader of client_mountstats.sh's lines: it gives a record for each whole copy of the file."""
    copy: list[str] = []  # its first line is the host's clock when it was read

    def parse(line: str) -> Mapping[str, Any] | None:
        if line == "@@ end":
            clock, *lines = copy
            return mountstats.parse("\n".join(lines), MOUNT_POINT).record(float(clock), host)
        if line.startswith("@@ "):
            copy.clear()
        copy.append(line.removeprefix("@@ "))
        return None

    return parse
