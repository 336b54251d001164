"""encrypted-backup's figure: what each run did and undid, over time."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from report.encrypted_backup.schema import Step, Summary
from report.figures import PALETTE, Plot, mark_rehearsal, panels


def steps_plot(summary: Summary) -> Plot | None:
    """A bar for each step, a panel for each backup and the drill; None where no step was recorded."""
    runs = [name for name in ("first", "second", "drill") if _drawn(summary, name)]
    if not runs:
        return None

    def draw(figure: Figure, narrow: bool) -> None:
        for ax, name in zip(panels(figure, len(runs), narrow), runs, strict=True):
            steps = _drawn(summary, name)
            zero = min(end - seconds for _, end, seconds in steps)
            for row, (step, end, seconds) in enumerate(steps):
                colour = PALETTE["orange"] if step.undoing else PALETTE["blue"]
                ax.barh(row, seconds, left=end - seconds - zero, color=colour, height=0.7)
            ax.set_yticks(range(len(steps)), [step.name for step, _, _ in steps])
            ax.invert_yaxis()
            ax.set_xlabel("seconds")
            ax.set_title(name, loc="left")
            ax.set_xlim(left=0)
        handles = [Patch(color=PALETTE["blue"], label="done"), Patch(color=PALETTE["orange"], label="undone")]
        figure.legend(handles=handles, loc="outside lower left", ncols=2)
        mark_rehearsal(figure, summary.rehearsal)

    return Plot(
        name="steps",
        title="What a backup does, and undoes in reverse",
        caption="Each bar is one step of the run, from its beginning to its end.",
        alt="Horizontal bars over seconds: the steps of each run in order, those that undo last.",
        draw=draw,
        height_inches=3.6,
        narrow_height_inches=8.4,
    )


def _drawn(summary: Summary, run: str) -> list[tuple[Step, float, float]]:
    return [
        (step, step.end_s, step.seconds)
        for step in summary.steps
        if step.run == run and step.end_s is not None and step.seconds is not None
    ]
