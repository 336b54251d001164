"""`python -m report.outcomes`: the one table of a rehearsal of several experiments.

Shows how each ended, how many of its claims hold and where its page is, and makes one page of all of them. Reads from
standard input:

    {"schema":1,"experiments":[{"experiment":"…","seconds":190.2|null,"run":"…/results/…"|null,"reason":null|"…"}]}
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from report.format import MISSING, from_here
from report.overview import build_overview
from report.records import read_document
from report.runs import RunError
from report.table import Cell, Column, Table
from report.terminal import console, errors_as_lines, exit_with, print_table
from report.verdicts import DIFFERS, HOLDS, NOT_JUDGED, NOT_RUN, read_verdicts

SCHEMA = 1
COLUMNS = (
    Column("experiment"),
    Column("outcome"),
    *(Column(name, numeric=True) for name in ("seconds", "claims hold", "differ", "not judged", "not run")),
    Column("page, or why not"),
)


def outcomes_table(text: str) -> Table:
    """Raises RunError if the document is not as described above."""
    try:
        document = read_document(text)
        if document["schema"] != SCHEMA:
            raise RunError(f"outcomes: schema is {document['schema']!r}, this report reads {SCHEMA}")
        rows = [_row(entry) for entry in document["experiments"]]
    except (ValueError, KeyError, TypeError):
        raise RunError("outcomes: not those of a rehearsal") from None
    note = "Not judged: measured, but a rehearsal can't tell. Not run: there is no figure. Each page says why."
    return Table("All experiments", COLUMNS, rows, note, name="outcomes")


def _row(entry: Mapping[str, Any]) -> tuple[Cell | str, ...]:
    reason, seconds, run = entry["reason"], entry["seconds"], entry["run"]
    counted, problem = _counted(run)
    last = from_here(Path(run) / "report.html") if reason is None and problem is None else reason or problem or MISSING
    return (
        entry["experiment"],
        Cell("done", "good") if reason is None else Cell("not done", "bad"),
        MISSING if seconds is None else f"{seconds:.0f}",
        *(MISSING if counted is None else str(counted[verdict]) for verdict in (HOLDS, DIFFERS, NOT_JUDGED, NOT_RUN)),
        last,
    )


def _counted(run: str | None) -> tuple[Counter[str] | None, str | None]:
    """The number of claims with each verdict, or why that is not known."""
    if run is None:
        return None, "no results"
    try:
        verdicts = read_verdicts(Path(run))
    except RunError as error:
        return None, str(error)
    if verdicts is None:
        return None, f"{run}: no report"
    return Counter(each.verdict for each in verdicts.values()), None


@errors_as_lines(1)
def main() -> int:
    text = sys.stdin.read()
    out = console()
    print_table(out, outcomes_table(text), rehearsal=True)
    if results := _results_of(text):
        out.print(f"All of them in one page: {from_here(build_overview(results))}", soft_wrap=True)
    return 0


def _results_of(text: str) -> Path | None:
    """The results directory of the document's runs; None where it has no run."""
    runs = [Path(entry["run"]) for entry in read_document(text)["experiments"] if entry["run"]]
    return next((run.parents[2] for run in runs if run.is_dir()), None)


if __name__ == "__main__":
    exit_with(main)
