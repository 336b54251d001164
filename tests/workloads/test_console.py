"""What a task prints on terminals of several widths."""

from __future__ import annotations

import io

import pytest
import rich.console
from rich.cells import cell_len
from rich.table import Table

from workloads.console import Console

SNAPSHOTS = [
    ("2026-11-23T103000Z", "my-laptop: /home, /etc, /var/lib/some/long/path", "30,000", "80.5 GB", "12.3 MB", "163 s"),
    ("2026-11-24T103000Z", "my-laptop: /home", "30,001", "80.5 GB", "1.23 kB", "24 s"),
]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_label_and_no_unit_of_a_table_is_cut(width: int) -> None:
    out = io.StringIO()
    table = Table("snapshot", "of", "files", "size", "new", "took")
    for row in SNAPSHOTS:
        table.add_row(*row)
    Console(rich.console.Console(file=out, force_terminal=True, color_system=None, width=width)).print(table)
    lines = out.getvalue().splitlines()
    assert max(cell_len(line) for line in lines) <= width
    for row in SNAPSHOTS:
        (line,) = [line for line in lines if line.startswith(f"{row[0]} ")]
        assert all(f" {cell} " in f"{line} " for cell in row[2:])
    of = slice(lines[0].index("of"), lines[0].index("files"))
    assert "".join(SNAPSHOTS[0][1].split()) in "".join("".join(line[of].split()) for line in lines)
    assert lines[0].split() == ["snapshot", "of", "files", "size", "new", "took"]
