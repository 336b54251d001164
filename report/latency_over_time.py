"""The panel of latency percentiles over time."""

from __future__ import annotations

from typing import Any

from report.format import latency_us
from report.latency_stretch import LatencyStretch
from report.palette import COLOURS
from report.panels import POINTED_MAX, UNSEEN_OPACITY, layer, number, one_of, panel, tooltip, zoom
from report.vega import Spec

DOTTED_MAX = 400
_SHADES = {"p50": COLOURS["blue"], "p99": COLOURS["orange"], "p99.9": COLOURS["bad"]}


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
