"""The clients' clocks against the runner's: measured, recorded, and used to let workers start at one point in time."""

from __future__ import annotations

from workloads import clocks
from workloads.efs_iops.context import Context

TOLD_FROM_S = 1.0  # an offset that a person should know of; smaller ones are usual


class Clocks:
    """The newest offset of each client."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._offsets: dict[str, clocks.Offset] = {}

    def measure(self) -> None:
        """Measures every client's, side by side, and records them."""
        context = self._context
        measured = context.hosts.each([host.name for host in context.clients], clocks.measure)
        self._offsets |= measured
        for name, offset in measured.items():
            if abs(offset.offset_s) >= TOLD_FROM_S:
                context.console.say(
                    "clocks", f"{name} is {abs(offset.offset_s):.1f} s {'ahead' if offset.offset_s > 0 else 'behind'}"
                )
            context.results.append("clocks", offset.record(name))

    def offset_s(self, host: str) -> float:
        """The host's clock less the runner's."""
        return self._offsets[host].offset_s
