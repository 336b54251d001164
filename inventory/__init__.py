"""The inventory: what a deployment consists of, as one JSON document (schema 1, docs/interfaces.md).

It is the only thing that joins what was declared (or what a person wrote for machines of their own) to the tasks that
configure and measure. It does not know where it came from. Reading is strict, because a wrong list of hosts would
otherwise be found out minutes later, on the hosts.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from documents import DocumentError, Fault, Items, Model, Number, Text, read, read_json, renamed, repeats
from inventory.checks import (
    HOST_KEY,
    is_address,
    is_ipv4_of_a_machine,
    is_network,
    is_proxy_command,
    is_url,
    is_whole_key,
    same_spelling,
)
from inventory.checks import host_key_fault as host_key_fault  # for others: a key from a console is checked, too

SCHEMA = 1

_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
_MAY_BE_ABSENT = frozenset({"file_system", "elastic_ips", "bucket", "cost"})
"""Fields that came after the first documents of schema 1, which stay as they are."""


class InventoryError(DocumentError):
    """What is wrong with an inventory, or with what is asked of it."""


_NAME = r"[a-z0-9][a-z0-9-]{0,62}"
# What Pulumi allows. It is the name of a folder below results/, too: not one of dots.
_STACK = Text(
    "the stack's name, such as eip-region.lab (letters, digits, . - _), without organization and project",
    "[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}",
)
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TIME_DIGITS = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_UTC = Text("a UTC time such as 2026-11-23T12:00:00Z", _TIME_DIGITS, lambda text: datetime.strptime(text, _TIME))
# docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html: no two dots side by side, and no address.
_BUCKET_NAME = r"(?!.*\.\.)(?![0-9.]*$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"

# CreateFileSystem, ThroughputMode and PerformanceMode.
_THROUGHPUT_MODE = Text("one of bursting, elastic, provisioned", "bursting|elastic|provisioned")
_PERFORMANCE_MODE = Text("one of generalPurpose, maxIO", "generalPurpose|maxIO")
_MOUNT_TARGETS = Items("a list of at least one mount target", least=1, unique=["id", "zone"])
_ELASTIC_IPS = Items("a list of Elastic IPs, or null", unique=["id", "address"], null=True)
Zone = Annotated[str, Text("the availability zone, or any name of your own")]
# What runs on the hosts (portals, routes, mounts) takes IPv4.
Ipv4 = Annotated[str, Text("an IPv4 address such as 10.20.1.10", check=is_ipv4_of_a_machine)]
_KEY = Text('a host key such as "ssh-ed25519 AAAA…", without a comment', HOST_KEY.pattern, is_whole_key)
Price = Annotated[str, Text("a price in words, such as $0.36 a GiB stored for a month")]


@dataclass(frozen=True)
class Volume(Model):
    """A block device of a host."""

    id: Annotated[str, Text("the volume's id, such as vol-0abc, or its disk's serial", r"\S+")]
    """The serial by which the disk is found on its host; a volume's id on EC2"""
    device: Annotated[str, Text("a device such as /dev/sdf", r"/dev/(?!(\S*/)?\.\.(/|$))\S+")]
    """The device by which the disk is found where it shows no serial: /dev/sdf, or a name below /dev/disk/by-id"""
    size_gib: Annotated[int, Number(1, 1 << 20, "GiB")]
    type: Annotated[str, Text("a volume type such as gp2, or any name of your own")]
    iops: Annotated[int | None, Number(1, 10_000_000, "IOPS")]
    """I/O operations per second that the volume was given; null where they are not known"""


@dataclass(frozen=True)
class Host(Model):
    """A machine: SSH answers at `address` and `port`; the other hosts use `private_address`."""

    name: Annotated[str, Text("a name of a-z, 0-9 and -, such as storage-1", _NAME)]
    role: Annotated[str, Text("a role of a-z, 0-9 and -, such as storage or client", _NAME)]
    """What the experiment uses it for, such as storage, client, server, third or uploader (docs/interfaces.md)"""
    id: Annotated[str, Text("the instance's id, or any name of your own")]
    type: Annotated[str, Text("the instance's type, or any name of your own")]
    zone: Zone
    address: Annotated[str, Text("an IP address or a host name where SSH answers", check=is_address)]
    port: Annotated[int, Number(1, 65535)]
    """The TCP port where SSH answers"""
    private_address: Ipv4
    """The IPv4 address at which the other hosts reach it, in network.cidr"""
    host_keys: Annotated[tuple[Annotated[str, _KEY], ...], Items("a list of host keys (it may be empty)")]
    """Public SSH host keys; empty for an instance whose console shows them"""
    cpu_limit: Annotated[int | None, Number(1, 4096, "CPUs")]
    """CPUs that the host may use; null: all"""
    memory_limit_mib: Annotated[int | None, Number(1, 1 << 30, "MiB")]
    """Memory that the host may use, in MiB; null: all"""
    volumes: Annotated[tuple[Volume, ...], Items("a list of volumes (it may be empty)", unique=["device"])]


