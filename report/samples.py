"""The per-second rates of each cell of a run, all hosts added up; the same for all experiments."""

from __future__ import annotations

from dataclasses import dataclass

from report.cells import read_cell_records
from report.records import Record, RecordError, number, text, whole
from report.runs import Run

# Shorter intervals are the ends of a measurement, not seconds.
INTERVAL_SECONDS_MIN = 0.5
# Fields that may differ between two measurements of the same cell.
_OF_THE_DAY = frozenset({"cell", "complete", "reason", "lost_hosts", "devices", "hosts", "seconds"})
_TIMES = ("unix_s", "_at")


@dataclass(frozen=True)
class Series:
    """A cell's operations a second, in order of time; `parameters` say what was measured, from raw/cells.ndjson."""

    rates: list[float]
    parameters: Record
    reason: str | None  # why it is incomplete


def read_series(run: Run) -> dict[str, Series]:
    """By cell: the cells of raw/cells.ndjson, or those that workers name where the run has no such file.

    Seconds of several hosts are matched by their number from the start, so that no clock is needed. Of a cell that was
    repeated the last attempt counts.
    """
    seconds = _read_seconds(run)
    if not run.has_stream("cells"):
        return {name: Series(_rates(of_hosts), {}, None) for name, of_hosts in seconds.items()}
    found = {}
    for name, cell in read_cell_records(run).items():
        complete = cell.record.get("complete") is True
        reason = None if complete else str(cell.record.get("reason") or "the cell was not completed")
        parameters = {
            key: value for key, value in cell.record.items() if key not in _OF_THE_DAY and not key.endswith(_TIMES)
        }
        found[name] = Series(_rates(seconds.get(name, {})), parameters, reason)
    return found


def _read_seconds(run: Run) -> dict[str, dict[str, dict[int, float]]]:
    """Operations a second by cell, host and second."""
    cells: dict[str, dict[str, dict[int, float]]] = {}
    last: dict[tuple[str, str], int] = {}
    for record in run.stream("worker"):
        try:
            cell, host = text(record, "cell"), text(record, "host")
            if text(record, "kind") != "interval":
                continue
            second = whole(record, "second")
            duration = number(record, "t_end_unix_s") - number(record, "t_start_unix_s")
            ops = whole(record, "ops")
        except RecordError as error:
            run.omit("worker", error, record)
            continue
        of_host = cells.setdefault(cell, {}).setdefault(host, {})
        if second <= last.get((cell, host), -1):
            of_host.clear()  # the worker was restarted
        last[cell, host] = second
        if duration >= INTERVAL_SECONDS_MIN:
            of_host[second] = ops / duration
    return cells


def _rates(of_hosts: dict[str, dict[int, float]]) -> list[float]:
    """Of those seconds that every host has."""
    if not of_hosts:
        return []
    common = set.intersection(*(set(seconds) for seconds in of_hosts.values()))
    return [sum(seconds[second] for seconds in of_hosts.values()) for second in sorted(common)]
