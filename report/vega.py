"""Vega-Lite: how all figures look, how they are drawn here, and the library that draws them in the page."""

from __future__ import annotations

import contextlib
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vl_convert

from report.atomic_write import write_atomically
from report.palette import COLOURS

Spec = dict[str, Any]

# 12 345.6, as in report/format.py
NUMBERS: Any = {"decimal": ".", "thousands": "\u202f", "grouping": [3], "currency": ["", ""]}
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


def to_svg(spec: Spec) -> str:
    return vl_convert.vegalite_to_svg(spec, format_locale=NUMBERS, allowed_base_urls=[])


def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script of 0.9 MB, which defines vegaEmbed.

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