@dataclass(frozen=True)
class Ssh(Model):
    """How to log in."""

    user: Annotated[str, Text("a login name")]
    identity_file: Annotated[str | None, Text("the path of a private key")]
    """The path of a private key, never the key; null: what ssh-agent and ~/.ssh have"""
    proxy_command: Annotated[str | None, Text("a command with %h and %p in it", check=is_proxy_command)]
    """A command that connects to a host; %h and %p stand for address and port (ssh_config(5), ProxyCommand)"""


@dataclass(frozen=True)
class Network(Model):
    """The network that the hosts share."""

    # RFC 791: every IPv4 host takes 576 bytes; 65535 is the largest packet there is.
    mtu: Annotated[int, Number(576, 65535, "bytes")]
    """Bytes of the largest packet, as `ip link` shows it"""
    cidr: Annotated[str, Text("an IPv4 network such as 10.20.0.0/16", check=is_network)]
    vpc_id: Annotated[str | None, Text("a VPC's id")]


@dataclass(frozen=True)
class MountTarget(Model):
    """Where hosts of one zone mount a file system: `address` is an IP address of that zone."""

    id: Annotated[str, Text("the mount target's id, such as fsmt-0abc, or any name of your own", r"\S+")]
    zone: Zone
    address: Ipv4


@dataclass(frozen=True)
class FileSystem(Model):
    """A network file system. The modes, in EFS's words, and the throughput are null where they are not known or do not
    apply.
    """

    id: Annotated[str, Text("the file system's id, such as fs-0abc, or any name of your own", r"\S+")]
    throughput_mode: Annotated[str | None, _THROUGHPUT_MODE]
    # A terabyte a second is more than any file system's.
    provisioned_mib_per_s: Annotated[float | None, Number(0, 1_000_000, "MiB/s", above=True)]
    performance_mode: Annotated[str | None, _PERFORMANCE_MODE]
    one_zone: Annotated[str | None, Text("an availability zone")]
    """The only zone that the file system is kept in; null: all zones of the region"""
    mount_targets: Annotated[tuple[MountTarget, ...], _MOUNT_TARGETS]

    def mount_target_in(self, zone: str) -> MountTarget:
        """Returns the mount target for hosts of that zone. Raises InventoryError with the zones that have one."""
        for target in self.mount_targets:
            if target.zone == zone:
                return target
        zones = ", ".join(target.zone for target in self.mount_targets)
        raise InventoryError(
            f"{self.id}: no mount target in {zone}; it has one in {zones}: add one, or use hosts of those zones"
        )


@dataclass(frozen=True)
class ElasticIp(Model):
    """A public address that one host after another may have."""

    # A file of this name notes a move that is under way.
    id: Annotated[str, Text("the allocation's id, such as eipalloc-0abc", r"[A-Za-z0-9][A-Za-z0-9_-]*")]
    address: Ipv4
    allocated: bool
    """Whether the deployment allocated it, and releases it"""
    reassociate: bool
    """Whether it may be taken from a host that is not in the inventory"""


@dataclass(frozen=True)
class Bucket(Model):
    """A bucket of S3."""

    name: Annotated[str, Text("a bucket's name of a-z, 0-9, . and -, such as tidemark-1a2b3c4", _BUCKET_NAME)]
    endpoint: Annotated[str | None, Text("a URL such as http://198.51.100.1", check=is_url)]
    """The URL at which hosts reach it; null: AWS's own"""
    uplink_mbit_per_s: Annotated[float | None, Number(0, 1_000_000, "Mbit/s", above=True)]
    """The rate of the way there, in Mbit/s, where it is known, as in a rehearsal"""


@dataclass(frozen=True)
class Cost(Model):
    """What the deployment costs on AWS; for a rehearsal, what it would cost."""

    # A million dollars an hour is more than any deployment's.
    usd_per_hour: Annotated[float, Number(0, 1_000_000, "US dollars an hour", above=True)]
    prices_of: Annotated[str, Text("a month such as 2025-06", "[0-9]{4}-(0[1-9]|1[0-2])")]
    """The month of the prices"""
    besides: Annotated[tuple[Price, ...], Items("a list of prices in words (it may be empty)")]
    """What is billed by amounts that nobody knows before, each with its price"""


