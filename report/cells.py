"""raw/cells.ndjson: a record for each cell of a sweep, by its name."""

from __future__ import annotations

from dataclasses import dataclass

from report.runs import Record, RecordError, Run, text


@dataclass(frozen=True)
class CellRecord:
    record: Record
    again: bool  # there was an earlier attempt at it, whose worker's lines are in the same file


def read_cell_records(run: Run) -> dict[str, CellRecord]:
    """In the order of first mention; the last record of a name counts."""
    records: dict[str, CellRecord] = {}
    for record in run.stream("cells"):
        try:
            name = text(record, "cell")
            records[name] = CellRecord(record, name in records)
        except RecordError as error:
            run.problem(f"raw/cells.ndjson: a record left out: {error}")
    return records
