"""The region's loop, as far as it needs no region."""

from __future__ import annotations

import threading

from lab.region import take


class Late(threading.Event):
    """Comes in the moment in which a wait has given up and has not yet returned."""

    def wait(self, timeout: float | None = None) -> bool:
        was_set = self.is_set()
        self.set()
        return was_set


def test_an_event_that_comes_as_the_wait_ends_is_seen_by_the_next() -> None:
    event = Late()
    assert not take(event, 0)
    assert take(event, 0)


def test_an_event_is_taken_once() -> None:
    event = threading.Event()
    event.set()
    assert take(event, 0)
    assert not take(event, 0)
