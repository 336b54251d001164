"""What a call of the throttle asks for, and how rates are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from workloads.errors import WorkloadError

# k, M and G are thousands (SI), Ki, Mi and Gi are 1024s (IEC 80000-13). "Mb/s" and "Mbps" are left out: people mean
# bits by them as often as bytes.
UNITS = {
    "B/s": Fraction(1),
    "kB/s": Fraction(10**3),
    "MB/s": Fraction(10**6),
    "GB/s": Fraction(10**9),
    "KiB/s": Fraction(2**10),
    "MiB/s": Fraction(2**20),
    "GiB/s": Fraction(2**30),
    "bit/s": Fraction(1, 8),
    "kbit/s": Fraction(10**3, 8),
    "Mbit/s": Fraction(10**6, 8),
    "Gbit/s": Fraction(10**9, 8),
}
# People write the k of a thousand as K, too; these spellings have no other meaning.
SPELLINGS = {"KB/s": "kB/s", "kiB/s": "KiB/s", "Kbit/s": "kbit/s"}
ALLOWED = "a number and one of " + ", ".join(UNITS)

# A full socket buffer at the beginning cuts one pause short; several mean that the rate can't be held.
CUT_SHORT_WARNING = 3
LEAST_BYTES_PER_S = 1024
MOST_BYTES_PER_S = 2**40
_RATE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) *([^0-9. ]\S*)?")


@dataclass(frozen=True)
class Rate:
    """A rate: `amount` and `unit` (a key of UNITS) as written, and the same in bytes per second."""

    amount: str
    unit: str
    bytes_per_s: float

    @property
    def words(self) -> str:
        """The rate as written: 2 MiB/s."""
        return f"{self.amount} {self.unit}"

    @property
    def explained(self) -> str:
        """The rate as written and in bytes, which shows how an M was understood."""
        return f"{self.words}, which is {self.bytes_per_s:,.0f} bytes a second"


def parse_rate(text: str) -> Rate:
    """Returns the rate that `text` means; a blank before the unit is optional.

    Raises WorkloadError for a plain number, another unit, or a rate outside 1 KiB/s to 1 TiB/s.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise WorkloadError(f"rate {text!r}", f"a rate is {ALLOWED}, as in 2 MiB/s")
    amount, unit = found.groups()
    if unit is None:
        raise WorkloadError(f"rate {text!r} has no unit", f"a rate is {ALLOWED}, as in 2 MiB/s")
    unit = SPELLINGS.get(unit, unit)
    if unit not in UNITS:
        raise WorkloadError(f"rate {text!r}: {unit!r} is no unit here", f"a rate is {ALLOWED}")
    bytes_per_s = Fraction(amount) * UNITS[unit]
    if not LEAST_BYTES_PER_S <= bytes_per_s <= MOST_BYTES_PER_S:
        raise WorkloadError(
            f"rate {text!r} is {float(bytes_per_s):,.0f} bytes a second", "a rate is from 1 KiB/s to 1024 GiB/s"
        )
    return Rate(amount, unit, float(bytes_per_s))


def in_unit(bytes_per_s: float, unit: str) -> str:
    """Returns a rate in a unit of UNITS, for a person: 1.98 MiB/s."""
    amount = bytes_per_s / float(UNITS[unit])
    return f"{amount:,.0f} {unit}" if amount >= 1000 else f"{amount:.3g} {unit}"


@dataclass(frozen=True)
class Cycle:
    """The original's stop and run, repeated; it begins at once, or once the process has moved something."""

    stop_s: float
    run_s: float
    from_first_byte: bool = False


@dataclass(frozen=True)
class Settings:
    """The options of a call. `pace` is a rate to hold or a cycle to repeat; one of `command` and `pid` is None."""

    pace: Rate | Cycle
    max_pause_s: float
    command: tuple[str, ...] | None
    pid: int | None
    report: Path | None

    @property
    def needs_counts(self) -> bool:
        """Whether the pace depends on what the connections have moved."""
        return isinstance(self.pace, Rate) or self.pace.from_first_byte
