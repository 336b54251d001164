"""raw/worker.ndjson of one run, gathered by cell: the final documents merged, the seconds kept apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from report.histogram import Histogram, HistogramError, merge
from report.latency_over_time import LatencySeconds
from report.runs import Record, RecordError, Run, number, number_or_none, quietly, text, whole, whole_or_none

CLOCK_SLACK_S = 0.05
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Interval:
    host: str
    t_start_unix_s: float
    t_end_unix_s: float
    ops: int
    bytes: int
    errors: dict[str, int]
    latency_max_ns: int | None
    histogram: Histogram | None  # kept only where a final document may be missing

    @property
    def seconds(self) -> float:
        return self.t_end_unix_s - self.t_start_unix_s


@dataclass(frozen=True)
class Final:
    host: str
    t_start_unix_s: float
    t_end_unix_s: float
    ops: int
    bytes: int
    errors: dict[str, int]
    histogram: Histogram
    requests_in_flight: int | None
    t_first_unix_s: float | None  # when its first operation began
    t_last_unix_s: float | None  # when its last one ended


@dataclass
class Worker:
    """What the workers of one cell said, on every host that ran one."""

    intervals: list[Interval] = field(default_factory=list)
    finals: list[Final] = field(default_factory=list)

    @property
    def began(self) -> bool:
        return bool(self.intervals or self.finals)

    def since(self, t_unix_s: float) -> Worker:
        """Without what an earlier attempt at the same cell left in the file; both times are of one clock, or nearly."""
        return Worker(
            [i for i in self.intervals if i.t_end_unix_s >= t_unix_s - CLOCK_SLACK_S],
            [f for f in self.finals if f.t_end_unix_s >= t_unix_s - CLOCK_SLACK_S],
        )


@dataclass(frozen=True)
class Measured:
    """The measured window of a cell, over all its workers."""

    t_start_unix_s: float
    t_end_unix_s: float
    ops: int
    bytes: int
    errors: dict[str, int]
    histogram: Histogram
    requests_in_flight: int | None

    @property
    def seconds(self) -> float:
        return self.t_end_unix_s - self.t_start_unix_s

    @property
    def mib_per_s(self) -> float | None:
        return self.bytes / MIB / self.seconds if self.seconds > 0 else None

    @property
    def iops(self) -> float | None:
        return self.ops / self.seconds if self.seconds > 0 else None

    def percentile_us(self, percent: float) -> float | None:
        value = self.histogram.percentile_ns(percent)
        return None if value is None else value / 1000


def read_worker(
    run: Run, keep_histograms: str | None = None, latencies: LatencySeconds | None = None
) -> dict[str, Worker]:
    """By cell. Intervals of cells whose name begins with `keep_histograms` keep their histograms; all of them are added
    to `latencies`.
    """
    cells: dict[str, Worker] = {}
    for record in run.stream("worker"):
        try:
            cell, kind = text(record, "cell"), text(record, "kind")
            worker = cells.setdefault(cell, Worker())
            if kind == "interval":
                keep = keep_histograms is not None and cell.startswith(keep_histograms)
                interval = _interval(record, keep)
                worker.intervals.append(interval)
                if latencies is not None:
                    latencies.add(interval.host, interval.t_start_unix_s, interval.t_end_unix_s, record["latency_ns"])
            elif kind == "final":
                worker.finals.append(_final(record))
            else:
                raise RecordError(f"kind {kind!r} is not interval or final")
        except (RecordError, HistogramError) as error:
            run.problem(f"raw/worker.ndjson: a record of {record.get('cell', 'no cell')} left out: {error}")
    return cells


def measure(worker: Worker) -> Measured | None:
    """From the final documents; the last of each host, should a worker have been started again."""
    finals = list({final.host: final for final in worker.finals}.values())
    if not finals:
        return None
    in_flight = [final.requests_in_flight for final in finals]
    return Measured(
        t_start_unix_s=min(final.t_start_unix_s for final in finals),
        t_end_unix_s=max(final.t_end_unix_s for final in finals),
        ops=sum(final.ops for final in finals),
        bytes=sum(final.bytes for final in finals),
        errors=sum_errors(final.errors for final in finals),
        histogram=merge(final.histogram for final in finals),
        requests_in_flight=None if None in in_flight else sum(n for n in in_flight if n is not None),
    )


def sum_errors(errors: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for by_errno in errors:
        for errno, count in by_errno.items():
            total[errno] = total.get(errno, 0) + count
    return total


def _interval(record: Record, keep_histogram: bool) -> Interval:
    latency = record.get("latency_ns")
    if not isinstance(latency, dict):
        raise RecordError("latency_ns is not an object")
    return Interval(
        host=text(record, "host"),
        t_start_unix_s=number(record, "t_start_unix_s"),
        t_end_unix_s=_end(record),
        ops=whole(record, "ops"),
        bytes=whole(record, "bytes"),
        errors=_errors(record),
        latency_max_ns=whole_or_none(latency, "max"),
        histogram=Histogram.from_json(latency) if keep_histogram else None,
    )


def _final(record: Record) -> Final:
    threads, files = whole_or_none(record, "threads"), record.get("files")
    return Final(
        host=text(record, "host"),
        t_start_unix_s=number(record, "t_start_unix_s"),
        t_end_unix_s=_end(record),
        ops=whole(record, "ops"),
        bytes=whole(record, "bytes"),
        errors=_errors(record),
        histogram=Histogram.from_json(record.get("latency_ns")),
        requests_in_flight=threads * len(files) if threads is not None and isinstance(files, list) else None,
        t_first_unix_s=quietly(number_or_none, record, "t_first_unix_s"),
        t_last_unix_s=quietly(number_or_none, record, "t_last_unix_s"),
    )


def _end(record: Record) -> float:
    end = number(record, "t_end_unix_s")
    if end < number(record, "t_start_unix_s"):
        raise RecordError("t_end_unix_s is before t_start_unix_s")
    return end


def _errors(record: Record) -> dict[str, int]:
    errors = record.get("errors")
    if not isinstance(errors, dict):
        raise RecordError("errors is not an object")
    return {str(errno): whole(errors, errno) for errno in errors}
