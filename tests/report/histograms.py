"""Makes histograms as the native worker keeps them, and writes them as it does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def histogram_of_array(values_ns: NDArray[np.int64]) -> Histogram:
    """The same, of many latencies at once; each is below 2^53, which a float holds."""
    if not len(values_ns):
        return histogram_of(())
    exponents = np.maximum(np.frexp(values_ns.astype(np.float64))[1].astype(np.int64) - 1, 8)
    above = EXACT_BELOW_NS + (exponents - 8) * BUCKETS_PER_OCTAVE + (values_ns >> (exponents - 7)) - BUCKETS_PER_OCTAVE
    indices, counts = np.unique(np.where(values_ns < EXACT_BELOW_NS, values_ns, above), return_counts=True)
    low, high = int(values_ns.min()), int(values_ns.max())
    buckets = dict(zip(indices.tolist(), counts.tolist(), strict=True))
    return Histogram(len(values_ns), int(values_ns.sum()), low, high, buckets)


def latency_json(histogram: Histogram) -> dict[str, Any]:
    return {
        "count": histogram.count,
        "sum": histogram.sum_ns,
        "min": histogram.min_ns,
        "max": histogram.max_ns,
        "buckets": [[index, n] for index, n in sorted(histogram.buckets.items())],
    }
