"""CloudWatch's PercentIOLimit, beside the percentage that follows from the limits which the run found."""

from __future__ import annotations

from collections.abc import Sequence

from report.efs_iops.cloudwatch import MINUTE_SECONDS, CloudWatch
from report.efs_iops.schema import Counted, IoLimit, IoLimitMinute, Minute
from report.missing import known, times

METRIC = "PercentIOLimit"
FULL_PERCENT = 100.0


def read_io_limit(
    cloudwatch: CloudWatch, minutes: Sequence[Minute], read_limit: float | None, write_limit: float | None
) -> IoLimit:
    """`minutes` are those of the agreement, the limits in operations a second."""
    rows = []
    for minute in minutes:
        average = (cloudwatch.minute(METRIC, minute.start_unix_s) or {}).get("Average")
        reads, writes = _ops_per_s(minute.read), _ops_per_s(minute.write)
        if average is None:
            continue
        percent = _percent(reads, read_limit, writes, write_limit)
        rows.append(
            IoLimitMinute(
                start_unix_s=minute.start_unix_s,
                read_ops_per_s=reads,
                write_ops_per_s=writes,
                metric_percent=average,
                from_limits_percent=percent,
                difference_points=None if percent is None else average - percent,
            )
        )
    differences = [abs(difference) for difference in known(row.difference_points for row in rows)]
    per_read, per_write = _fit([(row.read_ops_per_s, row.write_ops_per_s, row.metric_percent) for row in rows])
    return IoLimit(
        minutes=rows,
        largest_difference_points=max(differences, default=None),
        percent_per_1000_reads_per_s=times(per_read, 1000),
        percent_per_1000_writes_per_s=times(per_write, 1000),
    )


def _ops_per_s(counted: Counted | None) -> float:
    """By mountstats where that is known: it also counts what other programs than the workers did."""
    if counted is None:
        return 0.0
    operations = counted.mountstats_operations
    return (operations if operations is not None else counted.worker_operations or 0.0) / MINUTE_SECONDS


def _percent(reads: float, read_limit: float | None, writes: float, write_limit: float | None) -> float | None:
    used = 0.0
    for rate, limit in ((reads, read_limit), (writes, write_limit)):
        if rate and not limit:
            return None
        used += rate / limit if limit else 0.0
    return min(FULL_PERCENT, used * FULL_PERCENT)


def _fit(rows: Sequence[tuple[float, float, float]]) -> tuple[float | None, float | None]:
    """Least squares of percent = a * reads + b * writes; None where the minutes don't tell the two apart."""
    rr = sum(r * r for r, _, _ in rows)
    ww = sum(w * w for _, w, _ in rows)
    rw = sum(r * w for r, w, _ in rows)
    rp = sum(r * p for r, _, p in rows)
    wp = sum(w * p for _, w, p in rows)
    if not rr or not ww:
        return (rp / rr if rr else None), (wp / ww if ww else None)
    determinant = rr * ww - rw * rw
    # Minutes that all hold the same mixture.
    if determinant <= 1e-6 * rr * ww:
        return None, None
    return (rp * ww - wp * rw) / determinant, (wp * rr - rp * rw) / determinant
