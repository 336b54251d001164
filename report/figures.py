"""How every figure is drawn: wide and narrow SVG that follows the page's colours, and PNG for elsewhere.

A figure is drawn in the light palette. In SVG each of its colours then becomes a CSS variable, so that the
page decides between light and dark; text stays text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from report.palette import COLOURS, MARK, PALETTE

__all__ = ["PALETTE", "Drawn", "Plot", "mark_rehearsal", "panels", "render", "write_png"]

WIDE_INCHES = 9.2
NARROW_INCHES = 3.55
MARK_INCHES = 0.22
PNG_DPI = 180

_RC: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tidemark",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": PALETTE["muted"],
    "axes.labelcolor": PALETTE["ink"],
    "axes.titlecolor": PALETTE["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALETTE["rule"],
    "grid.linewidth": 0.6,
    "text.color": PALETTE["ink"],
    "xtick.color": PALETTE["muted"],
    "ytick.color": PALETTE["muted"],
    "xtick.labelcolor": PALETTE["ink"],
    "ytick.labelcolor": PALETTE["ink"],
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@dataclass(frozen=True)
class Plot:
    """`draw(figure, narrow)` draws it; it is called once for each size."""

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Figure, bool], None]
    height_inches: float
    narrow_height_inches: float


@dataclass(frozen=True)
class Drawn:
    plot: Plot
    wide_svg: str
    narrow_svg: str


def render(plot: Plot) -> Drawn:
    return Drawn(plot, _svg(plot, narrow=False), _svg(plot, narrow=True))


def write_png(plot: Plot, path: Path) -> None:
    with mpl.rc_context(_RC):
        figure = _draw(plot, narrow=False)
        figure.savefig(path, format="png", dpi=PNG_DPI, facecolor=PALETTE["paper"], metadata={"Software": None})


def mark_rehearsal(figure: Figure, rehearsal: bool) -> None:
    """The mark stands in the drawing itself, so that it goes where the drawing goes."""
    if rehearsal:
        figure.text(
            0.995,
            0.995,
            MARK,
            ha="right",
            va="top",
            fontsize=7.5,
            color=PALETTE["bad"],
            weight="bold",
        )


def panels(figure: Figure, count: int, narrow: bool) -> list[Axes]:
    """Side by side, or one below the other where it is narrow."""
    rows, columns = (count, 1) if narrow else (1, count)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(hspace=0.08)
    return list(figure.subplots(rows, columns, squeeze=False).flat)


def _draw(plot: Plot, narrow: bool) -> Figure:
    size = (NARROW_INCHES, plot.narrow_height_inches) if narrow else (WIDE_INCHES, plot.height_inches)
    room_for_mark = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - MARK_INCHES / size[1]))
    figure = Figure(figsize=size, layout=room_for_mark)
    plot.draw(figure, narrow)
    return figure


def _svg(plot: Plot, narrow: bool) -> str:
    out = io.StringIO()
    with mpl.rc_context(_RC):
        _draw(plot, narrow).savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    kind = "narrow" if narrow else "wide"
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Several drawings share the page, and matplotlib gives the same parts the same ids in each.
    prefix = f"{plot.name}-{kind}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{prefix}", svg)
    for name, colour in PALETTE.items():
        svg = svg.replace(colour, COLOURS[name])
    alt = plot.alt
    label = alt.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg ", f'<svg class="{kind}" role="img" aria-label="{label}" ', 1).strip()
