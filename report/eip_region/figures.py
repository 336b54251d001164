"""eip-region's figure: what a client's connections met around each move."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from report.claims import Claim
from report.eip_region.schema import Connection, MoveFigures, Summary
from report.figures import PALETTE, Plot, mark_rehearsal

# More than this a figure can't show apart; the table has them.
ROWS_MAX = 40
_BEFORE_S = 1.0
_LEAST_AFTER_S = 2.0
_STYLES = {
    "source": ("|", PALETTE["blue"], "answered by the old host"),
    "target": ("|", PALETTE["orange"], "answered by the new host"),
    None: ("x", PALETTE["bad"], "not answered"),
}


def moves_plot(summary: Summary, _: Sequence[Claim] = ()) -> Plot | None:
    """A row for each move, its connections in it when they were answered; the API's times beside them."""
    moves = summary.moves[:ROWS_MAX]
    if not moves:
        return None
    last = max((m.first_new_answer_s for m in moves if m.first_new_answer_s is not None), default=0.0)
    until = max(_LEAST_AFTER_S, math.ceil(last + 1))

    def draw(figure: Figure, narrow: bool) -> None:
        ax = figure.subplots()
        for row, move in enumerate(moves):
            _draw_move(ax, row, move, summary.connections, until)
        ax.axvline(0, color=PALETTE["ink"], lw=1)
        ax.set_xlim(-_BEFORE_S, until)
        ax.set_ylim(len(moves) - 0.5, -0.5)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        if len(moves) <= 10:
            ax.set_yticks(range(len(moves)), [f"{move.move}" for move in moves])
        ax.set_ylabel("move")
        ax.set_xlabel("seconds after AssociateAddress was called")
        ax.grid(axis="y", visible=False)
        handles = [
            Line2D([], [], ls="", marker=marker, color=colour, ms=7, label=words)
            for marker, colour, words in _STYLES.values()
        ]
        handles += [
            Line2D([], [], ls="", marker="o", mfc="none", color=PALETTE["muted"], ms=5, label="the API answered"),
            Line2D([], [], ls="", marker="s", mfc="none", color=PALETTE["muted"], ms=5, label="the API shows it"),
            Line2D([], [], color=PALETTE["rule"], lw=5, label="silence"),
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=2 if narrow else 3)
        mark_rehearsal(figure, summary.rehearsal)

    rows = len(moves)
    return Plot(
        name="moves",
        title="New connections around each move",
        caption=(
            "Each mark is a connection, at the time when a host had proved its key or the connection was given up. "
            "Grey: from the old host's last answer to the new one's first."
        ),
        alt="For each move, which host answered new connections before and after the call that moved the address",
        draw=draw,
        height_inches=2.1 + 0.28 * rows,
        narrow_height_inches=2.6 + 0.28 * rows,
    )


def _draw_move(ax: Axes, row: int, move: MoveFigures, connections: Sequence[Connection], until: float) -> None:
    if move.last_old_answer_s is not None and move.first_new_answer_s is not None:
        ax.plot(
            [move.last_old_answer_s, move.first_new_answer_s],
            [row, row],
            color=PALETTE["rule"],
            lw=5,
            solid_capstyle="butt",
            zorder=1,
        )
    for answered_by, (marker, colour, _) in _STYLES.items():
        at = [c.ended_s for c in connections if c.move == move.move and c.answered_by == answered_by]
        shown = [t for t in at if -_BEFORE_S <= t <= until]
        ax.plot(shown, [row] * len(shown), ls="", marker=marker, color=colour, ms=7, zorder=3)
    ax.plot([move.api_answered_s], [row], ls="", marker="o", mfc="none", color=PALETTE["muted"], ms=5, zorder=2)
    if move.api_shown_s is not None:
        ax.plot([move.api_shown_s], [row], ls="", marker="s", mfc="none", color=PALETTE["muted"], ms=5, zorder=2)
