"""Checks that nothing is left: in the account, by the API, and on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.clients import Clients


def account_leftovers(clients: Clients) -> list[str]:
    """Returns what the account holds of the types that this project creates, as `type id`, without AWS's defaults."""
    ec2, iam = clients.ec2, clients.iam
    default_vpcs = {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if vpc.get("IsDefault")}
    described: tuple[tuple[str, Callable[[], Any], str, str], ...] = (
        ("volume", ec2.describe_volumes, "Volumes", "VolumeId"),
        ("vpc", ec2.describe_vpcs, "Vpcs", "VpcId"),
        ("subnet", ec2.describe_subnets, "Subnets", "SubnetId"),
        ("security group", ec2.describe_security_groups, "SecurityGroups", "GroupId"),
        ("internet gateway", ec2.describe_internet_gateways, "InternetGateways", "InternetGatewayId"),
        ("route table", ec2.describe_route_tables, "RouteTables", "RouteTableId"),
        ("key pair", ec2.describe_key_pairs, "KeyPairs", "KeyName"),
        ("placement group", ec2.describe_placement_groups, "PlacementGroups", "GroupName"),
        ("address", ec2.describe_addresses, "Addresses", "AllocationId"),
        ("bucket", clients.s3.list_buckets, "Buckets", "Name"),
        ("role", iam.list_roles, "Roles", "RoleName"),
        ("instance profile", iam.list_instance_profiles, "InstanceProfiles", "InstanceProfileName"),
    )
    found = [
        ("instance", instance["InstanceId"])
        for reservation in ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] != "terminated"
    ]
    for kind, describe, key, name in described:
        for each in describe()[key]:
            vpcs = {each.get("VpcId"), *(attachment.get("VpcId") for attachment in each.get("Attachments", []))}
            # Each VPC has a group of this name, which goes with it.
            if not vpcs & default_vpcs and not (kind == "security group" and each["GroupName"] == "default"):
                found.append((kind, each[name]))
    for page in clients.efs.get_paginator("describe_file_systems").paginate():  # ten a page
        found += [("file system", system["FileSystemId"]) for system in page["FileSystems"]]
    return [f"{kind} {name}" for kind, name in found]


REGION_VARIABLE = "TIDEMARK_REGION_FOLDER"
"""Marks the processes of a folder's region. What starts a region, or tasks beside it, sets the variable, and their
children inherit it. A person's shell in the folder does not have it."""


@dataclass(frozen=True)
class MachineSnapshot:
    """What a region could leave on this machine, at one moment, as `kind name`."""

    found: frozenset[str]

    @property
    def processes(self) -> list[str]:
        return sorted(each.removeprefix("process ") for each in self.found if each.startswith("process "))

    def added_since(self, before: MachineSnapshot) -> list[str]:
        """Returns what was not there before."""
        return sorted(self.found - before.found)


def snapshot_machine(folder: Path) -> MachineSnapshot:
    """Finds mounts, busy loop devices, network interfaces, and the processes of a region's folder with their network
    and PID namespaces. A process belongs to the region if it has REGION_VARIABLE, or shares a PID namespace with one
    that has. Namespaces of other programs do not count.
    """
    own = {kind: _namespace("self", kind) for kind in ("net", "pid")}
    seen = [(entry.name, _belongs(entry, folder)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    marked = {pid for pid, belongs in seen if belongs and pid != str(os.getpid())}
    # A kernel's helpers have no environment of their own; their process namespace is the region's.
    inside = {_namespace(pid, "pid") for pid in marked} - {own["pid"], None}
    processes, namespaces = set(), set()
    for pid, _ in seen:
        if pid in marked or _namespace(pid, "pid") in inside:
            with contextlib.suppress(OSError):  # it has exited
                arguments = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                processes.add(f"{pid} ({arguments.strip()[:60]})")
                namespaces |= {_namespace(pid, kind) for kind in own}
    loops = {
        device.name
        for device in Path("/sys/block").glob("loop*")
        if (device / "loop" / "backing_file").exists() and str(folder) in (device / "loop" / "backing_file").read_text()
    }
    kinds = {
        "namespace": [name for name in namespaces if name is not None and name not in own.values()],
        "mount": [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()],
        "loop device": loops,
        "interface": [path.name for path in Path("/sys/class/net").iterdir()],
        "process": processes,
    }
    return MachineSnapshot(frozenset(f"{kind} {name}" for kind, names in kinds.items() for name in names))


def _belongs(process: Path, folder: Path) -> bool:
    """Returns whether its environment names the folder; False if that may not be read, or it has exited."""
    try:
        return f"{REGION_VARIABLE}={folder}".encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _namespace(pid: str, kind: str) -> str | None:
    try:
        return str(Path("/proc", pid, "ns", kind).readlink())
    except OSError:
        return None
