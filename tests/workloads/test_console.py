"""What a task prints on terminals of several widths."""

from __future__ import annotations

import io
import re
import time

import pytest
import rich.console
from rich.cells import cell_len
from rich.table import Table

from tests.machine import in_time, repeated_when_delayed
from workloads import console as consoles
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


@pytest.mark.parametrize("is_terminal", [True, False])
@repeated_when_delayed
def test_the_time_of_a_silent_step_moves(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that never calls `update`: its line says for how long it has been, and how long it may take."""
    monkeypatch.setattr(consoles, "REFRESH_S", 0.01)
    monkeypatch.setattr(consoles, "QUIET_PROGRESS_S", 0.1)
    out = io.StringIO()
    terminal = rich.console.Console(file=out, force_terminal=is_terminal, color_system=None, width=80)
    with Console(terminal).under_way("configure", "packages", "up to 15 minutes") as progress:
        time.sleep(0.25)
        silent = re.search(r"configure      packages  \(\d s; up to 15 minutes\)", out.getvalue())
        progress.update("packages of 2 hosts")
        time.sleep(0.25)
    in_time(bool(silent) or is_terminal, "on a terminal rich decides when it draws")
    in_time(bool(re.search(r"configure      packages of 2 hosts  \(\d s; up to 15 minutes\)", out.getvalue())))
    printed = out.getvalue()
    time.sleep(0.25)
    assert out.getvalue() == printed, "nothing is printed after the end"


def test_a_quick_step_prints_nothing_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with Console(rich.console.Console(file=out)).under_way("configure", "packages") as progress:
        progress.update("packages of 2 hosts")
    assert out.getvalue() == ""
