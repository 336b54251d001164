"""What a call of the throttle asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workloads.throttle.rates import Rate


@dataclass(frozen=True)
class Cycle:
    """The original's two times, in seconds; at once, or when the process has moved something."""

    stop_s: float
    run_s: float
    from_first_byte: bool = False


@dataclass(frozen=True)
class Settings:
    """`pace` is a rate to hold or a cycle to repeat; either `command` or `pid` is there, the other is None."""

    pace: Rate | Cycle
    max_pause_s: float
    command: tuple[str, ...] | None
    pid: int | None
    report: Path | None

    @property
    def needs_counts(self) -> bool:
        """Whether it can't be done without what the connections have moved."""
        return isinstance(self.pace, Rate) or self.pace.from_first_byte
