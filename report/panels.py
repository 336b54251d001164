"""The parts of Vega-Lite that the figures use: their colours, panels, layers, and the channels of their marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Spec = dict[str, Any]

# The light palette; templates/style.css gives each name its dark value. No two names share a colour.
PALETTE = {
    "ink": "#1b2027",
    "muted": "#5c6672",
    "rule": "#d5dae0",
    "paper": "#ffffff",
    "blue": "#2166ac",
    "orange": "#c4570f",
    "purple": "#6b4fa0",
    "bad": "#b3261e",
    "good": "#1f7a3d",
}
# The page's names of them.
COLOURS = {name: f"var(--{name})" for name in PALETTE}
# The opacity of marks that only have a tooltip; Vega gives no tooltips of marks whose opacity is 0.
HIDDEN_OPACITY = 0.001
# More of these marks make the page slow, and are closer together than a pointer can tell apart.
TOOLTIPS_MAX = 1500
# A five-pointed star; Vega-Lite has none of its own.
STAR = "M0,-1L.235,-.324L.951,-.309L.38,.124L.588,.809L0,.4L-.588,.809L-.38,.124L-.951,-.309L-.235,-.324Z"


def panel(title: str, height: int, layers: Sequence[Spec], **more: Any) -> Spec:
    """Layers in one pair of axes, each with scales of its own for colours, shapes and dashes. A layer without values is
    left out.
    """
    shown = [each for each in layers if each["data"]["values"]]
    scales = dict.fromkeys(("color", "shape", "strokeDash"), "independent")
    return {"title": title, "height": height, "layer": shown, "resolve": {"scale": scales}, **more}


def layer(values: Iterable[Mapping[str, Any]], mark: str, channels: Spec, **properties: Any) -> Spec:
    """Returns a layer with a mark for each of `values`; where a value is None, a line has a gap."""
    encoding = dict(channels)
    params = encoding.pop("params", None)
    made: Spec = {"data": {"values": list(values)}, "mark": {"type": mark, **properties}, "encoding": encoding}
    return made if params is None else {**made, "params": params}


def tooltip_points(values: Iterable[Mapping[str, Any]], x: Spec, y: Spec, tooltips: Sequence[Spec]) -> Spec:
    """Returns a layer of invisible marks that only have a tooltip."""
    channels = {"x": x, "y": y, "tooltip": tooltips}
    return layer(values, "point", channels, filled=True, opacity=HIDDEN_OPACITY, size=50, clip=True)


def number(field: str, title: str | None = None, *, log: bool = False, **more: Any) -> Spec:
    """Returns a channel for a quantity."""
    scale: Spec = {"type": "log", "nice": False, "padding": 7} if log else {"nice": False, "zero": False}
    axis: Spec = {"format": ",.12~g", "labelOverlap": True, **more.pop("axis", {})}
    scale |= more.pop("scale", {})
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": axis, **more}


def category(field: str, looks: Mapping[str, Any]) -> Spec:
    """Returns a channel for a category; `looks` has the colour, shape or dash of each, in the legend's order."""
    scale = {"domain": list(looks), "range": list(looks.values())}
    return {"field": field, "type": "nominal", "scale": scale, "legend": {}}


def one_of(name: str, looks: Mapping[str, Any]) -> Spec:
    """Returns a channel of a layer that belongs to one category; the first category's layer has the legend of all."""
    scale = {"domain": list(looks), "range": list(looks.values())}
    return {"datum": name, "type": "nominal", "scale": scale, "legend": {} if name == next(iter(looks)) else None}


def colour_in(field: str) -> Spec:
    """Returns a channel whose field holds the colour."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}


def tooltip(**titles: str) -> list[Spec]:
    """Returns a tooltip's fields, each with its title; figures in them are text, as report/format.py writes it."""
    return [{"field": field, "title": title, "type": "nominal"} for field, title in titles.items()]


def rows_axis(field: str, rows: Sequence[Any], title: str | None = None) -> Spec:
    """Returns a channel for y with a row for each of `rows`, from top to bottom."""
    axis = {"ticks": False, "domain": False}
    return {"field": field, "type": "nominal", "title": title, "scale": {"domain": list(rows)}, "axis": axis}


def zoom(*channels: str) -> list[Spec]:
    """Lets these channels be moved by dragging, and zoomed by shift and wheel."""
    interval = {"type": "interval", "encodings": list(channels), "zoom": "wheel![event.shiftKey]"}
    return [{"name": "zoom", "select": interval, "bind": "scales"}]
