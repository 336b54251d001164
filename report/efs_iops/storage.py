"""raw/storage.ndjson: the size that `df` shows of the file system, and the size of the files that are in it."""

from __future__ import annotations

from itertools import pairwise

from report.efs_iops.schema import Storage, StoragePoint
from report.records import Record, number, whole_or_none
from report.runs import Run

CAUGHT_UP_RATIO = 0.01
# Directories, and files that fill their last block in part: more than the files' sizes, and no lag.
OVERHEAD_BYTES = 1 << 20


def read_storage(run: Run) -> Storage | None:
    """None where no size was recorded."""
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
