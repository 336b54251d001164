"""Tables: printed to a terminal here, and shown in the page by templates/blocks.html.j2."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Generic, NoReturn, TypeVar

from rich.console import Console
from rich.text import Text

from report.format import MISSING, figure, milliseconds
from report.table_layout import Layout
from report.verdicts import DIFFERS, HOLDS, Verdict

REHEARSAL = "rehearsal"
# The width of a table that is printed into a file or a pipe: wide enough that nothing is cut.
PLAIN_WIDTH = 170

T = TypeVar("T")

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
class TextColumn(Generic[T]):
    """A column, and what it shows of each record."""

    name: str
    show: Callable[[T], Cell | str]
    numeric: bool = False


@dataclass(frozen=True)
class NumberColumn(TextColumn[T]):
    numeric: bool = True


def latency_columns(unit: str = "") -> list[TextColumn[Any]]:
    """The percentiles of records that have those of report.summary.LatencyPercentiles, in milliseconds."""

    def column(name: str) -> TextColumn[Any]:
        field = f"latency_{name.replace('.', '_')}_us"
        return NumberColumn(f"{name}{unit}", lambda record: milliseconds(getattr(record, field)))

    return [column(name) for name in ("p50", "p95", "p99", "p99.9", "max")]


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]
    note: str = ""
    name: str = field(default="", compare=False)
    page_only: bool = False  # a terminal is not shown it

    @classmethod
    def of(
        cls, title: str, columns: Sequence[TextColumn[T]], records: Iterable[T], note: str = "", *, name: str = ""
    ) -> Table:
        """A row for each record."""
        rows = [[column.show(record) for column in columns] for record in records]
        return cls(title, [Column(column.name, column.numeric) for column in columns], rows, note, name=name)

    def titled(self, rehearsal: bool) -> str:
        return f"{self.title} ({REHEARSAL})" if rehearsal else self.title


@dataclass(frozen=True)
class Missing:
    """Stands in the place of a table or a figure, and says what was not recorded."""

    text: str


def judged(text: str, good: bool | None) -> Cell:
    """Green or red; plain where it is not known."""
    return Cell(text, {True: "good", False: "bad", None: ""}[good])


def bad_if(text: str, bad: object) -> Cell:
    return Cell(text, "bad" if bad else "")


def console(file: IO[str] | None = None) -> Console:
    """Coloured and as wide as the window on a terminal; plain and PLAIN_WIDTH wide elsewhere.

    Writes a character that standard output's encoding lacks as an escape.
    """
    if file is None and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    made = Console(file=file, highlight=False)
    return made if made.is_terminal else Console(file=file, highlight=False, width=PLAIN_WIDTH, no_color=True)


def exit_with(main: Callable[[], int]) -> NoReturn:
    """Runs a command and ends the process; what can't be read or written, such as a full disk's output, is one line."""
    try:
        code = main()
        print(end="", flush=True)  # what is noticed at Python's own exit is a traceback
    except OSError as error:
        # The reader of a pipe has read enough (head): no error.
        code = 0 if isinstance(error, BrokenPipeError) else 1
        if code:
            what = f"{error.filename or 'standard output'}: {error.strerror or error}"
            print(f"report: {what}; see that it can be used, and has room", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is left in the buffer
    sys.exit(code)


def print_table(to: Console, table: Table, rehearsal: bool) -> None:
    """Prints the title, the table in the console's width (report/table_layout.py), and the note."""
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


# Beside the claim's name.
VERDICT_COLUMNS: list[TextColumn[Verdict]] = [
    TextColumn("published", published_text),
    TextColumn("measured", measured_text),
    TextColumn("verdict", lambda verdict: Cell(verdict.verdict, tone(verdict))),
    TextColumn("what was found, or why not", lambda verdict: verdict.detail or MISSING),
]


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    claim: TextColumn[Verdict] = TextColumn("claim", lambda verdict: verdict.claim.id)
    return Table.of("Claims", [claim, *VERDICT_COLUMNS], verdicts, name="claims")
