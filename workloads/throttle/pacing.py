"""What the loop asks of whoever sets the pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Turn:
    """What to do next; one of three things.

    run_s = 0: the processes stay stopped, or are stopped now, for `stop_s`; look again then, or sooner.
    stop_s = 0: they run (on) for `run_s`; look again then, or sooner.
    Both: they run for `run_s`, and are stopped then without a look, probably for `stop_s`.
    """

    run_s: float
    stop_s: float


class Pacer(Protocol):
    """Decides from time and bytes alone: it has no clock and sends no signal."""

    def turn(self, now_s: float, moved_bytes: int) -> Turn:
        """What to do at `now_s`, when `moved_bytes` have been moved since the beginning. The time never goes back; the
        bytes do when an acknowledgement was counted twice: the kernel reads a socket's buffers before its counters.
        """
        ...

    @property
    def cut_short(self) -> int:
        """How many pauses were ended by their bound, not by the rate."""
        ...
