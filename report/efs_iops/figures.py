"""efs-iops' figures: operations over writers, latency percentiles, the run in time, how far the sources agree."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from report.claims import Claim, Point
from report.efs_iops.schema import Cell, Counted, Found, Step, Summary, Timeline
from report.efs_iops.words import at_once, clock_time, in_order, request_size
from report.figures import PALETTE, Plot, mark_rehearsal, panels
from report.format import figure as words
from report.latency_figure import Panel, Row, percentiles_plot

OPS = ("write", "read")
_OP_COLOURS = {"write": PALETTE["orange"], "read": PALETTE["blue"]}
_HOST_COLOURS = {1: PALETTE["blue"], 2: PALETTE["orange"]}
_MORE_HOSTS_COLOUR = PALETTE["good"]
_SIZE_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_PUBLISHED_COLOUR = PALETTE["purple"]
# More rows than this a figure can't show apart; the table has them all.
LATENCY_ROWS_MAX = 36


def iops_plot(summary: Summary, claims: Sequence[Claim]) -> Plot | None:
    """The plateau, the knee and what was published, for each operation."""
    fixed = {op: [c for c in summary.cells if c.op == op and c.pattern == "fixed"] for op in OPS}
    shown = [op for op in OPS if any(cell.ops_per_s is not None for cell in fixed[op])]
    if not shown:
        return None
    sizes = sorted({cell.request_bytes for op in shown for cell in fixed[op]})
    hosts = sorted({len(cell.hosts) for op in shown for cell in fixed[op]})
    points = [(claim.published.date, point) for claim in claims for point in claim.published.points]

    def draw(figure: Figure, narrow: bool) -> None:
        for ax, op in zip(panels(figure, len(shown), narrow), shown, strict=True):
            found = summary.limits.write if op == "write" else summary.limits.read
            of_op = [point for _, point in points if point.of.split(",")[0] == op]
            _draw_iops(ax, op, fixed[op], found, sizes, of_op)
        handles = [
            Line2D([], [], color=_host_colour(n), lw=1.8, label=f"{n} host" if n == 1 else f"{n} hosts") for n in hosts
        ]
        handles += [
            Line2D([], [], ls="", marker=_marker(size, sizes), color=PALETTE["muted"], ms=5, label=request_size(size))
            for size in sizes
        ]
        handles += [
            Line2D([], [], color=PALETTE["muted"], lw=1, ls=":", label="writers \u00d7 one writer"),
            Line2D([], [], color=PALETTE["ink"], lw=1, ls="--", label="limit found"),
        ]
        if points:
            published = f"published {', '.join(sorted({date for date, _ in points}))}"
            handles.append(Line2D([], [], ls="", marker="*", ms=9, mfc="none", mec=_PUBLISHED_COLOUR, label=published))
        figure.legend(handles=handles, loc="outside lower left", ncols=2 if narrow else 5)
        mark_rehearsal(figure, summary.rehearsal)

    return Plot(
        name="iops",
        title="Operations a second over writers",
        caption=(
            "Writers of all hosts together, logarithmic; each has one operation under way. Lines are means over the "
            "request sizes. Dotted: what one writer makes, times the writers; where it meets the limit found is the "
            "knee. Stars: what the original experiment published."
        ),
        alt="Operations a second over the number of writers, with the limit found, the knee and the published points",
        draw=draw,
        height_inches=4.3,
        narrow_height_inches=7.6,
    )


def _draw_iops(
    ax: Axes, op: str, cells: Sequence[Cell], found: Found, sizes: Sequence[int], published: Sequence[Point]
) -> None:
    measured = [cell for cell in cells if cell.ops_per_s is not None]
    for number in sorted({len(cell.hosts) for cell in measured}):
        of_hosts = [cell for cell in measured if len(cell.hosts) == number]
        by_writers: dict[int, list[float]] = {}
        for cell in of_hosts:
            by_writers.setdefault(cell.total_writers, []).append(cell.ops_per_s or math.nan)
        xs = sorted(by_writers)
        colour = _host_colour(number)
        ax.plot(xs, [statistics.fmean(by_writers[x]) for x in xs], color=colour, lw=1.8, zorder=2)
        for cell in of_hosts:
            ax.plot(
                cell.total_writers,
                cell.ops_per_s or math.nan,
                ls="",
                marker=_marker(cell.request_bytes, sizes),
                mfc=PALETTE["paper"],
                mec=colour,
                ms=5,
                mew=1.2,
                zorder=3,
            )
    writers = [cell.total_writers for cell in cells] + [point.x for point in published]
    rates = [cell.ops_per_s for cell in measured if cell.ops_per_s is not None]
    top = max([*rates, *(point.y for point in published)]) * 1.18
    if found.one_writer_ops_per_s:
        last = min(max(writers), top / found.one_writer_ops_per_s)
        line = [last ** (n / 40) for n in range(41)]
        ax.plot(line, [found.one_writer_ops_per_s * x for x in line], color=PALETTE["muted"], lw=1, ls=":", zorder=1)
    if found.limit_ops_per_s is not None:
        ax.axhline(found.limit_ops_per_s, color=PALETTE["ink"], lw=1, ls="--", zorder=1)
        ax.annotate(
            f"limit {words(found.limit_ops_per_s)} op/s",
            (0.02, found.limit_ops_per_s),
            xycoords=ax.get_yaxis_transform(),
            xytext=(0, 4),
            textcoords="offset points",
            fontsize=8,
        )
        if found.knee_writers is not None:
            ax.axvline(found.knee_writers, color=PALETTE["ink"], lw=0.8, ls="--", zorder=1, alpha=0.6)
            ax.annotate(
                f"knee {words(round(found.knee_writers))}",
                (found.knee_writers, 0),
                xytext=(-3, 4),
                textcoords="offset points",
                fontsize=8,
                rotation=90,
                ha="right",
                va="bottom",
            )
    for point in published:
        ax.plot(point.x, point.y, ls="", marker="*", ms=10, mfc="none", mec=_PUBLISHED_COLOUR, mew=1.3, zorder=4)
    ticks = sorted({cell.total_writers for cell in cells})
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(round(value))))
    ax.set_xlim(min(writers) / 1.25, max(writers) * 1.35)
    ax.set_ylim(0, top)
    ax.set_title(f"{op}, operations/s")
    ax.set_xlabel("writers")


def _host_colour(number: int) -> str:
    return _HOST_COLOURS.get(number, _MORE_HOSTS_COLOUR)


def _marker(size: int, sizes: Sequence[int]) -> str:
    return _SIZE_MARKERS[sizes.index(size) % len(_SIZE_MARKERS)]


def latency_plot(summary: Summary) -> Plot | None:
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
        rehearsal=summary.rehearsal,
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


def timeline_plot(summary: Summary) -> Plot | None:
    timeline = summary.timeline
    if timeline is None:
        return None

    def draw(figure: Figure, narrow: bool) -> None:
        operations, moved = figure.subplots(2, 1, sharex=True)
        _draw_operations(operations, timeline)
        _draw_moved(moved, timeline)
        moved.set_xlabel(f"seconds since {clock_time(timeline.zero_unix_s)} UTC")
        handles = [
            Line2D([], [], color=_OP_COLOURS["write"], lw=1.8, label="writers writing"),
            Line2D([], [], color=_OP_COLOURS["read"], lw=1.8, label="writers reading"),
            Line2D([], [], color=PALETTE["ink"], lw=0.8, label="mountstats"),
            Line2D([], [], color=PALETTE["good"], lw=0.9, label="network interfaces"),
            Line2D([], [], color=PALETTE["purple"], lw=1.8, label="CloudWatch, minutes"),
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=2 if narrow else 5)
        mark_rehearsal(figure, summary.rehearsal)

    each = "a second" if timeline.step_seconds == 1 else f"{timeline.step_seconds} seconds"
    return Plot(
        name="timeline",
        title="The run in time, counted in four places",
        caption=(
            f"By the runner's clock, each point the mean of {each}. mountstats and the interfaces are read once a "
            "second, at moments of their own: that parts the seconds in which a cell begins and ends. CloudWatch's "
            "minutes are means over pauses, too, and its bytes are metered: small requests count more than they moved."
        ),
        alt="Operations and megabytes a second over the run, by the workers, mountstats, the interfaces and CloudWatch",
        draw=draw,
        height_inches=4.6,
        narrow_height_inches=5.4,
    )


def _draw_operations(ax: Axes, timeline: Timeline) -> None:
    times = [each.t_s for each in timeline.stretches]
    for op in OPS:
        rates = [_gap(getattr(each, f"worker_{op}_ops_per_s")) for each in timeline.stretches]
        ax.plot(times, rates, color=_OP_COLOURS[op], lw=2.2, alpha=0.75, drawstyle="steps-mid")
    kernels = [
        math.nan
        if each.mountstats_read_ops_per_s is None or each.mountstats_write_ops_per_s is None
        else each.mountstats_read_ops_per_s + each.mountstats_write_ops_per_s
        for each in timeline.stretches
    ]
    ax.plot(times, kernels, color=PALETTE["ink"], lw=0.8, drawstyle="steps-mid")
    _draw_steps(ax, timeline.cloudwatch, [step.ops_per_s for step in timeline.cloudwatch])
    ax.set_title("operations/s")
    _finish(ax)


def _draw_moved(ax: Axes, timeline: Timeline) -> None:
    times = [each.t_s for each in timeline.stretches]
    for op in OPS:
        rates = [
            _gap(each.worker_mb_per_s if getattr(each, f"worker_{op}_ops_per_s") is not None else None)
            for each in timeline.stretches
        ]
        ax.plot(times, rates, color=_OP_COLOURS[op], lw=2.2, alpha=0.75, drawstyle="steps-mid")
    nic = [_gap(each.nic_mb_per_s) for each in timeline.stretches]
    ax.plot(times, nic, color=PALETTE["good"], lw=0.9, drawstyle="steps-mid")
    _draw_steps(ax, timeline.cloudwatch, [step.mb_per_s for step in timeline.cloudwatch])
    ax.set_title("MB/s")
    _finish(ax)


def _draw_steps(ax: Axes, steps: Sequence[Step], rates: Sequence[float | None]) -> None:
    for step, rate in zip(steps, rates, strict=True):
        if rate is not None:
            ax.plot([step.t_start_s, step.t_end_s], [rate, rate], color=PALETTE["purple"], lw=1.8)


def _finish(ax: Axes) -> None:
    ax.set_ylim(bottom=0)
    ax.margins(x=0.01)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(round(value, 6))))


def _gap(value: float | None) -> float:
    return math.nan if value is None else value


_RATIOS = (
    ("mountstats / worker, operations", "mountstats_to_worker_operations", "o", PALETTE["ink"]),
    ("CloudWatch / worker, operations", "cloudwatch_to_worker_operations", "s", PALETTE["purple"]),
    ("CloudWatch / requests as metered, bytes", "cloudwatch_to_metered_bytes", "^", PALETTE["good"]),
)


def agreement_plot(summary: Summary) -> Plot | None:
    minutes = summary.agreement.minutes
    if len(minutes) < 2:
        return None

    def draw(figure: Figure, narrow: bool) -> None:
        for ax, op in zip(panels(figure, 2, narrow), OPS, strict=True):
            for name, field, marker, colour in _RATIOS:
                rows = [(m.start_unix_s, _points_off(getattr(m, op), field)) for m in minutes]
                known = [((t - minutes[0].start_unix_s) / 60, off) for t, off in rows if off is not None]
                ax.plot(
                    [x for x, _ in known],
                    [y for _, y in known],
                    ls="",
                    marker=marker,
                    mfc="none",
                    mec=colour,
                    ms=5,
                    label=name,
                )
            ax.axhline(0, color=PALETTE["muted"], lw=0.8)
            low, high = ax.get_ylim()
            widest = max(abs(low), abs(high), 0.5)
            ax.set_ylim(-widest, widest)
            ax.set_title(f"{op}, % off")
            ax.set_xlabel(f"minutes since {clock_time(minutes[0].start_unix_s)} UTC")
            ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(round(value, 6))))
        handles = [
            Line2D([], [], ls="", marker=marker, mfc="none", mec=colour, ms=5, label=name)
            for name, _, marker, colour in _RATIOS
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=1 if narrow else 3)
        mark_rehearsal(figure, summary.rehearsal)

    return Plot(
        name="agreement",
        title="How far the sources agree, minute by minute",
        caption="0 is agreement. A minute in which CloudWatch lacks the metric has no point.",
        alt="The differences between mountstats, CloudWatch and the workers for each minute, in percent",
        draw=draw,
        height_inches=3.3,
        narrow_height_inches=5.6,
    )


def _points_off(counted: Counted | None, field: str) -> float | None:
    ratio = getattr(counted, field) if counted is not None else None
    return None if ratio is None else (ratio - 1) * 100
