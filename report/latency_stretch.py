"""Latency percentiles of a stretch of time, as a summary has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LatencyStretch:
    """Of the operations that ended in it; None: none did."""

    t_s: float
    p50_us: float | None
    p99_us: float | None
    p99_9_us: float | None
