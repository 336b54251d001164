"""When passes are done: a clock that is moved by hand, and no threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lab.region import POLL_SECONDS, RESYNC_SECONDS, ReconcileLoop, wait_and_clear


class Late(threading.Event):
    """Is set in the moment in which a wait has timed out and has not yet returned."""

    def wait(self, timeout: float | None = None) -> bool:
        was_set = self.is_set()
        self.set()
        return was_set


def test_an_event_that_is_set_as_the_wait_ends_is_seen_by_the_next() -> None:
    event = Late()
    assert not wait_and_clear(event, 0)
    assert wait_and_clear(event, 0)


def test_an_event_is_seen_once() -> None:
    event = threading.Event()
    event.set()
    assert wait_and_clear(event, 0)
    assert not wait_and_clear(event, 0)


class Clock(threading.Event):
    """An event whose waits move the clock on instead of taking time; `at` calls functions at given times."""

    def __init__(self, at: dict[float, Callable[[], None]]) -> None:
        super().__init__()
        self.now = 1000.0
        self._at = {1000.0 + seconds: call for seconds, call in at.items()}

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for due in sorted(due for due in self._at if due <= self.now):
            self._at.pop(due)()

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set():
            self.sleep(timeout or 0)
        return self.is_set()


def pass_times(results: list[bool | Exception], seconds: float, changes: tuple[float, ...] = ()) -> list[float]:
    """When the passes of the first so many seconds were done; each ends as `results` has it, later ones well."""
    times: list[float] = []
    clock = Clock({})
    clock._at = {1000.0 + each: clock.set for each in changes}

    def reconcile() -> bool:
        times.append(clock.now - 1000)
        result = results.pop(0) if results else True
        if isinstance(result, Exception):
            raise result
        return result

    loop = ReconcileLoop(reconcile, clock, clock=lambda: clock.now, sleep=clock.sleep)
    clock._at[1000 + seconds] = loop.stop
    loop.run()
    assert loop.passes == len(times)
    return times


def test_a_machine_that_matches_is_left_alone_until_the_resync() -> None:
    assert pass_times([], 60) == [POLL_SECONDS, POLL_SECONDS + RESYNC_SECONDS + 1]


def test_a_change_is_followed_by_a_pass_at_once() -> None:
    assert pass_times([], 20, changes=(7, 12)) == [1, 7, 12]


def test_an_unfinished_pass_is_repeated_each_second() -> None:
    assert pass_times([False, False, True], 20) == [1, 2, 3]


def test_a_pass_that_raises_is_repeated_after_a_pause() -> None:
    assert pass_times([RuntimeError("half-way"), True], 20) == [1, 3]


def test_a_stop_is_heard_before_another_pass() -> None:
    assert pass_times([False], 1) == []
