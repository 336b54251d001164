"""The sources that are read on the clients while the workers run: what NFS counts, and what the host does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workloads.efs_iops import mountstats
from workloads.efs_iops.clocks import Clocks
from workloads.efs_iops.context import Context, script
from workloads.efs_iops.settings import MOUNT_POINT
from workloads.sampling import Sampler, Sampling, Take, host_sampler


def sampling(context: Context, clocks: Clocks) -> Sampling:
    """Both sources of every client, for as long as the block lasts."""

    def phase(host: str) -> list[str]:
        """Where in a second of the host's clock one of the runner's begins, in microseconds."""
        return [str(round(clocks.offset_s(host) % 1 * 1_000_000))]

    counted = Sampler(script("client_mountstats"), phase, "mountstats", mountstats_lines)
    samplers = [host_sampler(script("host_sample"), context.hosts), counted]
    return Sampling(context.hosts, context.results, samplers)


def mountstats_lines(host: str) -> Take:
    """What takes the lines of client_mountstats.sh on a host: a record when a copy of the file is whole."""
    time_of: list[float] = []
    lines: list[str] = []

    def take(line: str) -> Mapping[str, Any] | None:
        if not line.startswith("@@ "):
            lines.append(line)
            return None
        if line != "@@ end":
            time_of[:] = [float(line.removeprefix("@@ "))]
            lines.clear()
            return None
        found = mountstats.parse("\n".join(lines), MOUNT_POINT)
        return found.record(time_of[0], host)

    return take
