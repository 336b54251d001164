"""Shows a person what a task does: a line for each thing done, and on a terminal a moving line for what is under way.

Without a terminal (a log, CI) there is no moving line; what takes long prints a line every ten seconds instead.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import rich.console
import rich.status
import rich.table
from rich.text import Text

QUIET_PROGRESS_S = 10.0
REFRESH_S = 1.0
NAME_WIDTH = 14


@dataclass
class Progress:
    """One thing that is under way. Its line says for how long it has been, and how long it may take."""

    console: rich.console.Console
    name: str
    words: str
    may_take: str
    status: rich.status.Status | None

    def __post_init__(self) -> None:
        self._started = self._shown = time.monotonic()

    def update(self, words: str) -> None:
        """Shows how far it is."""
        self.words = words
        self.show()

    def show(self) -> None:
        """Shows the line: at once on a terminal, elsewhere when none has been printed for QUIET_PROGRESS_S."""
        seconds = time.monotonic() - self._started
        time_words = f"{seconds:.0f} s; {self.may_take}" if self.may_take else f"{seconds:.0f} s"
        line = Text(f"{self.name:<{NAME_WIDTH}} {self.words}  ({time_words})")
        if self.status is not None:
            self.status.update(line)
        elif time.monotonic() - self._shown >= QUIET_PROGRESS_S:
            self._shown = time.monotonic()
            self.console.print(line, soft_wrap=True)


class Console:
    """Lines on standard output."""

    def __init__(self, console: rich.console.Console | None = None) -> None:
        if console is None and isinstance(sys.stdout, io.TextIOWrapper):
            # A character that the terminal lacks is written as an escape, instead of ending the task.
            sys.stdout.reconfigure(errors="backslashreplace")
        self._console = console or rich.console.Console(highlight=False)

    def say(self, name: str, words: str) -> None:
        """Prints one line: its subject, then the words."""
        self._console.print(Text(f"{name:<{NAME_WIDTH}} {words}"), soft_wrap=True)

    def print(self, renderable: rich.console.RenderableType) -> None:
        """Prints a table. On a narrow terminal only its widest column is folded: no label, no unit."""
        if isinstance(renderable, rich.table.Table) and renderable.columns:
            widths = [max(_width(cell) for cell in (column.header, *column.cells)) for column in renderable.columns]
            for column, width in zip(renderable.columns, widths, strict=True):
                column.no_wrap = width < max(widths) or column is renderable.columns[0]
                column.overflow = "fold"
            renderable.box, renderable.padding, renderable.pad_edge = None, (0, 2, 0, 0), False
        self._console.print(renderable)

    @contextmanager
    def under_way(self, name: str, words: str, may_take: str = "") -> Iterator[Progress]:
        """Shows for the duration of the block that something is being done; `may_take` says how long that may be."""
        line = Text(f"{name:<{NAME_WIDTH}} {words}")
        with self._console.status(line) if self._console.is_terminal else nullcontext() as status:
            progress = Progress(self._console, name, words, may_take, status)
            ended = threading.Event()

            def show_each_second() -> None:  # so that its time moves where nothing else does
                while not ended.wait(REFRESH_S):
                    progress.show()

            thread = threading.Thread(target=show_each_second, daemon=True)
            thread.start()
            try:
                yield progress
            finally:
                ended.set()
                thread.join()


def _width(cell: rich.console.RenderableType) -> int:
    return Text.from_markup(cell).cell_len if isinstance(cell, str) else 0


def si_bytes(count: int) -> str:
    """Returns a size in SI units, as disks are sold: 80.5 GB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def duration_words(seconds: float) -> str:
    """Returns a length of time, for a person: 45 s, 30 minutes, 6 hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} hours"
