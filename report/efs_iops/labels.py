"""Labels of efs-iops' cells and figures, for tables and charts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from report.efs_iops.cells import OPS, PATTERNS
from report.efs_iops.schema import Cell
from report.format import MISSING, figure, size_bytes
from report.missing import divided
from report.summary import MB


def request_size(value_bytes: int) -> str:
    """Returns a size such as 1 B, 1 KiB or 10 000 B: in a larger unit only if that is exact."""
    return size_bytes(value_bytes) if value_bytes % 1024 == 0 else f"{figure(value_bytes)} B"


def at_once(cell: Cell) -> str:
    """Hosts times the writers on each."""
    return f"{len(cell.hosts)}\u00d7{cell.writers}"


def agreement_ratio(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4f}"


def megabytes(value_bytes: float | None) -> str:
    return figure(divided(value_bytes, MB))


def clock_time(t_unix_s: float) -> str:
    return datetime.fromtimestamp(t_unix_s, UTC).strftime("%H:%M")


def in_order(cells: Sequence[Cell]) -> list[Cell]:
    """Writes, then reads; fixed, then sequential; by size, hosts and writers."""
    return sorted(
        cells,
        key=lambda c: (OPS.index(c.op), PATTERNS.index(c.pattern), c.request_bytes, len(c.hosts), c.writers),
    )
