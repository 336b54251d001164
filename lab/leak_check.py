"""The proof that nothing is left: asked of the API, then of the machine."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from lab.clients import Clients


def account_leftovers(clients: Clients) -> list[str]:
    """Whatever of the kinds that this project creates the account still holds, as `kind id`. Defaults do not count."""
    ec2 = clients.ec2
    instances = [
        instance["InstanceId"]
        for reservation in ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] != "terminated"
    ]
    vpcs = [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc.get("IsDefault")]
    default_vpcs = {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if vpc.get("IsDefault")}
    found = {
        "instance": instances,
        "volume": [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]],
        "vpc": vpcs,
        "subnet": [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"] if s["VpcId"] not in default_vpcs],
        "security group": [
            g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"] if g["GroupName"] != "default"
        ],
        "internet gateway": [
            gateway["InternetGatewayId"]
            for gateway in ec2.describe_internet_gateways()["InternetGateways"]
            if not any(attachment["VpcId"] in default_vpcs for attachment in gateway["Attachments"])
        ],
        "route table": [
            t["RouteTableId"] for t in ec2.describe_route_tables()["RouteTables"] if t["VpcId"] not in default_vpcs
        ],
        "key pair": [pair["KeyName"] for pair in ec2.describe_key_pairs()["KeyPairs"]],
        "placement group": [group["GroupName"] for group in ec2.describe_placement_groups()["PlacementGroups"]],
        "address": [address["AllocationId"] for address in ec2.describe_addresses()["Addresses"]],
        "bucket": [bucket["Name"] for bucket in clients.s3.list_buckets()["Buckets"]],
        "role": [role["RoleName"] for role in clients.iam.list_roles()["Roles"]],
        "instance profile": [
            profile["InstanceProfileName"] for profile in clients.iam.list_instance_profiles()["InstanceProfiles"]
        ],
        "file system": [system["FileSystemId"] for system in clients.efs.describe_file_systems()["FileSystems"]],
    }
    return [f"{kind} {name}" for kind, names in found.items() for name in names]


REGION_VARIABLE = "TIDEMARK_REGION_FOLDER"
"""By it a process is known to belong to the region of a folder: what starts a region, or tasks beside it, sets it, and
whatever these start inherits it. A person's shell in the folder has none."""


@dataclass(frozen=True)
class MachineSnapshot:
    """What a region could leave on this machine, at one moment."""

    namespaces: frozenset[str]
    mounts: frozenset[str]
    loop_devices: frozenset[str]
    interfaces: frozenset[str]
    processes: frozenset[str]

    def added_since(self, before: MachineSnapshot) -> list[str]:
        """What is here now and was not before, as `kind name`."""
        kinds = {
            "namespace": self.namespaces - before.namespaces,
            "mount": self.mounts - before.mounts,
            "loop device": self.loop_devices - before.loop_devices,
            "interface": self.interfaces - before.interfaces,
            "process": self.processes - before.processes,
        }
        return [f"{kind} {name}" for kind, names in kinds.items() for name in sorted(names)]


def snapshot_machine(folder: Path) -> MachineSnapshot:
    """Namespaces of network and process ids, mounts, busy loop devices, network interfaces, and the processes of a
    region's folder: those with REGION_VARIABLE, and whatever lives in a process namespace of one of them.

    Other programs make namespaces, too: only those in which a process of the region lives are counted.
    """
    own = {kind: _namespace("self", kind) for kind in ("net", "pid")}
    seen = [(entry.name, _belongs(entry, folder)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    marked = {pid for pid, belongs in seen if belongs and pid != str(os.getpid())}
    # A kernel's helpers have no environment of their own; their process namespace is the region's.
    inside = {_namespace(pid, "pid") for pid in marked} - {own["pid"], None}
    processes, namespaces = set(), set()
    for pid, _ in seen:
        if pid in marked or _namespace(pid, "pid") in inside:
            with contextlib.suppress(OSError):  # it ended while we looked
                arguments = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                processes.add(f"{pid} ({arguments.strip()[:60]})")
                namespaces |= {_namespace(pid, kind) for kind in own}
    loops = {
        device.name
        for device in Path("/sys/block").glob("loop*")
        if (device / "loop" / "backing_file").exists() and str(folder) in (device / "loop" / "backing_file").read_text()
    }
    return MachineSnapshot(
        namespaces=frozenset(name for name in namespaces if name is not None and name not in own.values()),
        mounts=frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        loop_devices=frozenset(loops),
        interfaces=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
        processes=frozenset(processes),
    )


def _belongs(process: Path, folder: Path) -> bool:
    """Whether its environment names the folder; False where that may not be read, or it has ended."""
    try:
        return f"{REGION_VARIABLE}={folder}".encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _namespace(pid: str, kind: str) -> str | None:
    try:
        return str(Path("/proc", pid, "ns", kind).readlink())
    except OSError:
        return None
