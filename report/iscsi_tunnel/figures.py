"""iscsi-tunnel's figures: the rates side by side, and the lost connection in time."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from report.figures import PALETTE, Plot, mark_rehearsal, panels
from report.format import figure as words
from report.iscsi_tunnel.schema import Cell, Summary

COLOURS = {"tunnel": PALETTE["blue"], "direct": PALETTE["orange"], "ssh": PALETTE["purple"]}
_LABELS = {"tunnel": "tunnel", "direct": "iSCSI alone", "ssh": "ssh alone"}
_LOSS_COLOURS = {"ssh-killed": PALETTE["blue"], "path-cut": PALETTE["orange"]}
_LOSS_WORDS = {"ssh-killed": "ssh killed", "path-cut": "path cut"}


def rates_plot(summary: Summary) -> Plot | None:
    """Bars by path, a group for each operation; sequential in MiB/s, random in operations a second."""
    shown = [cell for cell in summary.cells if cell.mib_per_s is not None]
    patterns = [p for p in ("sequential", "random") if any(cell.pattern == p for cell in shown)]
    if not patterns:
        return None

    def draw(figure: Figure, narrow: bool) -> None:
        for ax, pattern in zip(panels(figure, len(patterns), narrow), patterns, strict=True):
            _draw_bars(ax, [cell for cell in shown if cell.pattern == pattern], pattern)
        mark_rehearsal(figure, summary.rehearsal)

    return Plot(
        name="tunnel-rates",
        title="The same disk through the tunnel and without it",
        caption="ssh alone moves zeros from memory to nowhere over one connection, between the same two hosts.",
        alt="Rates of reading and writing, through the tunnel, by iSCSI alone, and by ssh alone",
        draw=draw,
        height_inches=3.0,
        narrow_height_inches=5.4,
    )


def _draw_bars(ax: Axes, cells: list[Cell], pattern: str) -> None:
    rows = [(cell, _value(cell)) for cell in cells]
    for number, (cell, value) in enumerate(rows):
        ax.barh(number, value, height=0.7, color=COLOURS[cell.path])
        ax.annotate(words(value), (value, number), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_yticks(range(len(rows)), [f"{cell.op}, {_LABELS[cell.path]}" for cell, _ in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.15)
    ax.set_title("sequential, MiB/s" if pattern == "sequential" else "random, operations/s")


def _value(cell: Cell) -> float:
    return (cell.mib_per_s if cell.pattern == "sequential" else cell.iops) or 0.0


def losses_plot(summary: Summary) -> Plot | None:
    """Reads a second around the moment at which the connection was lost."""
    if not summary.timeline:
        return None

    def draw(figure: Figure, narrow: bool) -> None:
        (ax,) = panels(figure, 1, narrow)
        for how in dict.fromkeys(second.how for second in summary.timeline):
            seconds = [second for second in summary.timeline if second.how == how]
            ax.plot(
                [second.t_s for second in seconds],
                [second.iops for second in seconds],
                color=_LOSS_COLOURS.get(how, PALETTE["ink"]),
                lw=1.6,
                label=_LOSS_WORDS.get(how, how),
            )
        ax.axvline(0, color=PALETTE["bad"], lw=1.2, ls="--")
        ax.set_ylim(bottom=0)
        ax.set_xlabel("seconds since the connection was lost")
        ax.set_title("reads per second")
        ax.legend(loc="upper right")
        mark_rehearsal(figure, summary.rehearsal)

    return Plot(
        name="tunnel-losses",
        title="The connection lost, second by second",
        caption="Random reads of 4 KiB. What was under way waits, and is answered when the tunnel is back.",
        alt="Reads per second before, while and after the connection is lost",
        draw=draw,
        height_inches=2.8,
        narrow_height_inches=2.8,
    )
