"""The run second by second: the workers, the kernels and the interfaces on the runner's clock, CloudWatch as steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from report.efs_iops.cells import Clients
from report.efs_iops.cloudwatch import DATA_METRICS, MINUTE_SECONDS, CloudWatch
from report.efs_iops.counters import Counters, total
from report.efs_iops.mountstats import column
from report.efs_iops.schema import Cell, Step, Stretch, Timeline
from report.efs_iops.window import shares
from report.latency_over_time import LatencySeconds
from report.worker import Worker

MB = 1_000_000
# More than an hour in seconds can't be told apart in a figure.
STRETCHES_MAX = 3600
MARGIN_SECONDS = 2


def read_timeline(
    workers: Mapping[str, Worker],
    cells: Sequence[Cell],
    clients: Clients,
    cloudwatch: CloudWatch,
    hosts: Sequence[str],
    latencies: LatencySeconds,
) -> Timeline | None:
    """From the first worker's start to the last one's end; None without any interval of a worker."""
    ops = {cell.cell: cell.op for cell in cells}
    intervals = {
        op: [i for name, worker in workers.items() if ops.get(name) == op for i in worker.intervals]
        for op in DATA_METRICS
    }
    every = [i for of_op in intervals.values() for i in of_op]
    if not every:
        return None
    zero = math.floor(min(i.t_start_unix_s for i in every)) - MARGIN_SECONDS
    end = math.ceil(max(i.t_end_unix_s for i in every)) + MARGIN_SECONDS
    step = math.ceil((end - zero) / STRETCHES_MAX)
    bounds = [(float(t), float(t + step)) for t in range(zero, end, step)]
    reads, writes = shares(intervals["read"], bounds), shares(intervals["write"], bounds)
    stretches = []
    for (start, until), read, write in zip(bounds, reads, writes, strict=True):

        def grown(
            counters: Mapping[str, Counters], name: str, start: float = start, until: float = until
        ) -> float | None:
            return total([counters[h].between(name, start, until) if h in counters else None for h in hosts])

        frames = total([grown(clients.nic, name) for name in ("nic_rx_bytes", "nic_tx_bytes")])
        worked = read.covered_s > 0 or write.covered_s > 0
        stretches.append(
            Stretch(
                t_s=(start + until) / 2 - zero,
                # None where no worker was at work.
                worker_read_ops_per_s=read.ops / step if read.covered_s else None,
                worker_write_ops_per_s=write.ops / step if write.covered_s else None,
                mountstats_read_ops_per_s=_per_s(grown(clients.mountstats, column("read", "operations")), step),
                mountstats_write_ops_per_s=_per_s(grown(clients.mountstats, column("write", "operations")), step),
                worker_mb_per_s=(read.bytes + write.bytes) / MB / step if worked else None,
                nic_mb_per_s=None if frames is None else frames / MB / step,
            )
        )
    return Timeline(float(zero), step, stretches, _steps(cloudwatch, zero, end), latencies.stretches(zero, end, step))


def _per_s(grown: float | None, seconds: int) -> float | None:
    return None if grown is None else grown / seconds


def _steps(cloudwatch: CloudWatch, zero: int, end: int) -> list[Step]:
    starts = {t for metric in DATA_METRICS.values() for t in cloudwatch.metrics.get(metric, {})}
    steps = []
    for start in sorted(starts):
        if start + MINUTE_SECONDS <= zero or start >= end:
            continue
        published = [cloudwatch.minute(metric, start) for metric in DATA_METRICS.values()]
        # A metric without a value in a minute is not published: it adds nothing.
        counts = [each["SampleCount"] for each in published if each and "SampleCount" in each]
        sums = [each["Sum"] for each in published if each and "Sum" in each]
        steps.append(
            Step(
                t_start_s=start - zero,
                t_end_s=start + MINUTE_SECONDS - zero,
                ops_per_s=sum(counts) / MINUTE_SECONDS if counts else None,
                mb_per_s=sum(sums) / MB / MINUTE_SECONDS if sums else None,
            )
        )
    return steps
