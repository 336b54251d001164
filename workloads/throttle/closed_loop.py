"""Holds a measured rate: credit grows with time and shrinks with every byte; who is in debt stands still."""

from __future__ import annotations

import math

from workloads.throttle.pacing import Turn

# A run and a pause together take this long when both are possible: short, so that bursts are small; long enough for the
# stops to cost little (two system calls and a look at the sockets each).
PERIOD_S = 0.05
# Near the free rate pauses would be too short to be worth a signal: they take this long at least, and come more rarely.
LEAST_PAUSE_S = 0.005
# A process needs some time to get on a processor at all. What it moves in this is the smallest burst there is.
LEAST_RUN_S = 0.00025
# How long processes may run unseen: long enough to cost little while nothing happens. It is also what bounds the first
# burst, when nothing is known of their free rate. Those that have been fast are looked at more often, for some time.
LOOK_S = 0.01
LEAST_LOOK_S = 0.002
# Credit is not saved up: after an idle time no more than this much of the rate goes at once.
BURST_S = 0.1
# A debt greater than what this pays off is forgiven. It only grows so where pauses would have to be longer than their
# bound, and would hold a process back for hours when that is over.
DEBT_S = 60.0
# How quickly the free rate that was seen is forgotten, and its peak, in seconds of running.
MEMORY_S = 0.1
PEAK_MEMORY_S = 5.0


class ClosedLoop:
    """Sets runs and pauses so that the mean is `bytes_per_s`, and no pause is longer than `max_pause_s`.

    Between two marks around zero credit the processes run (until the lower one) and stand (until the upper one). What
    they move at their free rate decides only how far apart the marks are: a wrong estimate of it costs no accuracy.
    """

    def __init__(self, bytes_per_s: float, max_pause_s: float) -> None:
        self._rate = bytes_per_s
        self._max_pause_s = max_pause_s
        self._credit = 0.0  # bytes
        self._free_rate = 0.0  # bytes a second, while they run
        self._peak = 0.0  # the same, at most
        self._moving = False
        self._last: tuple[float, int] | None = None  # time and bytes of the last look
        self._told = Turn(0.0, 0.0)
        self._stopped_at_s: float | None = None
        self._cut_short = 0

    @property
    def cut_short(self) -> int:
        """How many pauses ended at their bound, with the debt unpaid."""
        return self._cut_short

    def turn(self, now_s: float, moved_bytes: int) -> Turn:
        """What to do now; `now_s` is of any clock that does not go back, bytes are since the beginning."""
        self._account(now_s, moved_bytes)
        self._told = self._decide(now_s)
        return self._told

    def _account(self, now_s: float, moved_bytes: int) -> None:
        if self._last is not None:
            elapsed_s, moved = now_s - self._last[0], moved_bytes - self._last[1]
            credit = self._credit + self._rate * elapsed_s - moved
            self._credit = max(-self._rate * DEBT_S, min(credit, self._rate * BURST_S))
            if self._told.run_s > 0:
                # Told to run and then stop, they have stood still since; what looking took is none of theirs.
                self._learn(min(elapsed_s, self._told.run_s) if self._told.stop_s else elapsed_s, moved)
        self._last = (now_s, moved_bytes)

    def _learn(self, ran_s: float, moved: int) -> None:
        if ran_s <= 0:
            return
        seen = moved / ran_s
        self._moving = 4 * seen >= self._free_rate
        if seen > 2 * self._free_rate:
            self._free_rate = seen
        else:
            kept = math.exp(-ran_s / MEMORY_S)
            self._free_rate = kept * self._free_rate + (1 - kept) * seen
        self._peak = max(self._free_rate, self._peak * math.exp(-ran_s / PEAK_MEMORY_S))

    def _decide(self, now_s: float) -> Turn:
        mark = self._mark()
        if self._stopped_at_s is None:
            if self._credit >= -mark:
                return self._run(now_s, mark)
            self._stopped_at_s = now_s
        left_s = self._stopped_at_s + self._max_pause_s - now_s
        needed_s = (mark - self._credit) / self._rate
        if needed_s > 0 and left_s > 0:
            return Turn(0.0, min(needed_s, left_s))
        self._stopped_at_s = None
        if self._credit < 0:
            self._cut_short += 1
            return self._run_and_stop(now_s, LEAST_RUN_S)
        return self._run(now_s, mark)

    def _mark(self) -> float:
        """Half the distance between the marks, in bytes: what a pause at the rate is worth."""
        running_ratio = min(1.0, self._rate / self._free_rate) if self._free_rate else 1.0
        return self._rate * max((1 - running_ratio) * PERIOD_S, LEAST_PAUSE_S) / 2

    def _run(self, now_s: float, mark: float) -> Turn:
        if self._moving and self._free_rate > self._rate:
            until_mark_s = (self._credit + mark) / (self._free_rate - self._rate)
            if until_mark_s < LOOK_S:
                return self._run_and_stop(now_s, max(until_mark_s, LEAST_RUN_S))
        as_fast_as_ever = self._moving and 4 * self._free_rate >= self._peak
        if as_fast_as_ever or not self._peak:
            return Turn(LOOK_S, 0.0)
        return Turn(min(max((self._credit + mark) / self._peak, LEAST_LOOK_S), LOOK_S), 0.0)

    def _run_and_stop(self, now_s: float, run_s: float) -> Turn:
        self._stopped_at_s = now_s + run_s
        return Turn(run_s, PERIOD_S)
