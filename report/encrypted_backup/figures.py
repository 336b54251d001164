"""encrypted-backup's figure: what each run did and undid, over time."""

from __future__ import annotations

from typing import Any

from report.chart import Chart
from report.encrypted_backup.schema import Step, Summary
from report.format import seconds as seconds_words
from report.panels import COLOURS, Spec, category, layer, number, panel, tooltip

_LOOKS = {"done": COLOURS["blue"], "undone": COLOURS["orange"]}
_ROW_PIXELS = 20
_RUNS = {
    "format": "formatting the volume",
    "first": "first backup",
    "second": "second backup",
    "drill": "recovery drill",
}


def steps_plot(summary: Summary) -> Chart | None:
    """Draws a bar for each step, a panel for each backup and the drill; None if no step was recorded."""
    runs = [name for name in _RUNS if _drawn(summary, name)]
    if not runs:
        return None
    return Chart(
        name="steps",
        title="What a backup does, and undoes in reverse",
        caption="Each bar is one step of the run, from its beginning to its end.",
        alt="Horizontal bars over seconds: the steps of each run in order, those that undo last.",
        panels=[_panel(_RUNS[name], _drawn(summary, name)) for name in runs],
        axis_pixels=170,
    )


def _panel(name: str, steps: list[tuple[Step, float, float]]) -> Spec:
    zero = min(end - seconds for _, end, seconds in steps)
    bars: list[dict[str, Any]] = [
        {
            "row": row,
            "step": step.name,
            "t": end - seconds - zero,
            "end": end - zero,
            "what": "undone" if step.undoing else "done",
            "is": seconds_words(seconds),
        }
        for row, (step, end, seconds) in enumerate(steps)
    ]
    # A step's name may come twice, done and undone: rows are told apart by number, and labelled by name.
    names = " : ".join(f"datum.value == {bar['row']} ? {bar['step']!r}" for bar in bars) + " : ''"
    axis = {"ticks": False, "domain": False, "labelExpr": names}
    y: Spec = {"field": "row", "type": "ordinal", "title": None, "axis": axis}
    channels = {
        "x": number("t", "seconds", scale={"zero": True}),
        "x2": {"field": "end"},
        "y": y,
        "color": category("what", _LOOKS),
        "tooltip": tooltip(step="step", what="what", **{"is": "took"}),
    }
    return panel(name, _ROW_PIXELS * len(bars), [layer(bars, "bar", channels)])


def _drawn(summary: Summary, run: str) -> list[tuple[Step, float, float]]:
    return [
        (step, step.end_s, step.seconds)
        for step in summary.steps
        if step.run == run and step.end_s is not None and step.seconds is not None
    ]
