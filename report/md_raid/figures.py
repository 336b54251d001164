"""md-raid's figures of the sweep: scaling, and latency percentiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from report.chart import Chart
from report.format import figure, latency_us
from report.latency_charts import Panel, Row, percentiles_plot
from report.md_raid.hosts import CLIENT_CPU, CLIENT_NETWORK, EBS_LINK, SERVER_CPU, SERVER_NETWORK, VOLUMES
from report.md_raid.schema import Cell, Summary
from report.md_raid.tables import in_order, sweep_cells, volumes_each
from report.missing import times
from report.panels import COLOURS as SHADES
from report.panels import Spec, category, colour_in, layer, number, panel, tooltip
from report.summary import MIB

# A ceiling so far above all that was measured would press the rest to the foot of the figure.
CEILING_TO_RATE_MAX = 2.5
COLOURS = {"raw": SHADES["blue"], "stripe": SHADES["orange"], "mirror": SHADES["purple"]}
_LINES = {
    "raw, more servers": (COLOURS["raw"], [1, 0]),
    "raw, more volumes of each": (COLOURS["raw"], [5, 3]),
    "stripe, more servers": (COLOURS["stripe"], [1, 0]),
    "stripe, more mirrors": (COLOURS["stripe"], [5, 3]),
    "as many single volumes": (SHADES["muted"], [1, 3]),
}
_LIMIT_SHAPES = {
    VOLUMES: "circle",
    EBS_LINK: "triangle-up",
    SERVER_NETWORK: "triangle-down",
    CLIENT_NETWORK: "diamond",
    SERVER_CPU: "cross",
    CLIENT_CPU: "square",
}
# Of limits that were reached together, or of some of the volumes.
_OTHER_SHAPES = ("triangle-right", "triangle-left", "arrow", "wedge")
_NO_LIMIT, _NOT_MEASURED = "nothing was at its limit", "not measured"


def scaling_plot(summary: Summary) -> Chart | None:
    patterns = [p for p in ("sequential", "random") if _scaling_cells(summary, p)]
    if not patterns:
        return None
    return Chart(
        name="scaling",
        title="Read rate over volumes, raw and through md",
        caption=(
            "Raw: volumes read in parallel, without md. Stripe: RAID-0 over mirrors, each with a leg on every "
            "server. At the same number of volumes, the distance between the two is what md costs. Labels: servers "
            "\u00d7 volumes of each. A filled marker says what was at its limit, a hollow one that nothing was. "
            f"{_ceiling_words(summary)}"
        ),
        alt="Read rate of raw volumes and of stripes over mirrors, against the number of volumes, with the ceilings",
        panels=[_scaling_panel(summary, pattern) for pattern in patterns],
    )


def _scaling_cells(summary: Summary, pattern: str) -> list[Cell]:
    return [c for c in sweep_cells(summary.cells) if c.pattern == pattern and c.layout in ("raw", "stripe")]


def _scaling_panel(summary: Summary, pattern: str) -> Spec:
    sequential = pattern == "sequential"
    unit = "MiB/s" if sequential else "operations/s"
    cells = _scaling_cells(summary, pattern)
    rates = [rate for cell in cells if (rate := _rate(cell)) is not None]
    fastest = max(rates, default=1.0)
    ceilings = [row for row in _ceilings(summary, cells) if row["rate"] <= CEILING_TO_RATE_MAX * fastest]
    top = max(fastest, *(row["rate"] for row in ceilings)) * 1.22 if ceilings else fastest * 1.22
    disks_max = max(cell.disks for cell in cells)
    lines = _lines(summary, pattern)
    if each := _one_volume(summary, sequential):
        until = min(disks_max * 1.05, top / each)
        lines += [{"line": "as many single volumes", "disks": disks, "rate": each * disks} for disks in (0.0, until)]
    x = number("disks", "volumes read at once", scale={"domain": [0, disks_max * 1.1]}, axis={"tickMinStep": 1})
    y = number("rate", scale={"domain": [0, top]})
    shown = [name for name in _LINES if any(row["line"] == name for row in lines)]
    channels = {
        "x": x,
        "y": y,
        "color": category("line", {name: _LINES[name][0] for name in shown}),
        "strokeDash": category("line", {name: _LINES[name][1] for name in shown}),
    }
    points = [_point(cell, unit, top) for cell in cells]
    shapes = _shapes([row["limit"] for row in points])
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
    text = {"x": x, "y": y, "text": {"field": "label"}, "color": colour_in("colour")}
    layers.append(layer(_labels(cells), "text", text, dy=-13))
    return panel(f"{pattern} reads, {unit}", 300, layers)


def _shapes(limits: Iterable[str]) -> dict[str, str]:
    """Returns the marker of each limit that a point has, those of one limit first."""
    known = {f"limited by {name}": mark for name, mark in _LIMIT_SHAPES.items()}
    found = sorted(set(limits) - known.keys() - {_NO_LIMIT, _NOT_MEASURED})
    others = {name: _OTHER_SHAPES[number % len(_OTHER_SHAPES)] for number, name in enumerate(found)}
    every = {**known, **others, _NO_LIMIT: "circle", _NOT_MEASURED: "cross"}
    return {name: mark for name, mark in every.items() if name in set(limits)}


def _one_volume(summary: Summary, sequential: bool) -> float | None:
    """Returns the rate of one volume in the panel's unit: its limit if that is known, else as it was measured."""
    known, measured = summary.ceilings, summary.volume
    if not sequential:
        return known.volume_ops_per_s or measured.random_iops
    return known.volume_mib_per_s or times(measured.sequential_mb_per_s, 1e6 / MIB)


