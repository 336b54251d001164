"""Waits for a condition, with a timeout."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Clock:
    """The monotonic clock, and a sleep by it."""

    def now(self) -> float:
        """Returns the time in seconds since some moment in the past."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Returns after so many seconds."""
        time.sleep(seconds)


SYSTEM_CLOCK = Clock()


def wait_until(
    predicate: Callable[[], T],
    *,
    timeout_seconds: float,
    interval_seconds: float,
    retry_on: type[Exception] | tuple[type[Exception], ...] = (),
    clock: Clock | None = None,
) -> T:
    """Calls `predicate` until what it returns is true, at least once; returns its last value, false after the timeout.

    An error of `retry_on` counts as false, and is raised after the timeout.
    """
    clock = clock or SYSTEM_CLOCK
    deadline = clock.now() + timeout_seconds
    while True:
        try:
            found = predicate()
        except retry_on:
            if clock.now() >= deadline:
                raise
        else:
            if found or clock.now() >= deadline:
                return found
        clock.sleep(interval_seconds)
