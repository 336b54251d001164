"""Latency percentiles of each second or stretch of several, from the histograms of every host's intervals, merged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from report.format import latency_us
from report.histogram import BUCKET_COUNT, bucket_middle_ns
from report.palette import COLOURS
from report.panels import layer, number, one_of, panel, tooltip, zoom
from report.vega import Spec

# More of them are a burden on the page, and closer than a pointer can tell apart.
POINTED_MAX = 1500
_SHADES = {"p50": COLOURS["blue"], "p99": COLOURS["orange"], "p99.9": COLOURS["bad"]}
_PERCENTS = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}


@dataclass(frozen=True)
class LatencyStretch:
    """Of the operations that ended in it; None: none did."""

    t_s: float
    p50_us: float | None
    p99_us: float | None
    p99_9_us: float | None


class LatencySeconds:
    """Histograms by whole second: what a run of any length needs of them. Merging adds counts, so nothing is lost."""

    def __init__(self, on_one_clock: Callable[[str, float], float] = lambda _, t: t) -> None:
        self._on_one_clock = on_one_clock
        self._seconds: dict[int, dict[int, int]] = {}

    def add(self, host: str, t_start_unix_s: float, t_end_unix_s: float, latency: Any) -> None:
        """A latency_ns document; one that is damaged is left out, as its record is by whoever reads that."""
        middle = self._on_one_clock(host, (t_start_unix_s + t_end_unix_s) / 2)
        counts = self._seconds.setdefault(int(middle), {})
        pairs = latency.get("buckets") if isinstance(latency, dict) else None
        for pair in pairs if isinstance(pairs, list) else []:
            if isinstance(pair, list) and len(pair) == 2 and type(pair[0]) is type(pair[1]) is int:
                index, count = pair
                if 0 <= index < BUCKET_COUNT and count > 0:
                    counts[index] = counts.get(index, 0) + count

    def stretches(self, start_unix_s: int, end_unix_s: int, step_s: int) -> list[LatencyStretch]:
        """From start to end, `step_s` whole seconds each; times are since the start, of a stretch's middle.

        Those without operations are there beside those with, where a line has to break, and left out beyond: a clock
        that jumped by years makes no list of all the seconds between.
        """
        merged: dict[int, dict[int, int]] = {}
        for second, counts in self._seconds.items():
            if start_unix_s <= second < end_unix_s and counts:
                into = merged.setdefault((second - start_unix_s) // step_s, {})
                for index, count in counts.items():
                    into[index] = into.get(index, 0) + count
        last = math.ceil((end_unix_s - start_unix_s) / step_s)
        numbers = {near for number in merged for near in (number - 1, number, number + 1) if 0 <= near < last}
        return [
            LatencyStretch(
                (number + 0.5) * step_s,
                *(_percentile_us(merged.get(number, {}), percent) for percent in _PERCENTS.values()),
            )
            for number in sorted(numbers)
        ]


def _percentile_us(counts: dict[int, int], percent: float) -> float | None:
    """By nearest rank, as report/histogram.py; of each bucket its middle, within 1/256."""
    rank = percent / 100 * sum(counts.values())
    seen = 0
    for index in sorted(counts):
        seen += counts[index]
        if seen >= rank:
            return bucket_middle_ns(index) / 1000
    return None


def latency_panel(title: str, stretches: list[LatencyStretch], x: Spec) -> Spec | None:
    """Lines over time on a logarithmic scale, a gap where no operation ended; None where none ever did."""
    if all(each.p50_us is None for each in stretches):
        return None
    y = number("ms", log=True, axis={"format": "~r", "labelOverlap": True})
    layers: list[Spec] = []
    for name in _SHADES:
        field = f"{name.replace('.', '_')}_us"
        values = [(each.t_s, getattr(each, field)) for each in stretches]
        told = len(values) <= POINTED_MAX
        rows = [
            {
                "t": t,
                "ms": None if us is None else float(f"{us / 1000:.4g}"),
                **({"is": latency_us(us)} if told else {}),
            }
            for t, us in values
        ]
        along: Spec = {"x": x, "y": y, "color": one_of(name, _SHADES)}
        if not layers:
            along["params"] = zoom("x")
        dots: dict[str, Any] = {}
        if told:
            along["tooltip"] = tooltip(**{"is": name})
            # A second between two gaps is seen by its dot alone.
            dots = {"point": {"size": 9, "strokeWidth": 0, "filled": True}}
        layers.append(layer(rows, "line", along, strokeWidth=1.3, clip=True, **dots))
    return panel(title, 170, layers)
