"""The native worker's latency histograms: decoded, merged exactly, read as percentiles.

Layout (docs/interfaces.md, "The native worker"): a value below 256 ns has a bucket of its own; above that,
each power of two is cut into 128 equal buckets. A bucket is read as its middle, so a percentile is within
RELATIVE_ERROR_MAX of the latency that was there. Merging adds counts: it loses nothing, in any order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

import msgspec
from msgspec import Meta

EXACT_BELOW_NS = 256
BUCKETS_PER_OCTAVE = 128
RELATIVE_ERROR_MAX = 1 / 256

_FIRST_EXPONENT = 8
_LAST_EXPONENT = 63
BUCKET_COUNT = EXACT_BELOW_NS + (_LAST_EXPONENT - _FIRST_EXPONENT + 1) * BUCKETS_PER_OCTAVE

_Whole = Annotated[int, Meta(ge=0)]
_PAIRS = list[tuple[_Whole, _Whole]]


class HistogramError(ValueError):
    """A latency_ns document that is not as the contract says."""


def bucket_index(value_ns: int) -> int:
    if value_ns < 0:
        raise HistogramError(f"latency {value_ns} ns: a latency can't be negative")
    if value_ns < EXACT_BELOW_NS:
        return value_ns
    exponent = value_ns.bit_length() - 1
    if exponent > _LAST_EXPONENT:
        raise HistogramError(f"latency {value_ns} ns: more than 64 bits")
    return (
        EXACT_BELOW_NS
        + (exponent - _FIRST_EXPONENT) * BUCKETS_PER_OCTAVE
        + ((value_ns >> (exponent - 7)) - BUCKETS_PER_OCTAVE)
    )


def bucket_bounds_ns(index: int) -> tuple[int, int]:
    """The bucket's lowest value, and the lowest value above it."""
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
    def empty(cls) -> Histogram:
        return cls(0, 0, None, None, {})

    @classmethod
    def of(cls, values_ns: Iterable[int]) -> Histogram:
        """The histogram that the worker would have kept of these latencies."""
        buckets: dict[int, int] = {}
        count = total = 0
        low: int | None = None
        high: int | None = None
        for value in values_ns:
            index = bucket_index(value)
            buckets[index] = buckets.get(index, 0) + 1
            count += 1
            total += value
            low = value if low is None else min(low, value)
            high = value if high is None else max(high, value)
        return cls(count, total, low, high, buckets)

    @classmethod
    def from_json(cls, document: Any) -> Histogram:
        """Read a `latency_ns` document; HistogramError says what is wrong with it."""
        if not isinstance(document, dict):
            raise HistogramError("latency_ns is not an object")
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

    def to_json(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "sum": self.sum_ns,
            "min": self.min_ns,
            "max": self.max_ns,
            "buckets": [[index, n] for index, n in sorted(self.buckets.items())],
        }

    def merge(self, other: Histogram) -> Histogram:
        buckets = dict(self.buckets)
        for index, n in other.buckets.items():
            buckets[index] = buckets.get(index, 0) + n
        return Histogram(
            self.count + other.count,
            self.sum_ns + other.sum_ns,
            _of_known(min, self.min_ns, other.min_ns),
            _of_known(max, self.max_ns, other.max_ns),
            buckets,
        )

    def percentile_ns(self, percent: float) -> int | None:
        """The nearest-rank percentile; None of an empty histogram.

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
    merged = Histogram.empty()
    for histogram in histograms:
        merged = merged.merge(histogram)
    return merged


def _pairs(value: Any) -> list[tuple[int, int]]:
    if not isinstance(value, list):
        raise HistogramError("latency_ns.buckets is not a list")
    try:
        return msgspec.convert(value, _PAIRS)
    except msgspec.ValidationError:
        raise HistogramError("latency_ns.buckets: each must be [index, count]") from None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _whole(document: dict[str, Any], key: str) -> int:
    value = document.get(key)
    if not _is_whole(value):
        raise HistogramError(f"latency_ns.{key} must be a whole number, not {value!r}")
    assert isinstance(value, int)
    return value


def _of_known(choose: Any, a: int | None, b: int | None) -> int | None:
    known = [value for value in (a, b) if value is not None]
    return choose(known) if known else None
