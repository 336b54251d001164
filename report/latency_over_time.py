"""Latency percentiles of each second or stretch of several, from the histograms of every host's intervals, merged."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from report.format import latency_us
from report.histogram import BUCKET_COUNT, bucket_middle_ns
from report.intervals import Floats, Interval, Intervals, Whole
from report.latency_stretch import LatencyStretch
from report.palette import COLOURS
from report.panels import UNSEEN_OPACITY, layer, number, one_of, panel, tooltip, zoom
from report.runs import WHOLE_MAX
from report.vega import Spec

# More of them are a burden on the page, and closer than a pointer can tell apart.
POINTED_MAX = 1500
DOTTED_MAX = 400
_SHADES = {"p50": COLOURS["blue"], "p99": COLOURS["orange"], "p99.9": COLOURS["bad"]}
# Of one bucket of one interval: what is beyond is damage.
_COUNT_MAX = 1 << 40
_NOTHING = np.zeros(0, np.int64)
_PER_MILLE = {"p50": 500, "p99": 990, "p99.9": 999}


class LatencySeconds:
    """Histograms by whole second: what a run of any length needs of them. Merging adds counts, so nothing is lost."""

    def __init__(self, on_one_clock: Callable[[str, Floats], Floats] = lambda _, t: t) -> None:
        self._on_one_clock = on_one_clock
        # second * BUCKET_COUNT + bucket, ascending, and what was counted there.
        self._parts: list[tuple[Whole, Whole]] = []

    def add(self, host: str, t_start_unix_s: float, t_end_unix_s: float, latency: Any) -> None:
        """A latency_ns document; one that is damaged is left out, as its record is by whoever reads that."""
        buckets = latency.get("buckets") if isinstance(latency, dict) else None
        one = Intervals.of([Interval(host, t_start_unix_s, t_end_unix_s, 0, 0, {}, None, None)])
        self.add_all(one, [msgspec.json.encode(buckets)])

    def add_all(self, intervals: Intervals, buckets: Sequence[bytes | msgspec.Raw]) -> None:
        """`buckets` are each interval's pairs of index and count, as JSON; pairs that are damaged are left out."""
        lengths, indexes, counts = _read_pairs(buckets)
        middles = (intervals.t_start_unix_s + intervals.t_end_unix_s) / 2
        for code, host in enumerate(intervals.names):
            those = intervals.host == code
            middles[those] = self._on_one_clock(host, middles[those])
        seconds = np.repeat(np.floor(middles).astype(np.int64), lengths)
        good = (indexes >= 0) & (indexes < BUCKET_COUNT) & (counts > 0) & (counts <= _COUNT_MAX)
        self._parts.append(_added_up(seconds[good] * BUCKET_COUNT + indexes[good], counts[good]))

    def stretches(self, start_unix_s: int, end_unix_s: int, step_s: int) -> list[LatencyStretch]:
        """From start to end, `step_s` whole seconds each; times are since the start, of a stretch's middle.

        Those without operations are there beside those with, where a line has to break, and left out beyond: a clock
        that jumped by years makes no list of all the seconds between.
        """
        if not self._parts:
            return []
        keys = np.concatenate([keys for keys, _ in self._parts])
        counts = np.concatenate([counts for _, counts in self._parts])
        seconds = keys // BUCKET_COUNT
        inside = (seconds >= start_unix_s) & (seconds < end_unix_s)
        of_stretch = (seconds[inside] - start_unix_s) // step_s
        keys, counts = _added_up(of_stretch * BUCKET_COUNT + keys[inside] % BUCKET_COUNT, counts[inside])
        numbers, first = np.unique(keys // BUCKET_COUNT, return_index=True)
        columns = [_percentiles_us(keys % BUCKET_COUNT, counts, first, per_mille) for per_mille in _PER_MILLE.values()]
        found = dict(zip(numbers.tolist(), zip(*columns, strict=True), strict=True))
        last = math.ceil((end_unix_s - start_unix_s) / step_s)
        shown = {near for number in found for near in (number - 1, number, number + 1) if 0 <= near < last}
        nothing = (None,) * len(_PER_MILLE)
        return [LatencyStretch((number + 0.5) * step_s, *found.get(number, nothing)) for number in sorted(shown)]


def _read_pairs(buckets: Sequence[bytes | msgspec.Raw]) -> tuple[Whole, Whole, Whole]:
    """How many pairs each document has, and the indexes and the counts of all of them."""
    if not buckets:
        return _NOTHING, _NOTHING, _NOTHING
    together = b",".join(buckets).translate(None, b" \t\r\n")
    outside = together.translate(None, b"0123456789").replace(b"[,],", b"").replace(b"[,]", b"")
    if outside != b",".join([b"[]"] * len(buckets)):
        return _read_pairs_one_by_one(buckets)
    digits = re.sub(r",{2,}", ",", together.translate(None, b"[]").decode()).strip(",")
    numbers = np.fromstring(digits, np.int64, sep=",") if digits else _NOTHING
    characters = np.frombuffer(together, np.uint8)
    brackets = np.flatnonzero(characters == ord("["))
    # Before a document's own bracket stands the end of the one before, "]]," or "[],"; before a pair's "[", or "2],".
    before, before_that = (characters[np.maximum(brackets - back, 0)] for back in (1, 3))
    is_document = (brackets == 0) | ((before == ord(",")) & (before_that > ord("9")))
    lengths = np.diff(np.append(np.flatnonzero(is_document), len(brackets))) - 1
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


def _percentiles_us(indexes: Whole, counts: Whole, first: Whole, per_mille: int) -> list[float]:
    """Of each stretch, whose buckets begin at `first`: by nearest rank, as report/histogram.py; of each bucket its
    middle, within 1/256.
    """
    seen = np.cumsum(counts)
    before = seen[first] - counts[first]
    total = np.append(before[1:], seen[-1:]) - before
    rank = (total * per_mille + 999) // 1000
    return [bucket_middle_ns(index) / 1000 for index in indexes[np.searchsorted(seen, before + rank)].tolist()]


def _added_up(keys: Whole, counts: Whole) -> tuple[Whole, Whole]:
    """Each key once, ascending, with the sum of its counts."""
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))[: len(keys)]
    return keys[first], np.add.reduceat(counts, first) if len(first) else counts


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
        layers.append(layer(rows, "line", along, strokeWidth=1.3, clip=True))
        # A second between two gaps is seen by its dot alone; of many, a dot for each would be most of the drawing.
        dotted = rows if len(rows) <= DOTTED_MAX else _between_gaps(rows)
        dot: Spec = {"x": x, "y": y, "color": {"value": _SHADES[name]}}
        layers.append(layer(dotted, "point", dot, size=9, strokeWidth=0, filled=True, opacity=1, clip=True))
        if told:
            pointed: Spec = {"x": x, "y": y, "tooltip": tooltip(**{"is": name})}
            layers.append(layer(rows, "point", pointed, size=50, filled=True, opacity=UNSEEN_OPACITY, clip=True))
    return panel(title, 170, layers)


def _between_gaps(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = [False, *(row["ms"] is not None for row in rows), False]
    return [row for at, row in enumerate(rows, 1) if known[at] and not known[at - 1] and not known[at + 1]]
