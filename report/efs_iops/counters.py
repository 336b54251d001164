"""Counters that only grow, and how much they grew between two moments at which they were not read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from report.intervals import Floats, Whole

# Readings are a second apart. Over a longer gap a straight line does not tell the value at a moment within it.
GAP_SECONDS_MAX = 5.0


@dataclass(frozen=True)
class Growth:
    amount: float
    start_unix_s: float
    end_unix_s: float

    @property
    def per_s(self) -> float | None:
        seconds = self.end_unix_s - self.start_unix_s
        return self.amount / seconds if seconds > 0 else None


class Counters:
    """Columns of readings at the times `t_unix_s`, ascending. None, or NaN in an array, where a reading lacked one.

    A counter that went back was reset (a reboot, a new mount): no growth is known across that.
    """

    def __init__(
        self, t_unix_s: Sequence[float] | Floats, columns: Mapping[str, Sequence[float | None] | Floats]
    ) -> None:
        self.t_unix_s = np.asarray(t_unix_s, np.float64)
        self.columns = {name: np.asarray(values, np.float64) for name, values in columns.items()}
        self._resets_before = _count_resets(len(self.t_unix_s), self.columns.values())

    def each_between(self, column: str, moments_unix_s: Floats) -> Floats:
        """Returns the growth from each moment to the next, interpolated between the readings around each; NaN if that
        is not known.
        """
        values, lives = self._at(column, moments_unix_s)
        return np.where(lives[1:] == lives[:-1], values[1:] - values[:-1], np.nan)

    def inside(self, column: str, start_unix_s: float, end_unix_s: float) -> Growth | None:
        """Returns the growth from the first reading inside the window to the last, for what a cell did.

        Interpolating to the first reading after the cell's end would count too little: up to a quarter of a second's
        work, 8 % of a window of three seconds.
        """
        times = self.t_unix_s
        first, last = np.searchsorted(times, start_unix_s, "left"), np.searchsorted(times, end_unix_s, "right") - 1
        if first >= last or self._resets_before[first] != self._resets_before[last]:
            return None
        amount = float(self.columns[column][last] - self.columns[column][first])
        return None if math.isnan(amount) else Growth(amount, float(times[first]), float(times[last]))

    def _at(self, column: str, t_unix_s: Floats) -> tuple[Floats, Whole]:
        """Returns each moment's value, NaN if it is not known, and how often a counter had gone back."""
        times, values = self.t_unix_s, self.columns[column]
        if not len(times):
            return np.full(len(t_unix_s), np.nan), np.zeros(len(t_unix_s), np.int64)
        after = np.searchsorted(times, t_unix_s, "left")
        known = after < len(times)
        after = np.minimum(after, len(times) - 1)
        before = np.maximum(after - 1, 0)
        gap = times[after] - times[before]
        exact = times[after] == t_unix_s
        between = (after > 0) & (gap <= GAP_SECONDS_MAX) & (self._resets_before[after] == self._resets_before[before])
        share = (t_unix_s - times[before]) / np.where(gap > 0, gap, 1.0)
        on_line = values[before] + share * (values[after] - values[before])
        found = np.where(exact, values[after], np.where(between, on_line, np.nan))
        return np.where(known, found, np.nan), self._resets_before[after]


def _count_resets(count: int, columns: Iterable[Floats]) -> Whole:
    """Returns for each reading how often a counter had gone back until then."""
    back = np.zeros(count, np.int64)
    for values in columns:
        known = np.flatnonzero(~np.isnan(values))
        back[known[1:][np.diff(values[known]) < 0]] = 1
    return np.cumsum(back)
