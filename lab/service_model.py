"""The service model that the region's file systems follow: a delay, limits of operations, a limit of bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from documents import DocumentError, Model, Number, Text, read, read_toml
from lab.errors import LabError

MODELS = Path(__file__).resolve().parent / "service_models"
NONE = "none"
"""The name that stands for no model: the server answers as fast as it can."""

PerSecond = Annotated[int, Number(1, 10**12)]


@dataclass(frozen=True)
class ServiceModel(Model):
    """Limits hold for all clients together; an absent one is no limit."""

    name: Annotated[str, Text(f"a name, other than {NONE}", check=lambda name: name != NONE)]
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

    def with_half_delay(self) -> ServiceModel:
        """Half the delay and nothing else, to measure what an operation takes besides it.

        Without a delay nobody ever rests, and hosts that rest take longer to wake than busy ones to go on: a fifth of
        an operation's own time and more (docs/design.md). The other half of the delay is left to be found.
        """
        return ServiceModel(f"half the delay of {self.name}", self.delay_seconds / 2, metering_minimum_bytes=1)

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it as plain values."""
        return asdict(self)


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
        document = read_toml(path.expanduser().read_text(encoding="utf-8"), str(path))
    except DocumentError as error:
        raise LabError(str(error)) from None
    except (OSError, UnicodeDecodeError, RuntimeError):  # the last: ~ of a user who is not known here
        known = ", ".join([NONE, *sorted(each.stem for each in MODELS.glob("*.toml"))])
        raise LabError(f"{which}: no such service model; give one of {known}, or a TOML file's path") from None
    return from_dict(document, str(path))


def from_dict(document: dict[str, Any], source: str) -> ServiceModel:
    """Returns the model of plain values. Raises LabError with all faults."""
    try:
        return read(ServiceModel, document, source, "a table")
    except DocumentError as error:
        raise LabError(str(error)) from None
