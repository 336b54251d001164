"""Counters that only grow, read now and then: what they were at a moment between two readings."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# Readings come each second. Over a longer gap a straight line says nothing of a moment within it.
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
    """Columns of readings at the times `t_unix_s`, ascending. None where a reading lacked one.

    A counter that went back began anew (a reboot, a new mount): nothing is told across that.
    """

    def __init__(self, t_unix_s: Sequence[float], columns: Mapping[str, Sequence[float | None]]) -> None:
        self.t_unix_s = t_unix_s
        self._columns = columns
        self._life = _lives(len(t_unix_s), columns)

    def between(self, column: str, start_unix_s: float, end_unix_s: float) -> float | None:
        """The growth from one moment to a later one, each on the straight line between the readings around it."""
        start, end = self._at(column, start_unix_s), self._at(column, end_unix_s)
        if start is None or end is None or start[1] != end[1]:
            return None
        return end[0] - start[0]

    def inside(self, column: str, start_unix_s: float, end_unix_s: float) -> Growth | None:
        """From the first reading inside the window to the last: nothing from outside is in it.

        What a cell did is told so. At its end, a line to the first reading after it would run below the truth: up to a
        quarter of a second's work is missing then, 8 % of a window of three seconds.
        """
        first, last = bisect_left(self.t_unix_s, start_unix_s), bisect_right(self.t_unix_s, end_unix_s) - 1
        if first >= last or self._life[first] != self._life[last]:
            return None
        earlier, later = self._columns[column][first], self._columns[column][last]
        if earlier is None or later is None:
            return None
        return Growth(later - earlier, self.t_unix_s[first], self.t_unix_s[last])

    def _at(self, column: str, t_unix_s: float) -> tuple[float, int] | None:
        """The value and the life it belongs to."""
        after = bisect_left(self.t_unix_s, t_unix_s)
        if after == len(self.t_unix_s):
            return None
        values = self._columns[column]
        later = values[after]
        if self.t_unix_s[after] == t_unix_s:
            return None if later is None else (later, self._life[after])
        if after == 0:
            return None
        earlier = values[after - 1]
        gap = self.t_unix_s[after] - self.t_unix_s[after - 1]
        if earlier is None or later is None or gap > GAP_SECONDS_MAX or self._life[after] != self._life[after - 1]:
            return None
        share = (t_unix_s - self.t_unix_s[after - 1]) / gap
        return earlier + share * (later - earlier), self._life[after]


def total(values: Sequence[float | None]) -> float | None:
    """The sum; None where one of them is not known, or there is none."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _lives(count: int, columns: Mapping[str, Sequence[float | None]]) -> list[int]:
    """For each reading the number of times that a counter had gone back until then."""
    back = set()
    for values in columns.values():
        known = [(index, value) for index, value in enumerate(values) if value is not None]
        back |= {later[0] for earlier, later in pairwise(known) if later[1] < earlier[1]}
    lives, life = [], 0
    for index in range(count):
        life += index in back
        lives.append(life)
    return lives
