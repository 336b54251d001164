"""md-raid's figures of the sweep: scaling, and latency percentiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from report.chart import Chart
from report.format import figure, latency_us
from report.latency_charts import Panel, Row, percentiles_plot
from report.md_raid.schema import Cell, Series, Summary
from report.md_raid.tables import in_order
from report.palette import COLOURS as SHADES
from report.panels import category, colour_in, layer, number, panel, tooltip
from report.vega import Spec

MIB = 1 << 20
# A ceiling so far above all that was measured would press the rest to the foot of the figure.
CEILING_TO_RATE_MAX = 2.5
COLOURS = {"raw": SHADES["blue"], "stripe": SHADES["orange"], "mirror": SHADES["purple"]}
_LINES = {
    "raw, more servers": (COLOURS["raw"], [1, 0]),
    "raw, all servers, more disks": (COLOURS["raw"], [5, 3]),
    "stripe over mirrors": (COLOURS["stripe"], [1, 0]),
    "one volume, times the disks": (SHADES["muted"], [1, 3]),
}
_LIMIT_SHAPES = {
    "limited by client CPU": "square",
    "limited by storage CPU": "triangle-up",
    "limited by client network": "diamond",
    "limited by storage network": "triangle-down",
    "limited otherwise": "triangle-right",
    "limit not known": "circle",
    "not measured": "cross",
}


def scaling_plot(summary: Summary) -> Chart | None:
    patterns = [p for p in ("sequential", "random") if _scaling_cells(summary, p)]
    if not patterns:
        return None
    return Chart(
        name="scaling",
        title="Read rate over disks, raw and through md",
        caption=(
            "Raw: disks read in parallel, without md. Stripe: RAID-0 over the mirrors, each with a leg on every "
            "server. At the same number of disks, the distance between the two is what md costs. The marker "
            f"says what limited a point, as far as the hosts' counters show it. {_ceiling_words(summary)}"
        ),
        alt="Read rate of raw disks and of the stripe over mirrors, against the number of disks",
        panels=[_scaling_panel(summary, pattern) for pattern in patterns],
    )


def _scaling_cells(summary: Summary, pattern: str) -> list[Cell]:
    return [c for c in summary.cells if c.pattern == pattern and c.layout in ("raw", "stripe")]


def _scaling_panel(summary: Summary, pattern: str) -> Spec:
    sequential = pattern == "sequential"
    unit = "MiB/s" if sequential else "operations/s"
    cells = _scaling_cells(summary, pattern)
    rates = [rate for cell in cells if (rate := _rate(cell)) is not None]
    fastest = max(rates, default=1.0)
    ceilings = [row for row in _ceilings(summary, cells) if row["rate"] <= CEILING_TO_RATE_MAX * fastest]
    top = max(fastest, *(row["rate"] for row in ceilings)) * 1.22 if ceilings else fastest * 1.22
    disks_max = max(cell.disks for cell in cells)
    lines, labels = _lines(summary, pattern)
    volume = summary.volume
    one = volume.sequential_mb_per_s and volume.sequential_mb_per_s * 1e6 / (1 << 20)
    if each := one if sequential else volume.random_iops:
        until = min(disks_max, top / each)
        lines += [
            {"line": "one volume, times the disks", "disks": disks, "rate": each * disks} for disks in (0.0, until)
        ]
    x = number("disks", "disks read at once", scale={"domain": [0, disks_max * 1.1]}, axis={"tickMinStep": 1})
    y = number("rate", scale={"domain": [0, top]})
    shown = [name for name in _LINES if any(row["line"] == name for row in lines)]
    channels = {
        "x": x,
        "y": y,
        "color": category("line", {name: _LINES[name][0] for name in shown}),
        "strokeDash": category("line", {name: _LINES[name][1] for name in shown}),
    }
    points = [_point(cell, unit, top) for cell in cells]
    shapes = {name: mark for name, mark in _LIMIT_SHAPES.items() if any(row["limit"] == name for row in points)}
    at = {
        "x": x,
        "y": y,
        "shape": category("limit", shapes),
        "color": colour_in("colour"),
        "fill": colour_in("fill"),
        "tooltip": tooltip(cell="cell", words="rate", limit="limit", p99="p99"),
    }
    layers = [
        layer(ceilings, "rule", {"y": y}, color=SHADES["bad"], strokeDash=[6, 3]),
        layer(
            ceilings,
            "text",
            {"y": y, "x": {"value": 6}, "text": {"field": "text"}},
            color=SHADES["bad"],
            align="left",
            dy=-6,
        ),
        layer(lines, "line", channels, strokeWidth=1.8),
        layer(points, "point", at, size=60, strokeWidth=1.5, opacity=1),
    ]
    for above in (True, False):
        text = {"x": x, "y": y, "text": {"field": "label"}, "color": colour_in("colour")}
        rows = [row for row in labels if row["above"] == above]
        layers.append(layer(rows, "text", text, dy=-13 if above else 14))
    return panel(f"{pattern} reads, {unit}", 270, layers)


def _ceilings(summary: Summary, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """In the unit of the panel: the client's network, and what bounds as many servers as were measured first."""
    known = summary.ceilings
    of_server = [
        (each, name)
        for each, name in ((known.server_ebs_mib_per_s, "EBS"), (known.server_network_mib_per_s, "network"))
        if each is not None
    ]
    found = [(known.client_network_mib_per_s, "client network")] if known.client_network_mib_per_s else []
    if of_server:
        each, name = min(of_server)
        found += [
            (servers * each, f"{name} of {servers} {'server' if servers == 1 else 'servers'}")
            for servers in sorted({cell.servers for cell in cells})
        ]
    one = 1.0 if cells[0].pattern == "sequential" else cells[0].request_bytes / MIB
    return [{"rate": each / one, "text": f"{name}, {figure(round(each / one))}"} for each, name in found]


