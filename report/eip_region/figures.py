"""eip-region's figure: which host answered new connections around each move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from report.chart import Chart
from report.eip_region.schema import Connection, MoveFigures, Summary
from report.format import seconds
from report.panels import COLOURS, Spec, category, layer, number, panel, rows_axis, tooltip

# More rows can't be told apart in a figure; summary.json has them all.
ROWS_MAX = 40
_BEFORE_S = 1.0
_LEAST_AFTER_S = 2.0
_ROW_PIXELS = 26
_LOOKS = {
    "answered by the old host": ("stroke", COLOURS["blue"]),
    "answered by the new host": ("stroke", COLOURS["orange"]),
    "not answered": ("cross", COLOURS["bad"]),
    "the API answered": ("circle", COLOURS["muted"]),
    "the API shows it": ("square", COLOURS["muted"]),
}
_ANSWERED_BY = {"source": "answered by the old host", "target": "answered by the new host", None: "not answered"}


def moves_plot(summary: Summary) -> Chart | None:
    """Draws a row for each move: when its connections were answered, and when the API answered and showed it."""
    moves = summary.moves[:ROWS_MAX]
    if not moves:
        return None
    return Chart(
        name="moves",
        title="New connections around each move",
        caption=(
            "Each mark is a connection, at the time when a host had proved its key or the connection was given up. "
            "Grey: from the old host's last answer to the new one's first."
        ),
        alt="For each move, which host answered new connections before and after the call that moved the address",
        panels=[_panel(moves, summary.connections)],
        columns=1,
    )


def _panel(moves: Sequence[MoveFigures], connections: Sequence[Connection]) -> Spec:
    last = max((m.first_new_answer_s for m in moves if m.first_new_answer_s is not None), default=0.0)
    until = max(_LEAST_AFTER_S, math.ceil(last + 1))
    x = number("t", "seconds after AssociateAddress was called", scale={"domain": [-_BEFORE_S, until]})
    y = rows_axis("move", [move.move for move in moves], "move")
    silences = [
        {"move": m.move, "t": m.last_old_answer_s, "end": m.first_new_answer_s}
        for m in moves
        if m.last_old_answer_s is not None and m.first_new_answer_s is not None
    ]
    marks = [mark for move in moves for mark in _marks(move, connections) if -_BEFORE_S <= mark["t"] <= until]
    shown = {name: look for name, look in _LOOKS.items() if any(mark["what"] == name for mark in marks)}
    channels = {
        "x": x,
        "y": y,
        "shape": category("what", {name: shape for name, (shape, _) in shown.items()}),
        "color": category("what", {name: colour for name, (_, colour) in shown.items()}),
        "angle": {"condition": {"test": "indexof(datum.what, 'answered by') == 0", "value": 90}, "value": 0},
        "tooltip": tooltip(move="move", what="what", **{"is": "after"}),
    }
    layers = [
        layer([{"t": 0}], "rule", {"x": x}),
        layer(silences, "rule", {"x": x, "x2": {"field": "end"}, "y": y}, color=COLOURS["rule"], strokeWidth=6),
        layer(marks, "point", channels, size=70, strokeWidth=1.5, opacity=1),
    ]
    return panel("moves", _ROW_PIXELS * len(moves), layers)


def _marks(move: MoveFigures, connections: Sequence[Connection]) -> list[dict[str, Any]]:
    at = [(c.ended_s, _ANSWERED_BY[c.answered_by]) for c in connections if c.move == move.move]
    at.append((move.api_answered_s, "the API answered"))
    if move.api_shown_s is not None:
        at.append((move.api_shown_s, "the API shows it"))
    return [{"move": move.move, "t": t, "what": what, "is": seconds(t)} for t, what in at]
