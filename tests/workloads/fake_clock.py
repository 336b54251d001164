"""A clock that a test turns: sleeping takes no time."""

from __future__ import annotations


class FakeClock:
    """Takes the place of the module `time`; stands still but for what is slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return sum(self.slept)

    def time(self) -> float:
        return self.monotonic()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
