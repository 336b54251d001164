"""md-raid's figures: scaling, latency percentiles, the drill over time. What is missing is a gap."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from report.figures import PALETTE, Plot, mark_rehearsal, panels
from report.format import figure as words
from report.format import seconds as seconds_words
from report.latency_figure import Panel, Row, percentiles_plot
from report.md_raid.schema import Cell, Drill, Series, Summary
from report.md_raid.tables import in_order

COLOURS = {"raw": PALETTE["blue"], "stripe": PALETTE["orange"], "mirror": PALETTE["purple"]}
_LIMIT_MARKERS = {"client CPU": "s", "storage CPU": "^", "client network": "D", "storage network": "P"}
_OTHER_LIMIT_MARKER = "X"
_UNKNOWN_MARKER = "o"


def plots(summary: Summary) -> list[Plot]:
    found = [scaling_plot(summary), latency_plot(summary), drill_plot(summary)]
    return [plot for plot in found if plot is not None]


def scaling_plot(summary: Summary) -> Plot | None:
    patterns = [p for p in ("sequential", "random") if _scaling_cells(summary, p)]
    if not patterns:
        return None

    def draw(figure: Figure, narrow: bool) -> None:
        axes = panels(figure, len(patterns), narrow)
        limits: dict[str, str] = {}
        for ax, pattern in zip(axes, patterns, strict=True):
            _draw_scaling(ax, summary, pattern, limits, narrow)
        handles = [
            Line2D([], [], color=COLOURS[layout], lw=width, ls=style, label=text)
            for layout, width, style, text in (
                ("raw", 1.8, "-", "raw, more servers"),
                ("raw", 1.2, "--", "raw, all servers, more disks"),
                ("stripe", 1.8, "-", "stripe over mirrors"),
            )
        ]
        handles.append(Line2D([], [], color=PALETTE["muted"], lw=1, ls=":", label="one volume, times the disks"))
        for name, marker in sorted(limits.items(), key=lambda item: item[1] == _UNKNOWN_MARKER):
            fill = PALETTE["paper"] if marker == _UNKNOWN_MARKER else PALETTE["muted"]
            handles.append(Line2D([], [], ls="", marker=marker, mfc=fill, mec=PALETTE["muted"], ms=6, label=name))
        figure.legend(handles=handles, loc="outside lower left", ncols=1 if narrow else 4)
        mark_rehearsal(figure, summary.rehearsal)

    return Plot(
        name="scaling",
        title="Read rate over disks, raw and through md",
        caption=(
            "Raw: disks read in parallel, without md. Stripe: RAID-0 over the mirrors, each with a leg on every "
            "server. At the same number of disks, the distance between the two is what md costs. The marker "
            "says what limited a point, as far as the hosts' counters show it."
        ),
        alt="Read rate of raw disks and of the stripe over mirrors, against the number of disks",
        draw=draw,
        height_inches=3.9,
        narrow_height_inches=6.6,
    )


def _scaling_cells(summary: Summary, pattern: str) -> list[Cell]:
    return [c for c in summary.cells if c.pattern == pattern and c.layout in ("raw", "stripe")]


def _draw_scaling(ax: Axes, summary: Summary, pattern: str, limits: dict[str, str], narrow: bool) -> None:
    sequential = pattern == "sequential"
    scaling = summary.scaling
    every = [
        scaling.raw_disks_sequential,
        scaling.raw_disks_random,
        scaling.raw_sequential,
        scaling.raw_random,
        scaling.stripe_sequential,
        scaling.stripe_random,
    ]
    series = [s for s in every if s is not None and s.pattern == pattern]
    cells = _scaling_cells(summary, pattern)
    in_series = {point.cell for s in series for point in s.points}
    rates = [rate for cell in cells if (rate := _rate(cell)) is not None]
    top = max(rates, default=1.0) * 1.22
    disks_max = max(cell.disks for cell in cells)
    ax.set_xlim(0, disks_max * 1.1)
    ax.set_ylim(0, top)
    volume = summary.volume
    one = volume.sequential_mb_per_s and volume.sequential_mb_per_s * 1e6 / (1 << 20)
    each = one if sequential else volume.random_iops
    if each:
        ax.plot([0, disks_max], [0, each * disks_max], color=PALETTE["muted"], lw=1, ls=":", zorder=1)
    for s in series:
        rows = [(p.disks, p.mib_per_s if sequential else p.iops) for p in s.points]
        xs, ys = [x for x, _ in rows], [math.nan if y is None else y for _, y in rows]
        each_server = s.grows_with == "disks"
        ax.plot(
            xs, ys, color=COLOURS[s.layout], lw=1.2 if each_server else 1.8, ls="--" if each_server else "-", zorder=2
        )
        if not each_server:
            _label_points(ax, s, xs, ys, narrow)
    for cell in cells:
        rate = _rate(cell)
        if rate is None:
            ax.plot(cell.disks, 0.02 * top, marker="x", color=PALETTE["bad"], ms=6, mew=1.5, clip_on=False)
            limits["not measured"] = "x"
            continue
        marker = _marker(cell.limited_by)
        limits[f"limited by {cell.limited_by}" if cell.limited_by else "limit not known"] = marker
        unknown = marker == _UNKNOWN_MARKER
        colour = COLOURS[cell.layout]
        ax.plot(
            cell.disks,
            rate,
            marker=marker,
            mfc=PALETTE["paper"] if unknown else colour,
            mec=colour,
            ms=6 if cell.cell in in_series else 5,
            mew=1.4,
            zorder=3,
        )
    ax.set_title(f"{pattern} reads, {'MiB/s' if sequential else 'operations/s'}")
    ax.set_xlabel("disks read at once")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6 if narrow else 8))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(round(value, 6))))


def _label_points(ax: Axes, series: Series, xs: Sequence[int], ys: Sequence[float], narrow: bool) -> None:
    """Raw is labelled above its line, the stripe below."""
    above = series.layout == "raw"
    for point, x, y in zip(series.points, xs, ys, strict=True):
        if math.isnan(y):
            continue
        units = (point.servers if above else point.mirrors) or 0
        ends = point in (series.points[0], series.points[-1])
        text = f"{units} {series.grows_with.removesuffix('s') if units == 1 else series.grows_with}"
        ax.annotate(
            text if ends and not (narrow and units == 1) else str(units),
            (x, y),
            xytext=(0, 8 if above else -8),
            textcoords="offset points",
            ha="right" if above and units == 1 else "center",
            va="bottom" if above else "top",
            fontsize=8,
            color=COLOURS[series.layout],
        )


def _rate(cell: Cell) -> float | None:
    return cell.mib_per_s if cell.pattern == "sequential" else cell.iops


def _marker(limited_by: str | None) -> str:
    if limited_by is None:
        return _UNKNOWN_MARKER
    return _LIMIT_MARKERS.get(limited_by, _OTHER_LIMIT_MARKER)


def latency_plot(summary: Summary) -> Plot | None:
    panels = [
        Panel(f"{pattern} reads, ms", [_latency_row(cell) for cell in cells])
        for pattern in ("sequential", "random")
        if (cells := in_order([c for c in summary.cells if c.pattern == pattern]))
    ]
    return percentiles_plot(
        panels,
        caption="Of single reads, from the worker's merged histograms; exact to 1/256. Logarithmic scale.",
        alt="Latency percentiles of each cell, from the median to the longest read",
        rehearsal=summary.rehearsal,
    )


def _latency_row(cell: Cell) -> Row:
    return Row(
        _cell_words(cell),
        COLOURS[cell.layout],
        (
            cell.latency_p50_us,
            cell.latency_p95_us,
            cell.latency_p99_us,
            cell.latency_p99_9_us,
            cell.latency_max_us,
        ),
    )


def _cell_words(cell: Cell) -> str:
    if cell.layout == "raw":
        return f"raw, {cell.servers}\u00d7{_count(cell.disks // max(cell.servers, 1), 'disk')}"
    if cell.layout == "stripe" and cell.mirrors:
        return f"stripe, {_count(cell.mirrors, 'mirror')}"
    return "one mirror" if cell.layout == "mirror" else cell.layout


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def drill_plot(summary: Summary) -> Plot | None:
    drill = summary.drill
    if drill is None or drill.zero_unix_s is None or not (drill.timeline or drill.events):
        return None
    spans = _spans(drill)

    def draw(figure: Figure, narrow: bool) -> None:
        ratios = [3.0, max(0.5, 0.27 * len(spans))]
        rates, bars = figure.subplots(2, 1, gridspec_kw={"height_ratios": ratios})
        _draw_reads(rates, drill, narrow)
        _draw_spans(bars, spans, drill)
        bars.set_xlabel("seconds since the reads began")
        mark_rehearsal(figure, summary.rehearsal)

    height = 3.6 + 0.2 * len(spans)
    return Plot(
        name="drill",
        title="Failure drill, second by second",
        caption=(
            "Reads of the stripe while storage servers are killed. Shaded: the longest stall of each phase, "
            "which is the longest that one read waited. A gap in the line: no reads were under way. Below, "
            "over the whole drill: when reads ran, when each server was gone, when each mirror rebuilt."
        ),
        alt="Reads per second during the failure drill, with kills, returns and rebuilds",
        draw=draw,
        height_inches=height,
        narrow_height_inches=height,
    )


def _draw_reads(ax: Axes, drill: Drill, narrow: bool) -> None:
    top = max((second.iops for second in drill.timeline), default=1.0) * 1.6 or 1.0
    for phase in drill.phases:
        seconds = [s for s in drill.timeline if s.cell == phase.cell]
        ax.plot([s.t_s for s in seconds], [s.iops for s in seconds], color=COLOURS["stripe"], lw=1.6)
        failed = [s for s in seconds if s.errors]
        ax.plot([s.t_s for s in failed], [s.iops for s in failed], ls="", marker="x", color=PALETTE["bad"])
        stall, ended = phase.longest_stall_s, phase.stall_ended_s
        if stall is not None and ended is not None and stall >= 1:
            ax.axvspan(ended - stall, ended, color=PALETTE["bad"], alpha=0.13, lw=0)
            ax.text(
                ended - stall / 2,
                top * 0.3,
                f"{seconds_words(stall)} stall",
                rotation=90 if narrow else 0,
                ha="center",
                va="center",
                fontsize=8.5,
                weight="bold",
                color=PALETTE["bad"],
            )
    for event in drill.events:
        if event.event == "killed":
            ax.axvline(event.t_s, color=PALETTE["bad"], lw=1.2, ls="--")
            ax.annotate(
                (event.subject or "a server") + ("" if narrow else " killed"),
                (event.t_s, top),
                xytext=(-2, -2),
                textcoords="offset points",
                rotation=90,
                ha="right",
                va="top",
                fontsize=8,
                color=PALETTE["bad"],
            )
    if not drill.timeline:
        ax.text(0.5, 0.5, "reads not recorded", transform=ax.transAxes, ha="center", color=PALETTE["bad"])
    ax.set_ylim(0, top)
    ax.set_title("reads per second")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(round(value))))


Span = tuple[str, float, float | None, str]  # label, start, end or not known, colour


def _spans(drill: Drill) -> list[Span]:
    spans: list[Span] = []
    for event in drill.events:
        if event.event == "killed":
            back = [e.t_s for e in drill.events if e.event == "returned" and e.subject == event.subject]
            end = min((t for t in back if t >= event.t_s), default=None)
            spans.append((f"{event.subject or 'a server'} gone", event.t_s, end, PALETTE["bad"]))
    spans.extend(
        (f"{rebuild.array} rebuilding", rebuild.started_s, rebuild.finished_s, PALETTE["good"])
        for rebuild in drill.rebuilds
        if rebuild.started_s is not None
    )
    return spans


def _draw_spans(ax: Axes, spans: Sequence[Span], drill: Drill) -> None:
    known = [t for _, start, end, _ in spans for t in (start, end) if t is not None]
    latest = max(known, default=0.0)
    for row, (_, start, end, colour) in enumerate(spans):
        ax.barh(row, (latest if end is None else end) - start, left=start, height=0.62, color=colour, alpha=0.75)
        words_after = "end not recorded" if end is None else seconds_words(end - start)
        ax.annotate(
            words_after,
            (latest if end is None else end, row),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    ax.set_yticks(range(len(spans)), [label for label, *_ in spans])
    ax.set_ylim(len(spans) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    if drill.timeline:
        ax.axvspan(drill.timeline[0].t_s, drill.timeline[-1].t_s, color=COLOURS["stripe"], alpha=0.13, lw=0)
    ax.set_title("shaded: reads under way", fontsize=8.5, weight="normal")
    ax.margins(x=0.12)