@dataclass(frozen=True)
class Inventory(Model):
    """A whole deployment."""

    project: Annotated[str, Text("the project's name")]
    stack: Annotated[str, _STACK]
    experiment: Annotated[str, Text("an experiment's name, such as eip-region", _NAME)]
    region: Annotated[str, Text("a region, such as eu-central-1", _NAME)]
    rehearsal: bool
    """Whether the hosts are those of a rehearsal; figures are labelled with it"""
    expires_at: Annotated[str | None, _UTC]
    """When the hosts end by themselves, in UTC; null: never"""
    ssh: Ssh
    network: Network
    hosts: Annotated[tuple[Host, ...], Items("a list of at least one host", 1, unique=["name", "private_address"])]
    file_system: FileSystem | None = None
    elastic_ips: Annotated[tuple[ElasticIp, ...], _ELASTIC_IPS] = ()
    bucket: Bucket | None = None
    cost: Cost | None = None

    def faults(self) -> Iterator[Fault]:
        """Checks that the hosts are different machines of one network."""
        hosts = [(("hosts", index), host) for index, host in enumerate(self.hosts)]
        # One machine under two names would be two servers. The ids of a person's own machines may be alike.
        yield from repeats(((*path, "id"), host.id) for path, host in hosts if _INSTANCE_ID.fullmatch(host.id))
        yield from repeats(
            ((*path, "address"), f"{same_spelling(host.address)} port {host.port}") for path, host in hosts
        )
        yield from repeats(
            ((*path, "volumes", index, "id"), volume.id)
            for path, host in hosts
            for index, volume in enumerate(host.volumes)
        )
        cidr = ipaddress.IPv4Network(self.network.cidr)
        # RFC 3021: a network of two addresses has neither its own nor a broadcast address.
        of_all = () if cidr.prefixlen > 30 else (cidr.network_address, cidr.broadcast_address)
        for path, host in hosts:
            address = ipaddress.IPv4Address(host.private_address)
            if address not in cidr or address in of_all:
                allowed = f"an address of a host in network.cidr, {cidr}"
                yield Fault((*path, "private_address"), host.private_address, allowed)

    @classmethod
    def from_json(cls, text: str, source: str) -> Inventory:
        """Reads a document. `source` (a file's name, a stack's) begins every line of an error.

        Raises InventoryError with a line for each fault.
        """
        try:
            document = read(InventoryFile, read_json(text, source), source)
        except DocumentError as error:
            raise InventoryError(*error.lines) from None
        return Inventory(**{field.name: getattr(document, field.name) for field in dataclasses.fields(Inventory)})

    def to_dict(self) -> dict[str, Any]:
        """Returns the document as plain dictionaries and lists, `schema` first. Leaves out a field that may be absent
        when it is None or empty.
        """
        fields = {
            name: value for name, value in dataclasses.asdict(self).items() if value or name not in _MAY_BE_ABSENT
        }
        return {"schema": SCHEMA, **json.loads(json.dumps(fields))}  # tuples become lists

    def to_json(self) -> str:
        """Returns the document as indented JSON, without a line feed at its end."""
        return json.dumps(self.to_dict(), indent=2)

    def hosts_in(self, role: str) -> tuple[Host, ...]:
        """Returns the hosts with that role, in the document's order. Raises InventoryError if there is none."""
        found = tuple(host for host in self.hosts if host.role == role)
        if not found:
            roles = ", ".join(sorted({host.role for host in self.hosts}))
            raise InventoryError(f"{self.stack}: no host has the role {role}; its roles are {roles}")
        return found

    def host(self, name: str) -> Host:
        """Returns the host of that name. Raises InventoryError with the hosts' names."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts)
        raise InventoryError(f"{self.stack}: no host is named {name}; its hosts are {names}")


@dataclass(frozen=True, kw_only=True)
class InventoryFile(Inventory):
    """An inventory as a JSON file has it."""

    schema: Annotated[int, Number(SCHEMA, SCHEMA)]
    """The version of this format"""
    json_schema: Annotated[str | None, Text("the path or URL of schemas/inventory.schema.json")] = None
    """For an editor, which completes and checks the file by it"""

    __pydantic_config__ = renamed(json_schema="$schema")
