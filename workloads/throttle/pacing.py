"""Decides when processes run and when they stand still: a rate that is held, or the original's fixed cycle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from workloads.throttle.settings import Cycle

# The length of a run and a pause together where both are possible: short, so that bursts are small; long enough for
# stops to cost little (each takes two system calls and a reading of the sockets).
PERIOD_S = 0.05
# The shortest pause. Near the free rate pauses would be too short to be worth a signal: they come more rarely instead.
LEAST_PAUSE_S = 0.005
# The shortest run: a process needs some time to be scheduled. What it moves in this time is the smallest burst.
LEAST_RUN_S = 0.00025
# The longest run between two readings of the counters: long enough to cost little while nothing happens. Processes that
# were fast are read more often for some time.
LOOK_S = 0.01
LEAST_LOOK_S = 0.002
# The same at the beginning, when the free rate is still unknown: it bounds the first burst. A process that has moved
# nothing in START_S is idle and is read less often.
FIRST_LOOK_S = 0.001
START_S = 10.0
# Credit is capped: after an idle time at most this much of the rate is moved at once. A process that moves more between
# two readings keeps credit for as much, up to a second's. The AWS CLI at 5 % of its rate sends 50 to 250 KB at once, a
# second's worth or more, and takes up to half a second to begin after a pause: with less credit its mean was 2 to 5 %
# below the rate.
BURST_S = 0.1
LONGEST_BURST_S = 1.0
# Debt is capped at what is paid off in this time. It grows so large only where pauses would have to be longer than
# `max_pause_s`, and would then hold a process back for hours.
DEBT_S = 60.0
# Time constants, in seconds of running, of the average of the measured free rate, and of the decay of its peak.
MEMORY_S = 0.1
PEAK_MEMORY_S = 5.0
# The clock counts nanoseconds. What is seen to move in less time has no rate, or an infinite one.
LEAST_CLOCK_S = 1e-9
# How often a duty cycle looks for the first byte.
FIRST_BYTE_LOOK_S = 0.02


@dataclass(frozen=True)
class Decision:
    """What to do next; one of three things.

    run_s = 0: stop the processes, or keep them stopped, for `stop_s`; then decide again, or sooner.
    stop_s = 0: let them run for `run_s`; then decide again, or sooner.
    Both: let them run for `run_s`, then stop them without another decision, probably for `stop_s`.
    """

    run_s: float
    stop_s: float


class Pacer(Protocol):
    """Decides by time and bytes alone: has no clock and sends no signal."""

    def decide(self, now_s: float, moved_bytes: int) -> Decision:
        """Returns what to do at `now_s`, when `moved_bytes` have been moved since the beginning. `now_s` never
        decreases. `moved_bytes` may, when an acknowledgement was counted twice: the kernel reads a socket's buffers
        before its counters.
        """
        ...

    cut_short: int
    """The number of pauses that ended at their longest allowed length, with the rate not yet reached."""


class DutyCycle:
    """The original's way: stops for `stop_s`, runs for `run_s`, and repeats, whatever is moved.

    The cycle follows the clock: a late call shortens the half in which it comes, and no other. With `from_first_byte`
    the first stop comes once something has been moved.
    """

    cut_short = 0

    def __init__(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self._begin_s: float | None = None

    def decide(self, now_s: float, moved_bytes: int) -> Decision:
        """Returns the rest of the half of the cycle that `now_s` is in."""
        cycle = self._cycle
        if self._begin_s is None:
            if cycle.from_first_byte and moved_bytes == 0:
                return Decision(FIRST_BYTE_LOOK_S, 0.0)
            self._begin_s = now_s
        into_s = (now_s - self._begin_s) % (cycle.stop_s + cycle.run_s)
        if into_s < cycle.stop_s:
            return Decision(0.0, cycle.stop_s - into_s)
        return Decision(cycle.stop_s + cycle.run_s - into_s, cycle.stop_s)


class ClosedLoop:
    """Holds the mean at `bytes_per_s`, with no pause longer than `max_pause_s`.

    Credit grows with time and shrinks with every byte. Processes run until it falls to a lower mark, and are stopped
    until it rises to an upper one. Their estimated free rate decides only how far apart the marks are, so a wrong
    estimate costs no accuracy.
    """

    def __init__(self, bytes_per_s: float, max_pause_s: float) -> None:
        self._rate = bytes_per_s
        self._max_pause_s = max_pause_s
        self._credit = 0.0  # bytes
        self._free_rate = 0.0  # bytes a second, while they run
        self._peak = 0.0  # the same, at most
        self._moving = False
        self._began_at_s: float | None = None
        self._last: tuple[float, int] | None = None  # time and bytes of the last reading
        self._decision = Decision(0.0, 0.0)
        self._stopped_at_s: float | None = None
        self.cut_short = 0  # pauses that ended at `max_pause_s`, with the debt unpaid

    def decide(self, now_s: float, moved_bytes: int) -> Decision:
        """Returns what to do now; `now_s` may be of any monotonic clock, bytes are since the beginning."""
        self._account(now_s, moved_bytes)
        self._decision = self._next(now_s)
        return self._decision

    def _account(self, now_s: float, moved_bytes: int) -> None:
        if self._last is not None:
            elapsed_s, moved = now_s - self._last[0], moved_bytes - self._last[1]
            credit = self._credit + self._rate * elapsed_s - moved
            most = min(max(self._rate * BURST_S, self._peak * LOOK_S), self._rate * LONGEST_BURST_S)
            self._credit = max(-self._rate * DEBT_S, min(credit, most))
            if self._decision.run_s > 0:
                # After a run with a stop at its end they have been stopped since: the rest of the time was no running.
                self._learn(min(elapsed_s, self._decision.run_s) if self._decision.stop_s else elapsed_s, moved)
        self._last = (now_s, moved_bytes)

    def _learn(self, ran_s: float, moved: int) -> None:
        if ran_s < LEAST_CLOCK_S:
            return
        seen = moved / ran_s
        self._moving = 4 * seen >= self._free_rate
        if seen > 2 * self._free_rate:
            self._free_rate = seen
        else:
            kept = math.exp(-ran_s / MEMORY_S)
            self._free_rate = kept * self._free_rate + (1 - kept) * seen
        self._peak = max(self._free_rate, self._peak * math.exp(-ran_s / PEAK_MEMORY_S))

    def _next(self, now_s: float) -> Decision:
        mark = self._mark()
        if self._stopped_at_s is None:
            if self._credit >= -mark:
                return self._run(now_s, mark)
            self._stopped_at_s = now_s
        left_s = self._stopped_at_s + self._max_pause_s - now_s
        needed_s = (mark - self._credit) / self._rate
        if needed_s > 0 and left_s > 0:
            return Decision(0.0, min(needed_s, left_s))
        self._stopped_at_s = None
        if self._credit < 0:
            self.cut_short += 1
            return self._run_and_stop(now_s, LEAST_RUN_S)
        return self._run(now_s, mark)

    def _mark(self) -> float:
        """Returns half the distance between the marks, in bytes."""
        running_ratio = min(1.0, self._rate / self._free_rate) if self._free_rate else 1.0
        return self._rate * max((1 - running_ratio) * PERIOD_S, LEAST_PAUSE_S) / 2

    def _run(self, now_s: float, mark: float) -> Decision:
        if self._moving and self._free_rate > self._rate:
            until_mark_s = (self._credit + mark) / (self._free_rate - self._rate)
            if until_mark_s < LOOK_S:
                return self._run_and_stop(now_s, max(until_mark_s, LEAST_RUN_S))
        if not self._peak:
            return Decision(FIRST_LOOK_S if self._is_starting(now_s) else LOOK_S, 0.0)
        if self._moving and 4 * self._free_rate >= self._peak:
            return Decision(LOOK_S, 0.0)
        return Decision(min(max((self._credit + mark) / self._peak, LEAST_LOOK_S), LOOK_S), 0.0)

    def _is_starting(self, now_s: float) -> bool:
        if self._began_at_s is None:
            self._began_at_s = now_s
        return now_s - self._began_at_s < START_S

    def _run_and_stop(self, now_s: float, run_s: float) -> Decision:
        self._stopped_at_s = now_s + run_s
        return Decision(run_s, PERIOD_S)
