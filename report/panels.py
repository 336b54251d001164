"""The words that panels are written in: short names for what of Vega-Lite the figures use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from report.vega import Spec

# Of marks that are there for the pointer alone; Vega leaves those of no opacity out of what it can meet.
UNSEEN_OPACITY = 0.001
# More such marks are a burden on the page, and closer than a pointer can tell apart.
POINTED_MAX = 1500
# A five-pointed star; Vega-Lite has none of its own.
STAR = "M0,-1L.235,-.324L.951,-.309L.38,.124L.588,.809L0,.4L-.588,.809L-.38,.124L-.951,-.309L-.235,-.324Z"


def panel(title: str, height: int, layers: Sequence[Spec], **more: Any) -> Spec:
    """Layers over each other in one pair of axes, each with looks of its own; one without values is left out."""
    shown = [each for each in layers if each["data"]["values"]]
    looks = dict.fromkeys(("color", "shape", "strokeDash"), "independent")
    return {"title": title, "height": height, "layer": shown, "resolve": {"scale": looks}, **more}


def layer(values: Iterable[Mapping[str, Any]], mark: str, channels: Spec, **properties: Any) -> Spec:
    """`mark` with its properties, for each of `values`; a None in them is missing: a line has a gap there."""
    encoding = dict(channels)
    params = encoding.pop("params", None)
    made: Spec = {"data": {"values": list(values)}, "mark": {"type": mark, **properties}, "encoding": encoding}
    return made if params is None else {**made, "params": params}


def number(field: str, title: str | None = None, *, log: bool = False, **more: Any) -> Spec:
    """A channel for a quantity; `domain` and other properties of its scale go into `scale`."""
    scale: Spec = {"type": "log", "nice": False, "padding": 7} if log else {"nice": False, "zero": False}
    axis: Spec = {"format": ",.12~g", "labelOverlap": True, **more.pop("axis", {})}
    scale |= more.pop("scale", {})
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": axis, **more}


def category(field: str, looks: Mapping[str, Any], *, legend: bool = True) -> Spec:
    """A channel for a kind of thing: each value of `looks` has its colour, shape or dash, in this order."""
    scale = {"domain": list(looks), "range": list(looks.values())}
    return {"field": field, "type": "nominal", "scale": scale, "legend": {} if legend else None}


def one_of(name: str, looks: Mapping[str, Any]) -> Spec:
    """A channel of a layer that is all of one kind; with a legend of all kinds at the first of them."""
    scale = {"domain": list(looks), "range": list(looks.values())}
    return {"datum": name, "type": "nominal", "scale": scale, "legend": {} if name == next(iter(looks)) else None}


def as_it_is(field: str) -> Spec:
    """A channel whose field has the colour itself."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}


def tooltip(**titles: str) -> list[Spec]:
    """What the pointer is told: fields, each with its title; figures are text, in the words of report/format.py."""
    return [{"field": field, "title": title, "type": "nominal"} for field, title in titles.items()]


def zoom(*channels: str) -> list[Spec]:
    """The parameter by which a view is moved (drag) and zoomed (shift and wheel) over these channels."""
    interval = {"type": "interval", "encodings": list(channels), "zoom": "wheel![event.shiftKey]"}
    return [{"name": "zoom", "select": interval, "bind": "scales"}]