def _ceilings(summary: Summary, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Returns, in the panel's unit, the client's network, and what bounds as many servers as were measured first."""
    known = summary.ceilings
    of_server = [
        (each, name)
        for each, name in ((known.server_ebs_mib_per_s, "EBS link"), (known.server_network_mib_per_s, "network"))
        if each is not None
    ]
    found = [(known.client_network_mib_per_s, "client network")] if known.client_network_mib_per_s else []
    if of_server:
        each, name = min(of_server)
        found += [
            (servers * each, f"{name} of {_count(servers, 'server')}")
            for servers in sorted({cell.servers for cell in cells})
        ]
    one = 1.0 if cells[0].pattern == "sequential" else cells[0].request_bytes / MIB
    return [{"rate": each / one, "text": f"{name}, {figure(round(each / one))}"} for each, name in found]


def _ceiling_words(summary: Summary) -> str:
    known = summary.ceilings
    words = [
        f"{name} {figure(each, 3)} MiB/s"
        for each, name in (
            (known.client_network_mib_per_s, "the client's network"),
            (known.server_ebs_mib_per_s, "a server's EBS link"),
            (known.server_network_mib_per_s, "a server's network"),
            (known.volume_mib_per_s, "a volume"),
        )
        if each is not None
    ]
    if not words and summary.rehearsal:
        return "A rehearsal without a service model has the links of no instance type: no ceilings are drawn."
    if not words:
        return "The links of these instance types are not known: no ceilings are drawn."
    source = "the rehearsal's service model has them" if summary.rehearsal else "AWS documents the types"
    return f"Ceilings, dashed where they are near: {', '.join(words)}, as {source}."


def _lines(summary: Summary, pattern: str) -> list[dict[str, Any]]:
    """Returns the points of the series."""
    scaling = summary.scaling
    every = [
        scaling.raw_disks_sequential,
        scaling.raw_disks_random,
        scaling.raw_sequential,
        scaling.raw_random,
        scaling.stripe_sequential,
        scaling.stripe_random,
        scaling.stripe_servers_sequential,
        scaling.stripe_servers_random,
    ]
    return [
        {
            "line": f"{series.layout}, more {_GROWTH[series.layout, series.grows_with]}",
            "disks": point.disks,
            "rate": point.mib_per_s if pattern == "sequential" else point.iops,
        }
        for series in every
        if series is not None and series.pattern == pattern and len(series.points) > 1
        for point in series.points
    ]


_GROWTH = {
    ("raw", "servers"): "servers",
    ("raw", "disks"): "volumes of each",
    ("stripe", "servers"): "servers",
    ("stripe", "mirrors"): "mirrors",
}


def _labels(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Servers x volumes of each, above the fastest point of as many."""
    fastest: dict[tuple[int, int], Cell] = {}
    for cell in cells:
        at = (cell.servers, cell.disks)
        if _rate(cell) is not None and (at not in fastest or (_rate(fastest[at]) or 0) < (_rate(cell) or 0)):
            fastest[at] = cell
    return [
        {
            "disks": cell.disks,
            "rate": _rate(cell),
            "label": f"{cell.servers}\u00d7{volumes_each(cell)}",
            "colour": SHADES["ink"],
        }
        for cell in fastest.values()
    ]


def _point(cell: Cell, unit: str, top: float) -> dict[str, Any]:
    """A cell that was not measured stands at the foot: it has no rate."""
    rate = _rate(cell)
    limit = f"limited by {cell.limited_by}" if cell.limited_by else _NO_LIMIT
    colour = COLOURS[cell.layout] if rate is not None else SHADES["bad"]
    return {
        "cell": cell.cell,
        "disks": cell.disks,
        "rate": 0.02 * top if rate is None else rate,
        "limit": _NOT_MEASURED if rate is None else limit,
        "colour": colour,
        "fill": SHADES["paper"] if cell.limited_by is None else colour,
        "words": cell.reason or "not measured" if rate is None else f"{figure(rate)} {unit}",
        "p99": latency_us(cell.latency_p99_us),
    }


def _rate(cell: Cell) -> float | None:
    return cell.mib_per_s if cell.pattern == "sequential" else cell.iops


def latency_plot(summary: Summary) -> Chart | None:
    panels = [
        Panel(f"{pattern} reads, ms", [Row(_cell_words(cell), COLOURS[cell.layout], cell) for cell in cells])
        for pattern in ("sequential", "random")
        if (cells := in_order([c for c in summary.cells if c.pattern == pattern]))
    ]
    return percentiles_plot(
        panels,
        caption="Of single reads, from the worker's merged histograms; exact to 1/256. Logarithmic scale.",
        alt="Latency percentiles of each cell, from the median to the longest read",
    )


def _cell_words(cell: Cell) -> str:
    if cell.layout == "raw":
        return f"raw, {cell.servers}\u00d7{_count(volumes_each(cell) or 0, 'volume')}"
    if cell.layout == "stripe" and cell.mirrors:
        return f"{'write' if cell.operation == 'write' else 'stripe'}, {cell.servers}\u00d7{cell.mirrors}"
    if cell.copies is not None:
        return f"{cell.copies}, {cell.readers}"
    return "one mirror" if cell.layout == "mirror" else cell.layout


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
