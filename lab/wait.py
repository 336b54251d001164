"""Waiting for a condition on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(
    predicate: Callable[[], bool],
    *,
    timeout_seconds: float,
    interval_seconds: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Calls `predicate` every `interval_seconds` until it is true. Returns False if the timeout passes first.

    The predicate is called at least once, and once more when the time is over.
    """
    deadline = clock() + timeout_seconds
    while not predicate():
        if clock() >= deadline:
            return False
        sleep(interval_seconds)
    return True
