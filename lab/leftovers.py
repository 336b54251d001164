"""The proof that nothing is left: asked of the API, then of the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab.clients import Clients


def left_in_account(clients: Clients) -> list[str]:
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


@dataclass(frozen=True)
class Machine:
    """What a region could leave on this machine, at one moment."""

    namespaces: frozenset[str]
    mounts: frozenset[str]
    loop_devices: frozenset[str]
    interfaces: frozenset[str]
    processes: frozenset[str]

    def more_than(self, before: Machine) -> list[str]:
        """What is here now and was not before, as `kind name`."""
        kinds = ("namespaces", "mounts", "loop_devices", "interfaces", "processes")
        return [
            f"{kind.rstrip('s').replace('_', ' ')} {name}"
            for kind in kinds
            for name in sorted(getattr(self, kind) - getattr(before, kind))
        ]


def look_at_machine(folder: Path) -> Machine:
    """Namespaces of network and process ids, mounts, busy loop devices, network interfaces, and the processes of a
    region's folder (named in their arguments, or their working directory).

    Other programs make namespaces, too: only those in which a process of the folder lives are counted.
    """
    namespaces, processes = set(), set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            ours = str(folder) in arguments or (entry / "cwd").readlink().is_relative_to(folder)
            if ours:
                processes.add(f"{entry.name} ({arguments[:60]})")
                namespaces |= {str((entry / "ns" / kind).readlink()) for kind in ("net", "pid")}
        except (OSError, ValueError):
            continue  # it ended while we looked
    loops = {
        device.name
        for device in Path("/sys/block").glob("loop*")
        if (device / "loop" / "backing_file").exists() and str(folder) in (device / "loop" / "backing_file").read_text()
    }
    own = {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("net", "pid")}
    return Machine(
        namespaces=frozenset(namespaces - own),
        mounts=frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        loop_devices=frozenset(loops),
        interfaces=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
        processes=frozenset(processes),
    )
