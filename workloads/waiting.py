"""Waits for a condition, with a timeout."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T],
    *,
    timeout_seconds: float,
    interval_seconds: float,
    retry_on: type[Exception] | tuple[type[Exception], ...] = (),
) -> T:
    """Calls `predicate` until what it returns is true, at least once; returns its last value, false after the timeout.

    An error of `retry_on` counts as false, and is raised after the timeout.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            found = predicate()
        except retry_on:
            if time.monotonic() >= deadline:
                raise
        else:
            if found or time.monotonic() >= deadline:
                return found
        time.sleep(interval_seconds)
