"""Samplers that run on the clients beside the workers: NFS' counters, and the host's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workloads.clocks import HostClocks
from workloads.efs_iops import mountstats
from workloads.efs_iops.context import MOUNT_POINT, Context, script
from workloads.sampling import Sampler, Sampling, Take, host_sampler


def sampling(context: Context, clocks: HostClocks) -> Sampling:
    """Samples every client for the duration of a `with` block."""

    def phase(host: str) -> list[str]:
        """Returns at which microsecond of a host's second a second of the runner begins."""
        return [str(round(clocks.offset_s(host) % 1 * 1_000_000))]

    counted = Sampler(script("client_mountstats"), phase, "mountstats", mountstats_lines)
    samplers = [host_sampler(script("host_sample"), context.hosts), counted]
    return Sampling(context.hosts, context.results, samplers)


def mountstats_lines(host: str) -> Take:
    """Returns a reader of client_mountstats.sh's lines: it gives a record for each whole copy of the file."""
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
