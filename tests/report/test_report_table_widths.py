"""Every table at the widths of terminals and of a pipe: no label is shortened, no figure loses its unit."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import rich.console
import vl_convert
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from report.build import build_report
from report.claims import CLAIMS, load_claims
from report.compare import compare, comparison_table, read_series
from report.experiments import experiment_names, summary_type
from report.ledger import ledger, ledger_table
from report.overview import outcomes_table
from report.results import listing
from report.runs import ListedRun, list_runs, open_run
from report.table import Cell, Column, Table
from report.terminal import PLAIN_WIDTH, WORD_CHARACTERS, print_table
from tests.report import test_report_eip_region as eip_region
from tests.report import test_report_encrypted_backup as encrypted_backup
from tests.report import test_report_s3_throttle as s3_throttle
from tests.report.efs_run_builder import EfsRunBuilder
from tests.report.run_builder import RunBuilder
from tests.report.tunnel_run_builder import TunnelRunBuilder

WIDTHS = [80, 100, 120, PLAIN_WIDTH, 200]


@dataclass(frozen=True)
class Printed:
    """What a console of a width showed."""

    width: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def _apart(self) -> str:
        """Its lines with a space before and after each, and no rules between columns."""
        return "\n".join(f" {line} " for line in self.text.replace("|", " ").splitlines())

    def has(self, text: str) -> bool:
        """Whether it stands on one line, with nothing of a longer word around it."""
        return f" {text} " in self._apart


def printed(table: Table, width: int, *, terminal: bool = True) -> Printed:
    out = io.StringIO()
    console = rich.console.Console(file=out, force_terminal=terminal, width=width, color_system=None, highlight=False)
    print_table(console, table, rehearsal=True)
    return Printed(width, out.getvalue())


def is_whole(table: Table, width: int, *, terminal: bool) -> None:
    """Asserts that nothing is cut and nothing is missing."""
    seen = printed(table, width, terminal=terminal)
    assert max((cell_len(line) for line in seen.lines), default=0) <= width
    for row in table.rows:
        texts = [cell.text if isinstance(cell, Cell) else cell for cell in row]
        for n, (column, text) in enumerate(zip(table.columns, texts, strict=True)):
            if not text:
                continue
            if n == 0 or column.numeric or cell_len(text) <= WORD_CHARACTERS // 2:
                assert seen.has(text.strip()), f"{column.name}: {text!r} at {width}"
            for word in text.split():
                assert cell_len(word) > WORD_CHARACTERS or word in seen.text


@pytest.fixture(scope="module")
def every_table(tmp_path_factory: pytest.TempPathFactory) -> list[Table]:
    """Those of a run of every experiment, and all that are made of several runs."""
    root = tmp_path_factory.mktemp("results")
    written = [
        RunBuilder().write(root),
        RunBuilder(rehearsal=False, seed=8).write(root, "2026-11-23T113000Z"),
        EfsRunBuilder().write(root),
        TunnelRunBuilder().write(root),
        eip_region.Builder().write(root),
        s3_throttle.whole_run(root, factor=1.0),
        encrypted_backup.write(root, encrypted_backup.records()),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vl_convert, "vegalite_to_svg", lambda *_, **__: "<svg/>")  # seconds for figures that nobody sees
        reports = [build_report(run) for run in written]
    damaged = root / "md-raid" / "a-stack-with-quite-a-long-name.eu-central-1" / "2026-11-23T123000Z"
    damaged.mkdir(parents=True)
    return [*(table for made in reports for table in made.tables), *tables(list_runs(root), *written[:2])]


def tables(runs: list[ListedRun], one: Path, other: Path) -> Iterator[Table]:
    yield listing(runs)
    for name in experiment_names():
        yield ledger_table(name, ledger(load_claims(name, summary_type(name), CLAIMS), []))
    entries = [
        {
            "experiment": listed.path.parts[-3],
            "seconds": 190.4,
            "run": str(listed.path),
            "reason": "its tasks failed: client-1 does not answer any more" if n % 2 else None,
        }
        for n, listed in enumerate(runs)
    ]
    yield outcomes_table(json.dumps({"schema": 1, "experiments": entries}))
    base, new = open_run(one), open_run(other)
    compared = compare(read_series(base), read_series(new))
    assert compared is not None
    yield comparison_table(base, new, compared, 0.95, 0.05)


@pytest.mark.parametrize(("width", "terminal"), [*((width, True) for width in WIDTHS), (PLAIN_WIDTH, False)])
def test_every_table_is_whole(every_table: list[Table], width: int, terminal: bool) -> None:
    """A pipe has one width only."""
    assert len(every_table) > 20
    for table in every_table:
        is_whole(table, width, terminal=terminal)


WIDE = Table(
    "Cells",
    [Column("cell"), *(Column(name, numeric=True) for name in ("op/s", "MiB/s", "p50", "p95", "p99", "p99.9", "max"))],
    [
        (
            f"stripe-{n}-sequential-with-a-long-name",
            "1\u202f234",
            "750",
            "1.23 ms",
            "2.34 ms",
            "12.3 ms",
            "123 ms",
            "1.2 s",
        )
        for n in range(3)
    ],
)
PROSE = Table(
    "Claims",
    [Column("claim"), Column("published"), Column("verdict"), Column("why")],
    [
        (
            "md-raid/a-claim-of-a-long-name-about-a-stripe",
            "1\u202f234 MiB/s",
            Cell("holds", "good"),
            "since " * 20 + "so",
        )
    ],
)


def test_a_table_of_figures_is_split_and_each_part_has_the_labels() -> None:
    seen = printed(WIDE, 80)
    labels = [line for line in seen.lines if line.startswith(" stripe-1-sequential-with-a-long-name ")]
    assert len(labels) == 2
    assert [line.split()[0] for line in seen.lines if "op/s" in line or " max" in line] == ["cell", "cell"]
    assert len([line for line in printed(WIDE, 120).lines if line.startswith(" stripe-1-")]) == 1


def test_a_table_with_sentences_is_stacked() -> None:
    seen = printed(PROSE, 80)
    assert "md-raid/a-claim-of-a-long-name-about-a-stripe" in [line.rstrip() for line in seen.lines]
    assert "  published  1\u202f234 MiB/s" in [line.rstrip() for line in seen.lines]
    assert len([line for line in printed(PROSE, 200).lines if line.startswith(" md-raid/")]) == 1


words = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=12)
cells = st.lists(words, min_size=1, max_size=12).map(" ".join)


@st.composite
def any_table(draw: st.DrawFn) -> Table:
    numeric = draw(st.lists(st.booleans(), min_size=1, max_size=8))
    columns = [Column(f"c{n}", is_numeric) for n, is_numeric in enumerate(numeric)]
    row = st.tuples(words, *(words if each else cells for each in numeric[1:]))
    return Table("Any", columns, draw(st.lists(row, max_size=4)))


@given(any_table(), st.sampled_from([60, *WIDTHS]), st.booleans())
def test_any_table_is_whole(table: Table, width: int, terminal: bool) -> None:
    seen = printed(table, width, terminal=terminal)
    assert max(cell_len(line) for line in seen.lines) <= width
    for row in table.rows:
        for column, text in zip(table.columns, row, strict=True):
            assert isinstance(text, str)
            if column.numeric or column is table.columns[0]:
                assert any(text in line for line in seen.lines)
            assert all(any(word in line for line in seen.lines) for word in text.split())
