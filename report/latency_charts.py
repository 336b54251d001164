"""Charts of latency percentiles on a logarithmic scale: a row for each cell, and lines over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from report.chart import Chart
from report.format import latency_us
from report.panels import (
    COLOURS,
    TOOLTIPS_MAX,
    Spec,
    category,
    colour_in,
    layer,
    number,
    one_of,
    panel,
    rows_axis,
    tooltip,
    tooltip_points,
    zoom,
)
from report.summary import LatencyPercentiles, LatencyStretch

_SHAPES = {"p50": "circle", "p95": "stroke", "p99": "square", "p99.9": "diamond", "max": "cross"}
_ROW_PIXELS = 21
_LABEL_PIXELS = 150
DOTTED_MAX = 400
_SHADES = {"p50": COLOURS["blue"], "p99": COLOURS["orange"], "p99.9": COLOURS["bad"]}


@dataclass(frozen=True)
class Row:
    label: str
    colour: str
    latencies: LatencyPercentiles


@dataclass(frozen=True)
class Panel:
    title: str
    rows: Sequence[Row]


def percentiles_plot(shown: Sequence[Panel], *, caption: str, alt: str) -> Chart | None:
    """Draws the percentiles, a panel for each of `shown`; None if there is none."""
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
        values_us = {name: getattr(row.latencies, f"latency_{name.replace('.', '_')}_us") for name in _SHAPES}
        of_row = [
            {"row": row.label, "ms": us / 1000, "of": name, "is": latency_us(us), "colour": row.colour}
            for name, us in values_us.items()
            if us is not None
        ]
        if of_row:
            low, high = min(each["ms"] for each in of_row), max(each["ms"] for each in of_row)
            spans.append({"row": row.label, "low": low, "high": high, "colour": row.colour})
            points += of_row
        else:
            unknown.append({"row": row.label, "text": "not measured"})
    rows = rows_axis("row", [row.label for row in shown.rows])
    x = number("ms", log=True, axis={"format": "~r", "tickCount": 6, "labelOverlap": True})
    text = {"y": rows, "x": {"value": 4}, "text": {"field": "text"}}
    span = {"y": rows, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour_in("colour")}
    point = {
        "y": rows,
        "x": x,
        "shape": category("of", _SHAPES),
        "color": colour_in("colour"),
        "tooltip": tooltip(row="cell", of="percentile", **{"is": "latency"}),
    }
    layers = [
        layer(unknown, "text", text, align="left", color=COLOURS["bad"]),
        layer(spans, "rule", span, strokeWidth=1.4, opacity=0.5),
        layer(points, "point", point, size=48, strokeWidth=1.5, opacity=1),
    ]
    return panel(shown.title, _ROW_PIXELS * max(len(shown.rows), 1), layers)


def latency_panel(title: str, stretches: list[LatencyStretch], x: Spec) -> Spec | None:
    """Lines over time on a logarithmic scale, a gap where no operation ended; None where none ever did."""
    if all(each.p50_us is None for each in stretches):
        return None
    y = number("ms", log=True, axis={"format": "~r", "labelOverlap": True})
    layers: list[Spec] = []
    for name in _SHADES:
        field = f"{name.replace('.', '_')}_us"
        values = [(each.t_s, getattr(each, field)) for each in stretches]
        with_tooltips = len(values) <= TOOLTIPS_MAX
        rows = [
            {
                "t": t,
                "ms": None if us is None else float(f"{us / 1000:.4g}"),
                **({"is": latency_us(us)} if with_tooltips else {}),
            }
            for t, us in values
        ]
        channels: Spec = {"x": x, "y": y, "color": one_of(name, _SHADES)}
        if not layers:
            channels["params"] = zoom("x")
        layers.append(layer(rows, "line", channels, strokeWidth=1.3, clip=True))
        # A second between two gaps has no line, only its dot. Of many seconds, all dots would be most of the file.
        dotted = rows if len(rows) <= DOTTED_MAX else _between_gaps(rows)
        dot: Spec = {"x": x, "y": y, "color": {"value": _SHADES[name]}}
        layers.append(layer(dotted, "point", dot, size=9, strokeWidth=0, filled=True, opacity=1, clip=True))
        if with_tooltips:
            layers.append(tooltip_points(rows, x, y, tooltip(**{"is": name})))
    return panel(title, 170, layers)


def _between_gaps(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = [False, *(row["ms"] is not None for row in rows), False]
    return [row for at, row in enumerate(rows, 1) if known[at] and not known[at - 1] and not known[at + 1]]
