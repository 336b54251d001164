"""When the reconciler does a pass."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

POLL_SECONDS = 1.0
# A pass reads the whole account, which takes a tenth of a second of one of the CPUs that the hosts are measured on. So
# there is one after each call that may change something, one a second while something is unfinished, and a few besides.
RESYNC_SECONDS = 30.0

log = logging.getLogger("lab.reconcile_loop")


class ReconcileLoop:
    """Repeats `reconcile` after each change, while it returns False, and every RESYNC_SECONDS."""

    def __init__(
        self,
        reconcile: Callable[[], bool],
        changed: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.passes = 0
        self._stopping = threading.Event()
        self._reconcile = reconcile
        self._changed = changed
        self._clock = clock
        self._sleep = sleep

    def run(self) -> None:
        """Returns after `stop`."""
        settled, last = False, 0.0
        while not self._stopping.is_set():
            changed = wait_and_clear(self._changed, POLL_SECONDS)
            if self._stopping.is_set():
                break
            if settled and not changed and self._clock() - last <= RESYNC_SECONDS:
                continue
            try:
                settled = self._reconcile()
            except Exception:  # whatever made one pass fail, the next one tries again
                log.exception("a pass failed")
                settled = False
                self._sleep(POLL_SECONDS)
            last = self._clock()
            self.passes += 1

    def stop(self) -> None:
        self._stopping.set()
        self._changed.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()


def wait_and_clear(event: threading.Event, seconds: float) -> bool:
    """Returns whether the event was set within that time; clears it only if so.

    An event that is set just after the wait has timed out is not lost: the next wait sees it.
    """
    seen = event.wait(seconds)
    if seen:
        event.clear()
    return seen
