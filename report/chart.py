"""A figure that answers the pointer: Vega-Lite views beside or below each other, with their data in them.

Each panel is a Vega-Lite view without a width. It is drawn twice: as SVG when the page is made, which is what print
and a browser without scripts show, and what stands beside the page for elsewhere; and by Vega in the browser, as wide
as the window lets it be. Colours are the CSS variables of templates/style.css: light and dark are the page's choice.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import vl_convert

from report.palette import COLOURS, MARK, in_light_colours
from report.panels import UNSEEN_OPACITY
from report.vega import CONFIG, Spec, begin_to_draw

WIDE_PIXELS = 930
GAP_PIXELS = 24
PNG_SCALE = 2
# Of a legend's entry.
CHARACTER_PIXELS = 6.5
SYMBOL_PIXELS = 34


@dataclass(frozen=True)
class Chart:
    """`panels` are Vega-Lite views with a title and a height; `columns` of them stand side by side on a wide page."""

    name: str
    title: str
    caption: str
    alt: str
    panels: Sequence[Spec]
    columns: int = 2
    axis_pixels: int = 62  # what the labels beside a panel take of its width
    zooms: bool = False  # its panels have the parameter that report.panels.zoom makes


@dataclass(frozen=True)
class DrawnChart:
    plot: Chart
    document: str  # JSON: the panels, for the browser
    drawing: Callable[[], str]

    @cached_property
    def svg(self) -> str:
        """With the page's colours."""
        svg = self.drawing()
        svg = _ids_of_its_own(svg[svg.index("<svg") :], self.plot.name)
        return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(self.plot.alt)}" ', 1)


def draw_chart(chart: Chart, rehearsal: bool) -> DrawnChart:
    drawing = begin_to_draw(_together(chart, rehearsal))
    panels = [_marked(panel, rehearsal) for panel in chart.panels]
    document = json.dumps(panels, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return DrawnChart(chart, document, drawing)


def plain_svg(drawn: DrawnChart) -> str:
    """For elsewhere: in the light colours, on paper."""
    paper = f'<rect width="100%" height="100%" fill="{COLOURS["paper"]}"/>'
    begun, _, rest = drawn.svg.partition(">")
    return in_light_colours(f"{begun}>{paper}{rest}")


def to_png(plain: str) -> bytes:
    return vl_convert.svg_to_png(plain, scale=PNG_SCALE)


def _together(chart: Chart, rehearsal: bool) -> Spec:
    columns = min(chart.columns, len(chart.panels))
    width = (WIDE_PIXELS - (columns - 1) * GAP_PIXELS) // columns - chart.axis_pixels
    return {
        "concat": [{**_legends_fitted(_marked(panel, rehearsal), width), "width": width} for panel in chart.panels],
        "columns": columns,
        "spacing": GAP_PIXELS,
        "resolve": {"scale": {"color": "independent", "shape": "independent"}},
        # The drawing as a whole is described; words for each of its marks would be most of it.
        "config": {**CONFIG, "aria": False},
    }


def _ids_of_its_own(svg: str, name: str) -> str:
    """Several drawings share a page, and Vega numbers their parts from whatever it has drawn before."""
    ids = {found: f"{name}-{number}" for number, found in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg)))}
    svg = re.sub(r'\bid="([^"]+)"', lambda found: f'id="{ids[found[1]]}"', svg)
    return re.sub(r"((?:xlink:)?href=\"#|url\(#)([^\")]+)", lambda found: f"{found[1]}{ids[found[2]]}", svg)


def _marked(panel: Spec, rehearsal: bool) -> Spec:
    """The mark stands in the drawing itself, so that it goes where the drawing goes."""
    return {**panel, "title": {"text": panel["title"], **({"subtitle": MARK} if rehearsal else {})}}


def _legends_fitted(panel: Spec, width: int) -> Spec:
    """As many columns as there is room for; templates/page.js does the same for the width that it finds."""
    seen = [layer for layer in panel["layer"] if layer["mark"].get("opacity") != UNSEEN_OPACITY]
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
