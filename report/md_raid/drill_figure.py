"""md-raid's figure of the drill over time. What was not recorded is a gap."""

from __future__ import annotations

from typing import Any

from report.chart import Chart
from report.format import figure
from report.format import seconds as seconds_text
from report.latency_charts import latency_panel
from report.md_raid.figures import COLOURS
from report.md_raid.schema import Drill, Summary
from report.panels import COLOURS as SHADES
from report.panels import Spec, colour_in, layer, number, panel, rows_axis, tooltip, tooltip_points, zoom


def drill_plot(summary: Summary) -> Chart | None:
    drill = summary.drill
    if drill is None or drill.zero_unix_s is None or not (drill.timeline or drill.events):
        return None
    x = number("t", "seconds since the reads began", scale={"zero": True})
    latency = latency_panel("read latency in each second, ms", drill.latencies, x)
    return Chart(
        name="drill",
        title="Failure drill, second by second",
        caption=(
            "Reads of the stripe while storage servers are killed. Shaded: the longest stall of each phase, "
            "which is the longest that one read waited. A gap in the line: no reads were under way. Below, "
            "over the whole drill: when reads ran, when each server was gone, when each mirror rebuilt."
        ),
        alt="Reads per second during the failure drill, with kills, returns and rebuilds",
        panels=[each for each in (_reads_panel(drill, x), latency, _spans_panel(_spans(drill), drill)) if each],
        columns=1,
        axis_pixels=130,
        zooms=True,
    )


def _reads_panel(drill: Drill, x: Spec) -> Spec:
    top = max((second.iops for second in drill.timeline), default=1.0) * 1.5 or 1.0
    y = number("iops", scale={"domain": [0, top]})
    seconds: list[dict[str, Any]] = [
        {"t": s.t_s, "iops": s.iops, "phase": s.cell, "errors": s.errors, "is": figure(s.iops)} for s in drill.timeline
    ]
    stalls = [
        {"t": ended - stall, "end": ended, "middle": ended - stall / 2, "text": f"{seconds_text(stall)} stall"}
        for phase in drill.phases
        if (stall := phase.longest_stall_s) is not None and (ended := phase.stall_ended_s) is not None and stall >= 1
    ]
    kills = [
        {"t": event.t_s, "text": f"{event.subject or 'a server'} killed"}
        for event in drill.events
        if event.event == "killed"
    ]
    orange = {"color": COLOURS["stripe"]}
    in_time = {"x": x, "y": y, "detail": {"field": "phase"}, "params": zoom("x")}
    tooltips = tooltip(phase="phase", errors="failed", **{"is": "reads/s"})
    layers = [
        layer(seconds, "line", in_time, strokeWidth=1.7, clip=True, **orange),
        layer(stalls, "rect", {"x": x, "x2": {"field": "end"}}, color=SHADES["bad"], opacity=0.14),
        layer(
            stalls,
            "text",
            {"x": {**x, "field": "middle"}, "y": {"value": 205}, "text": {"field": "text"}},
            color=SHADES["bad"],
            fontWeight="bold",
        ),
        layer(kills, "rule", {"x": x}, color=SHADES["bad"], strokeDash=[5, 3], strokeWidth=1.3),
        layer(
            kills,
            "text",
            {"x": x, "y": {"value": 2}, "text": {"field": "text"}},
            color=SHADES["bad"],
            angle=270,
            align="right",
            dy=-7,
        ),
        layer(
            [second for second in seconds if second["errors"]],
            "point",
            {"x": x, "y": y},
            shape="cross",
            color=SHADES["bad"],
            size=60,
            opacity=1,
        ),
        tooltip_points(seconds, x, y, tooltips),
    ]
    if not drill.timeline:
        at = {"x": {"value": 20}, "y": {"value": 100}, "text": {"field": "text"}}
        layers.append(layer([{"text": "reads not recorded"}], "text", at, align="left", color=SHADES["bad"]))
    return panel("reads per second", 220, layers)


Span = tuple[str, float, float | None, str]  # label, start, end or not known, colour


def _spans(drill: Drill) -> list[Span]:
    spans: list[Span] = []
    for event in drill.events:
        if event.event == "killed":
            back = [e.t_s for e in drill.events if e.event == "returned" and e.subject == event.subject]
            end = min((t for t in back if t >= event.t_s), default=None)
            spans.append((f"{event.subject or 'a server'} gone", event.t_s, end, SHADES["bad"]))
    spans.extend(
        (f"{rebuild.array} rebuilding", rebuild.started_s, rebuild.finished_s, SHADES["good"])
        for rebuild in drill.rebuilds
        if rebuild.started_s is not None
    )
    return spans


def _spans_panel(spans: list[Span], drill: Drill) -> Spec | None:
    if not spans:
        return None
    latest = max(t for _, start, end, _ in spans for t in (start, end) if t is not None)
    bars = [
        {
            "what": what,
            "t": start,
            "end": latest if end is None else end,
            "text": "end not recorded" if end is None else seconds_text(end - start),
            "colour": colour,
        }
        for what, start, end, colour in spans
    ]
    x = number("t", "seconds since the reads began", scale={"domainMin": 0, "domainMax": latest * 1.2})
    names = list(dict.fromkeys(what for what, *_ in spans))
    y = rows_axis("what", names)
    channels = {
        "x": x,
        "x2": {"field": "end"},
        "y": y,
        "color": colour_in("colour"),
        "tooltip": tooltip(what="what", text="for"),
    }
    reading = [{"t": drill.timeline[0].t_s, "end": drill.timeline[-1].t_s}] if drill.timeline else []
    layers = [
        layer(reading, "rect", {"x": x, "x2": {"field": "end"}}, color=COLOURS["stripe"], opacity=0.14),
        layer(bars, "bar", channels, opacity=0.8),
        layer(bars, "text", {"x": {**x, "field": "end"}, "y": y, "text": {"field": "text"}}, align="left", dx=4),
    ]
    return panel("shaded: reads under way", max(40, 22 * len(names)), layers)
