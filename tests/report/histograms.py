"""Makes histograms as the native worker keeps them, and writes them as it does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from report.histogram import BUCKETS_PER_OCTAVE, EXACT_BELOW_NS, Histogram


def bucket_index(value_ns: int) -> int:
    if value_ns < EXACT_BELOW_NS:
        return value_ns
    exponent = value_ns.bit_length() - 1
    return EXACT_BELOW_NS + (exponent - 8) * BUCKETS_PER_OCTAVE + (value_ns >> (exponent - 7)) - BUCKETS_PER_OCTAVE


def histogram_of(values_ns: Iterable[int]) -> Histogram:
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
    return Histogram(count, total, low, high, buckets)


def latency_json(histogram: Histogram) -> dict[str, Any]:
    return {
        "count": histogram.count,
        "sum": histogram.sum_ns,
        "min": histogram.min_ns,
        "max": histogram.max_ns,
        "buckets": [[index, n] for index, n in sorted(histogram.buckets.items())],
    }
