"""Tables, described once: printed to a terminal here, and drawn in the page by templates/page.html.j2."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

import rich.box
import rich.table
from rich.console import Console
from rich.text import Text

from report.claims import DIFFERS, HOLDS, Verdict
from report.format import MISSING, figure

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
    drawn = rich.table.Table(
        title=Text(table.titled(rehearsal), style="bold"),
        title_justify="left",
        box=rich.box.SIMPLE_HEAD if to.is_terminal else rich.box.ASCII2,
        pad_edge=False,
        caption=Text(table.note, style="dim") if table.note else None,
        caption_justify="left",
    )
    for column in table.columns:
        drawn.add_column(
            Text(column.name),
            justify="right" if column.numeric else "left",
            overflow="fold",
            no_wrap=column.numeric,
        )
    for row in table.rows:
        cells = [cell if isinstance(cell, Cell) else Cell(cell) for cell in row]
        drawn.add_row(*(Text(cell.text, style=_STYLES.get(cell.tone, "")) for cell in cells))
    to.print(drawn)
    to.print()


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
