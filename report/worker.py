"""raw/worker.ndjson: what the native workers of each cell reported, their seconds and their final documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from report.histogram import Histogram, HistogramError, merge
from report.intervals import NONE, Interval, Intervals
from report.latency_seconds import LatencySeconds
from report.missing import total
from report.records import WHOLE_MAX, known_as
from report.runs import Run, decode_lines
from report.summary import MIB

CLOCK_SLACK_S = 0.05
SECONDS_MAX = 86400.0  # the longest that a plan allows a cell (workloads/plan_file.py)

# As report/records.py takes them; a column has 64 bits.
_Whole = Annotated[int, Meta(ge=0, le=WHOLE_MAX)]
_Text = Annotated[str, Meta(min_length=1)]


@dataclass(frozen=True)
class Measured:
    """What was done in the measured window of a cell, by all of its workers."""

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

    @property
    def error_count(self) -> int:
        return sum(self.errors.values())

    def percentile_us(self, percent: float) -> float | None:
        value = self.histogram.percentile_ns(percent)
        return None if value is None else value / 1000


@dataclass(frozen=True)
class Final(Measured):
    """One worker's final document."""

    host: str
    t_first_unix_s: float | None  # when its first operation began
    t_last_unix_s: float | None  # when its last one ended


@dataclass
class Worker:
    """What the workers of one cell reported, on every host that ran one."""

    intervals: Intervals = NONE
    finals: list[Final] = field(default_factory=list)

    @property
    def began(self) -> bool:
        return bool(len(self.intervals) or self.finals)

    def since(self, t_unix_s: float) -> Worker:
        """Leaves out what an earlier attempt at the cell left in the file; `t_unix_s` is of the workers' clock."""
        from_then = t_unix_s - CLOCK_SLACK_S
        return Worker(
            self.intervals.where(self.intervals.t_end_unix_s >= from_then),
            [f for f in self.finals if f.t_end_unix_s >= from_then],
        )


_PERCENTILES = {
    "latency_p50_us": 50.0,
    "latency_p95_us": 95.0,
    "latency_p99_us": 99.0,
    "latency_p99_9_us": 99.9,
    "latency_max_us": 100.0,
}

LATENCIES = tuple(_PERCENTILES)


def figures_of(measured: Measured | None, *names: str) -> dict[str, Any]:
    """Fields of a summary: attributes of Measured and percentiles such as latency_p99_9_us, by name; all None where
    nothing was measured.
    """
    if measured is None:
        return dict.fromkeys(names)
    return {
        name: measured.percentile_us(_PERCENTILES[name]) if name in _PERCENTILES else getattr(measured, name)
        for name in names
    }


class _Latency(Struct, gc=False):
    buckets: msgspec.Raw  # pairs of index and count
    max: _Whole | None = None
    # Checked by Histogram.from_json alone: most intervals' histograms are not kept.
    count: Any = None
    sum: Any = None
    min: Any = None

    def histogram(self) -> Histogram:
        return Histogram.from_json({**msgspec.structs.asdict(self), "buckets": msgspec.json.decode(self.buckets)})


class _Line(Struct, gc=False):
    cell: _Text
    host: _Text
    t_start_unix_s: float
    t_end_unix_s: float
    ops: _Whole
    bytes: _Whole
    errors: dict[str, _Whole]
    latency_ns: _Latency

    def __post_init__(self) -> None:
        if self.t_end_unix_s < self.t_start_unix_s:
            raise ValueError("t_end_unix_s is before t_start_unix_s")
        if self.t_end_unix_s - self.t_start_unix_s > SECONDS_MAX:
            raise ValueError("t_end_unix_s is more than a day after t_start_unix_s")


class _IntervalLine(_Line, gc=False, tag_field="kind", tag="interval"):
    @property
    def latency_max_ns(self) -> int | None:
        return self.latency_ns.max


class _FinalLine(_Line, tag_field="kind", tag="final"):
    threads: _Whole | None = None
    depth: _Whole = 1  # of each thread; older workers had no other
    files: Any = None
    t_first_unix_s: Any = None
    t_last_unix_s: Any = None

    def final(self) -> Final:
        requests = None
        if self.threads is not None and isinstance(self.files, list):
            requests = self.threads * self.depth * len(self.files)
        histogram, record = self.latency_ns.histogram(), msgspec.structs.asdict(self)
        return known_as(Final, record, errors=self.errors, histogram=histogram, requests_in_flight=requests)


_LINES = msgspec.json.Decoder(_IntervalLine | _FinalLine)


def read_worker(
    run: Run, keep_histograms: str | None = None, latencies: LatencySeconds | None = None
) -> dict[str, Worker]:
    """Reads the workers by cell. Keeps the histograms of intervals if a cell's name begins with `keep_histograms`; adds
    all cells to `latencies`.
    """
    parts: dict[str, list[Intervals]] = {}
    finals: dict[str, list[Final]] = {}

    for batch in run.batches("worker", partial(decode_lines, _LINES)):
        lines_of_cells: dict[str, list[_IntervalLine]] = {}
        for line in batch:
            lines_of_cell = lines_of_cells.setdefault(line.cell, [])
            if type(line) is _IntervalLine:
                lines_of_cell.append(line)
            elif type(line) is _FinalLine:
                try:
                    finals.setdefault(line.cell, []).append(line.final())
                except HistogramError as error:
                    run.omit("worker", error, {"cell": line.cell})
        for cell, lines in lines_of_cells.items():
            parts_of_cell = parts.setdefault(cell, [])
            if not lines:
                continue
            histograms: dict[int, Histogram] = {}
            if keep_histograms is not None and cell.startswith(keep_histograms):
                lines, histograms = _with_histograms(run, lines)
            intervals = Intervals.of(lines, histograms)
            parts_of_cell.append(intervals)
            if latencies is not None:
                latencies.add(intervals, [line.latency_ns.buckets for line in lines])
    return {cell: Worker(Intervals.joined(found), finals.get(cell, [])) for cell, found in parts.items()}


def _with_histograms(run: Run, lines: Sequence[_IntervalLine]) -> tuple[list[_IntervalLine], dict[int, Histogram]]:
    """Returns the lines whose histograms are not damaged, and these histograms by the index of their line."""
    kept: list[_IntervalLine] = []
    histograms: dict[int, Histogram] = {}
    for line in lines:
        try:
            histograms[len(kept)] = line.latency_ns.histogram()
            kept.append(line)
        except HistogramError as error:
            run.omit("worker", error, {"cell": line.cell})
    return kept, histograms


def measure_from_intervals(worker: Worker) -> Measured | None:
    """Adds up the intervals of a worker that was killed before it wrote its final document."""
    return _added_up(list(worker.intervals), None) if worker.intervals else None


def measure(worker: Worker) -> Measured | None:
    """Adds up the final documents: the last of each host, in case a worker was started again."""
    finals = list({final.host: final for final in worker.finals}.values())
    if not finals:
        return None
    return _added_up(finals, total(final.requests_in_flight for final in finals))


def _added_up(parts: Sequence[Interval | Final], requests_in_flight: int | None) -> Measured:
    errors: Counter[str] = Counter()
    for part in parts:
        errors.update(part.errors)
    return Measured(
        t_start_unix_s=min(part.t_start_unix_s for part in parts),
        t_end_unix_s=max(part.t_end_unix_s for part in parts),
        ops=sum(part.ops for part in parts),
        bytes=sum(part.bytes for part in parts),
        errors=dict(errors),
        histogram=merge(part.histogram for part in parts if part.histogram is not None),
        requests_in_flight=requests_in_flight,
    )
