"""Latency percentiles of each second, or of longer stretches, from the merged histograms of all hosts' intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from report.histogram import BUCKET_COUNT, bucket_middle_ns
from report.intervals import Floats, Intervals, Whole
from report.records import WHOLE_MAX
from report.summary import LatencyStretch

# The most that one bucket of one interval can count; a greater number is damage.
_COUNT_MAX = 1 << 26
_TABLE = {"part": np.int32, "grain": np.int64, "bucket": np.uint16, "count": np.uint32}
_PER_MILLE = (500, 990, 999)  # p50, p99, p99.9
# So many numbers take 32 MB. They are the seconds of a figure's 1200 stretches, with nearly all buckets in each; of a
# longer run a figure can't show single seconds.
_KEPT_MAX = 1 << 23


@dataclass(frozen=True)
class _Part:
    """A row for each grain of time, a column for each bucket from `low` on."""

    grains: Whole
    low: int
    counts: NDArray[np.uint32]


class LatencySeconds:
    """Histograms of each second; of a long run, of each `grain_s` seconds."""

    def __init__(self, on_one_clock: Callable[[str, Floats], Floats] = lambda _, t: t) -> None:
        self.grain_s = 1
        self._on_one_clock = on_one_clock
        self._parts: list[_Part] = []
        self._kept = 0
        self._room = _KEPT_MAX

    def add(self, intervals: Intervals, buckets: Sequence[bytes | msgspec.Raw]) -> None:
        """Adds intervals. `buckets` are each one's pairs of index and count, as JSON; damaged pairs are left out."""
        lengths, indexes, counts = _read_pairs(buckets)
        middles = (intervals.t_start_unix_s + intervals.t_end_unix_s) / 2
        for code, host in enumerate(intervals.names):
            those = intervals.host == code
            middles[those] = self._on_one_clock(host, middles[those])
        grains, rows = np.unique(np.floor(middles).astype(np.int64) // self.grain_s, return_inverse=True)
        good = (indexes >= 0) & (indexes < BUCKET_COUNT) & (counts > 0) & (counts <= _COUNT_MAX)
        rows = np.repeat(rows, lengths)
        if not good.all():
            rows, indexes, counts = rows[good], indexes[good], counts[good]
        if not len(indexes):
            return
        low, width = int(indexes.min()), int(np.ptp(indexes)) + 1
        added = np.bincount(rows * width + (indexes - low), counts, len(grains) * width)
        self._parts.append(_Part(grains, low, added.astype(np.uint32).reshape(-1, width)))
        self._kept += added.size
        if self._kept > self._room:
            self._coarsen()

    def _coarsen(self) -> None:
        self.grain_s *= 2
        for at, part in enumerate(self._parts):
            grains, first = np.unique(part.grains // 2, return_index=True)
            self._parts[at] = _Part(grains, part.low, np.add.reduceat(part.counts, first, axis=0, dtype=np.uint32))
        self._kept = sum(part.counts.size for part in self._parts)
        self._room = max(_KEPT_MAX, self._kept + self._kept // 4)

    def table(self) -> dict[str, NDArray[Any]]:
        """Returns what was counted, as columns: a row for each bucket of each grain of time that counted something."""
        columns: dict[str, list[NDArray[Any]]] = {name: [np.zeros(0, kind)] for name, kind in _TABLE.items()}
        for number, part in enumerate(self._parts):
            rows, buckets = np.nonzero(part.counts)
            each: tuple[NDArray[Any], ...] = (
                np.full(len(rows), number),
                part.grains[rows],
                buckets + part.low,
                part.counts[rows, buckets],
            )
            for (name, kind), values in zip(_TABLE.items(), each, strict=True):
                columns[name].append(values.astype(kind))
        return {name: np.concatenate(parts) for name, parts in columns.items()}

    @classmethod
    def of_table(cls, grain_s: int, table: Mapping[str, NDArray[Any]]) -> LatencySeconds:
        """Makes one of what `table` returned, for `stretches`; more can't be added."""
        found = cls()
        found.grain_s = grain_s
        bounds = np.flatnonzero(np.diff(table["part"], prepend=-1, append=-1))
        for first, end in pairwise(bounds.tolist()):
            grains, rows = np.unique(table["grain"][first:end], return_inverse=True)
            buckets = table["bucket"][first:end]
            low, width = int(buckets.min()), int(np.ptp(buckets)) + 1
            counts = np.zeros((len(grains), width), np.uint32)
            counts[rows, buckets - low] = table["count"][first:end]
            found._parts.append(_Part(grains, low, counts))
        return found

    def stretches(self, start_unix_s: int, end_unix_s: int, step_s: int) -> list[LatencyStretch]:
        """Stretches of `step_s` seconds from start to end, all multiples of `grain_s`. Each has the time of its
        middle, after the start.

        Stretches without operations are left out, except next to one with operations, where a line has to break: a
        clock that jumped by years must not make a list of all the seconds between.
        """
        if not self._parts:
            return []
        low = min(part.low for part in self._parts)
        width = max(part.low + part.counts.shape[1] for part in self._parts) - low
        found: dict[int, Floats] = {}
        for part in self._parts:
            seconds = part.grains * self.grain_s
            inside = (seconds >= start_unix_s) & (seconds < end_unix_s)
            own = slice(part.low - low, part.low - low + part.counts.shape[1])
            stretch_of = ((seconds[inside] - start_unix_s) // step_s).tolist()
            for stretch, row in zip(stretch_of, part.counts[inside], strict=True):
                if stretch not in found:
                    found[stretch] = np.zeros(width)
                found[stretch][own] += row
        percentiles = {each: _percentiles_us(counts, low) for each, counts in found.items() if counts.any()}
        last = math.ceil((end_unix_s - start_unix_s) / step_s)
        shown = {near for each in percentiles for near in (each - 1, each, each + 1) if 0 <= near < last}
        nothing = (None,) * len(_PER_MILLE)
        return [LatencyStretch((each + 0.5) * step_s, *percentiles.get(each, nothing)) for each in sorted(shown)]


def _read_pairs(buckets: Sequence[bytes | msgspec.Raw]) -> tuple[Whole, Whole, Whole]:
    """Returns the number of pairs in each document, and the indexes and counts of all pairs."""
    together = b",".join(buckets)
    characters = np.frombuffer(together, np.uint8)
    brackets = np.flatnonzero(characters == ord("["))
    # A document's own bracket follows the end of the document before, "]]," or "[],"; that of a pair "[", or "2],".
    before, before_that = (characters[np.maximum(brackets - back, 0)] for back in (1, 3))
    is_document = (brackets == 0) | ((before == ord(",")) & (before_that > ord("9")))
    documents, pairs = np.flatnonzero(is_document), brackets[~is_document]
    is_digit = characters - ord("0") < 10  # of 8 bits: what is less than "0" is large
    commas = np.flatnonzero((characters[1:] == ord(",")) & is_digit[:-1])
    lengths = np.diff(np.append(documents, len(brackets))) - 1
    digits = together.translate(None, b"[]")
    if not lengths.all():  # documents without pairs leave commas alone
        digits = re.sub(rb",{2,}", b",", digits).strip(b",")
    try:
        numbers = np.fromstring(digits, np.int64, sep=",") if digits else np.zeros(0, np.int64)
    except ValueError:
        return _read_pairs_one_by_one(buckets)
    if (
        len(documents) != len(buckets)
        or len(commas) != len(pairs)
        or len(numbers) != 2 * len(pairs)
        or bool((commas < pairs).any())
        or bool((commas[:-1] > pairs[1:]).any())
    ):
        return _read_pairs_one_by_one(buckets)
    return lengths, numbers[::2], numbers[1::2]


def _read_pairs_one_by_one(buckets: Sequence[bytes | msgspec.Raw]) -> tuple[Whole, Whole, Whole]:
    lengths, pairs = [], []
    for each in buckets:
        document = msgspec.json.decode(each)
        good = [pair for pair in document if _is_pair(pair)] if isinstance(document, list) else []
        lengths.append(len(good))
        pairs += good
    indexes, counts = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(lengths, np.int64), np.array(indexes, np.int64), np.array(counts, np.int64)


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(type(value) is int and 0 <= value <= WHOLE_MAX for value in pair)
    )


def _percentiles_us(counts: Floats, low: int) -> tuple[float, ...]:
    """Returns percentiles by nearest rank as in report/histogram.py, of the buckets from `low` on; within 1/256."""
    seen = np.cumsum(counts)
    total = int(seen[-1])
    ranks = [(total * per_mille + 999) // 1000 for per_mille in _PER_MILLE]
    return tuple(bucket_middle_ns(low + at) / 1000 for at in np.searchsorted(seen, ranks).tolist())
