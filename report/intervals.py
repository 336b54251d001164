"""A worker's seconds as columns: a run of hours has hundreds of thousands of them, too many for objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from report.histogram import Histogram

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

T = TypeVar("T")

UNKNOWN = -1  # in the column of maxima
# Shorter intervals are the ends of a measurement, not seconds.
INTERVAL_SECONDS_MIN = 0.5
_NO_ERRORS: Mapping[str, int] = {}
_OF_ROWS = ("t_start_unix_s", "t_end_unix_s", "ops", "bytes", "latency_max_ns")
COLUMNS = ("host", *_OF_ROWS)


@dataclass(frozen=True, slots=True)
class Interval:
    host: str
    t_start_unix_s: float
    t_end_unix_s: float
    ops: int
    bytes: int
    errors: Mapping[str, int]
    latency_max_ns: int | None
    histogram: Histogram | None  # kept only where a final document may be missing

    @property
    def seconds(self) -> float:
        return self.t_end_unix_s - self.t_start_unix_s


@dataclass(frozen=True)
class Intervals:
    """Of one or several hosts, in the order of the file; an Interval is made when it is asked for.

    `host` has indexes into `names`. `errors` and `histograms` hold only the rows that have some.
    """

    names: tuple[str, ...]
    host: Whole
    t_start_unix_s: Floats
    t_end_unix_s: Floats
    ops: Whole
    bytes: Whole
    latency_max_ns: Whole
    errors: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    histograms: Mapping[int, Histogram] = field(default_factory=dict)

    @classmethod
    def of(cls, intervals: Iterable[Any], histograms: Mapping[int, Histogram] | None = None) -> Intervals:
        """Takes objects with the fields of an Interval. `histograms`, by the index of their row, replace theirs."""
        rows = list(intervals)
        if histograms is None:
            histograms = {at: row.histogram for at, row in enumerate(rows) if row.histogram is not None}
        codes: dict[str, int] = {}
        host = [codes.setdefault(row.host, len(codes)) for row in rows]
        return cls(
            tuple(codes),
            np.array(host, np.int64),
            np.array([row.t_start_unix_s for row in rows], np.float64),
            np.array([row.t_end_unix_s for row in rows], np.float64),
            np.array([row.ops for row in rows], np.int64),
            np.array([row.bytes for row in rows], np.int64),
            np.array([UNKNOWN if (ns := row.latency_max_ns) is None else ns for row in rows], np.int64),
            {at: row.errors for at, row in enumerate(rows) if row.errors},
            histograms,
        )

    @classmethod
    def joined(cls, parts: Sequence[Intervals]) -> Intervals:
        if len(parts) < 2:
            return parts[0] if parts else NONE
        codes: dict[str, int] = {}
        hosts: list[Whole] = []
        errors: dict[int, Mapping[str, int]] = {}
        histograms: dict[int, Histogram] = {}
        first = 0
        for part in parts:
            code = np.array([codes.setdefault(name, len(codes)) for name in part.names], np.int64)
            hosts.append(code[part.host])
            errors |= {first + row: each for row, each in part.errors.items()}
            histograms |= {first + row: each for row, each in part.histograms.items()}
            first += len(part)
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _OF_ROWS}
        return cls(tuple(codes), np.concatenate(hosts), **columns, errors=errors, histograms=histograms)

    @property
    def seconds(self) -> Floats:
        return self.t_end_unix_s - self.t_start_unix_s

    def of_host(self, name: str) -> Intervals:
        return self.where(self.host == self.names.index(name)) if name in self.names else NONE

    def of_hosts(self, names: Iterable[str]) -> Intervals:
        codes = [self.names.index(name) for name in set(names) if name in self.names]
        return self.where(np.isin(self.host, codes))

    def where(self, those: NDArray[np.bool_]) -> Intervals:
        if bool(those.all()):
            return self
        rows = np.flatnonzero(those)
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in COLUMNS}
        errors, histograms = _moved(self.errors, rows), _moved(self.histograms, rows)
        return Intervals(self.names, **columns, errors=errors, histograms=histograms)

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Iterator[Interval]:
        columns = (getattr(self, name).tolist() for name in COLUMNS)
        for row, (host, start, end, ops, bytes_, longest) in enumerate(zip(*columns, strict=True)):
            longest_or_none = None if longest == UNKNOWN else longest
            errors, histogram = self.errors.get(row, _NO_ERRORS), self.histograms.get(row)
            yield Interval(self.names[host], start, end, ops, bytes_, errors, longest_or_none, histogram)


def _moved(of_rows: Mapping[int, T], rows: Whole) -> dict[int, T]:
    if not of_rows:
        return {}
    return {to: of_rows[at] for to, at in enumerate(rows.tolist()) if at in of_rows}


NONE = Intervals.of(())
