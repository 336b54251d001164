"""Tables, described once: printed to a terminal here, and drawn in the page by templates/page.html.j2."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

from rich.console import Console
from rich.text import Text

from report.claims import DIFFERS, HOLDS, Verdict
from report.format import MISSING, figure
from report.table_layout import Layout

REHEARSAL = "rehearsal"
# Of a table printed into a file or a pipe: wide enough that nothing is cut.
PLAIN_WIDTH = 170

_STYLES = {"good": "green", "bad": "red", "muted": "dim"}


@dataclass(frozen=True)
class Cell:
    text: str
    tone: str = ""  # good, bad or muted; never the only carrier of a meaning


@dataclass(frozen=True)
class Column:
    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]
    note: str = ""
    name: str = field(default="", compare=False)

    def titled(self, rehearsal: bool) -> str:
        return f"{self.title} ({REHEARSAL})" if rehearsal else self.title


def console(file: IO[str] | None = None) -> Console:
    """Coloured and as wide as the window on a terminal; plain and PLAIN_WIDTH wide elsewhere.

    A character that standard output's encoding does not have is written as an escape.
    """
    if file is None and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    made = Console(file=file, highlight=False)
    return made if made.is_terminal else Console(file=file, highlight=False, width=PLAIN_WIDTH, no_color=True)


def print_table(to: Console, table: Table, rehearsal: bool) -> None:
    """Print a table, its title above and its note below, as wide as the console at most (report/table_layout.py)."""
    rows = [[_text(cell) for cell in row] for row in table.rows]
    layout = Layout([each.name for each in table.columns], [each.numeric for each in table.columns], rows)
    if title := table.titled(rehearsal):
        to.print(Text(title, style="bold"), overflow="fold")
    for part in layout.parts(to):
        to.print(part)
    if table.note:
        to.print(Text(table.note, style="dim"), overflow="fold")
    to.print()


def _text(cell: Cell | str) -> Text:
    found = cell if isinstance(cell, Cell) else Cell(cell)
    return Text(found.text, style=_STYLES.get(found.tone, ""))


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    rows = [
        (
            verdict.claim.id,
            published_text(verdict),
            measured_text(verdict),
            Cell(verdict.verdict, tone(verdict)),
            verdict.detail or MISSING,
        )
        for verdict in verdicts
    ]
    columns = [
        Column("claim"),
        Column("published"),
        Column("measured"),
        Column("verdict"),
        Column("by how much, or why"),
    ]
    return Table("Claims", columns, rows, name="claims")


def published_text(verdict: Verdict) -> str:
    published = verdict.claim.published
    return f"{figure(published.value)} {published.unit}" if published.value is not None else "open question"


def measured_text(verdict: Verdict) -> str:
    """With the mark of the rehearsal, where the figure was measured in one."""
    if verdict.measured is None:
        return MISSING
    mark = f" ({REHEARSAL})" if verdict.rehearsal else ""
    return f"{figure(verdict.measured)} {verdict.claim.published.unit}{mark}"


def tone(verdict: Verdict) -> str:
    return {HOLDS: "good", DIFFERS: "bad"}.get(verdict.verdict, "muted")
