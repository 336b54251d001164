"""The minutes of CloudWatch that lie wholly inside the run, and what the workers did in each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from report.efs_iops.cloudwatch import DATA_METRICS, MINUTE_SECONDS, CloudWatch
from report.efs_iops.schema import Cell
from report.efs_iops.window import overlaps
from report.runs import Manifest, Run
from report.worker import Worker


@dataclass
class Requests:
    """Requests of one size in one minute; a second that reaches over the minute's boundary counts in proportion."""

    operations: float = 0.0
    bytes: float = 0.0
    certain: bool = False  # some seconds lie in the minute wholly, whatever the clocks' errors


@dataclass
class WorkerMinute:
    """By operation and request size."""

    requests: dict[str, dict[int, Requests]] = field(default_factory=lambda: {op: {} for op in DATA_METRICS})

    def operations(self, op: str) -> float:
        return sum(each.operations for each in self.requests[op].values())

    def bytes(self, op: str) -> float:
        return sum(each.bytes for each in self.requests[op].values())


def minutes_inside(manifest: Manifest, cloudwatch: CloudWatch, workers: Iterable[Worker]) -> list[float]:
    """Returns the starts of the minutes that were asked for, or of those that are there if that is not known.

    AWS's clock is taken for the runner's, since nothing measures it.
    """
    ends = [float(worker.intervals.t_end_unix_s.max()) for worker in workers if worker.intervals]
    began, ended = _moment(manifest.started_at), _moment(manifest.finished_at)
    if ended is None:
        ended = max(ends, default=None)
    if began is None or ended is None:
        return []
    wanted: set[float] = set()
    for start, until in cloudwatch.asked:
        first = max(_minute(start), _minute(began))
        count = max(0, math.ceil((min(until, ended) - first) / MINUTE_SECONDS))
        wanted |= {first + n * MINUTE_SECONDS for n in range(count)}
    if not cloudwatch.asked:
        wanted = {start for minutes in cloudwatch.metrics.values() for start in minutes}
    return sorted(start for start in wanted if start >= began and start + MINUTE_SECONDS <= ended)


def worker_minutes(
    run: Run, workers: Mapping[str, Worker], cells: Sequence[Cell], minutes: Sequence[float]
) -> dict[float, WorkerMinute]:
    """Returns what all workers did in each minute, including those of incomplete cells and of earlier attempts."""
    kinds = {cell.cell: (cell.op, cell.request_bytes) for cell in cells}
    found = {start: WorkerMinute() for start in minutes}
    starts = np.array(minutes, np.float64)
    for name, worker in workers.items():
        if name not in kinds:
            run.problem(f"raw/worker.ndjson: cell {name} is not in raw/cells.ndjson, left out")
            continue
        op, size_bytes = kinds[name]
        worked = worker.intervals.where(worker.intervals.ops > 0)
        for rows, at, _, part in overlaps(worked, starts, starts + MINUTE_SECONDS):
            operations = np.bincount(at, worked.ops[rows] * part)
            bytes_ = np.bincount(at, worked.bytes[rows] * part)
            certain = np.bincount(at, part >= 1.0)
            for each in np.unique(at).tolist():
                requests = found[minutes[each]].requests[op].setdefault(size_bytes, Requests())
                requests.operations += float(operations[each])
                requests.bytes += float(bytes_[each])
                requests.certain = requests.certain or bool(certain[each])
    return found


def _minute(t_unix_s: float) -> float:
    return t_unix_s // MINUTE_SECONDS * MINUTE_SECONDS


def _moment(iso: str | None) -> float | None:
    try:
        return None if iso is None else datetime.fromisoformat(iso).timestamp()
    except ValueError:
        return None
