"""iscsi-tunnel's figures: the rates side by side, and the lost connection in time."""

from __future__ import annotations

from typing import Any

from report.chart import Chart
from report.format import figure, latency_us
from report.iscsi_tunnel.schema import Cell, Summary
from report.panels import COLOURS as SHADES
from report.panels import Spec, colour_in, layer, number, one_of, panel, rows_axis, tooltip, zoom

COLOURS = {"tunnel": SHADES["blue"], "direct": SHADES["orange"], "ssh": SHADES["purple"]}
_LABELS = {"tunnel": "tunnel", "direct": "iSCSI alone", "ssh": "ssh alone"}
_LOSSES = {"ssh-killed": ("ssh killed", SHADES["blue"]), "path-cut": ("path cut", SHADES["orange"])}
# By pattern: the panel's title, and the unit of its bars.
_PANELS = {
    "sequential": ("sequential", "MiB/s"),
    "random": ("random", "operations/s"),
    "single": ("one request at a time", "ms (median)"),
}
_ROW_PIXELS = 26


def rates_plot(summary: Summary) -> Chart | None:
    """Bars by path, a group for each operation: a stream's MiB/s, operations a second of many, the latency of one."""
    shown = [cell for cell in summary.cells if cell.mib_per_s is not None]
    patterns = [p for p in _PANELS if any(cell.pattern == p for cell in shown)]
    if not patterns:
        return None
    return Chart(
        name="tunnel-rates",
        title="The same disk through the tunnel and without it",
        caption="ssh alone moves zeros from memory to nowhere over one connection, between the same two hosts.",
        alt="Rates of reading and writing, through the tunnel, by iSCSI alone, and by ssh alone",
        panels=[_bars([cell for cell in shown if cell.pattern == pattern], pattern) for pattern in patterns],
        axis_pixels=130,
    )


def _bars(cells: list[Cell], pattern: str) -> Spec:
    title, unit = _PANELS[pattern]
    rows: list[dict[str, Any]] = [
        {
            "row": f"{cell.op}, {_LABELS[cell.path]}",
            "rate": value,
            "text": figure(value),
            "is": f"{figure(value)} {unit}",
            "p99": latency_us(cell.latency_p99_us),
            "colour": COLOURS[cell.path],
        }
        for cell in cells
        for value in [_value(cell)]
    ]
    top = max(row["rate"] for row in rows) * 1.2 or 1.0
    y = rows_axis("row", [row["row"] for row in rows])
    x = number("rate", scale={"domain": [0, top]})
    tooltips = tooltip(row="cell", p99="p99", **{"is": "rate"})
    layers = [
        layer(rows, "bar", {"x": x, "y": y, "color": colour_in("colour"), "tooltip": tooltips}),
        layer(rows, "text", {"x": x, "y": y, "text": {"field": "text"}}, align="left", dx=4),
    ]
    return panel(f"{title}, {unit}", _ROW_PIXELS * len(rows), layers)


def _value(cell: Cell) -> float:
    if cell.pattern == "single":
        return (cell.latency_p50_us or 0.0) / 1000
    return (cell.mib_per_s if cell.pattern == "sequential" else cell.iops) or 0.0


def losses_plot(summary: Summary) -> Chart | None:
    """Reads a second around the moment at which the connection was lost."""
    if not summary.timeline:
        return None
    x = number("t", "seconds since the connection was lost")
    y = number("rate", scale={"zero": True, "nice": True})
    ways = list(dict.fromkeys(second.how for second in summary.timeline))
    names = {how: _LOSSES.get(how, (how, SHADES["ink"])) for how in ways}
    layers: list[Spec] = []
    for how in ways:
        rows = [
            {"t": second.t_s, "rate": second.iops, "is": figure(second.iops)}
            for second in summary.timeline
            if second.how == how
        ]
        channels: Spec = {"x": x, "y": y, "color": one_of(names[how][0], dict(names.values()))}
        channels["tooltip"] = tooltip(**{"is": f"reads/s, {names[how][0]}"})
        if not layers:
            channels["params"] = zoom("x")
        dots = {"size": 14, "strokeWidth": 0, "filled": True}
        layers.append(layer(rows, "line", channels, strokeWidth=1.6, clip=True, point=dots))
    layers.append(layer([{"t": 0}], "rule", {"x": x}, color=SHADES["bad"], strokeDash=[5, 3], strokeWidth=1.2))
    return Chart(
        name="tunnel-losses",
        title="The connection lost, second by second",
        caption="Random reads of 4 KiB. What was under way waits, and is answered when the tunnel is back.",
        alt="Reads per second before, while and after the connection is lost",
        panels=[panel("reads per second", 200, layers)],
        columns=1,
        zooms=True,
    )
