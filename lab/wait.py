"""Waiting for a condition on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(
    predicate: Callable[[], bool],
    *,
    timeout_seconds: float,
    interval_seconds: float = 0.1,
) -> bool:
    """Calls `predicate` every `interval_seconds` until it is true. Returns False if the timeout passes first.

    The predicate is called at least once, and once more when the time is over.
    """
    deadline = time.monotonic() + timeout_seconds
    while not predicate():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval_seconds)
    return True
