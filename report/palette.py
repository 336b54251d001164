"""The colours of figures, and the mark of a rehearsal."""

from __future__ import annotations

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
MARK = "REHEARSAL: shows the method, not AWS"


def in_light_colours(svg: str) -> str:
    for name, colour in PALETTE.items():
        svg = svg.replace(COLOURS[name], colour)
    return svg
