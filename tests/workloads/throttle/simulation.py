"""Processes that transfer, in simulated time, and a loop around a pacer like the real one: nothing waits."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from workloads.throttle.loop import PAUSED_SEARCH_S, SEARCH_S
from workloads.throttle.pacing import LOOK_S, Pacer

# A look at the sockets, and what a signal or a wake-up may be late by: as on a busy machine of two processors.
READING_S = 0.0003
LATE_S = 0.001


class Process(Protocol):
    """`process_bytes` were written and read by it, `network_bytes` went over the network."""

    @property
    def process_bytes(self) -> float: ...

    @property
    def network_bytes(self) -> float: ...

    def advance(self, seconds: float, running: bool) -> None: ...


@dataclass
class Flow:
    """Moves `rate(t)` bytes a second at its own time t, which stands still while it is stopped."""

    rate: Callable[[float], float]
    process_bytes: float = 0.0
    own_s: float = 0.0

    @property
    def network_bytes(self) -> float:
        return self.process_bytes

    def advance(self, seconds: float, running: bool) -> None:
        while running and seconds > 0:
            step_s = min(seconds, 0.001)
            self.process_bytes += self.rate(self.own_s) * step_s
            self.own_s += step_s
            seconds -= step_s


def steady(bytes_per_s: float) -> Flow:
    return Flow(lambda _: bytes_per_s)


def bursty(bytes_per_s: float, on_s: float, off_s: float) -> Flow:
    """Moves for a while, does something else for a while."""
    return Flow(lambda t: bytes_per_s if t % (on_s + off_s) < on_s else 0.0)


def stalled(bytes_per_s: float, from_s: float, until_s: float) -> Flow:
    """Stalls once."""
    return Flow(lambda t: 0.0 if from_s <= t < until_s else bytes_per_s)


def threads(count: int, bytes_per_s: float, seed: int) -> Flow:
    """Many connections that come and go, each by itself: together they move 0 to `count` times as much."""
    random_ = random.Random(seed)
    beats = [(random_.uniform(0.05, 0.5), random_.uniform(0.2, 0.8), random_.random()) for _ in range(count)]
    return Flow(lambda t: bytes_per_s * sum((t / beat + phase) % 1 < duty for beat, duty, phase in beats))


@dataclass
class Buffered:
    """Writes chunks into a socket buffer as fast as memory is; the network empties it, in pauses too."""

    link_bytes_per_s: float
    chunk_bytes: int
    buffer_bytes: int
    memory_bytes_per_s: float = 1e9
    process_bytes: float = 0.0
    network_bytes: float = 0.0
    idle_s: float = field(default=0.0)  # time that it had to itself and could not use for a whole chunk

    def advance(self, seconds: float, running: bool) -> None:
        chunk_s = self.chunk_bytes / self.memory_bytes_per_s
        while seconds > 0:
            fits = self.process_bytes - self.network_bytes + self.chunk_bytes <= self.buffer_bytes
            if running and fits and self.idle_s + seconds >= chunk_s:
                step_s = max(0.0, chunk_s - self.idle_s)
                self._drain(step_s)
                self.process_bytes += self.chunk_bytes
                self.idle_s = 0.0
            else:
                step_s = min(seconds, 0.001)
                self._drain(step_s)
                self.idle_s = min(chunk_s, self.idle_s + step_s) if running else self.idle_s
            seconds -= step_s

    def _drain(self, seconds: float) -> None:
        self.network_bytes = min(self.process_bytes, self.network_bytes + self.link_bytes_per_s * seconds)


@dataclass
class Sluggish:
    """Takes some time to begin after each pause, then fills its send buffers at once: many threads on one processor."""

    burst_bytes: int
    slowest_s: float
    seed: int
    process_bytes: float = 0.0
    begins_in_s: float | None = None  # None while it is stopped

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @property
    def network_bytes(self) -> float:
        return self.process_bytes

    def advance(self, seconds: float, running: bool) -> None:
        if not running:
            self.begins_in_s = None
            return
        if self.begins_in_s is None:
            self.begins_in_s = self._random.uniform(0, self.slowest_s)
        self.begins_in_s -= seconds
        if self.begins_in_s <= 0:
            self.process_bytes += self._random.uniform(0.5, 2) * self.burst_bytes
            self.begins_in_s = self._random.uniform(0, self.slowest_s)


@dataclass
class Held:
    """What became of a process that was held back."""

    seconds: float = 0.0
    pauses_s: list[float] = field(default_factory=list)
    worst_run_bytes: float = 0.0  # from one continuing to the next stop
    samples: list[tuple[float, float]] = field(default_factory=list)  # time and network bytes, at each look

    def network_bytes_between(self, from_s: float, until_s: float) -> float:
        inside = [moved for when_s, moved in self.samples if from_s <= when_s <= until_s]
        return inside[-1] - inside[0]


def hold(
    pacer: Pacer, process: Process, seconds: float, *, seed: int = 0, counts: Callable[[], float] | None = None
) -> Held:
    """Runs `process` under `pacer` for so many simulated seconds. `counts` is what the pacer is told, the process's own
    bytes unless something else is given.
    """
    random_ = random.Random(seed)
    held = Held()
    moved = counts or (lambda: process.process_bytes)
    now_s, running = 0.0, True
    stopped_at_s = at_continue = 0.0

    def pass_time(amount_s: float) -> None:
        nonlocal now_s
        process.advance(amount_s, running)
        now_s += amount_s

    def stop() -> None:
        nonlocal running, stopped_at_s
        pass_time(random_.uniform(0, LATE_S) / 2)
        running, stopped_at_s = False, now_s
        held.worst_run_bytes = max(held.worst_run_bytes, process.process_bytes - at_continue)

    while now_s < seconds:
        held.samples.append((now_s, process.network_bytes))
        decision = pacer.decide(now_s, round(moved()))
        assert decision.run_s > 0 or decision.stop_s > 0
        if decision.run_s > 0:
            if not running:
                held.pauses_s.append(now_s - stopped_at_s)
                running, at_continue = True, process.process_bytes
            pass_time(min(decision.run_s, SEARCH_S) + random_.uniform(0, LATE_S))
            if decision.stop_s > 0 and decision.run_s <= SEARCH_S:
                stop()
        elif running:
            stop()
        else:
            pass_time(min(decision.stop_s, PAUSED_SEARCH_S) + random_.uniform(0, LATE_S))
        pass_time(READING_S)
    held.seconds = now_s
    return held


# What may be moved before the pacer knows of it: a look's time, and what everything is late by.
UNSEEN_S = LOOK_S + 2 * LATE_S + READING_S
