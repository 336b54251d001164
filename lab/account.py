"""The reconciler's desired state: what the API describes, read once, as plain values."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.clients import Clients
from lab.errors import LabError

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, IpPermissionOutputTypeDef, SubnetTypeDef
    from mypy_boto3_efs.client import EFSClient
    from mypy_boto3_efs.type_defs import MountTargetDescriptionTypeDef

ALL_PROTOCOLS = "-1"
ROOT_DEVICES = frozenset({"/dev/xvda", "/dev/sda1"})  # Debian's root, and what moto calls every root


@dataclass(frozen=True)
class Rule:
    """One permission of a security group. Ports are inclusive; None if the protocol has no ports."""

    protocol: str  # tcp, udp, icmp, or -1 for all
    from_port: int | None
    to_port: int | None
    cidrs: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    group_id: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True)
class Volume:
    size_gib: int
    volume_type: str


@dataclass(frozen=True)
class Instance:
    instance_id: str
    instance_type: str
    state: str
    name: str
    address: str
    subnet_cidr: str
    public_address: str | None  # None, too, if no route leads to an internet gateway
    groups: tuple[str, ...]
    key_name: str | None
    tags: tuple[tuple[str, str], ...]
    volumes: frozenset[str]  # attached besides the root

    def tag(self, key: str) -> str | None:
        return dict(self.tags).get(key)


@dataclass(frozen=True)
class MountTarget:
    mount_target_id: str
    address: str
    subnet_cidr: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class FileSystem:
    """`throughput_mode` is bursting, elastic or provisioned; only the last has `provisioned_mib_per_s`."""

    file_system_id: str
    throughput_mode: str
    provisioned_mib_per_s: float | None
    mount_targets: tuple[MountTarget, ...]


@dataclass(frozen=True)
class Account:
    instances: tuple[Instance, ...]
    volumes: dict[str, Volume]  # by id, root volumes left out
    groups: tuple[Group, ...]
    file_systems: tuple[FileSystem, ...] = ()


def read_account(clients: Clients) -> Account:
    """Reads all that the region has to make real."""
    ec2 = clients.ec2
    subnets = {subnet["SubnetId"]: subnet for subnet in ec2.describe_subnets()["Subnets"]}
    routed = _subnets_with_internet(ec2, subnets)
    launched = [each for reservation in ec2.describe_instances()["Reservations"] for each in reservation["Instances"]]
    instances = tuple(
        _instance(instance, str(subnets[instance["SubnetId"]]["CidrBlock"]), instance["SubnetId"] in routed)
        for instance in launched
        if instance.get("SubnetId") in subnets
    )
    roots = {
        mapping["Ebs"]["VolumeId"]
        for instance in launched
        for mapping in instance.get("BlockDeviceMappings", [])
        if mapping["DeviceName"] in ROOT_DEVICES
    }
    volumes = {
        volume["VolumeId"]: Volume(volume["Size"], str(volume["VolumeType"]))
        for volume in ec2.describe_volumes()["Volumes"]
        if volume["VolumeId"] not in roots
    }
    groups = tuple(
        Group(
            group["GroupId"],
            tuple(_rule(permission) for permission in group.get("IpPermissions", [])),
            tuple(_rule(permission) for permission in group.get("IpPermissionsEgress", [])),
        )
        for group in ec2.describe_security_groups()["SecurityGroups"]
    )
    return Account(instances, volumes, groups, tuple(_file_systems(clients.efs, subnets)))


def _file_systems(efs: EFSClient, subnets: Mapping[str, SubnetTypeDef]) -> Iterator[FileSystem]:
    for system in efs.describe_file_systems()["FileSystems"]:
        targets = efs.describe_mount_targets(FileSystemId=system["FileSystemId"])["MountTargets"]
        yield FileSystem(
            system["FileSystemId"],
            str(system.get("ThroughputMode", "bursting")),
            system.get("ProvisionedThroughputInMibps") or None,
            tuple(_mount_target(efs, target, subnets[target["SubnetId"]]["CidrBlock"]) for target in targets),
        )


def _mount_target(efs: EFSClient, target: MountTargetDescriptionTypeDef, subnet_cidr: str) -> MountTarget:
    groups = efs.describe_mount_target_security_groups(MountTargetId=target["MountTargetId"])["SecurityGroups"]
    return MountTarget(target["MountTargetId"], target["IpAddress"], subnet_cidr, tuple(groups))


def running_host(account: Account, name: str) -> Instance:
    """Returns the running instance of that name. Raises LabError if there is none, or it has no public address."""
    running = {instance.name: instance for instance in account.instances if instance.state == "running"}
    if not running:
        raise LabError(f"{name}: no such host; none runs in the region")
    if name not in running:
        raise LabError(f"{name}: no such host; there are {', '.join(sorted(running))}")
    if running[name].public_address is None:
        raise LabError(f"{name}: it has no public address, so nothing leads to it from outside")
    return running[name]


def authorized_key(ec2: EC2Client, key_name: str | None) -> str:
    """Returns the public key of a key pair, as cloud-init would install it; empty if the instance has none."""
    if key_name is None:
        return ""
    pairs = ec2.describe_key_pairs(KeyNames=[key_name], IncludePublicKey=True)["KeyPairs"]
    return pairs[0].get("PublicKey", "").strip() + "\n"


def user_data(ec2: EC2Client, instance_id: str) -> bytes:
    """Returns the user data of an instance; empty if it has none."""
    attribute = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    return base64.b64decode(attribute.get("UserData", {}).get("Value", ""))


def _instance(instance: InstanceTypeDef, subnet_cidr: str, routed: bool) -> Instance:
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    return Instance(
        instance_id=instance["InstanceId"],
        instance_type=str(instance["InstanceType"]),
        state=str(instance["State"]["Name"]),
        name=tags.get("Name", instance["InstanceId"]),
        address=instance.get("PrivateIpAddress", ""),
        subnet_cidr=subnet_cidr,
        public_address=instance.get("PublicIpAddress") if routed else None,
        # Groups belong to network interfaces; moto leaves the instance's own list empty where one is described.
        groups=tuple(
            sorted(
                {
                    group["GroupId"]
                    for interface in instance["NetworkInterfaces"]
                    for group in interface.get("Groups", [])
                }
            )
        ),
        key_name=instance.get("KeyName"),
        tags=tuple(sorted(tags.items())),
        volumes=frozenset(
            mapping["Ebs"]["VolumeId"]
            for mapping in instance.get("BlockDeviceMappings", [])
            if mapping["DeviceName"] not in ROOT_DEVICES
        ),
    )


def _rule(permission: IpPermissionOutputTypeDef) -> Rule:
    protocol = permission.get("IpProtocol", ALL_PROTOCOLS)
    has_ports = protocol in ("tcp", "udp", "6", "17")
    return Rule(
        protocol={"6": "tcp", "17": "udp", "1": "icmp"}.get(protocol, protocol),
        from_port=permission.get("FromPort") if has_ports else None,
        to_port=permission.get("ToPort") if has_ports else None,
        cidrs=tuple(sorted(entry["CidrIp"] for entry in permission.get("IpRanges", []))),
        groups=tuple(sorted(entry["GroupId"] for entry in permission.get("UserIdGroupPairs", []))),
    )


def _subnets_with_internet(ec2: EC2Client, subnets: Mapping[str, SubnetTypeDef]) -> set[str]:
    """Returns the subnets whose route table sends 0.0.0.0/0 to an internet gateway."""
    explicit: dict[str, bool] = {}
    main: dict[str, bool] = {}
    for table in ec2.describe_route_tables()["RouteTables"]:
        leads_out = any(
            route.get("DestinationCidrBlock") == "0.0.0.0/0" and str(route.get("GatewayId", "")).startswith("igw-")
            for route in table.get("Routes", [])
        )
        for association in table.get("Associations", []):
            if association.get("SubnetId"):
                explicit[association["SubnetId"]] = leads_out
            elif association.get("Main"):
                main[table["VpcId"]] = leads_out
    return {
        subnet_id for subnet_id, subnet in subnets.items() if explicit.get(subnet_id, main.get(subnet["VpcId"], False))
    }
