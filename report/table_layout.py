"""Lays a table out in a given width without shortening a label or separating a figure from its unit.

A table that is too wide is split into parts that each repeat the first column. One with sentences in it is stacked
instead: a block for each row, a line for each cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import rich.box
import rich.table
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

# A column with longer cells is prose, which is not readable in a column that is one word wide.
PROSE_CHARACTERS = 40
# A text column up to this width is not broken, like numeric ones; a wider one keeps at least this width and is broken
# between words. A longer word, such as a path, is folded.
WORD_CHARACTERS = 24


class Layout:
    """`numeric` says of each column whether it has figures, which are never broken."""

    def __init__(self, names: Sequence[str], numeric: Sequence[bool], rows: Sequence[Sequence[Text]]) -> None:
        self._names = names
        self._numeric = numeric
        self._rows = rows
        columns = range(len(names))
        self._widest = [max(cell_len(names[n]), *(row[n].cell_len for row in rows), 1) for n in columns]
        self._least = [
            self._widest[n] if n == 0 or numeric[n] else min(self._widest[n], WORD_CHARACTERS) for n in columns
        ]

    def parts(self, to: Console) -> list[RenderableType]:
        """Parts to be printed one below the other."""
        everything = list(range(len(self._names)))
        if self._fits(everything, to):
            return [self._drawn(everything, to)]
        prose = any(self._widest[n] > PROSE_CHARACTERS for n in everything[1:] if not self._numeric[n])
        if prose or not all(self._fits([0, n], to) for n in everything[1:]):
            return self._stacked(to)
        parts: list[list[int]] = []
        for n in everything[1:]:
            if parts and self._fits([*parts[-1], n], to):
                parts[-1].append(n)
            else:
                parts.append([0, n])
        return [self._drawn(part, to) for part in parts]

    def _between(self, columns: Sequence[int]) -> int:
        """The width of padding and lines in rich's tables with a box and without padding at the edges."""
        return 3 * len(columns) - 1

    def _fits(self, columns: Sequence[int], to: Console) -> bool:
        return sum(self._least[n] for n in columns) + self._between(columns) <= to.width

    def _drawn(self, columns: Sequence[int], to: Console) -> rich.table.Table:
        """Columns side by side; text columns share the width that the others leave."""
        drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD if to.is_terminal else rich.box.ASCII2, pad_edge=False)
        widths = self._widths(columns, to.width - self._between(columns))
        for n, width in zip(columns, widths, strict=True):
            justify = "right" if self._numeric[n] else "left"
            drawn.add_column(Text(self._names[n]), justify=justify, overflow="fold", width=width)  # type: ignore[arg-type]
        for row in self._rows:
            drawn.add_row(*(row[n] for n in columns))
        return drawn

    def _widths(self, columns: Sequence[int], room: int) -> list[int]:
        widths = [self._least[n] for n in columns]
        spare = room - sum(widths)
        while spare > 0 and (narrow := [i for i, n in enumerate(columns) if widths[i] < self._widest[n]]):
            # The narrowest first, so that one sentence does not take all of it.
            i = min(narrow, key=lambda each: widths[each])
            widths[i] += 1
            spare -= 1
        return widths

    def _stacked(self, to: Console) -> list[RenderableType]:
        blocks: list[RenderableType] = []
        for row in self._rows:
            block = rich.table.Table.grid(padding=(0, 2), pad_edge=False)
            block.add_column(no_wrap=True)
            block.add_column(overflow="fold")
            for name, cell in zip(self._names[1:], row[1:], strict=True):
                if cell.plain:
                    block.add_row(Text(name, style="dim"), cell)
            label = row[0].copy()
            label.stylize("bold")
            label.overflow = "fold"
            blocks += [label, Padding(block, (0, 0, 0, 2))]
        return blocks
