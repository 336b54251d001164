"""The cells, and what the tunnel leaves of the rates without it."""

from __future__ import annotations

from collections.abc import Sequence

from report.cells import read_cell_records
from report.iscsi_tunnel.schema import Cell, Price
from report.runs import Record, RecordError, Run, number, number_or_none, text, whole_or_none
from report.worker import Measured, Worker, measure

PATHS = ("tunnel", "direct", "ssh")
MIB = 1 << 20


def read_cells(run: Run, workers: dict[str, Worker]) -> list[Cell]:
    """One for each name, in the order of first mention; the last record of a name counts."""
    cells = []
    for name, found in read_cell_records(run).items():
        try:
            worker = workers.get(name, Worker())
            if found.again:
                worker = worker.since(number(found.record, "started_unix_s"))
            cells.append(_cell(found.record, worker))
        except RecordError as error:
            run.problem(f"raw/cells.ndjson: {name} left out: {error}")
    return cells


def _cell(record: Record, worker: Worker) -> Cell:
    path = text(record, "path")
    if path not in PATHS:
        raise RecordError(f"path {path!r} is not one of {PATHS}")
    complete = record.get("complete") is True
    ended = measure(worker) if path != "ssh" else None
    measured = ended if complete else None
    seconds, mib_per_s = _ssh_rate(record) if path == "ssh" and complete else _rate(measured)
    reason = None if complete else str(record.get("reason") or "the cell was not completed")
    if complete and mib_per_s is None:
        reason = "no figures were recorded"
    return Cell(
        cell=text(record, "cell"),
        path=path,
        op=text(record, "op"),
        pattern=text(record, "pattern"),
        request_bytes=whole_or_none(record, "request_bytes"),
        depth=whole_or_none(record, "depth"),
        complete=complete,
        reason=reason,
        seconds=seconds,
        mib_per_s=mib_per_s,
        iops=measured.iops if measured else None,
        latency_p50_us=measured.percentile_us(50) if measured else None,
        latency_p99_us=measured.percentile_us(99) if measured else None,
        latency_max_us=measured.percentile_us(100) if measured else None,
        errors=sum(ended.errors.values()) if ended else None,
    )


def _rate(measured: Measured | None) -> tuple[float | None, float | None]:
    return (measured.seconds, measured.mib_per_s) if measured else (None, None)


def _ssh_rate(record: Record) -> tuple[float | None, float | None]:
    moved, seconds = number_or_none(record, "bytes"), number_or_none(record, "seconds")
    return (seconds, moved / MIB / seconds) if moved is not None and seconds else (seconds, None)


def prices(cells: Sequence[Cell]) -> list[Price]:
    """A row for each operation and pattern of the tunnel's cells."""
    found = []
    for cell in cells:
        if cell.path != "tunnel":
            continue
        direct = _rate_of(cells, "direct", cell.op, cell.pattern)
        # One connection moves a stream: there is nothing of it that compares with random requests.
        ssh = _rate_of(cells, "ssh", cell.op, cell.pattern)
        found.append(
            Price(
                op=cell.op,
                pattern=cell.pattern,
                request_bytes=cell.request_bytes,
                tunnel_mib_per_s=cell.mib_per_s,
                direct_mib_per_s=direct,
                ssh_mib_per_s=ssh,
                tunnel_to_direct_ratio=_ratio(cell.mib_per_s, direct),
                tunnel_to_ssh_ratio=_ratio(cell.mib_per_s, ssh),
            )
        )
    return found


def _rate_of(cells: Sequence[Cell], path: str, op: str, pattern: str) -> float | None:
    return next((c.mib_per_s for c in cells if (c.path, c.op, c.pattern) == (path, op, pattern)), None)


def _ratio(value: float | None, of: float | None) -> float | None:
    return value / of if value is not None and of else None
