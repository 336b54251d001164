"""The original's way: stop, wait, continue, wait, for ever, whatever is moved meanwhile."""

from __future__ import annotations

from workloads.throttle.pacing import Turn

LOOK_S = 0.02  # for the first byte


class DutyCycle:
    """`stop_s` stopped, then `run_s` running, by the clock: a late call shortens what it was late for and no more.

    With `from_first_byte` the first stop is when something has been moved.
    """

    cut_short = 0

    def __init__(self, stop_s: float, run_s: float, *, from_first_byte: bool = False) -> None:
        self._stop_s = stop_s
        self._run_s = run_s
        self._from_first_byte = from_first_byte
        self._begin_s: float | None = None

    def turn(self, now_s: float, moved_bytes: int) -> Turn:
        """The rest of the half of the cycle that `now_s` is in."""
        if self._begin_s is None:
            if self._from_first_byte and moved_bytes == 0:
                return Turn(LOOK_S, 0.0)
            self._begin_s = now_s
        into_s = (now_s - self._begin_s) % (self._stop_s + self._run_s)
        if into_s < self._stop_s:
            return Turn(0.0, self._stop_s - into_s)
        return Turn(self._stop_s + self._run_s - into_s, self._stop_s)
