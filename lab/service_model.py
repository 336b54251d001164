"""The service model that a file system of the region holds to: a delay, operation limits, a byte limit."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lab.errors import LabError

MODELS = Path(__file__).resolve().parent / "service_models"
NONE = "none"
"""The name that stands for no model: the server answers as fast as it can."""

_MOST_PER_SECOND = 10**12


@dataclass(frozen=True)
class ServiceModel:
    """Limits are over all clients together; None is no limit. Metering counts an operation as `metering_minimum_bytes`
    at least.
    """

    name: str
    delay_seconds: float
    read_ops_per_s: int | None
    write_ops_per_s: int | None
    bytes_per_s: int | None
    metering_minimum_bytes: int

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
        return ServiceModel(f"half the delay of {self.name}", self.delay_seconds / 2, None, None, None, 1)

    def to_dict(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return asdict(self)


def load(which: str) -> ServiceModel | None:
    """The model of that name, or in the TOML file of that path; None for `none`.

    Raises LabError for the first field at fault.
    """
    if which == NONE:
        return None
    path = MODELS / f"{which}.toml"
    if not path.is_file():
        path = Path(which)
    try:
        document = tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RuntimeError):  # the last: ~ of a user who is not known here
        known = ", ".join([NONE, *sorted(each.stem for each in MODELS.glob("*.toml"))])
        raise LabError(f"{which}: no such service model; give one of {known}, or a TOML file's path") from None
    except ValueError as fault:  # not TOML, or a number with more digits than Python reads
        raise LabError(f"{path}: not TOML: {fault}") from fault
    return from_dict(document, str(path))


def from_dict(document: dict[str, Any], source: str) -> ServiceModel:
    """A model from plain values. A limit may be absent; all else must be there."""
    known = [field.name for field in fields(ServiceModel)]
    for key in document:
        if key not in known:
            raise LabError(f"{source}: {key} is not a field of a service model; allowed are {', '.join(known)}")
    name = document.get("name")
    if not isinstance(name, str) or not name.strip() or name == NONE:
        raise LabError(f"{source}: name is {name!r}; expected a name, other than {NONE}")
    delay = document.get("delay_seconds")
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= 10 or math.isnan(delay):
        raise LabError(f"{source}: delay_seconds is {delay!r}; expected seconds from 0 to 10")
    limits = {
        key: None if document.get(key) is None else _whole(document, key, source)
        for key in ("read_ops_per_s", "write_ops_per_s", "bytes_per_s")
    }
    minimum = _whole(document, "metering_minimum_bytes", source)
    return ServiceModel(name, float(delay), **limits, metering_minimum_bytes=minimum)


def _whole(document: dict[str, Any], key: str, source: str) -> int:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_PER_SECOND:
        raise LabError(f"{source}: {key} is {value!r}; expected a whole number from 1 to {_MOST_PER_SECOND}")
    return value
