"""The inventory: what a deployment consists of, as one JSON document (schema 1, docs/interfaces.md).

It is the only thing that joins what was declared (or what a person wrote for machines of their own) to the
tasks that configure and measure. It does not know where it came from. Reading is strict: a field that is
missing, unknown or malformed is named by its path, because a wrong host list is otherwise found out minutes
later, on the hosts.
"""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json
import re
import shlex
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, TypeVar

SCHEMA = 1

_T = TypeVar("_T")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# What Pulumi allows a stack's name to be, which is also a folder's below results/; not one of dots.
_STACK_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
# RFC 1123, 2.1. A name whose last label is a number is read as an address by some programs (inet_aton(3)).
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"({_LABEL}\.)*(?!(0[xX][0-9A-Fa-f]*|[0-9]+)\.?$){_LABEL}\.?")
_HOST_NAME_CHARACTERS = 253
_HOST_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}")
# docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
_URL = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?/?")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TIME_DIGITS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
# RFC 8709, 4; RFC 5656, 3.1: the length of a public key in bytes. Of RSA's (RFC 4253, 6.6) OpenSSH takes no modulus
# shorter than this (ssh_config(5), RequiredRSASize).
_KEY_BYTES = {
    "ssh-ed25519": 32,
    "ecdsa-sha2-nistp256": 65,
    "ecdsa-sha2-nistp384": 97,
    "ecdsa-sha2-nistp521": 133,
}
_RSA_LEAST_BYTES = 1024 // 8

_MAY_BE_ABSENT = frozenset({"file_system", "elastic_ips", "bucket", "cost"})
"""Fields of the document that came after schema 1's first documents: those are right as they are."""

# The words of EFS (CreateFileSystem, ThroughputMode and PerformanceMode).
_THROUGHPUT_MODES = ("bursting", "elastic", "provisioned")
_PERFORMANCE_MODES = ("generalPurpose", "maxIO")


class InventoryError(ValueError):
    """One line that names the source, the field and what is allowed there."""


@dataclass(frozen=True)
class Volume:
    """A block device of a host. Found there by `id` as disk serial, or by `device` where the disk shows no
    serial.
    """

    id: str
    device: str
    size_gib: int
    type: str
    iops: int | None


@dataclass(frozen=True)
class Host:
    """A machine: `address` and `port` are where SSH answers, `private_address` is what its peers use."""

    name: str
    role: str
    id: str
    type: str
    zone: str
    address: str
    port: int
    private_address: str
    host_keys: tuple[str, ...]
    cpu_limit: int | None
    memory_limit_mib: int | None
    volumes: tuple[Volume, ...]


@dataclass(frozen=True)
class Ssh:
    """How to log in. `identity_file` is a path, never a key; `proxy_command` has %h and %p for address and
    port.
    """

    user: str
    identity_file: str | None
    proxy_command: str | None


@dataclass(frozen=True)
class Network:
    """The network the hosts share. `mtu` is in bytes, as `ip link` shows it."""

    mtu: int
    cidr: str
    vpc_id: str | None


@dataclass(frozen=True)
class MountTarget:
    """Where hosts of one zone mount a file system: `address` is an IP address of that zone."""

    id: str
    zone: str
    address: str


@dataclass(frozen=True)
class FileSystem:
    """A network file system. The modes and `provisioned_mib_per_s` are None where they are not known or do
    not apply; `one_zone` names the only zone that the file system is kept in, None for all of the region.
    """

    id: str
    throughput_mode: str | None
    provisioned_mib_per_s: float | None
    performance_mode: str | None
    one_zone: str | None
    mount_targets: tuple[MountTarget, ...]

    def mount_target_in(self, zone: str) -> MountTarget:
        """The mount target for hosts of that zone. Raises InventoryError with the zones there are."""
        for target in self.mount_targets:
            if target.zone == zone:
                return target
        zones = ", ".join(target.zone for target in self.mount_targets)
        raise InventoryError(
            f"{self.id}: no mount target in {zone}; it has one in {zones}: add one, or use hosts of those zones"
        )


