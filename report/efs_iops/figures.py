"""efs-iops' figures of the cells: operations over writers, and latency percentiles."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from report.chart import Chart
from report.claims import Claim, Point
from report.efs_iops.cells import OPS
from report.efs_iops.labels import at_once, in_order, request_size
from report.efs_iops.schema import Cell, OperationLimits, Summary
from report.format import figure, latency_us
from report.latency_charts import Panel, Row, percentiles_plot
from report.panels import (
    COLOURS,
    STAR,
    Spec,
    category,
    colour_in,
    layer,
    number,
    panel,
    tooltip,
)

_OP_COLOURS = {"write": COLOURS["orange"], "read": COLOURS["blue"]}
_HOST_COLOURS = {1: COLOURS["blue"], 2: COLOURS["orange"]}
_MORE_HOSTS_COLOUR = COLOURS["good"]
_SIZE_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
# More rows than this a figure can't show apart; the table has them all.
LATENCY_ROWS_MAX = 36


def iops_plot(summary: Summary, claims: Sequence[Claim]) -> Chart | None:
    """Draws the plateau, the knee and what was published, for each operation."""
    fixed = {op: [c for c in summary.cells if c.op == op and c.pattern == "fixed"] for op in OPS}
    shown = [op for op in OPS if any(cell.ops_per_s is not None for cell in fixed[op])]
    if not shown:
        return None
    limits = [found.limit_ops_per_s for found in (summary.limits.write, summary.limits.read)]
    limit = "Where it meets the limit found (dashed) is the knee."
    if all(each is None for each in limits):
        limit = "No limit was found: a plateau of two numbers of writers or more."
    points = [(claim.published.date, point) for claim in claims for point in claim.published.points]
    panels = [
        _iops_panel(
            op,
            fixed[op],
            summary.limits.write if op == "write" else summary.limits.read,
            [(date, point) for date, point in points if point.of.split(",")[0] == op],
        )
        for op in shown
    ]
    return Chart(
        name="iops",
        title="Operations a second over writers",
        caption=(
            "Writers of all hosts together, logarithmic; each has one operation under way. Lines are means over the "
            f"request sizes. Dotted: what one writer makes, times the writers. {limit} "
            "Stars: what the original experiment published."
        ),
        alt="Operations a second over the number of writers, with the limit found, the knee and the published points",
        panels=panels,
    )


def _iops_panel(op: str, cells: Sequence[Cell], found: OperationLimits, published: Sequence[tuple[str, Point]]) -> Spec:
    measured = [cell for cell in cells if cell.ops_per_s is not None]
    hosts = {number: _hosts(number) for number in sorted({len(cell.hosts) for cell in measured})}
    sizes = sorted({cell.request_bytes for cell in measured})
    writers = [cell.total_writers for cell in cells] + [point.x for _, point in published]
    rates = [cell.ops_per_s or 0.0 for cell in measured]
    top = max([*rates, *(point.y for _, point in published)]) * 1.18
    ticks = sorted({cell.total_writers for cell in cells})
    domain = [min(writers) / 1.25, max(writers) * 1.35]
    axis = {"values": ticks, "format": "d", "labelOverlap": True}
    x = number("writers", "writers", log=True, scale={"domain": domain}, axis=axis)
    y = number("rate", scale={"domain": [0, top]})
    shades = {words: _HOST_COLOURS.get(number, _MORE_HOSTS_COLOUR) for number, words in hosts.items()}
    layers = _limit_layers(found, x, y, min(max(writers), top / (found.one_writer_ops_per_s or math.inf)))
    layers.append(
        layer(_means(measured), "line", {"x": x, "y": y, "color": category("hosts", shades)}, strokeWidth=1.8)
    )
    shapes = {request_size(size): _SIZE_SHAPES[n % len(_SIZE_SHAPES)] for n, size in enumerate(sizes)}
    shapes |= dict.fromkeys(sorted({f"published {date}" for date, _ in published}), STAR)
    points: list[dict[str, Any]] = [_point(cell) for cell in measured]
    points += [
        {
            "writers": point.x,
            "rate": point.y,
            "shape": f"published {date}",
            "colour": COLOURS["purple"],
            "fill": COLOURS["paper"],
            "what": f"published {date}: {point.of}",
            "words": f"{figure(point.y)} op/s",
        }
        for date, point in published
    ]
    channels = {
        "x": x,
        "y": y,
        "shape": category("shape", shapes),
        "color": colour_in("colour"),
        "fill": colour_in("fill"),
        "size": {"condition": {"test": "indexof(datum.shape, 'published') == 0", "value": 90}, "value": 42},
        "tooltip": tooltip(what="cell", words="rate", writers="writers", limit="limited by", p99="p99"),
    }
    layers.append(layer(points, "point", channels, strokeWidth=1.4, opacity=1))
    return panel(f"{op}, operations/s", 300, layers)


def _limit_layers(found: OperationLimits, x: Spec, y: Spec, last: float) -> list[Spec]:
    """Draws what one writer makes, times the writers; the limit that was found; and where both meet."""
    layers = []
    if found.one_writer_ops_per_s and last > 1:
        steps = [last ** (n / 40) for n in range(41)]
        straight = [{"writers": step, "rate": found.one_writer_ops_per_s * step} for step in steps]
        layers.append(layer(straight, "line", {"x": x, "y": y}, color=COLOURS["muted"], strokeDash=[1, 3]))
    if found.limit_ops_per_s is None:
        return layers
    limit = [{"rate": found.limit_ops_per_s, "text": f"limit {figure(found.limit_ops_per_s)} op/s"}]
    layers.append(layer(limit, "rule", {"y": y}, strokeDash=[5, 3]))
    text: Spec = {"y": y, "x": {"value": 6}, "text": {"field": "text"}}
    layers.append(layer(limit, "text", text, align="left", dy=-8))
    if found.knee_writers is not None:
        knee = [{"writers": found.knee_writers, "text": f"knee {figure(round(found.knee_writers))}"}]
        layers.append(layer(knee, "rule", {"x": x}, strokeDash=[5, 3], opacity=0.6))
        text = {"x": x, "y": {"value": 294}, "text": {"field": "text"}}
        layers.append(layer(knee, "text", text, angle=270, align="left", dy=-7))
    return layers


def _means(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Returns the mean over the request sizes for each number of hosts and of writers."""
    rates: dict[tuple[int, int], list[float]] = {}
    for cell in cells:
        rates.setdefault((len(cell.hosts), cell.total_writers), []).append(cell.ops_per_s or 0.0)
    return [
        {"hosts": _hosts(hosts), "writers": writers, "rate": statistics.fmean(of_size)}
        for (hosts, writers), of_size in sorted(rates.items())
    ]


