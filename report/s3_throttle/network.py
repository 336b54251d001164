"""What was sent during a sync: the rates, by samples of the interface's counter (raw/network.ndjson), and what the send
buffers held when the throttle stopped it (raw/stops.ndjson).
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

from scipy.special import stdtrit

from report.mean_rate import mean_rate
from report.missing import divided, times
from report.records import RecordError, number, or_none, read_as, text, whole
from report.runs import Run
from report.s3_throttle.schema import Point, Rates

# Before the objects the CLI lists the bucket, and after them it receives the last answers: some kilobytes, seconds
# apart from the rest when it starts slowly. The rate is measured between these margins.
MARGIN_BYTES = 8192
# Beyond a VPC's internet gateway the MTU is 1500 (Amazon VPC, "Network maximum transmission unit"); Ethernet's header
# has 14 more.
FRAME_BYTES = 1514
WINDOW_S = 1.0
WINDOWS = 100  # of a steady part
LEAST_CYCLES = 20  # of a closed loop, that its mean is taken over whole ones
BURST_S = 0.1
SECONDS_MAX = 86400.0  # the longest that a plan allows a sync (workloads/plan_file.py); what is longer is damaged


@dataclass
class Trace:
    """Samples of one sync's interface: when, and the bytes sent since the first sample.

    `again` counts the segments that TCP had retransmitted by then; empty for runs from before that was recorded.
    """

    t: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)

    def without_retransmissions(self) -> Trace:
        """Returns the trace without retransmissions, which bring a transfer no further."""
        if len(self.again) != len(self.t):
            return self
        once: list[int] = []
        for sent, segments in zip(self.sent, self.again, strict=True):
            # TCP counts a segment a moment before the interface does.
            once.append(max(once[-1] if once else 0, sent - (segments - self.again[0]) * FRAME_BYTES))
        return Trace(self.t, once)

    def at(self, t: float) -> float:
        """Bytes sent by then, interpolated between two samples."""
        after = bisect.bisect_right(self.t, t)
        if after == 0:
            return float(self.sent[0])
        if after == len(self.t):
            return float(self.sent[-1])
        t0, t1 = self.t[after - 1], self.t[after]
        share = (t - t0) / (t1 - t0)
        return self.sent[after - 1] + share * (self.sent[after] - self.sent[after - 1])

    def through(self, times: Sequence[float]) -> Trace:
        """Returns a trace that is straight between these times."""
        return Trace(list(times), [round(self.at(t)) for t in times])

    @property
    def total(self) -> int:
        return self.sent[-1] if self.sent else 0

    def window(self) -> tuple[float, float] | None:
        """Returns when the first margin had been sent, and all but the last; None if next to nothing was sent."""
        if self.total <= 4 * MARGIN_BYTES:
            return None
        start = max(t for t, sent in zip(self.t, self.sent, strict=True) if sent <= MARGIN_BYTES)
        end = min(t for t, sent in zip(self.t, self.sent, strict=True) if sent >= self.total - MARGIN_BYTES)
        return (start, end) if start < end <= start + SECONDS_MAX else None


def read_network(run: Run) -> dict[str, Trace]:
    """Reads what the interface sent, by cell."""
    traces: dict[str, Trace] = {}
    first: dict[str, int] = {}
    for record in run.stream("network"):
        try:
            name, t, sent = text(record, "cell"), number(record, "t_unix_s"), whole(record, "nic_tx_bytes")
        except RecordError as error:
            run.omit("network", error)
            continue
        trace = traces.setdefault(name, Trace())
        if trace.t and not (trace.t[-1] < t <= trace.t[-1] + SECONDS_MAX and sent >= first[name] + trace.sent[-1]):
            run.problem(f"raw/network.ndjson: a record of {name} left out: its clock or counter was set meanwhile")
            continue
        first.setdefault(name, sent)
        trace.t.append(t)
        trace.sent.append(sent - first[name])
        if (again := or_none(whole, record, "segments_sent_again")) is not None:
            trace.again.append(again)
    return traces


@dataclass(frozen=True)
class Part:
    """The steady part of a sync, in the trace's time; `cycle_s` where it was stopped by the clock. `edges` are where a
    closed loop's cycles begin, from `from_s` to `until_s`; empty where it has fewer than twenty of them.
    """

    from_s: float
    until_s: float
    cycle_s: float | None
    edges: tuple[float, ...] = ()

    @property
    def seconds(self) -> float:
        return self.until_s - self.from_s


def rates(
    trace: Trace, payload: float, part: Part | None = None, *, wire: Trace | None = None, target: float | None = None
) -> Rates:
    """Returns the rates of a trace without retransmissions; `wire` has them. `payload` is the part of its bytes that is
    objects, `target` the bytes a second of them that were aimed at. Means and windows are of the steady part; without
    one they are of all but the first 100 ms.
    """
    window = trace.window()
    if window is None:
        return Rates()
    start, end = window
    # Without a part: a staircase of n steps rises n - 1 times from the first to the last, so the burst at the beginning
    # is not part of the rate. Where bytes flow evenly it makes no difference.
    counted = start + BURST_S if end - start > 2 * BURST_S else start
    from_s, until_s = (counted, end) if part is None else (part.from_s, part.until_s)
    mean = (trace.at(until_s) - trace.at(from_s)) / (until_s - from_s)
    on_wire = mean if wire is None else (wire.at(until_s) - wire.at(from_s)) / (until_s - from_s)
    windows_from_s = start if part is None else from_s
    whole_windows = int((until_s - windows_from_s) / WINDOW_S)
    steps = [trace.at(windows_from_s + n * WINDOW_S) * payload for n in range(whole_windows + 1)]
    per_window = [(after - before) / WINDOW_S for before, after in pairwise(steps)]
    samples = [t for t in trace.t if start <= t <= end]
    bursts = (
        (trace.at(t + BURST_S) - trace.at(t)) * payload for t in samples if part is None or from_s <= t <= until_s
    )
    largest_burst = max(bursts, default=0.0)
    # Every 100 ms, and the end.
    looks = [*(start + n * BURST_S for n in range(int((end - start) / BURST_S) + 1)), end]
    found = Rates(
        seconds=end - start,
        mean_mb_per_s=mean * payload / 1e6,
        mean_to_target_ratio=divided(mean * payload, target),
        window_std_to_target_ratio=divided(statistics.pstdev(per_window), target) if len(per_window) > 1 else None,
        windows=whole_windows,
        largest_100_ms_bytes=largest_burst,
        burst_ratio=divided(largest_burst, times(target, BURST_S)),
        wire_mbit_per_s=on_wire * 8 / 1e6,
        longest_gap_s=max((after - before for before, after in pairwise(samples)), default=0.0),
        progress=[Point(t - start, (trace.at(t) - trace.at(start)) * payload / 1e6) for t in looks],
    )
    if part is None:
        # By how much one burst more or less would change the mean.
        beyond = max(0.0, largest_burst - mean * payload * BURST_S)
        return replace(found, mean_uncertainty_ratio=divided(beyond, mean * payload * (end - start)))
    return replace(
        found,
        start_s=from_s - start,
        start_mb=(trace.at(from_s) - trace.at(start)) * payload / 1e6,
        steady_s=part.seconds,
        tail_s=max(0.0, end - until_s),
        tail_mb=(trace.at(end) - trace.at(until_s)) * payload / 1e6,
        mean_uncertainty_ratio=known_to(trace, part),
    )


def closed_loop_edges(trace: Trace, part: Part, resumed: Iterable[float]) -> tuple[float, ...]:
    """Returns the samples before the transfer went on, if the part begins and ends with them (uploader/steady.py)."""
    found = {trace.t[max(0, bisect.bisect_right(trace.t, t) - 1)] for t in resumed if t <= trace.t[-1]}
    edges = tuple(sorted(t for t in found if part.from_s <= t <= part.until_s))
    whole_cycles = len(edges) > LEAST_CYCLES and (edges[0], edges[-1]) == (part.from_s, part.until_s)
    return edges if whole_cycles else ()


def known_to(trace: Trace, part: Part) -> float | None:
    """Returns half of the mean's 95 % interval over the mean; None if nothing was sent.

    It uses rates over a hundredth of the time each, or over a whole cycle, so that it does not matter where one was
    cut. The uploader computes the same and ends a sync by it (workloads/s3_throttle/uploader/steady.py).
    """
    if part.edges:
        trace = trace.through(part.edges)
    width_s = max(part.cycle_s or 0.0, part.seconds / WINDOWS)
    step_s = (part.seconds - width_s) / (WINDOWS - 1)
    starts = [part.from_s + n * step_s for n in range(WINDOWS)]
    found = mean_rate([(trace.at(t + width_s) - trace.at(t)) / width_s for t in starts])
    mean = (trace.at(part.until_s) - trace.at(part.from_s)) / part.seconds
    if found is None or mean <= 0:
        return None
    return float(stdtrit(found.degrees_of_freedom, 0.975)) * math.sqrt(found.variance_of_mean) / mean


@dataclass(frozen=True)
class Stop:
    """One stop of a sync, with the bytes in its send buffers when it began."""

    cell: str
    t_unix_s: float
    stopped_s: float
    unacked_bytes: int
    notsent_bytes: int
    acked_bytes: int  # until its end

    @property
    def until_s(self) -> float:
        return self.t_unix_s + self.stopped_s


def read_stops(run: Run) -> dict[str, list[Stop]]:
    """Reads the stops by cell; empty for a run from before stops were recorded."""
    found: dict[str, list[Stop]] = {}
    if not run.stream_bytes("stops"):
        return found
    for stop in run.read("stops", partial(read_as, Stop)):
        found.setdefault(stop.cell, []).append(stop)
    return found


def buffers(stops: Sequence[Stop], part: Part) -> dict[str, float]:
    """Fields of a Cell, of the stops in a steady part: means of what the buffers held, and what peers acknowledged
    during stops, divided by the seconds of the whole part. None of them where no stop lies in the part whole.
    """
    inside = [stop for stop in stops if part.from_s <= stop.t_unix_s and stop.until_s <= part.until_s]
    if not inside:
        return {}
    # A part may begin and end within a stop: what was moved counts for all stopped time, not for whole stops only.
    stopped_s = sum(max(0.0, min(stop.until_s, part.until_s) - max(stop.t_unix_s, part.from_s)) for stop in stops)
    moved = sum(stop.acked_bytes for stop in inside) / sum(stop.stopped_s for stop in inside) * stopped_s
    return {
        "stops": len(inside),
        "unacked_at_stop_bytes": sum(stop.unacked_bytes for stop in inside) / len(inside),
        "notsent_at_stop_bytes": sum(stop.notsent_bytes for stop in inside) / len(inside),
        "while_stopped_mb_per_s": moved / part.seconds / 1e6,
    }
