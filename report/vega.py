"""Vega-Lite, as this report has it: its look, what draws it here, and the library that draws it in the page."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vl_convert

from report.palette import COLOURS

Spec = dict[str, Any]
_drawer: ProcessPoolExecutor | None = None
_has_engine = False

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

# Once it has drawn the like, the engine has compiled most of what it needs.
_EVERY_KIND: Spec = {
    "data": {"values": [{"x": 1, "y": 2, "kind": "a"}, {"x": 2, "y": 3, "kind": "b"}]},
    "encoding": {
        "x": {"field": "x", "type": "quantitative"},
        "y": {"field": "y", "type": "quantitative", "scale": {"type": "log"}},
        "color": {"field": "kind", "type": "nominal", "legend": {}},
        "tooltip": [{"field": "kind", "type": "nominal"}],
    },
    "layer": [{"mark": {"type": mark, "clip": True}} for mark in ("line", "area", "point", "rule", "text")],
}


def to_svg(spec: Spec) -> str:
    global _has_engine
    _has_engine = True
    return vl_convert.vegalite_to_svg(spec, format_locale=NUMBERS, allowed_base_urls=[])


@contextmanager
def drawing_beside() -> Iterator[None]:
    """Within, a process of its own draws. It gets ready at once, which takes a second: it is a browser's engine.

    A process that has the engine already draws itself: in a fork of it the engine's threads would be missing.
    """
    global _drawer
    if _has_engine:
        yield
        return
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, fork, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as _drawer:
        _drawer.submit(to_svg, _EVERY_KIND)
        try:
            yield
        finally:
            _drawer = None


def begin_to_draw(spec: Spec) -> Callable[[], str]:
    """What waits for the drawing, and returns it."""
    return partial(to_svg, spec) if _drawer is None else _drawer.submit(to_svg, spec).result


def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script of 0.9 MB, which defines vegaEmbed.

    vl-convert takes seconds to put it together, so it is kept.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidemark"
    kept = cache / f"vega-embed-{version('vl-convert-python')}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except OSError:
        pass
    global _has_engine
    _has_engine = True
    # In a page, this would end the script.
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f"{kept.name}.{os.getpid()}.partial")
        partial.write_text(script, encoding="utf-8")
        partial.replace(kept)
    except OSError:
        pass  # nowhere to keep it: it is made again the next time
    return script
