"""Tables: report/terminal.py prints them, and templates/blocks.html.j2 shows them in the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from report.format import milliseconds

REHEARSAL = "rehearsal"

T = TypeVar("T")


def marked(text: str, rehearsal: bool) -> str:
    """Returns the text, with the mark of a rehearsal if it is of one."""
    return f"{text} ({REHEARSAL})" if rehearsal else text


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
    """Returns columns for the percentiles of report.summary.LatencyPercentiles, in milliseconds."""

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
        """Makes a table with a row for each record."""
        rows = [[column.show(record) for column in columns] for record in records]
        return cls(title, [Column(column.name, column.numeric) for column in columns], rows, note, name=name)

    def titled(self, rehearsal: bool) -> str:
        return marked(self.title, rehearsal)


@dataclass(frozen=True)
class Missing:
    """Stands in the place of a table or a figure, and says what was not recorded."""

    text: str


def judged(text: str, good: bool | None) -> Cell:
    """Returns a cell in green or red; plain if it is not known."""
    return Cell(text, {True: "good", False: "bad", None: ""}[good])


def bad_if(text: str, bad: object) -> Cell:
    return Cell(text, "bad" if bad else "")
