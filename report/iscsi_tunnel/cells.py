"""The cells of raw/cells.ndjson, and which part of the rates without a tunnel is left with it."""

from __future__ import annotations

from collections.abc import Sequence

from report.cells import CellRecord, parse_cells
from report.iscsi_tunnel.schema import Cell, TunnelCost
from report.missing import divided, times
from report.records import RecordError, number_or_none, read_as, text
from report.runs import Run
from report.summary import MIB, shared_fields
from report.worker import Worker, figures_of, measure

PATHS = ("tunnel", "direct", "ssh")


def read_cells(run: Run, workers: dict[str, Worker]) -> list[Cell]:
    return parse_cells(run, lambda cell: _cell(cell, cell.last_attempt(workers)))


def _cell(cell: CellRecord, worker: Worker) -> Cell:
    record = cell.record
    path = text(record, "path")
    if path not in PATHS:
        raise RecordError(f"path {path!r} is not one of {PATHS}")
    complete = record.get("complete") is True
    ended = measure(worker) if path != "ssh" else None
    measured = ended if complete else None
    rate = figures_of(measured, "seconds", "mib_per_s")
    if path == "ssh" and complete:
        moved, seconds = number_or_none(record, "bytes"), number_or_none(record, "seconds")
        rate = {"seconds": seconds, "mib_per_s": divided(times(moved, 1 / MIB), seconds)}
    reason = None if complete else str(record.get("reason") or "the cell was not completed")
    if complete and rate["mib_per_s"] is None:
        reason = "no figures were recorded"
    return read_as(
        Cell,
        record,
        complete=complete,
        reason=reason,
        **rate,
        **figures_of(measured, "iops", "latency_p50_us", "latency_p99_us", "latency_max_us"),
        errors=ended.error_count if ended else None,
    )


def prices(cells: Sequence[Cell]) -> list[TunnelCost]:
    """Returns what the tunnel costs, for each operation and pattern of its cells."""
    rates = {(cell.path, cell.op, cell.pattern): cell.mib_per_s for cell in reversed(cells)}
    found = []
    for cell in cells:
        if cell.path != "tunnel":
            continue
        direct = rates.get(("direct", cell.op, cell.pattern))
        # One SSH connection moves a stream: it has no random requests to compare with.
        ssh = rates.get(("ssh", cell.op, cell.pattern))
        found.append(
            TunnelCost(
                **shared_fields(TunnelCost, cell),
                tunnel_mib_per_s=cell.mib_per_s,
                direct_mib_per_s=direct,
                ssh_mib_per_s=ssh,
                tunnel_to_direct_ratio=divided(cell.mib_per_s, direct),
                tunnel_to_ssh_ratio=divided(cell.mib_per_s, ssh),
            )
        )
    return found
