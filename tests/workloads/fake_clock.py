"""A clock that a test turns: sleeping takes no time."""

from __future__ import annotations

from workloads.waiting import Clock


class FakeClock(Clock):
    """Stands still but for what is slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
