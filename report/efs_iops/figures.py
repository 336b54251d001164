"""efs-iops' figures: operations over writers, latency percentiles, the run in time, how far the sources agree."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from report.chart import Chart
from report.claims import Claim, Point
from report.efs_iops.schema import Cell, Counted, Found, Summary, Timeline
from report.efs_iops.words import at_once, clock_time, in_order, request_size
from report.format import figure, latency_us
from report.latency_figure import Panel, Row, percentiles_plot
from report.latency_over_time import latency_panel
from report.palette import COLOURS
from report.panels import (
    POINTED_MAX,
    STAR,
    UNSEEN_OPACITY,
    as_it_is,
    category,
    layer,
    number,
    one_of,
    panel,
    tooltip,
    zoom,
)
from report.vega import Spec

OPS = ("write", "read")
_OP_COLOURS = {"write": COLOURS["orange"], "read": COLOURS["blue"]}
_HOST_COLOURS = {1: COLOURS["blue"], 2: COLOURS["orange"]}
_MORE_HOSTS_COLOUR = COLOURS["good"]
_SIZE_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
# More rows than this a figure can't show apart; the table has them all.
LATENCY_ROWS_MAX = 36


def iops_plot(summary: Summary, claims: Sequence[Claim]) -> Chart | None:
    """The plateau, the knee and what was published, for each operation."""
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


def _iops_panel(op: str, cells: Sequence[Cell], found: Found, published: Sequence[tuple[str, Point]]) -> Spec:
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
    layers = _limit_layers(found, x, y, min(max(writers), top / (found.one_writer_ops_per_s or math.inf or 1)))
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
        "color": as_it_is("colour"),
        "fill": as_it_is("fill"),
        "size": {"condition": {"test": "indexof(datum.shape, 'published') == 0", "value": 90}, "value": 42},
        "tooltip": tooltip(what="cell", words="rate", writers="writers", limit="limited by", p99="p99"),
    }
    layers.append(layer(points, "point", channels, strokeWidth=1.4, opacity=1))
    return panel(f"{op}, operations/s", 300, layers)


def _limit_layers(found: Found, x: Spec, y: Spec, last: float) -> list[Spec]:
    """What one writer makes, times the writers; the limit found; where both meet."""
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
    """Over the request sizes."""
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
        (
            cell.latency_p50_us,
            cell.latency_p95_us,
            cell.latency_p99_us,
            cell.latency_p99_9_us,
            cell.latency_max_us,
        ),
    )


_MINUTES = "CloudWatch, minutes"
# Name in the legend, colour, width. CloudWatch has a value a minute, the others one each stretch.
_SOURCES = {
    "writers writing": (COLOURS["orange"], 2.4),
    "writers reading": (COLOURS["blue"], 2.4),
    "mountstats": (COLOURS["ink"], 0.9),
    "network interfaces": (COLOURS["good"], 1.0),
    _MINUTES: (COLOURS["purple"], 2.2),
}


def timeline_plot(summary: Summary) -> Chart | None:
    timeline = summary.timeline
    if timeline is None:
        return None
    each, band = "a second", ""
    if timeline.step_seconds > 1:
        each = f"{timeline.step_seconds} seconds"
        band = " The band behind the writers' operations reaches from the least of those seconds to the greatest."
    return Chart(
        name="timeline",
        title="The run in time, counted in four places, and how long operations took",
        caption=(
            f"By the runner's clock, each point the mean of {each}.{band} mountstats and the interfaces are "
            "read once a second, at moments of their own: that parts the seconds in which a cell begins and ends. "
            "CloudWatch's minutes are means over pauses, too, and its bytes are metered: small requests count more "
            "than they moved."
        ),
        alt="Operations and megabytes a second over the run, by the workers, mountstats, the interfaces and CloudWatch",
        panels=[_operations_panel(timeline), _moved_panel(timeline), *_latency_in_time(timeline)],
        columns=1,
        zooms=True,
    )


def _operations_panel(timeline: Timeline) -> Spec:
    stretches = timeline.stretches
    series: dict[str, list[float | None]] = {
        "writers writing": [each.worker_write_ops_per_s for each in stretches],
        "writers reading": [each.worker_read_ops_per_s for each in stretches],
        "mountstats": [
            None
            if each.mountstats_read_ops_per_s is None or each.mountstats_write_ops_per_s is None
            else each.mountstats_read_ops_per_s + each.mountstats_write_ops_per_s
            for each in stretches
        ],
    }
    minutes = [step.ops_per_s for step in timeline.cloudwatch]
    bands = {
        "writers writing": [(s.worker_write_ops_per_s_least, s.worker_write_ops_per_s_greatest) for s in stretches],
        "writers reading": [(s.worker_read_ops_per_s_least, s.worker_read_ops_per_s_greatest) for s in stretches],
    }
    return _time_panel("operations/s", timeline, series, minutes, bands)


def _moved_panel(timeline: Timeline) -> Spec:
    stretches = timeline.stretches
    series: dict[str, list[float | None]] = {
        "writers writing": [s.worker_mb_per_s if s.worker_write_ops_per_s is not None else None for s in stretches],
        "writers reading": [s.worker_mb_per_s if s.worker_read_ops_per_s is not None else None for s in stretches],
        "network interfaces": [s.nic_mb_per_s for s in stretches],
    }
    return _time_panel("MB/s", timeline, series, [step.mb_per_s for step in timeline.cloudwatch])


def _latency_in_time(timeline: Timeline) -> list[Spec]:
    drawn = latency_panel("latency of the workers' operations, ms", timeline.latencies, _time(timeline))
    return [drawn] if drawn else []


def _time(timeline: Timeline) -> Spec:
    last = timeline.stretches[-1].t_s + 1
    return number("t", f"seconds since {clock_time(timeline.zero_unix_s)} UTC", scale={"domain": [0, last]})


def _time_panel(
    title: str,
    timeline: Timeline,
    series: dict[str, list[float | None]],
    minutes: Sequence[float | None],
    bands: Mapping[str, Sequence[tuple[float | None, float | None]]] | None = None,
) -> Spec:
    times = [round(each.t_s, 3) for each in timeline.stretches]
    known = {name: rates for name, rates in series.items() if any(rate is not None for rate in rates)}
    steps = [
        {"t": step.t_start_s, "end": step.t_end_s, "rate": rate, "is": f"{figure(rate)} {title}"}
        for step, rate in zip(timeline.cloudwatch, minutes, strict=True)
        if rate is not None
    ]
    shades = {name: _SOURCES[name][0] for name in [*known, *([_MINUTES] if steps else [])]}
    x = _time(timeline)
    y = number("rate", scale={"zero": True, "nice": True})
    layers: list[Spec] = []
    along: Spec = {"x": x, "y": y, "y2": {"field": "least"}}
    for name, of_band in (bands or {}).items():
        reach = [
            {"t": t, "least": _to_draw(least), "rate": _to_draw(greatest)}
            for t, (least, greatest) in zip(times, of_band, strict=True)
        ]
        if any(each["rate"] is not None for each in reach):
            colour = _SOURCES[name][0]
            layers.append(layer(reach, "area", along, color=colour, opacity=0.25, interpolate="step", clip=True))
    zoomed = False
    for name, rates in known.items():
        values = [{"t": t, "rate": _to_draw(rate)} for t, rate in zip(times, rates, strict=True)]
        along = {"x": x, "y": y, "color": one_of(name, shades)}
        if not zoomed:
            along["params"], zoomed = zoom("x"), True
        layers.append(layer(values, "line", along, interpolate="step", strokeWidth=_SOURCES[name][1], clip=True))
        if len(values) <= POINTED_MAX:
            told = [{"field": "t", "title": "second"}, {"field": "rate", "title": f"{name}, {title}"}]
            pointed: Spec = {"x": x, "y": y, "tooltip": told}
            layers.append(layer(values, "point", pointed, filled=True, opacity=UNSEEN_OPACITY, size=50, clip=True))
    if steps:
        along = {"x": x, "x2": {"field": "end"}, "y": y, "color": one_of(_MINUTES, shades)}
        along["tooltip"] = tooltip(**{"is": _MINUTES})
        layers.append(layer(steps, "rule", along, strokeWidth=_SOURCES[_MINUTES][1], clip=True))
    return panel(title, 190, layers)


def _to_draw(rate: float | None) -> float | None:
    """As exact as a figure is seen."""
    return None if rate is None else float(f"{rate:.5g}")


_RATIOS = {
    "mountstats / worker, operations": ("mountstats_to_worker_operations", "circle", COLOURS["ink"]),
    "CloudWatch / worker, operations": ("cloudwatch_to_worker_operations", "square", COLOURS["purple"]),
    "CloudWatch / requests as metered, bytes": ("cloudwatch_to_metered_bytes", "triangle-up", COLOURS["good"]),
}


def agreement_plot(summary: Summary) -> Chart | None:
    minutes = summary.agreement.minutes
    if len(minutes) < 2:
        return None
    panels = []
    zero = minutes[0].start_unix_s
    for op in OPS:
        points: list[dict[str, Any]] = [
            {"minute": (m.start_unix_s - zero) / 60, "off": off, "ratio": name, "is": f"{off:+.3g} %"}
            for name, (field, *_) in _RATIOS.items()
            for m in minutes
            if (off := _points_off(getattr(m, op), field)) is not None
        ]
        widest = max([0.5, *(abs(point["off"]) * 1.1 for point in points)])
        last = (minutes[-1].start_unix_s - zero) / 60
        x = number(
            "minute",
            f"minutes since {clock_time(zero)} UTC",
            scale={"domain": [-0.3, last + 0.3]},
            axis={"tickMinStep": 1},
        )
        y = number("off", scale={"domain": [-widest, widest]})
        channels = {
            "x": x,
            "y": y,
            "shape": category("ratio", {name: shape for name, (_, shape, _) in _RATIOS.items()}),
            "color": category("ratio", {name: colour for name, (_, _, colour) in _RATIOS.items()}),
            "tooltip": tooltip(ratio="ratio", minute="minute", **{"is": "off"}),
        }
        layers = [
            layer([{"off": 0}], "rule", {"y": y}, color=COLOURS["muted"]),
            layer(points, "point", channels, size=55, strokeWidth=1.4, opacity=1),
        ]
        panels.append(panel(f"{op}, % off", 200, layers))
    return Chart(
        name="agreement",
        title="How far the sources agree, minute by minute",
        caption="0 is agreement. A minute in which CloudWatch lacks the metric has no point.",
        alt="The differences between mountstats, CloudWatch and the workers for each minute, in percent",
        panels=panels,
    )


def _points_off(counted: Counted | None, field: str) -> float | None:
    ratio = getattr(counted, field) if counted is not None else None
    return None if ratio is None else (ratio - 1) * 100
