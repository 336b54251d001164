"""What the reads met while the connection was cut, second by second."""

from __future__ import annotations

from collections.abc import Mapping

from report.iscsi_tunnel.schema import Loss, Second
from report.records import Record, known_as, number, or_none
from report.runs import Run
from report.worker import Worker


def read_losses(run: Run) -> list[Loss]:
    """From raw/drill.ndjson; the newest of each kind."""
    found: dict[str, Loss] = {}
    for record in _records(run):
        how = str(record["event"])
        found[how] = known_as(Loss, record, how=how)
    return list(found.values())


def timeline(run: Run, workers: Mapping[str, Worker]) -> list[Second]:
    """Each second of the reads, counted from the cut; both times are of the client's clock."""
    zero = {str(record["event"]): or_none(number, record, "cut_at_unix_s") for record in _records(run)}
    seconds = []
    for how, worker in workers.items():
        began = zero.get(how)
        if began is None:
            continue
        for interval in worker.intervals:
            if interval.seconds > 0:
                middle = (interval.t_start_unix_s + interval.t_end_unix_s) / 2
                errors = sum(interval.errors.values())
                seconds.append(Second(how, middle - began, interval.ops / interval.seconds, errors))
    return seconds


def _records(run: Run) -> list[Record]:
    records = run.stream("drill") if run.has_stream("drill") else ()
    return [record for record in records if isinstance(record.get("event"), str)]
