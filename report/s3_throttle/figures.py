"""s3-throttle's figures: how near each mean came to its target, and the syncs over time, as rates and as bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from report.chart import Chart
from report.format import figure, percent
from report.panels import COLOURS, Spec, category, layer, number, one_of, panel, tooltip, zoom
from report.s3_throttle.cells import FREE
from report.s3_throttle.schema import Cell, Point, Summary
from report.s3_throttle.tables import WITHIN

_LOOKS = {
    "duty-cycle": ("square", COLOURS["orange"]),
    "closed-loop": ("circle", COLOURS["blue"]),
    "max-bandwidth": ("triangle-up", COLOURS["purple"]),
    "tc": ("diamond", COLOURS["good"]),
}
# A rate over less shows each burst and pause of the link; over more, the start of a sync is lost.
RATE_OVER_S = 1.0
_PANEL_PIXELS = 190


def accuracy_plot(summary: Summary) -> Chart | None:
    """Draws the mean over the target, by where the target lies."""
    found = [
        (cell, cell.mean_to_target_ratio, cell.target_to_free_ratio)
        for cell in summary.cells
        if cell.mean_to_target_ratio is not None and cell.target_to_free_ratio and cell.method in _LOOKS
    ]
    if not found:
        return None
    points = [
        {
            "percent": of_free * 100,
            "ratio": ratio,
            "method": cell.method,
            "what": cell.cell,
            "is": figure(ratio),
            "target": f"{figure(cell.target_mb_per_s)} MB/s, {percent(of_free)} of the free rate",
        }
        for cell, ratio, of_free in found
    ]
    off = max(WITHIN * 2, *(abs(ratio - 1) for _, ratio, _ in found)) * 1.15
    shown = {name: look for name, look in _LOOKS.items() if any(cell.method == name for cell, *_ in found)}
    x = number("percent", "target, % of the free rate", scale={"domain": [0, 100]})
    y = number("ratio", scale={"domain": [1 - off, 1 + off]})
    channels = {
        "x": x,
        "y": y,
        "shape": category("method", {name: shape for name, (shape, _) in shown.items()}),
        "color": category("method", {name: colour for name, (_, colour) in shown.items()}),
        "tooltip": tooltip(what="cell", target="target", **{"is": "mean / target"}),
    }
    held = [{"ratio": 1 - WITHIN, "high": 1 + WITHIN}]
    layers = [
        layer(held, "rect", {"y": y, "y2": {"field": "high"}}, color=COLOURS["rule"], opacity=0.6),
        layer([{"ratio": 1}], "rule", {"y": y}),
        layer(points, "point", channels, size=65, strokeWidth=1.6, opacity=1),
    ]
    return Chart(
        name="accuracy",
        title="Mean over target",
        caption=(
            f"1 is a cap that holds; the band is {percent(WITHIN)} either way. "
            "A duty cycle's target is run / (run + stop)."
        ),
        alt="The mean rate of each sync over its target, by the target's part of the free rate",
        panels=[panel("mean / target", 230, layers)],
        columns=1,
    )


def rates_plot(summary: Summary) -> Chart | None:
    """Draws the rate over time of each sync, by the network interface: a panel for each way."""
    panels = _over_time(
        summary, lambda cell: rates_over_time(cell.progress), lambda target, ends: [target for _ in ends], "MB/s"
    )
    if not panels:
        return None
    return Chart(
        name="rates",
        title="Rate over time, from the network interface",
        caption=(
            f"Each line is a sync: what it sent in the {RATE_OVER_S:g} s before, drawn every 100 ms. "
            "Dotted: the targets. Thin: the free sync."
        ),
        alt="The rate of each sync over time by the duty cycle, the closed loop, the CLI's own limit and tc",
        panels=panels,
        zooms=True,
    )


def progress_plot(summary: Summary) -> Chart | None:
    """Bytes over time from the network interface: a panel for each way, the targets as straight lines."""
    panels = _over_time(
        summary,
        lambda cell: [(point.t_s, point.mb) for point in cell.progress],
        lambda target, ends: [target * t for t in ends],
        "MB sent",
    )
    if not panels:
        return None
    return Chart(
        name="progress",
        title="Bytes over time, from the network interface",
        caption=(
            "Each line is a sync, looked at every 20 ms and drawn every 100 ms; the steeper, the higher its rate. "
            "Dotted: what its target would have sent. Thin: the free sync. Steps are bursts and pauses."
        ),
        alt="Bytes sent over time by the duty cycle, the closed loop, the CLI's own limit and tc, with their targets",
        panels=panels,
        zooms=True,
    )


def _over_time(
    summary: Summary,
    line: Callable[[Cell], list[tuple[float, float]]],
    target: Callable[[float, Sequence[float]], list[float]],
    unit: str,
) -> list[Spec]:
    """Draws a panel for each way that has a sync: the free sync, and each of its own with the target."""
    by_method: dict[str, list[Cell]] = {}
    for cell in summary.cells:
        if cell.progress:
            by_method.setdefault(cell.method, []).append(cell)
    shown = [method for method in _LOOKS if method in by_method]
    if not shown:
        return []
    longest = max(cell.progress[-1].t_s for method in shown for cell in by_method[method])
    x = number("t", "seconds since the first byte", scale={"domain": [0, longest]})
    y = number("value", scale={"zero": True, "nice": True})

    def drawn(cell: Cell, colour: Spec, width: float) -> Spec:
        rows: list[dict[str, Any]] = [{"t": round(t, 2), "value": float(f"{value:.4g}")} for t, value in line(cell)]
        tooltips = [
            {"field": "t", "title": "second", "type": "quantitative"},
            {"field": "value", "title": f"{cell.cell}, {unit}", "type": "quantitative"},
        ]
        return layer(rows, "line", {"x": x, "y": y, "color": colour, "tooltip": tooltips}, strokeWidth=width, clip=True)

    panels = []
    for method in shown:
        names = {"free": COLOURS["ink"], "target": COLOURS["bad"], method: _LOOKS[method][1]}
        layers = [drawn(cell, one_of("free", names), 1.0) for cell in by_method.get(FREE, [])[:1]]
        for cell in by_method[method]:
            if cell.target_mb_per_s is not None and cell.seconds is not None:
                ends = (0.0, cell.seconds)
                values = target(cell.target_mb_per_s, ends)
                rows = [{"t": t, "value": value, "line": cell.cell} for t, value in zip(ends, values, strict=True)]
                channels: Spec = {"x": x, "y": y, "color": one_of("target", names)}
                layers.append(layer(rows, "line", channels, strokeDash=[1.5, 3], strokeWidth=1.2, clip=True))
            layers.append(drawn(cell, one_of(method, names), 1.4))
        _legend_of_first(layers, names)
        layers[0]["params"] = zoom("x")
        panels.append(panel(f"{method}, {unit}", _PANEL_PIXELS, layers))
    return panels


def _legend_of_first(layers: Sequence[Spec], names: Mapping[str, str]) -> None:
    """Gives the panel one legend of what is in it, at the first of its layers."""
    used = [name for name in names if any(each["encoding"]["color"]["datum"] == name for each in layers)]
    scale = {"domain": used, "range": [names[name] for name in used]}
    for at, each in enumerate(layers):
        legend: Spec | None = {} if at == 0 else None
        each["encoding"]["color"] = {**each["encoding"]["color"], "scale": scale, "legend": legend}


def rates_over_time(progress: Sequence[Point]) -> list[tuple[float, float]]:
    """Returns the rate of what was sent in the RATE_OVER_S before each point; none until so much time has passed."""
    found, first = [], 0
    for point in progress:
        while point.t_s - progress[first].t_s > RATE_OVER_S * 1.0001:
            first += 1
        seconds = point.t_s - progress[first].t_s
        if seconds >= RATE_OVER_S * 0.9:
            found.append((point.t_s, (point.mb - progress[first].mb) / seconds))
    return found
