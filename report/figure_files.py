"""A run's figures beside its page, for a README or a paper."""

from __future__ import annotations

from pathlib import Path

from report.chart import plain_svg, to_png
from report.page import Shown
from report.whole_files import write_whole


def write_figures(shown: Shown, folder: Path, *, png: bool) -> list[Path]:
    """NAME.svg of each chart, and NAME.png where that is asked for or is there already: an older one would show other
    figures than the page. What the run no longer has is removed.
    """
    written = []
    for name, drawn in shown.charts.items():
        folder.mkdir(exist_ok=True)
        plain, picture = plain_svg(drawn), folder / f"{name}.png"
        write_whole(folder / f"{name}.svg", plain)
        written.append(folder / f"{name}.svg")
        if png or picture.exists():
            write_whole(picture, to_png(plain))
            written.append(picture)
    for path in folder.glob("*"):
        if path.suffix in (".svg", ".png") and path not in written:
            path.unlink()
    return written
