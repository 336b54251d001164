"""How EFS treats small requests: the minimum that an operation is metered as, inferred from CloudWatch's sums, and
whether anything was read while the workers only wrote, which a write of less than a block might cause.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping

from report.efs_iops.cells import Sweep
from report.efs_iops.cloudwatch import DATA_METRICS, CloudWatch
from report.efs_iops.counters import Counters
from report.efs_iops.minutes import Requests, WorkerMinute
from report.efs_iops.mountstats import column, growth_in
from report.efs_iops.schema import MeteredMinute, Metering, WriteOnly
from report.missing import total

# EFS user guide, "Metering: how Amazon EFS reports file system and object sizes": units of 4 KiB. The question is how
# smaller requests are metered.
SMALL_BELOW_BYTES = 4096
COUNTS_AGREE_RATIO = 0.01
# Beyond that, one large request more or less outweighs what the small ones tell.
UNCERTAIN_RATIO_MAX = 0.05


def read_metering(cloudwatch: CloudWatch, workers: Mapping[float, WorkerMinute]) -> Metering:
    """Compares CloudWatch's bytes with the requests. `workers` are by the start of each minute."""
    inferred = [
        _infer(start, op, worker.requests[op], cloudwatch)
        for start, worker in workers.items()
        for op in DATA_METRICS
        if worker.operations(op) and cloudwatch.minute(DATA_METRICS[op], start)
    ]
    minimum = _minimum(inferred)
    rows = [_expected(row, workers[row.start_unix_s].requests[row.op], minimum) for row, _ in inferred]
    known = [row.as_expected for row in rows if row.as_expected is not None]
    return Metering(
        minimum_bytes=minimum,
        least_and_greatest_as_expected=all(known) if known else None,
        minutes=rows,
    )


def metered_bytes(requests: Mapping[int, Requests], minimum_bytes: int | None) -> float | None:
    """Returns the bytes that these requests are metered as."""
    if minimum_bytes is None:
        return None
    return sum(each.operations * max(size, minimum_bytes) for size, each in requests.items())


def solve_minimum(counts: Mapping[int, float], total_bytes: float) -> float | None:
    """Solves sum(n * max(size, m)) = total_bytes for m; None where total_bytes is less than what was moved.

    The sum is piecewise linear in m and rises from the smallest size on. Where total_bytes is what was moved, m is the
    smallest size, since every smaller m fits as well.
    """
    sizes = sorted(counts)
    raised, rest_bytes = 0.0, sum(n * size for size, n in counts.items())
    if total_bytes < rest_bytes * (1 - COUNTS_AGREE_RATIO):
        return None
    for at, size in enumerate(sizes):
        raised += counts[size]
        rest_bytes -= counts[size] * size
        minimum = (total_bytes - rest_bytes) / raised
        if at + 1 == len(sizes) or minimum <= sizes[at + 1]:
            return max(minimum, sizes[0])
    return None


