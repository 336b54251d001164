"""The native worker's latency histograms: decoded, merged without loss, read as percentiles.

Layout (docs/interfaces.md, "The native worker"): a value below 256 ns has a bucket of its own; above that, each power
of two is divided into 128 equal buckets. A bucket stands for its middle, so a percentile is within RELATIVE_ERROR_MAX
of the true latency.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from report.missing import known

EXACT_BELOW_NS = 256
BUCKETS_PER_OCTAVE = 128
RELATIVE_ERROR_MAX = 1 / 256

_FIRST_EXPONENT = 8
_LAST_EXPONENT = 63
BUCKET_COUNT = EXACT_BELOW_NS + (_LAST_EXPONENT - _FIRST_EXPONENT + 1) * BUCKETS_PER_OCTAVE

_Whole = Annotated[int, Meta(ge=0)]
_PAIRS = list[tuple[_Whole, _Whole]]


class HistogramError(ValueError):
    """A latency_ns document is damaged."""


def bucket_bounds_ns(index: int) -> tuple[int, int]:
    """Returns the bucket's lowest value, and the lowest value above it."""
    if not 0 <= index < BUCKET_COUNT:
        raise HistogramError(f"bucket {index}: indexes go from 0 to {BUCKET_COUNT - 1}")
    if index < EXACT_BELOW_NS:
        return index, index + 1
    octave, step = divmod(index - EXACT_BELOW_NS, BUCKETS_PER_OCTAVE)
    low = (BUCKETS_PER_OCTAVE + step) << (octave + 1)
    return low, low + (1 << (octave + 1))


def bucket_middle_ns(index: int) -> int:
    low, above = bucket_bounds_ns(index)
    return low + (above - low) // 2


@dataclass(frozen=True)
class Histogram:
    count: int
    sum_ns: int
    min_ns: int | None
    max_ns: int | None
    buckets: Mapping[int, int]

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Histogram:
        """Reads a `latency_ns` document. Raises HistogramError if it is damaged."""
        count, total = _whole(document, "count"), _whole(document, "sum")
        low = high = None
        if count > 0:
            low, high = _whole(document, "min"), _whole(document, "max")
            if low > high:
                raise HistogramError(f"latency_ns: min {low} is above max {high}")
        buckets: dict[int, int] = {}
        for index, n in _pairs(document.get("buckets")):
            if index >= BUCKET_COUNT:
                raise HistogramError(f"latency_ns.buckets: index {index} is above {BUCKET_COUNT - 1}")
            buckets[index] = buckets.get(index, 0) + n
        if sum(buckets.values()) != count:
            raise HistogramError(f"latency_ns: the buckets hold {sum(buckets.values())} operations, count is {count}")
        return cls(count, total, low, high, buckets)

    def percentile_ns(self, percent: float) -> int | None:
        """Returns the nearest-rank percentile; None for an empty histogram.

        At least `percent` of the operations took this long or less. Kept between the exact min and max.
        """
        if not 0 < percent <= 100:
            raise ValueError(f"percentile {percent}: above 0, at most 100")
        if self.count == 0 or self.min_ns is None or self.max_ns is None:
            return None
        rank = max(1, math.ceil(Fraction(str(percent)) * self.count / 100))
        if rank == self.count:
            return self.max_ns
        seen = 0
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            if seen >= rank:
                return min(max(bucket_middle_ns(index), self.min_ns), self.max_ns)
        return self.max_ns


def merge(histograms: Iterable[Histogram]) -> Histogram:
    parts = list(histograms)
    buckets: Counter[int] = Counter()
    for part in parts:
        buckets.update(part.buckets)
    return Histogram(
        sum(part.count for part in parts),
        sum(part.sum_ns for part in parts),
        min(known(part.min_ns for part in parts), default=None),
        max(known(part.max_ns for part in parts), default=None),
        buckets,
    )


def _pairs(value: Any) -> list[tuple[int, int]]:
    if not isinstance(value, list):
        raise HistogramError("latency_ns.buckets is not a list")
    try:
        return msgspec.convert(value, _PAIRS)
    except msgspec.ValidationError:
        raise HistogramError("latency_ns.buckets: each must be [index, count]") from None


def _whole(document: dict[str, Any], key: str) -> int:
    value = document.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise HistogramError(f"latency_ns.{key} must be a whole number, not {value!r}")
    return value
