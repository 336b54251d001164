"""raw/worker.ndjson of one run, gathered by cell: the final documents merged, the seconds kept apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from report.histogram import Histogram, HistogramError, merge
from report.intervals import NONE, Intervals
from report.latency_seconds import LatencySeconds
from report.runs import (
    WHOLE_MAX,
    Record,
    RecordError,
    Run,
    decode_lines,
    number,
    number_or_none,
    quietly,
    text,
    whole,
    whole_or_none,
)

CLOCK_SLACK_S = 0.05
MIB = 1 << 20

# As runs.whole and runs.text take them; a column has 64 bits.
_Whole = Annotated[int, Meta(ge=0, le=WHOLE_MAX)]
_Text = Annotated[str, Meta(min_length=1)]


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

    intervals: Intervals = NONE
    finals: list[Final] = field(default_factory=list)

    @property
    def began(self) -> bool:
        return bool(len(self.intervals) or self.finals)

    def since(self, t_unix_s: float) -> Worker:
        """Without what an earlier attempt at the same cell left in the file; both times are of one clock, or nearly."""
        from_then = t_unix_s - CLOCK_SLACK_S
        return Worker(
            self.intervals.where(self.intervals.t_end_unix_s >= from_then),
            [f for f in self.finals if f.t_end_unix_s >= from_then],
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


class _Latency(Struct, gc=False):
    buckets: msgspec.Raw  # pairs of index and count
    max: _Whole | None = None
    # Only of the intervals whose histograms are kept, and looked at there.
    count: Any = None
    sum: Any = None
    min: Any = None

    def histogram(self) -> Histogram:
        return Histogram.from_json({**msgspec.structs.asdict(self), "buckets": msgspec.json.decode(self.buckets)})


class _IntervalLine(Struct, gc=False, tag_field="kind", tag="interval"):
    cell: _Text
    host: _Text
    t_start_unix_s: float
    t_end_unix_s: float
    ops: _Whole
    bytes: _Whole
    errors: dict[str, _Whole]
    latency_ns: _Latency


class _FinalLine(Struct, tag_field="kind", tag="final"):
    """There are few: each is read as the record that it is."""

    cell: _Text
    host: Any = None
    t_start_unix_s: Any = None
    t_end_unix_s: Any = None
    t_first_unix_s: Any = None
    t_last_unix_s: Any = None
    ops: Any = None
    bytes: Any = None
    errors: Any = None
    latency_ns: Any = None
    threads: Any = None
    files: Any = None


_LINES = msgspec.json.Decoder(_IntervalLine | _FinalLine)


def read_worker(
    run: Run, keep_histograms: str | None = None, latencies: LatencySeconds | None = None
) -> dict[str, Worker]:
    """By cell. Intervals of cells whose name begins with `keep_histograms` keep their histograms; all of them are added
    to `latencies`.
    """
    parts: dict[str, list[Intervals]] = {}
    finals: dict[str, list[Final]] = {}

    def left_out(cell: object, error: Exception) -> None:
        run.problem(f"raw/worker.ndjson: a record of {cell or 'no cell'} left out: {error}")

    def slowly(record: Record) -> _IntervalLine | _FinalLine | None:
        try:
            return _line(record)
        except RecordError as error:
            left_out(record.get("cell", "no cell"), error)
            return None

    for batch in run.batches("worker", partial(decode_lines, _LINES), slowly):
        of_cells: dict[str, list[_IntervalLine]] = {}
        for line in batch:
            of_cell = of_cells.setdefault(line.cell, [])
            try:
                if type(line) is _FinalLine:
                    finals.setdefault(line.cell, []).append(_final(msgspec.structs.asdict(line)))
                elif line.t_end_unix_s < line.t_start_unix_s:
                    raise RecordError("t_end_unix_s is before t_start_unix_s")
                else:
                    of_cell.append(line)
            except (RecordError, HistogramError) as error:
                left_out(line.cell, error)
        for cell, lines in of_cells.items():
            parts_of_cell = parts.setdefault(cell, [])
            if not lines:
                continue
            histograms: dict[int, Histogram] = {}
            if keep_histograms is not None and cell.startswith(keep_histograms):
                lines, histograms = _with_histograms(lines, partial(left_out, cell))
            intervals = Intervals.of_rows(lines, [line.latency_ns.max for line in lines], histograms)
            parts_of_cell.append(intervals)
            if latencies is not None:
                latencies.add_all(intervals, [line.latency_ns.buckets for line in lines])
    return {cell: Worker(Intervals.joined(found), finals.get(cell, [])) for cell, found in parts.items()}


def _with_histograms(
    lines: Sequence[_IntervalLine], left_out: Callable[[HistogramError], None]
) -> tuple[list[_IntervalLine], dict[int, Histogram]]:
    """The lines whose histogram is whole, and these by their place among them."""
    kept: list[_IntervalLine] = []
    histograms: dict[int, Histogram] = {}
    for line in lines:
        try:
            histograms[len(kept)] = line.latency_ns.histogram()
            kept.append(line)
        except HistogramError as error:
            left_out(error)
    return kept, histograms


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


def sum_errors(errors: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for by_errno in errors:
        for errno, count in by_errno.items():
            total[errno] = total.get(errno, 0) + count
    return total


def _line(record: Record) -> _IntervalLine | _FinalLine:
    """What _LINES makes of it, or a RecordError that names what is wrong."""
    cell, kind = text(record, "cell"), text(record, "kind")
    if kind == "final":
        return _FinalLine(cell, *(record.get(name) for name in _FinalLine.__struct_fields__[1:]))
    if kind != "interval":
        raise RecordError(f"kind {kind!r} is not interval or final")
    latency = record.get("latency_ns")
    if not isinstance(latency, dict):
        raise RecordError("latency_ns is not an object")
    longest, buckets = whole_or_none(latency, "max"), msgspec.Raw(msgspec.json.encode(latency.get("buckets")))
    return _IntervalLine(
        cell=cell,
        host=text(record, "host"),
        t_start_unix_s=number(record, "t_start_unix_s"),
        t_end_unix_s=_end(record),
        ops=whole(record, "ops"),
        bytes=whole(record, "bytes"),
        errors=_errors(record),
        latency_ns=_Latency(buckets, longest, latency.get("count"), latency.get("sum"), latency.get("min")),
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
