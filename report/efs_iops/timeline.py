"""The run second by second on the runner's clock: workers, kernels and interfaces, and CloudWatch minute by minute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from report.efs_iops.cells import Clients
from report.efs_iops.cloudwatch import DATA_METRICS, MINUTE_SECONDS, CloudWatch
from report.efs_iops.counters import Counters
from report.efs_iops.mountstats import column
from report.efs_iops.schema import Cell, Step, Stretch, Timeline
from report.efs_iops.window import counts_within_each
from report.intervals import Floats, Intervals
from report.latency_seconds import LatencySeconds
from report.summary import MB
from report.worker import Worker

# More can't be told apart in a figure.
STRETCHES_MAX = 1200
# The least and the greatest rate of a stretch are of seconds; in runs of days, of more than one second.
SECONDS_MAX = 200_000
# A second in which a cell begins or ends does not count for the least and the greatest rate.
COVERED_RATIO_MIN = 0.99
MARGIN_SECONDS = 2


def read_timeline(
    workers: Mapping[str, Worker],
    cells: Sequence[Cell],
    clients: Clients,
    cloudwatch: CloudWatch,
    hosts: Sequence[str],
    latencies: LatencySeconds,
) -> Timeline | None:
    """Returns the time from the first worker's start to the last one's end; None without any interval of a worker."""
    ops = {cell.cell: cell.op for cell in cells}
    intervals = {
        op: Intervals.joined([worker.intervals for name, worker in workers.items() if ops.get(name) == op])
        for op in DATA_METRICS
    }
    every = [of_op for of_op in intervals.values() if of_op]
    if not every:
        return None
    zero = math.floor(min(of_op.t_start_unix_s.min() for of_op in every)) - MARGIN_SECONDS
    zero -= zero % latencies.grain_s
    end = math.ceil(max(of_op.t_end_unix_s.max() for of_op in every)) + MARGIN_SECONDS
    second = math.ceil((end - zero) / SECONDS_MAX)
    unit = math.lcm(second, latencies.grain_s)
    step = unit * math.ceil((end - zero) / (unit * STRETCHES_MAX))
    moments = zero + step * np.arange(math.ceil((end - zero) / step) + 1, dtype=np.float64)
    reads, writes = (stretch_rates(intervals[op], moments, step // second) for op in ("read", "write"))
    mountstats, nic = clients.mountstats, clients.nic
    frames = _grown(nic, hosts, "nic_rx_bytes", moments) + _grown(nic, hosts, "nic_tx_bytes", moments)
    moved = np.where(np.isnan(reads.mean) & np.isnan(writes.mean), np.nan, reads.bytes + writes.bytes)
    nothing = np.full(len(moments) - 1, np.nan)
    columns = (
        (moments[:-1] + moments[1:]) / 2 - zero,
        reads.mean,
        writes.mean,
        _grown(mountstats, hosts, column("read", "operations"), moments) / step,
        _grown(mountstats, hosts, column("write", "operations"), moments) / step,
        moved / MB / step,
        frames / MB / step,
        *(
            (rates for each in (reads, writes) for rates in (each.least, each.greatest))
            if step > second
            else [nothing] * 4
        ),
    )
    rows = zip(*([None if math.isnan(value) else value for value in each.tolist()] for each in columns), strict=True)
    stretches = [Stretch(*row) for row in rows]
    return Timeline(float(zero), step, stretches, _steps(cloudwatch, zero, end), latencies.stretches(zero, end, step))


@dataclass(frozen=True)
class Rates:
    """Operations a second of each stretch; NaN where no worker ran."""

    mean: Floats
    bytes: Floats  # of the whole stretch
    least: Floats  # of its seconds
    greatest: Floats


def stretch_rates(intervals: Intervals, moments: Floats, parts: int) -> Rates:
    """Returns the rates from each moment to the next. The least and the greatest are of its `parts` equal parts."""
    step = moments[1] - moments[0]
    seconds = moments[0] + step / parts * np.arange((len(moments) - 1) * parts + 1)
    counts = counts_within_each(intervals, seconds[:-1], seconds[1:])
    ops, bytes_, covered_s = (each.reshape(-1, parts) for each in (counts.ops, counts.bytes, counts.covered_s))
    worked = covered_s.sum(axis=1) > 0
    whole = covered_s >= COVERED_RATIO_MIN * np.maximum(covered_s.max(axis=1, keepdims=True), step / parts)
    return Rates(
        np.where(worked, ops.sum(axis=1) / step, np.nan),
        bytes_.sum(axis=1),
        _or_nan(np.where(whole, ops, np.inf).min(axis=1) / (step / parts)),
        _or_nan(np.where(whole, ops, -np.inf).max(axis=1) / (step / parts)),
    )


def _or_nan(rates: Floats) -> Floats:
    return np.where(np.isfinite(rates), rates, np.nan)


def _grown(counters: Mapping[str, Counters], hosts: Sequence[str], name: str, moments: Floats) -> Floats:
    """Returns the growth of all hosts together from each moment to the next; NaN if that of one is not known."""
    known = [counters[host].each_between(name, moments) for host in hosts if host in counters]
    return np.sum(known, axis=0) if known and len(known) == len(hosts) else np.full(len(moments) - 1, np.nan)


def _steps(cloudwatch: CloudWatch, zero: int, end: int) -> list[Step]:
    starts = {t for metric in DATA_METRICS.values() for t in cloudwatch.metrics.get(metric, {})}
    steps = []
    for start in sorted(starts):
        if start + MINUTE_SECONDS <= zero or start >= end:
            continue
        published = [cloudwatch.minute(metric, start) for metric in DATA_METRICS.values()]
        # CloudWatch publishes no metric that has no value in a minute: it adds nothing.
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
