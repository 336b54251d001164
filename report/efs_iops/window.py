"""The joint window of a cell: the time in which all of its workers ran, cut at whole seconds of the worker.

Two hosts never begin and end together. Rates added up over different times are no rate of the service; what counts is
the time in which every host was at work. The first second (writers start one after the other, and an operation counts
in the second in which it ends) and the last partial one are dropped where at least two whole seconds remain.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from report.worker import Interval

WHOLE_SECONDS_LEAST = 2
# The worker's grid is exact; between clocks of several hosts there may be some milliseconds.
SECOND_SLACK = 0.01
# The worker's last interval goes on until the operations under way have ended, at the rate of those before. Longer than
# this something was stuck.
TAIL_SECONDS_MAX = 0.5
# Of the window a host's intervals must cover: less is a hole in its records.
COVERED_RATIO_MIN = 0.99


@dataclass(frozen=True)
class Window:
    start_unix_s: float
    end_unix_s: float
    whole_seconds: tuple[tuple[float, float], ...]  # empty: too short to be cut, the window is all of the joint time
    joint_unix_s: tuple[float, float]  # uncut

    @property
    def seconds(self) -> float:
        return self.end_unix_s - self.start_unix_s

    @property
    def bounds(self) -> tuple[float, float]:
        return self.start_unix_s, self.end_unix_s


@dataclass(frozen=True)
class Share:
    """What intervals hold of a stretch of time; one that reaches beyond it counts in proportion."""

    ops: float
    bytes: float
    covered_s: float


def joint_window(of_hosts: Mapping[str, Sequence[Interval]], first_unix_s: Mapping[str, float | None]) -> Window | None:
    """Of each host's intervals, on one clock, and of when its first operation began, where that is known.

    None when a host has no intervals, or there was no time in which all were at work.
    """
    if not of_hosts or not all(of_hosts.values()):
        return None
    starts = {host: _start(intervals, first_unix_s.get(host)) for host, intervals in of_hosts.items()}
    start = max(starts.values())
    end = min(max(i.t_end_unix_s for i in intervals) for intervals in of_hosts.values())
    if end <= start:
        return None
    # The host that was last to begin gives the grid; the second in which it began is the first.
    grid = of_hosts[max(starts, key=lambda host: starts[host])]
    kept = sorted(
        (i.t_start_unix_s, min(i.t_start_unix_s + 1, end))
        for i in grid
        if 1 - SECOND_SLACK <= i.seconds <= 1 + TAIL_SECONDS_MAX
        and i.t_start_unix_s > start + SECOND_SLACK
        and i.t_start_unix_s + 1 <= end + SECOND_SLACK
    )
    if len(kept) < WHOLE_SECONDS_LEAST:
        return Window(start, end, (), (start, end))
    return Window(kept[0][0], kept[-1][1], tuple(kept), (start, end))


def share(intervals: Iterable[Interval], start_unix_s: float, end_unix_s: float) -> Share:
    return shares(intervals, [(start_unix_s, end_unix_s)])[0]


def shares(intervals: Iterable[Interval], stretches: Sequence[tuple[float, float]]) -> list[Share]:
    """Of each stretch (start, end), which ascend and don't overlap."""
    ops, bytes_, covered = ([0.0] * len(stretches) for _ in range(3))
    starts, ends = [start for start, _ in stretches], [end for _, end in stretches]
    for i in intervals:
        if i.seconds <= 0:
            continue
        at = bisect_right(ends, i.t_start_unix_s)
        while at < len(stretches) and starts[at] < i.t_end_unix_s:
            overlap = min(i.t_end_unix_s, ends[at]) - max(i.t_start_unix_s, starts[at])
            part = overlap / i.seconds
            ops[at] += i.ops * part
            bytes_[at] += i.bytes * part
            covered[at] += overlap
            at += 1
    return [Share(*each) for each in zip(ops, bytes_, covered, strict=True)]


def covers(window: Window, intervals: Sequence[Interval]) -> bool:
    return share(intervals, *window.bounds).covered_s >= COVERED_RATIO_MIN * window.seconds


def variation_coefficient(of_hosts: Mapping[str, Sequence[Interval]], window: Window) -> float | None:
    """Standard deviation / mean of the totals of each whole second."""
    every = [i for intervals in of_hosts.values() for i in intervals]
    seconds = window.whole_seconds
    totals = [each.ops / (end - start) for each, (start, end) in zip(shares(every, seconds), seconds, strict=True)]
    if len(totals) < 2:
        return None
    mean = statistics.fmean(totals)
    return statistics.stdev(totals) / mean if mean > 0 else None


def jain_index(rates: Sequence[float]) -> float | None:
    """(sum x)^2 / (n sum x^2) (Jain, Chiu, Hawe, DEC-TR-301, 1984): 1 when all are equal, 1/n when one has it all."""
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares > 0 else None


def _start(intervals: Sequence[Interval], first_unix_s: float | None) -> float:
    begun = min(i.t_start_unix_s for i in intervals)
    return begun if first_unix_s is None else max(begun, first_unix_s)
