"""What the commands of the report write to a terminal: tables in its width, and one line for what went wrong.

A table is laid out without shortening a label or separating a figure from its unit. One that is too wide is split into
parts that each repeat the first column. One with sentences in it is stacked instead: a block for each row, a line for
each cell.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, NoReturn, ParamSpec

import rich.box
import rich.table
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from report.claims import ClaimError
from report.runs import RunError
from report.table import Cell, Table

# The width of a table that is printed into a file or a pipe: wide enough that nothing is cut.
PLAIN_WIDTH = 170
# A column with longer cells is prose, which is not readable in a column that is one word wide.
PROSE_CHARACTERS = 40
# A text column up to this width is not broken, like numeric ones; a wider one keeps at least this width and is broken
# between words. A longer word, such as a path, is folded.
WORD_CHARACTERS = 24

_STYLES = {"good": "green", "bad": "red", "muted": "dim"}

P = ParamSpec("P")


def errors_as_lines(code: int) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Decorates a command: what can't be read or used is printed, and the exit code is this one."""

    def decorated(main: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(main)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except (RunError, ClaimError) as error:
                print(f"report: {error}", file=sys.stderr)
                return code

        return run

    return decorated


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


def console(file: IO[str] | None = None) -> Console:
    """Returns a console: coloured and as wide as the window on a terminal, plain and PLAIN_WIDTH wide elsewhere.

    Writes a character that standard output's encoding lacks as an escape.
    """
    if file is None and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    made = Console(file=file, highlight=False, markup=False)
    if not made.is_terminal:
        made = Console(file=file, highlight=False, markup=False, width=PLAIN_WIDTH, no_color=True)
    return made


def print_table(to: Console, table: Table, rehearsal: bool) -> None:
    """Prints the title, the table in the console's width, and the note."""
    if title := table.titled(rehearsal):
        to.print(Text(title, style="bold"), overflow="fold")
    for part in _parts([_column(table, n) for n in range(len(table.columns))], to):
        to.print(part)
    if table.note:
        to.print(Text(table.note, style="dim"), overflow="fold")
    to.print()


@dataclass(frozen=True)
class _Column:
    name: str
    numeric: bool  # figures, which are never broken
    cells: Sequence[Text]
    widest: int
    least: int  # the width that it keeps at least


def _column(table: Table, n: int) -> _Column:
    name, numeric = table.columns[n].name, table.columns[n].numeric
    cells = [_text(row[n]) for row in table.rows]
    widest = max(cell_len(name), *(cell.cell_len for cell in cells), 1)
    return _Column(name, numeric, cells, widest, widest if n == 0 or numeric else min(widest, WORD_CHARACTERS))


def _text(cell: Cell | str) -> Text:
    return Text(cell) if isinstance(cell, str) else Text(cell.text, style=_STYLES.get(cell.tone, ""))


def _parts(columns: Sequence[_Column], to: Console) -> list[RenderableType]:
    """Parts to be printed one below the other."""
    if _fits(columns, to):
        return [_drawn(columns, to)]
    first, *others = columns
    prose = any(each.widest > PROSE_CHARACTERS for each in others if not each.numeric)
    if prose or not all(_fits([first, each], to) for each in others):
        return _stacked(columns)
    parts: list[list[_Column]] = []
    for each in others:
        if parts and _fits([*parts[-1], each], to):
            parts[-1].append(each)
        else:
            parts.append([first, each])
    return [_drawn(part, to) for part in parts]


def _between(columns: Sequence[_Column]) -> int:
    """Returns the width of padding and lines in rich's tables with a box and without padding at the edges."""
    return 3 * len(columns) - 1


def _fits(columns: Sequence[_Column], to: Console) -> bool:
    return sum(each.least for each in columns) + _between(columns) <= to.width


def _drawn(columns: Sequence[_Column], to: Console) -> rich.table.Table:
    """Columns side by side; text columns share the width that the others leave."""
    widths = [each.least for each in columns]
    spare = to.width - _between(columns) - sum(widths)
    while spare > 0 and (narrow := [n for n, each in enumerate(columns) if widths[n] < each.widest]):
        # The narrowest first, so that one sentence does not take all of it.
        widths[min(narrow, key=lambda n: widths[n])] += 1
        spare -= 1
    drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD if to.is_terminal else rich.box.ASCII2, pad_edge=False)
    for each, width in zip(columns, widths, strict=True):
        drawn.add_column(Text(each.name), justify="right" if each.numeric else "left", overflow="fold", width=width)
    for row in zip(*(each.cells for each in columns), strict=True):
        drawn.add_row(*row)
    return drawn


def _stacked(columns: Sequence[_Column]) -> list[RenderableType]:
    blocks: list[RenderableType] = []
    for first, *others in zip(*(each.cells for each in columns), strict=True):
        block = rich.table.Table.grid(padding=(0, 2), pad_edge=False)
        block.add_column(no_wrap=True)
        block.add_column(overflow="fold")
        for column, cell in zip(columns[1:], others, strict=True):
            if cell.plain:
                block.add_row(Text(column.name, style="dim"), cell)
        label = first.copy()
        label.stylize("bold")
        label.overflow = "fold"
        blocks += [label, Padding(block, (0, 0, 0, 2))]
    return blocks
