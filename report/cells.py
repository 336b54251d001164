"""raw/cells.ndjson: a record for each cell, that is each measurement of a sweep, by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from report.records import Record, RecordError, number, text
from report.runs import Run
from report.worker import Worker

T = TypeVar("T")


@dataclass(frozen=True)
class CellRecord:
    name: str
    record: Record
    repeated: bool  # after an earlier attempt, whose worker's lines are in the same file

    def last_attempt(self, workers: Mapping[str, Worker]) -> Worker:
        """Compares times of two clocks, the runner's and the client's, only where there was an earlier attempt."""
        worker = workers.get(self.name, Worker())
        return worker.since(number(self.record, "started_unix_s")) if self.repeated else worker


def read_cell_records(run: Run) -> dict[str, CellRecord]:
    """Returns the cells' records by name, in the order of first mention. The last record of a name counts."""
    records: dict[str, CellRecord] = {}
    for record in run.stream("cells"):
        try:
            name = text(record, "cell")
            records[name] = CellRecord(name, record, name in records)
        except RecordError as error:
            run.omit("cells", error)
    return records


def parse_cells(run: Run, parse: Callable[[CellRecord], T]) -> list[T]:
    """Returns what `parse` returns for each cell. Cells for which it raises RecordError are left out."""
    cells = []
    for name, cell in read_cell_records(run).items():
        try:
            cells.append(parse(cell))
        except RecordError as error:
            run.problem(f"raw/cells.ndjson: {name} left out: {error}")
    return cells
