"""An interactive figure: Vega-Lite views, called panels, side by side or below each other, with their data in them.

A figure is drawn twice. As SVG when the page is made: for print, for browsers without scripts, and as a file beside the
page. And by Vega in the browser, in the width of the window. Colours are the CSS variables of templates/style.css, so
that the page chooses between light and dark.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vl_convert

from report.atomic_write import write_atomically
from report.panels import COLOURS, HIDDEN_OPACITY, PALETTE, Spec

WIDE_PIXELS = 930
GAP_PIXELS = 24
PNG_SCALE = 2
# Sizes of a legend's entry.
CHARACTER_PIXELS = 6.5
SYMBOL_PIXELS = 34
MARK = "REHEARSAL: shows the method, not AWS"
# 12 345.6, as in report/format.py
NUMBERS: Any = {"decimal": ".", "thousands": "\u202f", "grouping": [3], "currency": ["", ""]}
# How all figures look, here and in the browser.
CONFIG: Spec = {
    "background": None,
    "font": "system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif",
    "view": {"stroke": None},
    "title": {
        "anchor": "start",
        "frame": "group",
        "color": COLOURS["ink"],
        "fontSize": 13,
        "offset": 10,
        "subtitleColor": COLOURS["bad"],
        "subtitleFontSize": 10,
        "subtitleFontWeight": "bold",
    },
    "axis": {
        "domainColor": COLOURS["muted"],
        "tickColor": COLOURS["muted"],
        "gridColor": COLOURS["rule"],
        "labelColor": COLOURS["ink"],
        "titleColor": COLOURS["ink"],
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "labelLimit": 200,
    },
    "legend": {
        "orient": "bottom",
        "title": None,
        "labelColor": COLOURS["ink"],
        "labelFontSize": 11,
        "labelLimit": 260,
        "symbolStrokeWidth": 1.8,
        "symbolBaseFillColor": "transparent",
        "symbolBaseStrokeColor": COLOURS["muted"],
        "symbolOpacity": 1,
        "columnPadding": 14,
        "layout": {"bottom": {"anchor": "start", "direction": "vertical", "margin": 4}},
    },
    "text": {"color": COLOURS["ink"], "fontSize": 11},
    "rule": {"color": COLOURS["ink"]},
}


@dataclass(frozen=True)
class Chart:
    """`panels` are Vega-Lite views with a title and a height; `columns` of them stand side by side on a wide page."""

    name: str
    title: str
    caption: str
    alt: str
    panels: Sequence[Spec]
    columns: int = 2
    axis_pixels: int = 62  # the part of a panel's width that the labels beside it take
    zooms: bool = False  # its panels have the parameter that report.panels.zoom makes


@dataclass(frozen=True)
class DrawnChart:
    plot: Chart
    document: str  # JSON: the panels, for the browser
    svg: str  # with the page's colours


def draw_chart(chart: Chart, rehearsal: bool) -> DrawnChart:
    panels = [_marked(panel, rehearsal) for panel in chart.panels]
    document = json.dumps(panels, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    svg = vl_convert.vegalite_to_svg(_side_by_side(chart, panels), format_locale=NUMBERS, allowed_base_urls=[])
    svg = _unique_ids(svg[svg.index("<svg") :], chart.name)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(chart.alt)}" ', 1)
    return DrawnChart(chart, document, svg)


def plain_svg(drawn: DrawnChart) -> str:
    """Returns the drawing for a file: in light colours, on a white background."""
    paper = f'<rect width="100%" height="100%" fill="{COLOURS["paper"]}"/>'
    begun, _, rest = drawn.svg.partition(">")
    svg = f"{begun}>{paper}{rest}"
    for name, colour in PALETTE.items():
        svg = svg.replace(COLOURS[name], colour)
    return svg


def to_png(plain: str) -> bytes:
    return vl_convert.svg_to_png(plain, scale=PNG_SCALE)


def _side_by_side(chart: Chart, panels: Sequence[Spec]) -> Spec:
    columns = min(chart.columns, len(chart.panels))
    width = (WIDE_PIXELS - (columns - 1) * GAP_PIXELS) // columns - chart.axis_pixels
    return {
        "concat": [{**_legends_fitted(panel, width), "width": width} for panel in panels],
        "columns": columns,
        "spacing": GAP_PIXELS,
        "resolve": {"scale": {"color": "independent", "shape": "independent"}},
        # The drawing as a whole has a description; one for each mark would be most of the file.
        "config": {**CONFIG, "aria": False},
    }


def _unique_ids(svg: str, name: str) -> str:
    """Several drawings share a page, and the numbers in Vega's ids depend on what it drew before."""
    ids = {found: f"{name}-{number}" for number, found in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg)))}
    svg = re.sub(r'\bid="([^"]+)"', lambda found: f'id="{ids[found[1]]}"', svg)
    return re.sub(r"((?:xlink:)?href=\"#|url\(#)([^\")]+)", lambda found: f"{found[1]}{ids[found[2]]}", svg)


def _marked(panel: Spec, rehearsal: bool) -> Spec:
    """The mark of a rehearsal is part of the drawing, so that a copy of the drawing has it."""
    return {**panel, "title": {"text": panel["title"], **({"subtitle": MARK} if rehearsal else {})}}


def _legends_fitted(panel: Spec, width: int) -> Spec:
    """Gives legends as many columns as fit into the width; templates/page.js does the same in the browser."""
    seen = [layer for layer in panel["layer"] if layer["mark"].get("opacity") != HIDDEN_OPACITY]
    return {**panel, "layer": [{**layer, "encoding": _fitted(layer["encoding"], width)} for layer in seen]}


def _fitted(encoding: Spec, width: int) -> Spec:
    fitted = {}
    for name, channel in encoding.items():
        if isinstance(channel, dict) and channel.get("legend") is not None:
            longest = max(len(value) for value in channel["scale"]["domain"])
            columns = max(1, int(width / (longest * CHARACTER_PIXELS + SYMBOL_PIXELS)))
            channel = {**channel, "legend": {**channel["legend"], "columns": columns}}
        fitted[name] = channel
    return fitted


def library() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as one script of 0.9 MB, which defines vegaEmbed.

    Cached in a file: vl-convert takes seconds to bundle it.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidemark"
    cached = cache / f"vega-embed-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError):
        return cached.read_text(encoding="utf-8")
    # In a page "</script" would end the script.
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
    with contextlib.suppress(OSError):  # nowhere to keep it: it is bundled again the next time
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(cached, script)
    return script
