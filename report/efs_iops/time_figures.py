"""efs-iops' figures over time: the run as each source counted it, and how far the sources agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from report.chart import Chart
from report.efs_iops.cells import OPS
from report.efs_iops.labels import clock_time
from report.efs_iops.schema import Counted, Summary, Timeline
from report.format import figure
from report.latency_charts import latency_panel
from report.panels import (
    COLOURS,
    TOOLTIPS_MAX,
    Spec,
    category,
    layer,
    number,
    one_of,
    panel,
    tooltip,
    tooltip_points,
    zoom,
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
    latency = latency_panel("latency of the workers' operations, ms", timeline.latencies, _time(timeline))
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
        panels=[_operations_panel(timeline), _moved_panel(timeline), *([latency] if latency else [])],
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
    channels: Spec = {"x": x, "y": y, "y2": {"field": "least"}}
    for name, of_band in (bands or {}).items():
        reach = [
            {"t": t, "least": _to_draw(least), "rate": _to_draw(greatest)}
            for t, (least, greatest) in zip(times, of_band, strict=True)
        ]
        if any(each["rate"] is not None for each in reach):
            colour = _SOURCES[name][0]
            layers.append(layer(reach, "area", channels, color=colour, opacity=0.25, interpolate="step", clip=True))
    for at, (name, rates) in enumerate(known.items()):
        values = [{"t": t, "rate": _to_draw(rate)} for t, rate in zip(times, rates, strict=True)]
        channels = {"x": x, "y": y, "color": one_of(name, shades)}
        if at == 0:
            channels["params"] = zoom("x")
        layers.append(layer(values, "line", channels, interpolate="step", strokeWidth=_SOURCES[name][1], clip=True))
        if len(values) <= TOOLTIPS_MAX:
            tooltips = [{"field": "t", "title": "second"}, {"field": "rate", "title": f"{name}, {title}"}]
            layers.append(tooltip_points(values, x, y, tooltips))
    if steps:
        channels = {"x": x, "x2": {"field": "end"}, "y": y, "color": one_of(_MINUTES, shades)}
        channels["tooltip"] = tooltip(**{"is": _MINUTES})
        layers.append(layer(steps, "rule", channels, strokeWidth=_SOURCES[_MINUTES][1], clip=True))
    return panel(title, 190, layers)


def _to_draw(rate: float | None) -> float | None:
    """Returns the rate, rounded to what a figure can show."""
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
