"""The joint window of a cell: the time in which all of its workers ran, cut at whole seconds of the worker.

Two hosts never start and end at the same time, and rates over different times can't be added up to a rate of the
service. The first second (writers start one after the other, and an operation counts in the second in which it ends)
and the last partial second are dropped if at least two whole seconds remain.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from report.intervals import Floats, Intervals, Whole

WHOLE_SECONDS_LEAST = 2
# The worker's seconds are exact; the clocks of several hosts may differ by some milliseconds.
SECOND_SLACK = 0.01
# The worker's last interval lasts until the operations in flight have ended. If that takes longer, something was stuck.
TAIL_SECONDS_MAX = 0.5
# The part of the window that a host's intervals must cover; less means that records are missing.
COVERED_RATIO_MIN = 0.99
# Pairs of an interval and a stretch that are in memory at once, 40 bytes each.
PAIRS_AT_ONCE = 1_000_000

Count = TypeVar("Count", float, Floats)


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
class Counts(Generic[Count]):
    """The operations of intervals within a stretch of time, or within each of several as columns; an interval that
    reaches beyond a stretch counts in proportion.
    """

    ops: Count
    bytes: Count
    covered_s: Count


def joint_window(of_hosts: Mapping[str, Intervals], first_unix_s: Mapping[str, float | None]) -> Window | None:
    """Returns the time during which all hosts ran, by their intervals and the starts of their first operations.

    None if a host has no intervals, or there was no such time.
    """
    if not of_hosts or not all(of_hosts.values()):
        return None
    starts = {host: _start(intervals, first_unix_s.get(host)) for host, intervals in of_hosts.items()}
    start = max(starts.values())
    end = min(float(intervals.t_end_unix_s.max()) for intervals in of_hosts.values())
    if end <= start:
        return None
    # The seconds are those of the host that started last.
    grid = of_hosts[max(starts, key=lambda host: starts[host])]
    begun, seconds = grid.t_start_unix_s, grid.seconds
    whole = (seconds >= 1 - SECOND_SLACK) & (seconds <= 1 + TAIL_SECONDS_MAX)
    inside = (begun > start + SECOND_SLACK) & (begun + 1 <= end + SECOND_SLACK)
    kept = [(t, min(t + 1, end)) for t in sorted(begun[whole & inside].tolist())]
    if len(kept) < WHOLE_SECONDS_LEAST:
        return Window(start, end, (), (start, end))
    return Window(kept[0][0], kept[-1][1], tuple(kept), (start, end))


def counts_within(intervals: Intervals, start_unix_s: float, end_unix_s: float) -> Counts[float]:
    """Returns the same as `counts_within_each` for one stretch, in a third of the time."""
    begun, seconds = intervals.t_start_unix_s, intervals.seconds
    overlap = np.minimum(intervals.t_end_unix_s, end_unix_s) - np.maximum(begun, start_unix_s)
    rows = np.flatnonzero((overlap > 0) & (seconds > 0))
    within = overlap[rows]
    part = within / seconds[rows]
    return Counts(float(intervals.ops[rows] @ part), float(intervals.bytes[rows] @ part), float(within.sum()))


def counts_within_each(intervals: Intervals, starts: Floats, ends: Floats) -> Counts[Floats]:
    """Returns the counts within each stretch. Stretches are in order and don't overlap."""
    ops, bytes_, covered = (np.zeros(len(starts)) for _ in range(3))
    for rows, at, overlap, part in overlaps(intervals, starts, ends):
        ops += np.bincount(at, intervals.ops[rows] * part, len(starts))
        bytes_ += np.bincount(at, intervals.bytes[rows] * part, len(starts))
        covered += np.bincount(at, overlap, len(starts))
    return Counts(ops, bytes_, covered)


def overlaps(intervals: Intervals, starts: Floats, ends: Floats) -> Iterator[tuple[Whole, Whole, Floats, Floats]]:
    """Yields which interval (row) overlaps which stretch (index), for how many seconds, and for which part of it.

    It does so in blocks, since an interval of days overlaps a hundred thousand stretches of a second.
    """
    rows = np.flatnonzero(intervals.seconds > 0)
    first = np.searchsorted(ends, intervals.t_start_unix_s[rows], "right")
    counts = np.maximum(np.searchsorted(starts, intervals.t_end_unix_s[rows], "left") - first, 0)
    until = counts.cumsum()
    for block in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(until // PAIRS_AT_ONCE)) + 1):
        of_block = counts[block]
        pairs = np.repeat(block, of_block)
        if not len(pairs):
            continue
        at = first[pairs] + np.arange(len(pairs)) - np.repeat(of_block.cumsum() - of_block, of_block)
        begun, ended = intervals.t_start_unix_s[rows[pairs]], intervals.t_end_unix_s[rows[pairs]]
        overlap = np.minimum(ended, ends[at]) - np.maximum(begun, starts[at])
        yield rows[pairs], at, overlap, overlap / (ended - begun)


def covers(window: Window, within: Counts[float]) -> bool:
    return within.covered_s >= COVERED_RATIO_MIN * window.seconds


def variation_coefficient(of_hosts: Mapping[str, Intervals], window: Window) -> float | None:
    """Returns standard deviation / mean of the totals of each whole second."""
    every = Intervals.joined(list(of_hosts.values()))
    starts, ends = np.array(window.whole_seconds, np.float64).reshape(-1, 2).T
    totals = (counts_within_each(every, starts, ends).ops / (ends - starts)).tolist()
    if len(totals) < 2:
        return None
    mean = statistics.fmean(totals)
    return statistics.stdev(totals) / mean if mean > 0 else None


def jain_index(rates: Sequence[float]) -> float | None:
    """Returns (sum x)^2 / (n sum x^2) (Jain, Chiu, Hawe, DEC-TR-301, 1984): 1 if all are equal, 1/n if one has all."""
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares > 0 else None


def _start(intervals: Intervals, first_unix_s: float | None) -> float:
    begun = float(intervals.t_start_unix_s.min())
    return begun if first_unix_s is None else max(begun, first_unix_s)
