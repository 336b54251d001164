"""What the service itself shows: CloudWatch's metrics, among them PercentIOLimit beside what follows for it from the
limits that the run found; and, from raw/storage.ndjson, the size that `df` shows beside that of the files.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise

from report.efs_iops.cloudwatch import MINUTE_SECONDS, CloudWatch
from report.efs_iops.schema import Counted, IoLimit, IoLimitMinute, Minute, Service, Storage, StoragePoint
from report.missing import known, times
from report.records import Record, number, whole_or_none
from report.runs import Run
from report.summary import MB

FULL_PERCENT = 100.0
CAUGHT_UP_RATIO = 0.01
# Directories, and files that fill their last block in part: more than the files' sizes, and no lag.
OVERHEAD_BYTES = 1 << 20


def service_figures(cloudwatch: CloudWatch) -> Service:
    permitted = cloudwatch.values("PermittedThroughput", "Average", "Maximum")
    credits = cloudwatch.values("BurstCreditBalance", "Average", "Minimum")
    stored = cloudwatch.values("StorageBytes", "Average", "Maximum")
    return Service(
        permitted_throughput_mb_per_s=statistics.median(permitted) / MB if permitted else None,
        burst_credit_minutes=len(credits),
        burst_credit_first_bytes=credits[0] if credits else None,
        burst_credit_last_bytes=credits[-1] if credits else None,
        burst_credit_least_bytes=min(cloudwatch.values("BurstCreditBalance", "Minimum", "Average"), default=None),
        client_connections_greatest=max(cloudwatch.values("ClientConnections", "Sum"), default=None),
        storage_first_bytes=stored[0] if stored else None,
        storage_last_bytes=stored[-1] if stored else None,
    )


def read_io_limit(
    cloudwatch: CloudWatch, minutes: Sequence[Minute], read_limit: float | None, write_limit: float | None
) -> IoLimit:
    """Compares PercentIOLimit with the limits, in operations a second. `minutes` are those of the agreement."""
    rows = []
    for minute in minutes:
        average = (cloudwatch.minute("PercentIOLimit", minute.start_unix_s) or {}).get("Average")
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
    """Returns the rate by mountstats if that is known: it also counts what other programs than the workers did."""
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
    """Fits percent = a * reads + b * writes by least squares; None if the minutes don't tell the two apart."""
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


def read_storage(run: Run) -> Storage | None:
    """Reads the recorded sizes of the file system; None if there is none."""
    rows = run.read("storage", _row) if run.has_stream("storage", "whether df lags is not known") else []
    if not rows:
        return None
    rows.sort(key=lambda row: row[0])
    zero, first_used, first_files = rows[0]
    # What was used before the run's first file is not the run's.
    before = first_used if first_used is not None and first_files == 0 else 0
    points = []
    for t_unix_s, used, files in rows:
        of_run = None if used is None else max(0, used - before)
        points.append(StoragePoint(t_unix_s - zero, of_run, files, _caught_up(of_run, files)))
    changes = [later.t_s for earlier, later in pairwise(points) if later.files_bytes != earlier.files_bytes]
    changed = changes[-1] if changes else points[0].t_s
    since = [point for point in points if point.t_s >= changed and point.caught_up is not None]
    caught_up = next((point.t_s - changed for point in since if point.caught_up), None)
    watched = since[-1].t_s - changed if since else None
    return Storage(
        points=points,
        files_bytes=points[-1].files_bytes,
        df_used_bytes=points[-1].df_used_bytes,
        lag_seconds=caught_up,
        watched_seconds=watched,
        lag_at_least_seconds=watched if caught_up is None else caught_up,
    )


def _row(record: Record) -> tuple[float, int | None, int | None]:
    return number(record, "t_unix_s"), whole_or_none(record, "df_used_bytes"), whole_or_none(record, "files_bytes")


def _caught_up(used: int | None, files: int | None) -> bool | None:
    if used is None or not files:
        return None
    return files * (1 - CAUGHT_UP_RATIO) <= used <= files * (1 + CAUGHT_UP_RATIO) + OVERHEAD_BYTES
