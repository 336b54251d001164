"""How well a cap held: turns counts at irregular times into samples of 100 ms, windows of a second, and a few figures.

Samples are passed on at once, so that memory does not grow with time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

SAMPLES_PER_S = 10
# Closing an idle connection is no transfer: it takes a byte for FIN, and some thirty for TLS's close_notify.
ACTIVE_BYTES = 100


@dataclass(frozen=True)
class Sample:
    """100 ms from `start_s` on; the last sample may be shorter. `bytes` went over the network (None: not measured), and
    the processes ran for `running_ratio` of the time.
    """

    start_s: float
    bytes: int | None
    running_ratio: float


@dataclass(frozen=True)
class Stop:
    """A stop of the processes. At its start `unacked_bytes` were in the send buffers, `notsent_bytes` of them not sent
    yet; peers acknowledged `acked_bytes` until its end.
    """

    start_s: float
    stopped_s: float
    unacked_bytes: int
    notsent_bytes: int
    acked_bytes: int


@dataclass(frozen=True)
class Figures:
    """The figures of a run. The active time lasts from the first 100 bytes to the last, as exactly as counts were read.
    Windows are its whole seconds; figures over windows are None where there is no window.
    """

    seconds: float
    active_s: float | None
    bytes: int | None
    mean_bytes_per_s: float | None
    window_std_bytes_per_s: float | None
    windows: int
    largest_100_ms_bytes: int | None
    running_ratio: float | None


class Record:
    """Collects counts as they are read; passes each sample to `on_sample`."""

    def __init__(self, start_s: float, on_sample: Callable[[Sample], None]) -> None:
        self._start_s = start_s
        self._on_sample = on_sample
        self._edges = 0  # how many samples are complete
        self._at_edge: tuple[int | None, float] = (0, 0.0)  # bytes and running seconds at the last edge
        self._last: tuple[float, int | None, float] = (start_s, 0, 0.0)
        self._active_from_s: float | None = None
        self._active_until_s = start_s
        self._active_bytes = 0  # at `_active_until_s`
        self._largest: int | None = None
        self._window: list[int] = []  # the samples of the window that is under way
        self._windows = (0, 0, 0)  # of all whole windows the number, the sum of their bytes, and that of the squares
        self._active_windows = (0, 0, 0)  # the same until the last active one: idle ones after it do not count

    def add(self, now_s: float, bytes_total: int | None, running_total_s: float) -> None:
        """Adds the counts since the beginning, at `now_s`; interpolates linearly between two calls.

        `bytes_total` is None where bytes can't be measured.
        """
        if bytes_total is not None and bytes_total - self._active_bytes >= ACTIVE_BYTES:
            if self._active_from_s is None:
                self._active_from_s = self._last[0]
            self._active_until_s, self._active_bytes = now_s, bytes_total
        while (edge_s := self._edge_s(self._edges + 1)) <= now_s:
            then_s, then_bytes, then_running_s = self._last
            share = (edge_s - then_s) / (now_s - then_s) if now_s > then_s else 1.0
            moved = None
            if bytes_total is not None and then_bytes is not None:
                moved = then_bytes + round((bytes_total - then_bytes) * share)
            self._last = (edge_s, moved, then_running_s + (running_total_s - then_running_s) * share)
            self._close_sample(edge_s)
            self._edges += 1
        self._last = (now_s, bytes_total, running_total_s)

    def figures(self) -> Figures:
        """Ends the record, with a last, shorter sample; returns the figures."""
        now_s, moved, running_s = self._last
        seconds = now_s - self._start_s
        if now_s > self._edge_s(self._edges):
            self._close_sample(now_s)
        active_s = None if self._active_from_s is None else self._active_until_s - self._active_from_s
        # The deviation of these very windows, not of a population that they sample; exact, as all three are integers.
        windows, total, squares = self._active_windows
        return Figures(
            seconds=seconds,
            active_s=active_s,
            bytes=moved,
            mean_bytes_per_s=moved / active_s if moved is not None and active_s else None,
            window_std_bytes_per_s=math.sqrt(windows * squares - total**2) / windows if windows else None,
            windows=windows,
            largest_100_ms_bytes=self._largest,
            running_ratio=running_s / seconds if seconds > 0 else None,
        )

    def _edge_s(self, number: int) -> float:
        return self._start_s + number / SAMPLES_PER_S

    def _close_sample(self, end_s: float) -> None:
        start_s = self._edge_s(self._edges)
        _, moved, running_s = self._last
        bytes_before, running_before_s = self._at_edge
        self._at_edge = (moved, running_s)
        in_sample = None if moved is None or bytes_before is None else moved - bytes_before
        ratio = (running_s - running_before_s) / (end_s - start_s)
        self._on_sample(Sample(start_s, in_sample, min(1.0, max(0.0, ratio))))
        if in_sample is not None:
            self._note(in_sample, whole=end_s >= self._edge_s(self._edges + 1))

    def _note(self, in_sample: int, *, whole: bool) -> None:
        self._largest = max(self._largest or 0, in_sample)
        windows, total, squares = self._windows
        if whole and (windows or self._window or in_sample >= ACTIVE_BYTES):  # the first window begins with a transfer
            self._window.append(in_sample)
        if len(self._window) == SAMPLES_PER_S:
            moved = sum(self._window)
            self._windows = windows + 1, total + moved, squares + moved**2
            if max(self._window) >= ACTIVE_BYTES:
                self._active_windows = self._windows
            self._window.clear()