@dataclass(frozen=True)
class ElasticIp:
    """A public address that hosts may have in turn: `id` is its allocation's. `allocated` says that the deployment made
    it and will release it; `reassociate` that it may be taken from a host that is not in the inventory.
    """

    id: str
    address: str
    allocated: bool
    reassociate: bool


@dataclass(frozen=True)
class Bucket:
    """A bucket of S3. `endpoint` is the URL at which hosts reach it, None for AWS's own; `uplink_mbit_per_s` is the
    rate of the way there where that is known, as in a rehearsal.
    """

    name: str
    endpoint: str | None
    uplink_mbit_per_s: float | None


@dataclass(frozen=True)
class Cost:
    """What the deployment costs on AWS, in US dollars an hour by prices of the month `prices_of`. `besides` is what is
    billed by amounts that nobody knows before, each with its price. In a rehearsal it is what it would cost.
    """

    usd_per_hour: float
    prices_of: str
    besides: tuple[str, ...]


@dataclass(frozen=True)
class Inventory:
    """A whole deployment. `expires_at` is UTC in RFC 3339 with Z, or None for machines that do not expire;
    `file_system` and `bucket` are None where there is none, `elastic_ips` is empty then. `cost` is None where it is
    not known.
    """

    project: str
    stack: str
    experiment: str
    region: str
    rehearsal: bool
    expires_at: str | None
    ssh: Ssh
    network: Network
    hosts: tuple[Host, ...]
    file_system: FileSystem | None = None
    elastic_ips: tuple[ElasticIp, ...] = ()
    bucket: Bucket | None = None
    cost: Cost | None = None

    @classmethod
    def from_json(cls, text: str, source: str) -> Inventory:
        """Read a document. `source` (a file's name, a stack's) begins every message.

        Raises InventoryError for the first field at fault.
        """
        try:
            document = json.loads(text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise InventoryError(
                f"{source}: line {error.lineno} column {error.colno} is not JSON ({error.msg}); "
                "expected one JSON object, schema 1"
            ) from None
        except ValueError:  # Python reads 4300 digits (sys.set_int_max_str_digits)
            raise InventoryError(f"{source}: a number has thousands of digits; correct that number") from None
        except RecursionError:
            raise InventoryError(f"{source}: is nested too deeply; expected one JSON object, schema 1") from None
        except _NotPlainJsonError as error:
            raise InventoryError(f"{source}: {error}") from None
        return _read_inventory(_Field(document, source, ""))

    def to_dict(self) -> dict[str, Any]:
        """The document as plain dictionaries and lists, `schema` first. A field that may be absent is left
        out when it is None or empty.
        """
        fields = {
            name: value for name, value in dataclasses.asdict(self).items() if value or name not in _MAY_BE_ABSENT
        }
        return {"schema": SCHEMA, **_plain(fields)}

    def to_json(self) -> str:
        """The document as JSON, indented, ending without a line feed. from_json gives back an equal
        inventory.
        """
        return json.dumps(self.to_dict(), indent=2)

    def hosts_in(self, role: str) -> tuple[Host, ...]:
        """The hosts with that role, in the document's order. None of them is an InventoryError: nothing could
        run.
        """
        found = tuple(host for host in self.hosts if host.role == role)
        if not found:
            roles = ", ".join(sorted({host.role for host in self.hosts}))
            raise InventoryError(f"{self.stack}: no host has the role {role}; its roles are {roles}")
        return found

    def host(self, name: str) -> Host:
        """The host of that name. Raises InventoryError with the names there are."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts)
        raise InventoryError(f"{self.stack}: no host is named {name}; its hosts are {names}")


class _NotPlainJsonError(Exception):
    """JSON that Python would accept and other readers would not, or would read differently."""


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise _NotPlainJsonError(f"the field {_shown(name)[1:-1]} appears twice in one object; leave one")
    return dict(pairs)


def _refuse_constant(name: str) -> NoReturn:
    raise _NotPlainJsonError(f"{name} is not JSON; leave the field null when there is no number")


def _shown(value: Any) -> str:
    """The value as JSON on one line: what would break the line, or could not be seen, is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def _plain(value: Any) -> Any:
    """Tuples as lists, all the way down, so that the document compares equal after a round trip."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True)
class _Field:
    """A value with the path that leads to it, so that each check can say where it failed."""

    value: Any
    source: str
    path: str

    def refuse(self, allowed: str) -> NoReturn:
        shown = _shown(self.value)
        if len(shown) > 60:
            shown = shown[:57] + "..."
        raise InventoryError(f"{self.source}: {self.path or 'the document'} is {shown}; expected {allowed}")

    def object(self, names: Collection[str], absent: Collection[str] = ()) -> dict[str, _Field]:
        """An object with exactly these fields; those of `absent` may be left out, and are null then."""
        if not isinstance(self.value, dict):
            self.refuse("an object with " + ", ".join(names))
        for name in names:
            if name not in self.value and name not in absent:
                raise InventoryError(f"{self.source}: {self._below(name)} is missing; expected {', '.join(names)}")
        for name in self.value:
            if name not in names:
                raise InventoryError(
                    f"{self.source}: {self._below(_shown(name)[1:-1])} is not a field of schema {SCHEMA}; "
                    f"expected {', '.join(names)}"
                )
        return {name: _Field(self.value.get(name), self.source, self._below(name)) for name in names}

    def items(self, allowed: str) -> list[_Field]:
        if not isinstance(self.value, list):
            self.refuse(allowed)
        return [_Field(item, self.source, f"{self.path}[{index}]") for index, item in enumerate(self.value)]

    def text(self, allowed: str, pattern: re.Pattern[str] | None = None) -> str:
        """A non-empty line of printable text, of the pattern when one is given."""
        value = self.value
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            self.refuse(allowed)
        if pattern is not None and not pattern.fullmatch(value):
            self.refuse(allowed)
        return str(value)

    def integer(self, low: int, high: int, unit: str) -> int:
        # bool is a subclass of int in Python; in JSON it is not a number.
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not low <= self.value <= high:
            self.refuse(f"a whole number of {unit} from {low} to {high}")
        return int(self.value)

    def number(self, high: float, unit: str) -> float:
        """A number above 0. It stays whole when it was written so: the document must survive a round trip."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= high:
            self.refuse(f"a number of {unit} above 0 and up to {high}, or null")
        return value

    def choice(self, words: Collection[str]) -> str:
        if not isinstance(self.value, str) or self.value not in words:
            self.refuse(f"one of {', '.join(words)}, or null")
        return str(self.value)

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return bool(self.value)

    def optional(self, read: Callable[[_Field], _T]) -> _T | None:
        return None if self.value is None else read(self)

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def _names(cls: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _read_inventory(root: _Field) -> Inventory:
    fields = root.object(["schema", *_names(Inventory)], absent=_MAY_BE_ABSENT)
    if fields["schema"].value != SCHEMA or isinstance(fields["schema"].value, bool):
        fields["schema"].refuse(f"{SCHEMA}, the only schema there is")
    hosts = tuple(_read_host(field) for field in fields["hosts"].items("a list of hosts"))
    if not hosts:
        fields["hosts"].refuse("at least one host")
    _refuse_repeats(root.source, ((f"hosts[{i}].name", host.name) for i, host in enumerate(hosts)))
    _refuse_repeats(root.source, ((f"hosts[{i}].private_address", h.private_address) for i, h in enumerate(hosts)))
    # One machine under two names would be two servers; a person's own machines may have any id.
    instances = ((f"hosts[{i}].id", host.id) for i, host in enumerate(hosts) if _INSTANCE_ID.fullmatch(host.id))
    _refuse_repeats(root.source, instances)
    _refuse_repeats(
        root.source,
        ((f"hosts[{i}].address", f"{_same_spelling(h.address)} port {h.port}") for i, h in enumerate(hosts)),
    )
    network = _read_network(fields["network"])
    for field, host in zip(fields["hosts"].items("a list of hosts"), hosts, strict=True):
        _check_in_network(field.object(_names(Host))["private_address"], host.private_address, network)
    _refuse_repeats(
        root.source,
        (
            (f"hosts[{i}].volumes[{j}].id", volume.id)
            for i, host in enumerate(hosts)
            for j, volume in enumerate(host.volumes)
        ),
    )
    return Inventory(
        project=fields["project"].text("the project's name"),
        stack=fields["stack"].text(
            "the stack's name, such as eip-region.lab (letters, digits, . - _), without organization and project",
            _STACK_NAME,
        ),
        experiment=fields["experiment"].text("an experiment's name, such as eip-region", _NAME),
        region=fields["region"].text("a region, such as eu-central-1", _NAME),
        rehearsal=fields["rehearsal"].flag(),
        expires_at=fields["expires_at"].optional(_read_time),
        ssh=_read_ssh(fields["ssh"]),
        network=network,
        hosts=hosts,
        file_system=fields["file_system"].optional(_read_file_system),
        elastic_ips=fields["elastic_ips"].optional(_read_elastic_ips) or (),
        bucket=fields["bucket"].optional(_read_bucket),
        cost=fields["cost"].optional(_read_cost),
    )


def _read_cost(field: _Field) -> Cost:
    fields = field.object(_names(Cost))
    return Cost(
        # A million dollars an hour is more than any deployment's.
        usd_per_hour=fields["usd_per_hour"].number(1e6, "US dollars an hour"),
        prices_of=fields["prices_of"].text("a month such as 2025-06", _MONTH),
        besides=tuple(
            item.text("a price in words, such as $0.36 a GiB stored for a month")
            for item in fields["besides"].items("a list of prices in words (it may be empty)")
        ),
    )


def _read_bucket(field: _Field) -> Bucket:
    fields = field.object(_names(Bucket))
    return Bucket(
        name=_read_bucket_name(fields["name"]),
        endpoint=fields["endpoint"].optional(_read_url),
        uplink_mbit_per_s=fields["uplink_mbit_per_s"].optional(lambda f: f.number(1e6, "Mbit/s")),
    )


def _read_bucket_name(field: _Field) -> str:
    allowed = "a bucket's name of a-z, 0-9, . and -, such as tidemark-1a2b3c4"
    name = field.text(allowed, _BUCKET_NAME)
    if ".." in name or name.replace(".", "").isdigit():  # the latter: an IP address, which S3 refuses
        field.refuse(allowed)
    return name


def _read_url(field: _Field) -> str:
    allowed = "a URL such as http://198.51.100.1, or null for AWS's own"
    text = field.text(allowed)
    match = _URL.fullmatch(text)
    if match is None or not 0 < int(match["port"] or 80) <= 65535:
        field.refuse(allowed)
    try:
        ipaddress.IPv4Address(match["host"])
    except ValueError:
        if not _HOST_NAME.fullmatch(match["host"]):
            field.refuse(allowed)
    return text


def _read_ssh(field: _Field) -> Ssh:
    fields = field.object(_names(Ssh))
    return Ssh(
        user=fields["user"].text("a login name"),
        identity_file=fields["identity_file"].optional(lambda f: f.text("the path of a private key, or null")),
        proxy_command=fields["proxy_command"].optional(_read_proxy_command),
    )


def _read_proxy_command(field: _Field) -> str:
    allowed = "a command with %h and %p in it, or null"
    command = field.text(allowed)
    try:
        shlex.split(command)
    except ValueError as error:
        field.refuse(f"{allowed}, as a shell reads it ({error})")
    if "%h" not in command or "%p" not in command:
        field.refuse(allowed)
    return command


def _read_network(field: _Field) -> Network:
    fields = field.object(_names(Network))
    return Network(
        # 576 bytes is the least IPv4 asks of a host (RFC 791); 65535 is the largest packet there is.
        mtu=fields["mtu"].integer(576, 65535, "bytes"),
        cidr=_read_cidr(fields["cidr"]),
        vpc_id=fields["vpc_id"].optional(lambda f: f.text("a VPC's id, or null")),
    )


def _read_host(field: _Field) -> Host:
    fields = field.object(_names(Host))
    volumes = tuple(_read_volume(item) for item in fields["volumes"].items("a list of volumes (it may be empty)"))
    devices = ((f"{field.path}.volumes[{i}].device", volume.device) for i, volume in enumerate(volumes))
    _refuse_repeats(field.source, devices)
    return Host(
        name=fields["name"].text("a name of a-z, 0-9 and -, such as storage-1", _NAME),
        role=fields["role"].text("a role of a-z, 0-9 and -, such as storage or client", _NAME),
        id=fields["id"].text("the instance's id, or any name of your own"),
        type=fields["type"].text("the instance's type, or any name of your own"),
        zone=fields["zone"].text("the availability zone, or any name of your own"),
        address=_read_address(fields["address"]),
        port=fields["port"].integer(1, 65535, "a TCP port"),
        private_address=_read_ip(fields["private_address"]),
        host_keys=tuple(
            _read_host_key(item) for item in fields["host_keys"].items("a list of host keys (it may be empty)")
        ),
        cpu_limit=fields["cpu_limit"].optional(lambda f: f.integer(1, 4096, "CPUs")),
        memory_limit_mib=fields["memory_limit_mib"].optional(lambda f: f.integer(1, 1 << 30, "MiB")),
        volumes=volumes,
    )


def _read_host_key(field: _Field) -> str:
    allowed = 'a host key such as "ssh-ed25519 AAAA…", without a comment'
    text = field.text(allowed, _HOST_KEY)
    if fault := host_key_fault(text):
        field.refuse(f"{allowed}{fault}")
    return text


def host_key_fault(text: str) -> str | None:
    """What a line of known_hosts, without its host, is not: what a terminal, a page or a console has cut or joined is
    told by the key itself. None for a whole key; words that go on a sentence otherwise.
    """
    if not _HOST_KEY.fullmatch(text):
        return ", of a type and a key"
    kind, encoded = text.split()
    try:
        parts = _ssh_strings(base64.b64decode(encoded, validate=True))
    except ValueError:
        return ", and whole: its end is missing"
    if not parts or parts[0] != kind.encode():
        return f": {kind} stands before a key of another type"
    if kind == "ssh-rsa":
        whole = len(parts) == 3 and len(parts[1]) > 0 and len(parts[2].lstrip(b"\0")) >= _RSA_LEAST_BYTES
    else:
        whole = len(parts) == (2 if kind == "ssh-ed25519" else 3) and len(parts[-1]) == _KEY_BYTES[kind]
    return None if whole else f", and whole: its length is not that of {kind}"


def _ssh_strings(blob: bytes) -> list[bytes]:
    """The strings of a public key (RFC 4251, 5), each behind its length. ValueError when the last is cut short."""
    found = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            raise ValueError("cut short")
        found.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return found


def _read_volume(field: _Field) -> Volume:
    fields = field.object(_names(Volume))
    return Volume(
        id=fields["id"].text("the volume's id, such as vol-0abc, or its disk's serial", re.compile(r"\S+")),
        device=fields["device"].text("a device such as /dev/sdf", re.compile(r"/dev/(?!(\S*/)?\.\.(/|$))\S+")),
        size_gib=fields["size_gib"].integer(1, 1 << 20, "GiB"),
        type=fields["type"].text("a volume type such as gp2, or any name of your own"),
        iops=fields["iops"].optional(lambda f: f.integer(1, 10_000_000, "IOPS")),
    )


def _read_file_system(field: _Field) -> FileSystem:
    fields = field.object(_names(FileSystem))
    targets = tuple(_read_mount_target(item) for item in fields["mount_targets"].items("a list of mount targets"))
    if not targets:
        fields["mount_targets"].refuse("at least one mount target")
    for name in ("id", "zone"):
        places = ((f"{field.path}.mount_targets[{i}].{name}", getattr(t, name)) for i, t in enumerate(targets))
        _refuse_repeats(field.source, places)
    return FileSystem(
        id=fields["id"].text("the file system's id, such as fs-0abc, or any name of your own", re.compile(r"\S+")),
        throughput_mode=fields["throughput_mode"].optional(lambda f: f.choice(_THROUGHPUT_MODES)),
        # A terabyte a second is more than any file system's, and finite.
        provisioned_mib_per_s=fields["provisioned_mib_per_s"].optional(lambda f: f.number(1_000_000, "MiB/s")),
        performance_mode=fields["performance_mode"].optional(lambda f: f.choice(_PERFORMANCE_MODES)),
        one_zone=fields["one_zone"].optional(lambda f: f.text("an availability zone, or null")),
        mount_targets=targets,
    )


def _read_mount_target(field: _Field) -> MountTarget:
    fields = field.object(_names(MountTarget))
    return MountTarget(
        id=fields["id"].text("the mount target's id, such as fsmt-0abc, or any name of your own", re.compile(r"\S+")),
        zone=fields["zone"].text("the availability zone, or any name of your own"),
        address=_read_ip(fields["address"]),
    )


def _read_elastic_ips(field: _Field) -> tuple[ElasticIp, ...]:
    found = tuple(_read_elastic_ip(item) for item in field.items("a list of Elastic IPs, or null"))
    for name in ("id", "address"):
        _refuse_repeats(field.source, ((f"{field.path}[{i}].{name}", getattr(e, name)) for i, e in enumerate(found)))
    return found


def _read_elastic_ip(field: _Field) -> ElasticIp:
    fields = field.object(_names(ElasticIp))
    return ElasticIp(
        # A file of this name notes a move that is under way.
        id=fields["id"].text("the allocation's id, such as eipalloc-0abc", re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")),
        address=_read_ip(fields["address"]),
        allocated=fields["allocated"].flag(),
        reassociate=fields["reassociate"].flag(),
    )


def _read_time(field: _Field) -> str:
    allowed = "a UTC time such as 2026-11-23T12:00:00Z, or null"
    text = field.text(allowed, _TIME_DIGITS)
    try:
        datetime.strptime(text, _TIME)
    except ValueError:
        field.refuse(allowed)
    return text


def _read_cidr(field: _Field) -> str:
    allowed = "an IPv4 network such as 10.20.0.0/16"
    text = field.text(allowed)
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        field.refuse(allowed)
    # Written with a mask, or as all addresses there are, it would be read otherwise elsewhere, or say nothing.
    if str(network) != text or network.prefixlen == 0:
        field.refuse(allowed)
    return text


def _read_ip(field: _Field) -> str:
    """An address of one machine, as packets go there. What runs on the hosts (portals, routes, mounts) takes IPv4."""
    allowed = "an IPv4 address such as 10.20.1.10"
    text = field.text(allowed)
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        field.refuse(allowed)
    if address.is_loopback or _is_of_nobody(address):
        field.refuse(f"{allowed}, of one machine that others reach")
    return text


def _is_of_nobody(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether no machine has it: RFC 1122, 3.2.1.3 (0.0.0.0/8), multicast, 240.0.0.0/4 with the broadcast address."""
    if address.is_unspecified or address.is_multicast or address.is_reserved:
        return True
    return isinstance(address, ipaddress.IPv4Address) and address in ipaddress.IPv4Network("0.0.0.0/8")


def _check_in_network(field: _Field, text: str, network: Network) -> None:
    cidr, address = ipaddress.IPv4Network(network.cidr), ipaddress.IPv4Address(text)
    # RFC 3021: a network of two addresses has neither its own nor a broadcast address.
    of_all = cidr.prefixlen < 31 and address in (cidr.network_address, cidr.broadcast_address)
    if address not in cidr or of_all:
        field.refuse(f"an address of a host in network.cidr, {network.cidr}")


def _read_address(field: _Field) -> str:
    allowed = "an IP address or a host name where SSH answers"
    text = field.text(allowed)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        # "1.2.3.400" is a mistyped address, not a host name.
        if not _HOST_NAME.fullmatch(text) or len(text.rstrip(".")) > _HOST_NAME_CHARACTERS:
            field.refuse(allowed)
    else:
        if _is_of_nobody(address):
            field.refuse(allowed)
    return text


def _same_spelling(address: str) -> str:
    """One spelling for all of one address or host name."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.rstrip(".").lower()


def _refuse_repeats(source: str, places: Iterable[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    for path, value in places:
        if value in first:
            raise InventoryError(f"{source}: {path} is {value}, as is {first[value]}; each must be different")
        first[value] = path