def _point(cell: Cell) -> dict[str, Any]:
    return {
        "writers": cell.total_writers,
        "rate": cell.ops_per_s,
        "shape": request_size(cell.request_bytes),
        "colour": _HOST_COLOURS.get(len(cell.hosts), _MORE_HOSTS_COLOUR),
        "fill": COLOURS["paper"],
        "what": cell.cell,
        "words": f"{figure(cell.ops_per_s)} op/s",
        "limit": figure(cell.limited_by),
        "p99": latency_us(cell.latency_p99_us),
    }


def _hosts(number: int) -> str:
    return f"{number} host" if number == 1 else f"{number} hosts"


def latency_plot(summary: Summary) -> Chart | None:
    shown, all_there = [], True
    for op in OPS:
        cells = in_order([cell for cell in summary.cells if cell.op == op])
        if len(cells) > LATENCY_ROWS_MAX:
            smallest = min(cell.request_bytes for cell in cells)
            cells = [cell for cell in cells if cell.request_bytes == smallest or cell.pattern == "sequential"]
            cells, all_there = cells[:LATENCY_ROWS_MAX], False
        if cells:
            shown.append(Panel(f"{op}, ms", [_latency_row(cell) for cell in cells]))
    left_out = "" if all_there else " Shown: the smallest request size and the sequential cells; the table has all."
    return percentiles_plot(
        shown,
        caption=(
            "Of single operations: request size, hosts \u00d7 writers on each. From the workers' merged histograms; "
            f"exact to 1/256. Logarithmic scale.{left_out}"
        ),
        alt="Latency percentiles of each cell, from the median to the longest operation",
    )


def _latency_row(cell: Cell) -> Row:
    return Row(
        f"{request_size(cell.request_bytes)}, {at_once(cell)}" + (", seq." if cell.pattern == "sequential" else ""),
        _OP_COLOURS[cell.op],
        cell,
    )
