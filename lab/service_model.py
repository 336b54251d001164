"""Service models: what the region holds its file systems, or its volumes and networks, to.

A model is a TOML file in lab/service_models. Its `kind` says which of the two it is of.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from documents import DocumentError, Items, Model, Number, Text, read, read_text, read_toml, renamed
from lab.errors import LabError

MODELS = Path(__file__).resolve().parent / "service_models"
NONE = "none"
"""The name that stands for no model: the service answers as fast as it can."""

PerSecond = Annotated[int, Number(1, 10**12)]
Name = Annotated[str, Text(f"a name, other than {NONE}", check=lambda name: name != NONE)]


@dataclass(frozen=True)
class FileSystemModel(Model):
    """Limits of a file system. They hold for all clients together; an absent one is no limit."""

    kind: Literal["file-system"]
    name: Name
    delay_seconds: Annotated[float, Number(0, 10, "seconds")]
    """Seconds by which each answer is held back"""
    metering_minimum_bytes: PerSecond
    """Bytes that an operation counts as at least"""
    read_ops_per_s: PerSecond | None = None
    """Reads per second"""
    write_ops_per_s: PerSecond | None = None
    """Writes per second"""
    bytes_per_s: PerSecond | None = None
    """Metered bytes per second, read and written"""

    def command(self) -> dict[str, Any]:
        """As the mount targets' front end takes it (lab/mount_target/README.md)."""
        return {
            "delay_ns": round(self.delay_seconds * 1e9),
            "read_ops_per_s": self.read_ops_per_s,
            "write_ops_per_s": self.write_ops_per_s,
            "bytes_per_s": self.bytes_per_s,
            "metering_minimum_bytes": self.metering_minimum_bytes,
        }

    def with_half_delay(self) -> FileSystemModel:
        """Returns a model of half the delay and nothing else, to measure what an operation takes besides it.

        Without a delay nobody ever rests, and hosts that rest take longer to wake than busy ones to go on: a fifth of
        an operation's own time and more (docs/explanation/experiments.md). The other half is left to be found.
        """
        name = f"half the delay of {self.name}"
        return FileSystemModel(self.kind, name, self.delay_seconds / 2, metering_minimum_bytes=1)

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it as plain values."""
        return asdict(self)

    def in_words(self) -> str:
        """Describes the limits."""
        return ", ".join(f"{key} {value}" for key, value in self.to_dict().items() if key not in ("kind", "name"))


@dataclass(frozen=True)
class InstanceLimits(Model):
    """Limits of an instance type; an absent one is no limit."""

    type: Annotated[str, Text("an instance type, such as c4.8xlarge")]
    network_bytes_per_s: PerSecond | None = None
    """Bytes per second of its network, in each direction"""
    ebs_bytes_per_s: PerSecond | None = None
    """Bytes per second of its link to all of its volumes, read and written"""


@dataclass(frozen=True)
class VolumeLimits(Model):
    """Limits of a volume type; an absent one is no limit. With `burst_credits` a volume does `ops_per_s` while it has
    credits, one for each operation, and its base rate, at which credits grow, when it has none.
    """

    type: Annotated[str, Text("a volume type, such as gp2")]
    bytes_per_s: PerSecond | None = None
    """Bytes per second, read and written"""
    ops_per_s: PerSecond | None = None
    """Operations per second, reads and writes"""
    op_bytes: Annotated[int, Number(4096, 1 << 30, "bytes")] = 262144
    """A larger request counts as several operations of this size"""
    burst_credits: Annotated[int, Number(0, 10**12)] = 0
    """Operations that a new volume, or one that has rested, may do at `ops_per_s`"""
    base_ops_per_s_per_gib: Annotated[float, Number(0, 10**6)] = 0
    """The base rate in operations per second for each GiB"""
    base_ops_per_s_least: PerSecond = 1
    """The base rate of a small volume"""

    def base_ops_per_s(self, size_gib: int) -> float:
        """Returns the base rate of a volume of this size."""
        return max(self.base_ops_per_s_per_gib * size_gib, self.base_ops_per_s_least)


@dataclass(frozen=True)
class BlockStorageModel(Model):
    """Limits of volumes, of their instances' links to them, and of the network, by type. Other types have no limit."""

    kind: Literal["block-storage"]
    name: Name
    scale: Annotated[float, Number(1, 10**6)]
    """All rates, and the credits, are divided by this"""
    instances: Annotated[tuple[InstanceLimits, ...], Items("a list of tables [[instance]]", unique=["type"])] = ()
    """Instance types"""
    volumes: Annotated[tuple[VolumeLimits, ...], Items("a list of tables [[volume]]", unique=["type"])] = ()
    """Volume types"""

    __pydantic_config__ = renamed(instances="instance", volumes="volume")

    def instance(self, instance_type: str) -> InstanceLimits | None:
        """Returns the limits of an instance type; None if it has none."""
        return next((each for each in self.instances if each.type == instance_type), None)

    def volume(self, volume_type: str) -> VolumeLimits | None:
        """Returns the limits of a volume type; None if it has none."""
        return next((each for each in self.volumes if each.type == volume_type), None)

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it as plain values, named as in a document."""
        document = asdict(self)
        document["instance"], document["volume"] = document.pop("instances"), document.pop("volumes")
        return document

    def in_words(self) -> str:
        """Describes the limits, at scale."""
        words = []
        for instance in self.instances:
            words += self._words(f"{instance.type} network", instance.network_bytes_per_s, 1e6, "MB/s")
            words += self._words(f"{instance.type} EBS link", instance.ebs_bytes_per_s, 1e6, "MB/s")
        for volume in self.volumes:
            words += self._words(volume.type, volume.bytes_per_s, 1e6, "MB/s")
            words += self._words(volume.type, volume.ops_per_s, 1, "op/s")
        scale = [f"at a scale of 1:{self.scale:g}"] if self.scale != 1 else []
        return ", ".join([*words, *scale]) if words else "no limit"

    def _words(self, what: str, rate: int | None, unit: float, name: str) -> list[str]:
        return [] if rate is None else [f"{what} {rate / self.scale / unit:g} {name}"]


ServiceModel = FileSystemModel | BlockStorageModel
KINDS: dict[str, type[ServiceModel]] = {"file-system": FileSystemModel, "block-storage": BlockStorageModel}


def load(which: str) -> ServiceModel | None:
    """Reads the model of that name, or the TOML file of that path; None for `none`.

    Raises LabError with all faults.
    """
    if which == NONE:
        return None
    path = MODELS / f"{which}.toml"
    if not path.is_file():
        path = Path(which)
    try:
        document = read_toml(read_text(path.expanduser()), str(path))
    except DocumentError as error:
        raise LabError(str(error)) from None
    except (OSError, UnicodeDecodeError, RuntimeError):  # the last: ~ of a user who is not known here
        known = ", ".join([NONE, *sorted(each.stem for each in MODELS.glob("*.toml"))])
        raise LabError(f"{which}: no such service model; give one of {known}, or a TOML file's path") from None
    return from_dict(document, str(path))


def from_dict(document: dict[str, Any], source: str) -> ServiceModel:
    """Returns the model of plain values. Raises LabError with all faults."""
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        found = "missing" if kind is None else json.dumps(kind, default=str)
        raise LabError(f"{source}: kind is {found}; expected {' or '.join(map(json.dumps, KINDS))}")
    try:
        return read(KINDS[kind], document, source, "a table")
    except DocumentError as error:
        raise LabError(str(error)) from None
