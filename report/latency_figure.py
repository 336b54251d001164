"""Latency percentiles, a row for each cell, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from report.figures import PALETTE, Plot, mark_rehearsal, panels
from report.format import figure as words

_PERCENTILES = (
    ("p50", "o", 5.5),
    ("p95", "|", 8.0),
    ("p99", "s", 4.0),
    ("p99.9", "d", 4.5),
    ("max", "x", 5.0),
)


@dataclass(frozen=True)
class Row:
    words: str
    colour: str
    values_us: tuple[float | None, float | None, float | None, float | None, float | None]  # as _PERCENTILES


@dataclass(frozen=True)
class Panel:
    title: str
    rows: Sequence[Row]


def percentiles_plot(shown: Sequence[Panel], *, caption: str, alt: str, rehearsal: bool) -> Plot | None:
    if not shown:
        return None

    def draw(figure: Figure, narrow: bool) -> None:
        for ax, panel in zip(panels(figure, len(shown), narrow), shown, strict=True):
            _draw_panel(ax, panel)
        handles = [
            Line2D([], [], ls="", marker=marker, mfc=PALETTE["muted"], mec=PALETTE["muted"], ms=size, label=name)
            for name, marker, size in _PERCENTILES
        ]
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=len(handles),
            columnspacing=0.8 if narrow else 1.6,
            handletextpad=0.2,
        )
        mark_rehearsal(figure, rehearsal)

    height = 1.5 + 0.24 * max(len(panel.rows) for panel in shown)
    return Plot(
        name="latency",
        title="Latency percentiles of each cell",
        caption=caption,
        alt=alt,
        draw=draw,
        height_inches=height,
        narrow_height_inches=height * len(shown),
    )


def _draw_panel(ax: Axes, panel: Panel) -> None:
    known = False
    for at, row in enumerate(panel.rows):
        present = [value / 1000 for value in row.values_us if value is not None]
        if not present:
            ax.text(
                0.02,
                at,
                "not measured",
                transform=ax.get_yaxis_transform(),
                va="center",
                color=PALETTE["bad"],
            )
            continue
        known = True
        ax.plot([min(present), max(present)], [at, at], color=row.colour, lw=1.2, alpha=0.45)
        for (_, marker, size), value in zip(_PERCENTILES, row.values_us, strict=True):
            if value is not None:
                ax.plot(value / 1000, at, marker=marker, color=row.colour, ms=size, mew=1.3, ls="")
    ax.set_yticks(range(len(panel.rows)), [row.words for row in panel.rows])
    ax.set_ylim(len(panel.rows) - 0.4, -0.6)
    if known:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.set_xticks([])
    ax.grid(axis="y", visible=False)
    ax.set_title(panel.title)
