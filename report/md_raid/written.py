"""The write cells, and what was read back of them from each server's legs alone (raw/writes.ndjson)."""

from __future__ import annotations

from collections.abc import Sequence

from report.md_raid.schema import Cell, WrittenCell
from report.records import Record, RecordError, or_none, text, whole
from report.runs import Run
from report.summary import shared_fields


def read_writes(run: Run, cells: Sequence[Cell]) -> list[WrittenCell]:
    written = [cell for cell in cells if cell.operation == "write"]
    checks: dict[str, dict[str, Record]] = {}
    if written and run.has_stream("writes", "whether what was written was read back is not known"):
        for record in run.stream("writes"):
            try:
                checks.setdefault(text(record, "cell"), {})[text(record, "server")] = record
            except RecordError as error:
                run.omit("writes", error, record)
    return [_written(cell, list(checks.get(cell.cell, {}).values())) for cell in written]


def _written(cell: Cell, checks: Sequence[Record]) -> WrittenCell:
    alike = len({check.get("sha256") for check in checks}) == 1
    return WrittenCell(
        **shared_fields(WrittenCell, cell),
        servers_checked=len(checks),
        checked_bytes=or_none(whole, checks[0] if checks else None, "bytes"),
        matched=alike and all(check.get("matched") is True for check in checks) if checks else None,
    )
