"""What is measured beside the workers: counters of the clients each second, and CloudWatch's metrics of each minute."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from workloads import cloudwatch
from workloads.aws import aws_client
from workloads.clocks import HostClocks
from workloads.console import duration_words
from workloads.efs_iops import mountstats
from workloads.efs_iops.context import MOUNT_POINT, Context, script
from workloads.sampling import Parser, Sampler, Sampling, host_sampler

# A rehearsal's minutes arrive a second after their end, and its endpoint has no limit of calls.
REHEARSAL_POLL_S = 1.0
MAY_TAKE = f"at most {duration_words(cloudwatch.WAIT_LIMIT_S)} after the end of the last one"


def read_metrics(context: Context, cells: Sequence[tuple[float, float]], until_unix_s: float) -> None:
    """Records every metric of the run's whole minutes; prints what is missing, and why.

    `cells` are the begin and the end of each cell, by the runner's clock like the end of the run.
    """
    if not cloudwatch.is_file_system_id(context.file_system.id):
        context.console.say("cloudwatch", f"left out: {context.file_system.id} is no EFS file system")
        return
    started = time.monotonic()
    minutes = cloudwatch.minutes(min((begin for begin, _ in cells), default=until_unix_s), until_unix_s)
    with context.console.under_way("cloudwatch", f"{len(minutes)} minutes", MAY_TAKE) as progress:
        records = cloudwatch.wait_for(
            aws_client(context.inventory.region, "cloudwatch"),
            context.file_system.id,
            minutes,
            # A minute without activity may never arrive.
            [minute for minute in minutes if was_busy(cells, minute, minute + cloudwatch.PERIOD_S)],
            poll_s=REHEARSAL_POLL_S if context.inventory.rehearsal else cloudwatch.POLL_S,
            tell=progress.update,
        )
    for record in records:
        context.results.append("cloudwatch", record)
    context.results.step("cloudwatch", time.monotonic() - started, None)
    words = f"{len(minutes)} whole minute{'' if len(minutes) == 1 else 's'}, waited {time.monotonic() - started:.0f} s"
    reason = records[-1]["reason"]
    context.console.say("cloudwatch", words if reason is None else f"{words}; {reason}")


def was_busy(cells: Sequence[tuple[float, float]], from_unix_s: float, until_unix_s: float) -> bool:
    """Returns whether a cell ran at any time between."""
    return any(begin < until_unix_s and end > from_unix_s for begin, end in cells)


def sampling(context: Context, clocks: HostClocks) -> Sampling:
    """Samples every client for the duration of a `with` block."""

    def phase(host: str) -> list[str]:
        """Returns at which microsecond of a host's second a second of the runner begins."""
        return [str(round(clocks.offset_s(host) % 1 * 1_000_000))]

    counted = Sampler(script("client_mountstats"), phase, "mountstats", mountstats_lines)
    samplers = [host_sampler(script("host_sample"), context.hosts), counted]
    return Sampling(context.hosts, context.results, samplers)


def mountstats_lines(host: str) -> Parser:
    """Returns a reader of client_mountstats.sh's lines: it gives a record for each whole copy of the file."""
    time_of: list[float] = []
    lines: list[str] = []

    def parse(line: str) -> Mapping[str, Any] | None:
        if not line.startswith("@@ "):
            lines.append(line)
            return None
        if line != "@@ end":
            time_of[:] = [float(line.removeprefix("@@ "))]
            lines.clear()
            return None
        found = mountstats.parse("\n".join(lines), MOUNT_POINT)
        return found.record(time_of[0], host)

    return parse