def _infer(
    start: float, op: str, requests: Mapping[int, Requests], cloudwatch: CloudWatch
) -> tuple[MeteredMinute, float]:
    """Returns the minute, and the relative uncertainty of its minimum."""
    metered = cloudwatch.minute(DATA_METRICS[op], start) or {}
    counts = {size: each.operations for size, each in requests.items() if each.operations > 0}
    sum_bytes, sample_count = metered.get("Sum"), metered.get("SampleCount")
    minimum, reason, uncertain_ratio = None, None, 0.0
    if sum_bytes is None or sample_count is None:
        reason = "CloudWatch gave no sum or no count"
    elif min(counts) >= SMALL_BELOW_BYTES:
        reason = f"no request below {SMALL_BELOW_BYTES} bytes"
    elif abs(sample_count / sum(counts.values()) - 1) > COUNTS_AGREE_RATIO:
        reason = f"CloudWatch counted {sample_count:.0f} operations, the workers {sum(counts.values()):.0f}"
    else:
        # The proportions of the sizes are those of the workers, the number of requests is CloudWatch's.
        scale = sample_count / sum(counts.values())
        minimum = solve_minimum({size: n * scale for size, n in counts.items()}, sum_bytes)
        if minimum is None:
            reason = "CloudWatch's sum is less than what was moved"
        else:
            uncertain_ratio = _uncertain_bytes(requests, sample_count) / (
                minimum * sum(n for size, n in counts.items() if size < SMALL_BELOW_BYTES)
            )
            if uncertain_ratio > UNCERTAIN_RATIO_MAX:
                minimum, reason = None, "an operation more or less of the largest requests would change it too much"
    row = MeteredMinute(
        start_unix_s=start,
        op=op,
        requests_bytes=sorted(counts),
        minimum_bytes=minimum,
        reason=reason,
        least_bytes=metered.get("Minimum"),
        greatest_bytes=metered.get("Maximum"),
        as_expected=None,
    )
    return row, uncertain_ratio


def _uncertain_bytes(requests: Mapping[int, Requests], sample_count: float) -> float:
    """Returns the bytes of operations that CloudWatch and the workers may have counted in different minutes.

    Two clocks cut the minute: of each size whose number is not whole here, because a second reaches over the minute's
    end, one operation may be on the other side.
    """
    differently = abs(sample_count - sum(each.operations for each in requests.values()))
    large = [size for size, each in requests.items() if each.operations > 0 and size >= SMALL_BELOW_BYTES]
    cut = [size for size in large if not math.isclose(requests[size].operations % 1, 0, abs_tol=1e-6)]
    return round(differently) * max(large, default=0) + sum(cut)


def _minimum(rows: Iterable[tuple[MeteredMinute, float]]) -> int | None:
    """Sums tell the minimum about as exactly as the counts agree. Where CloudWatch's least value of the same minute is
    that near, it is the exact minimum.
    """
    inferred = [(row, row.minimum_bytes, ratio) for row, ratio in rows if row.minimum_bytes is not None]
    exact = [
        round(row.least_bytes)
        for row, minimum, uncertain_ratio in inferred
        if row.least_bytes and abs(minimum / row.least_bytes - 1) <= max(COUNTS_AGREE_RATIO, uncertain_ratio)
    ]
    if exact:
        return statistics.mode(exact)
    return round(statistics.median(minimum for _, minimum, _ in inferred)) if inferred else None


def _expected(row: MeteredMinute, requests: Mapping[int, Requests], minimum: int | None) -> MeteredMinute:
    """Adds whether CloudWatch's least and greatest values are those of the requests.

    Requests of a second that only reaches into the minute may have been counted in the next one: both are accepted.
    """
    possible = [size for size, each in requests.items() if each.operations > 0]
    certain = [size for size, each in requests.items() if each.certain] or possible
    if minimum is None or row.least_bytes is None or row.greatest_bytes is None or not possible:
        return row
    least = {max(min(sizes), minimum) for sizes in (certain, possible)}
    greatest = {max(max(sizes), minimum) for sizes in (certain, possible)}
    as_expected = row.least_bytes in least and row.greatest_bytes in greatest
    return dataclasses.replace(row, as_expected=as_expected)


def read_write_only(
    sweep: Sweep,
    mountstats: Mapping[str, Counters],
    workers: Mapping[float, WorkerMinute],
    cloudwatch: CloudWatch,
) -> WriteOnly:
    """Reads what was counted while workers only wrote. `workers` are by the start of each minute."""
    counted: dict[str, float] = {}
    for cell in sweep.cells:
        window = sweep.windows.get(cell.cell)
        if cell.op != "write" or cell.request_bytes >= SMALL_BELOW_BYTES or window is None:
            continue
        grown = [growth_in(mountstats, host, column("read", "operations"), window) for host in cell.hosts]
        reads = total(each.amount if each else None for each in grown)
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
