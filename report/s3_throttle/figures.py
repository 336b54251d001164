"""s3-throttle's figures: bytes over time by each way, and how near each mean came to its target."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from report.figures import PALETTE, Plot, mark_rehearsal, panels
from report.s3_throttle.cells import FREE
from report.s3_throttle.schema import Cell, Summary

_COLOURS = {
    "free": PALETTE["ink"],
    "duty-cycle": PALETTE["orange"],
    "closed-loop": PALETTE["blue"],
    "max-bandwidth": PALETTE["purple"],
    "tc": PALETTE["good"],
}
_MARKERS = {"duty-cycle": "s", "closed-loop": "o", "max-bandwidth": "^", "tc": "D"}


def progress_plot(summary: Summary) -> Plot | None:
    """Bytes over time from the network interface: a panel for each way, the targets as straight lines."""
    by_method: dict[str, list[Cell]] = {}
    for cell in summary.cells:
        if cell.progress:
            by_method.setdefault(cell.method, []).append(cell)
    shown = [method for method in _COLOURS if method != FREE and method in by_method]
    if not shown:
        return None
    longest = max(point.t_s for method in shown for cell in by_method[method] for point in cell.progress[-1:])

    def draw(figure: Figure, narrow: bool) -> None:
        for number, (ax, method) in enumerate(zip(panels(figure, len(shown), narrow), shown, strict=True)):
            for cell in by_method.get(FREE, [])[:1]:
                _draw_progress(ax, cell, PALETTE["muted"])
            for cell in by_method[method]:
                _draw_progress(ax, cell, _COLOURS[method])
                if cell.target_mb_per_s is not None and cell.seconds is not None:
                    ends = (0, cell.seconds)
                    ax.plot(ends, [t * cell.target_mb_per_s for t in ends], color=PALETTE["bad"], lw=0.8, ls=":")
            ax.set_title(method)
            ax.set_xlabel("seconds since the first byte")
            ax.set_xlim(0, longest * 1.05)
            ax.set_ylim(0)
            if number == 0 or narrow:
                ax.set_ylabel("MB sent")
        handles = [
            Line2D([], [], color=PALETTE["muted"], lw=1.6, label="free"),
            Line2D([], [], color=PALETTE["bad"], lw=0.8, ls=":", label="target"),
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=2)
        mark_rehearsal(figure, summary.rehearsal)

    return Plot(
        name="progress",
        title="Bytes over time, from the network interface",
        caption=(
            "Each line is a sync, looked at every 20 ms and drawn every 100 ms; the steeper, the higher its rate. "
            "Dotted: what its target would have sent. Steps are bursts and pauses."
        ),
        alt="Bytes sent over time by the duty cycle, the closed loop, the CLI's own limit and tc, with their targets",
        draw=draw,
        height_inches=3.6,
        narrow_height_inches=2.6 * len(shown) + 0.6,
    )


def _draw_progress(ax: Axes, cell: Cell, colour: str) -> None:
    ax.plot([p.t_s for p in cell.progress], [p.mb for p in cell.progress], color=colour, lw=1.4)


def accuracy_plot(summary: Summary) -> Plot | None:
    """The mean over the target, by where the target lies."""
    found = [cell for cell in summary.cells if cell.mean_to_target_ratio is not None and cell.target_to_free_ratio]
    if not found:
        return None

    def draw(figure: Figure, narrow: bool) -> None:
        (ax,) = panels(figure, 1, narrow)
        _draw_accuracy(ax, found)
        figure.legend(loc="outside lower left", ncols=2 if narrow else 4)
        mark_rehearsal(figure, summary.rehearsal)

    return Plot(
        name="accuracy",
        title="Mean over target",
        caption="1 is a cap that holds; the band is 3 % either way. A duty cycle's target is run / (run + stop).",
        alt="The mean rate of each sync over its target, by the target's part of the free rate",
        draw=draw,
        height_inches=3.4,
        narrow_height_inches=3.4,
    )


def _draw_accuracy(ax: Axes, cells: Sequence[Cell]) -> None:
    ax.axhspan(0.97, 1.03, color=PALETTE["rule"], alpha=0.6, lw=0)
    ax.axhline(1, color=PALETTE["ink"], lw=0.8)
    for method, marker in _MARKERS.items():
        of_method = [cell for cell in cells if cell.method == method]
        if of_method:
            ax.plot(
                [(cell.target_to_free_ratio or 0) * 100 for cell in of_method],
                [cell.mean_to_target_ratio or 0 for cell in of_method],
                ls="",
                marker=marker,
                ms=6,
                color=_COLOURS[method],
                label=method,
            )
    ax.set_xlabel("target, % of the free rate")
    ax.set_ylabel("mean / target")
    ax.set_xlim(0, 100)