def _ceiling_words(summary: Summary) -> str:
    if summary.rehearsal:
        return (
            "A rehearsal's hosts have the links of no instance type: the ceilings of network and EBS are AWS's alone."
        )
    known = summary.ceilings
    words = [
        f"{name} {figure(round(each))} MiB/s"
        for each, name in (
            (known.client_network_mib_per_s, "the client's network"),
            (known.server_ebs_mib_per_s, "a server's EBS"),
            (known.server_network_mib_per_s, "a server's network"),
        )
        if each is not None
    ]
    if not words:
        return "The links of these instance types are not known: no ceilings are drawn."
    return f"Ceilings, dashed where they are near: {', '.join(words)}, as AWS documents the types."


def _lines(summary: Summary, pattern: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The series' points, and what is written beside them: above the fastest at as many disks, else below."""
    scaling = summary.scaling
    every = [
        scaling.raw_disks_sequential,
        scaling.raw_disks_random,
        scaling.raw_sequential,
        scaling.raw_random,
        scaling.stripe_sequential,
        scaling.stripe_random,
    ]
    lines: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for series in every:
        if series is None or series.pattern != pattern:
            continue
        name = _line_name(series)
        for point in series.points:
            rate = point.mib_per_s if pattern == "sequential" else point.iops
            lines.append({"line": name, "disks": point.disks, "rate": rate})
            if series.grows_with == "disks" or rate is None:
                continue
            units = (point.servers if series.layout == "raw" else point.mirrors) or 0
            label = f"{units} {series.grows_with}" if point is series.points[-1] and units > 1 else str(units)
            labels.append(
                {
                    "disks": point.disks,
                    "rate": rate,
                    "label": label,
                    "layout": series.layout,
                    "colour": COLOURS[series.layout],
                }
            )
    fastest: dict[int, float] = {}
    for written in labels:
        fastest[written["disks"]] = max(written["rate"], fastest.get(written["disks"], 0.0))
    alone = Counter(written["disks"] for written in labels)
    for written in labels:
        is_fastest = written["rate"] == fastest[written["disks"]]
        written["above"] = is_fastest if alone[written["disks"]] > 1 else written["layout"] == "raw"
    return lines, labels


def _line_name(series: Series) -> str:
    if series.layout == "stripe":
        return "stripe over mirrors"
    return "raw, all servers, more disks" if series.grows_with == "disks" else "raw, more servers"


def _point(cell: Cell, unit: str, top: float) -> dict[str, Any]:
    """A cell that was not measured stands at the foot: it has no rate."""
    rate = _rate(cell)
    known = f"limited by {cell.limited_by}" if cell.limited_by else "limit not known"
    limit = known if known in _LIMIT_SHAPES else "limited otherwise"
    colour = COLOURS[cell.layout] if rate is not None else SHADES["bad"]
    return {
        "cell": cell.cell,
        "disks": cell.disks,
        "rate": 0.02 * top if rate is None else rate,
        "limit": "not measured" if rate is None else limit,
        "colour": colour,
        "fill": SHADES["paper"] if cell.limited_by is None else colour,
        "words": cell.reason or "not measured" if rate is None else f"{figure(rate)} {unit}",
        "p99": latency_us(cell.latency_p99_us),
    }


def _rate(cell: Cell) -> float | None:
    return cell.mib_per_s if cell.pattern == "sequential" else cell.iops


def latency_plot(summary: Summary) -> Chart | None:
    panels = [
        Panel(f"{pattern} reads, ms", [_latency_row(cell) for cell in cells])
        for pattern in ("sequential", "random")
        if (cells := in_order([c for c in summary.cells if c.pattern == pattern]))
    ]
    return percentiles_plot(
        panels,
        caption="Of single reads, from the worker's merged histograms; exact to 1/256. Logarithmic scale.",
        alt="Latency percentiles of each cell, from the median to the longest read",
    )


def _latency_row(cell: Cell) -> Row:
    return Row(
        _cell_words(cell),
        COLOURS[cell.layout],
        cell,
    )


def _cell_words(cell: Cell) -> str:
    if cell.layout == "raw":
        return f"raw, {cell.servers}\u00d7{_count(cell.disks // max(cell.servers, 1), 'disk')}"
    if cell.layout == "stripe" and cell.mirrors:
        return f"stripe, {_count(cell.mirrors, 'mirror')}"
    return "one mirror" if cell.layout == "mirror" else cell.layout


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
