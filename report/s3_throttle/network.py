"""raw/network.ndjson: what the interface had sent, look by look; and what a sync's rate was by that."""

from __future__ import annotations

import bisect
import statistics
from dataclasses import dataclass, field
from itertools import pairwise

from report.runs import RecordError, Run, number, text, whole

# Before and after the objects the CLI looks at the bucket and hears the last answers: some kilobytes, seconds apart
# from the rest when it starts slowly. The rate is that of what lies between these margins.
MARGIN_BYTES = 8192
WINDOW_S = 1.0
BURST_S = 0.1


@dataclass
class Trace:
    """Looks at one sync's interface, in time: when, and the bytes sent since the first look."""

    t: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    def at(self, t: float) -> float:
        """Bytes sent by then, in a straight line between two looks."""
        after = bisect.bisect_right(self.t, t)
        if after == 0:
            return float(self.sent[0])
        if after == len(self.t):
            return float(self.sent[-1])
        t0, t1 = self.t[after - 1], self.t[after]
        share = (t - t0) / (t1 - t0)
        return self.sent[after - 1] + share * (self.sent[after] - self.sent[after - 1])

    @property
    def total(self) -> int:
        return self.sent[-1] if self.sent else 0

    def window(self) -> tuple[float, float] | None:
        """When the first margin was sent, and when all but the last; None: next to nothing was."""
        if self.total <= 4 * MARGIN_BYTES:
            return None
        start = max(t for t, sent in zip(self.t, self.sent, strict=True) if sent <= MARGIN_BYTES)
        end = min(t for t, sent in zip(self.t, self.sent, strict=True) if sent >= self.total - MARGIN_BYTES)
        return (start, end) if end > start else None


def read_network(run: Run) -> dict[str, Trace]:
    """By cell."""
    traces: dict[str, Trace] = {}
    first: dict[str, int] = {}
    for record in run.stream("network"):
        try:
            name, t, sent = text(record, "cell"), number(record, "t_unix_s"), whole(record, "nic_tx_bytes")
        except RecordError as error:
            run.problem(f"raw/network.ndjson: a record left out: {error}")
            continue
        trace = traces.setdefault(name, Trace())
        if trace.t and (t <= trace.t[-1] or sent < first[name] + trace.sent[-1]):
            run.problem(f"raw/network.ndjson: a record of {name} left out: its clock or counter went back")
            continue
        first.setdefault(name, sent)
        trace.t.append(t)
        trace.sent.append(sent - first[name])
    return traces


@dataclass(frozen=True)
class Rates:
    """Bytes a second are of payload, but for `wire_bytes_per_s`; means leave out the first 100 ms."""

    seconds: float
    mean_bytes_per_s: float
    wire_bytes_per_s: float
    window_std_bytes_per_s: float | None
    windows: int
    largest_100_ms_bytes: float
    longest_gap_s: float
    progress: list[tuple[float, float]]  # seconds since the first byte, payload bytes


def rates(trace: Trace, payload_bytes: int) -> Rates | None:
    """None where nothing can be said."""
    window = trace.window()
    if window is None:
        return None
    start, end = window
    # A staircase of n steps rises n - 1 times from the first to the last: what goes at once at the beginning is no part
    # of the rate. Where bytes flow evenly it makes no difference.
    counted = start + BURST_S if end - start > 2 * BURST_S else start
    # Headers are spread evenly over the payload: every segment but an object's last is full.
    payload = payload_bytes / trace.total
    wire = (trace.at(end) - trace.at(counted)) / (end - counted)
    whole_windows = int((end - start) / WINDOW_S)
    steps = [trace.at(start + n * WINDOW_S) * payload for n in range(whole_windows + 1)]
    per_window = [(after - before) / WINDOW_S for before, after in pairwise(steps)]
    looks = [t for t in trace.t if start <= t <= end]
    return Rates(
        seconds=end - start,
        mean_bytes_per_s=wire * payload,
        wire_bytes_per_s=wire,
        window_std_bytes_per_s=statistics.pstdev(per_window) if len(per_window) > 1 else None,
        windows=whole_windows,
        largest_100_ms_bytes=max((trace.at(t + BURST_S) - trace.at(t)) * payload for t in looks),
        longest_gap_s=max((after - before for before, after in pairwise(looks)), default=0.0),
        progress=_progress(trace, start, end, payload),
    )


def _progress(trace: Trace, start: float, end: float, payload: float) -> list[tuple[float, float]]:
    """Every 100 ms, and the end."""
    times = [start + n * BURST_S for n in range(int((end - start) / BURST_S) + 1)]
    return [(t - start, (trace.at(t) - trace.at(start)) * payload) for t in [*times, end]]
