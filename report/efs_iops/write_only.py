"""Whether anything was read while the workers only wrote: whether a write of less than a block causes a read."""

from __future__ import annotations

from collections.abc import Mapping

from report.efs_iops.cells import Sweep
from report.efs_iops.cloudwatch import DATA_METRICS, CloudWatch
from report.efs_iops.counters import Counters
from report.efs_iops.metering import SMALL_BELOW_BYTES
from report.efs_iops.minutes import WorkerMinute
from report.efs_iops.mountstats import column, growth_in
from report.efs_iops.schema import WriteOnly
from report.missing import total


def read_write_only(
    sweep: Sweep,
    mountstats: Mapping[str, Counters],
    workers: Mapping[float, WorkerMinute],
    cloudwatch: CloudWatch,
) -> WriteOnly:
    """`workers` by the start of each minute."""
    counted: dict[str, float] = {}
    for cell in sweep.cells:
        window = sweep.windows.get(cell.cell)
        if cell.op != "write" or cell.request_bytes >= SMALL_BELOW_BYTES or window is None:
            continue
        grown = [
            growth_in(mountstats[host], column("read", "operations"), window) if host in mountstats else None
            for host in cell.hosts
        ]
        reads = total([each.amount if each else None for each in grown])
        if reads is not None:
            counted[cell.cell] = reads
    published = [
        (cloudwatch.minute(DATA_METRICS["read"], start) or {}).get("SampleCount", 0.0)
        for start, worker in workers.items()
        if _only_small_writes(worker) and cloudwatch.minute(DATA_METRICS["write"], start)
    ]
    by_kernels = round(sum(counted.values())) if counted else None
    by_cloudwatch = sum(published) if published else None
    return WriteOnly(
        cells=list(counted),
        mountstats_read_operations=by_kernels,
        cloudwatch_read_operations=by_cloudwatch,
        read_operations=None if by_kernels is None else by_kernels + (by_cloudwatch or 0.0),
    )


def _only_small_writes(worker: WorkerMinute) -> bool:
    """CloudWatch leaves a metric out that has no value: a minute of writes without reads is one of no reads."""
    writes = worker.requests["write"]
    return not worker.requests["read"] and bool(writes) and max(writes) < SMALL_BELOW_BYTES
