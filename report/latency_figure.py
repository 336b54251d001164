"""Latency percentiles, a row for each cell, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from report.chart import Chart
from report.format import latency_us
from report.palette import COLOURS
from report.panels import as_it_is, category, layer, number, panel, tooltip
from report.vega import Spec

PERCENTILES = ("p50", "p95", "p99", "p99.9", "max")
_SHAPES = {"p50": "circle", "p95": "stroke", "p99": "square", "p99.9": "diamond", "max": "cross"}
_ROW_PIXELS = 21
_LABEL_PIXELS = 150


@dataclass(frozen=True)
class Row:
    words: str
    colour: str
    values_us: tuple[float | None, float | None, float | None, float | None, float | None]  # as PERCENTILES


@dataclass(frozen=True)
class Panel:
    title: str
    rows: Sequence[Row]


def percentiles_plot(shown: Sequence[Panel], *, caption: str, alt: str) -> Chart | None:
    """A chart of a panel for each of `shown`; None where there is none."""
    if not shown:
        return None
    return Chart(
        name="latency",
        title="Latency percentiles of each cell",
        caption=caption,
        alt=alt,
        panels=[_panel(each) for each in shown],
        axis_pixels=_LABEL_PIXELS,
    )


def _panel(shown: Panel) -> Spec:
    spans: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    unknown: list[dict[str, Any]] = []
    for row in shown.rows:
        known = [value / 1000 for value in row.values_us if value is not None]
        if not known:
            unknown.append({"row": row.words, "text": "not measured"})
            continue
        spans.append({"row": row.words, "low": min(known), "high": max(known), "colour": row.colour})
        points += [
            {"row": row.words, "ms": value / 1000, "of": name, "is": latency_us(value), "colour": row.colour}
            for name, value in zip(PERCENTILES, row.values_us, strict=True)
            if value is not None
        ]
    domain = [row.words for row in shown.rows]
    rows: Spec = {"field": "row", "type": "nominal", "title": None, "scale": {"domain": domain}}
    rows["axis"] = {"ticks": False, "domain": False}
    x = number("ms", log=True, axis={"format": "~r", "tickCount": 6, "labelOverlap": True})
    layers = []
    if unknown:
        at = {"y": rows, "x": {"value": 4}, "text": {"field": "text"}}
        layers.append(layer(unknown, "text", at, align="left", color=COLOURS["bad"]))
    if points:
        span = {"y": rows, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": as_it_is("colour")}
        layers.append(layer(spans, "rule", span, strokeWidth=1.4, opacity=0.5))
        channels = {
            "y": rows,
            "x": x,
            "shape": category("of", _SHAPES),
            "color": as_it_is("colour"),
            "tooltip": tooltip(row="cell", of="percentile", **{"is": "latency"}),
        }
        layers.append(layer(points, "point", channels, size=48, strokeWidth=1.5, opacity=1))
    return panel(shown.title, _ROW_PIXELS * max(len(shown.rows), 1), layers)
