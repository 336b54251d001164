"""`python -m report.overview [--results results]`: one page over the newest run of every experiment.

With `--outcomes` it shows how a rehearsal of several experiments ended: a table of how many claims of each hold and
where its page is, and the one page of all. Reads from standard input:

    {"schema":1,"experiments":[{"experiment":"…","seconds":190.2|null,"run":"…/results/…"|null,"reason":null|"…"}]}
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from report.atomic_write import write_atomically
from report.build import build_report
from report.claims import ClaimError
from report.experiments import experiment_names
from report.format import MISSING, from_here
from report.page import render_overview
from report.records import read_document
from report.runs import RunError, damages, list_runs
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


def build_overview(results: Path, tell: Callable[[str], object] = lambda _: None) -> Path:
    """Writes results/report.html, which it returns, and the reports of the runs in it.

    `tell` gets a line before each of them, and one for each run that is not in it. Raises RunError where there is no
    run, or the page can't be written.
    """
    names = experiment_names()
    listed = list_runs(results)
    problems = damages(listed)
    runs = [item.run for item in listed if item.run is not None]
    newest = {run.manifest.experiment: run.path for run in runs if run.manifest.experiment in names}
    reports = []
    for number, (_, run) in enumerate(sorted(newest.items()), 1):
        tell(f"page {number} of {len(newest)}: {run}")
        try:
            reports.append(build_report(run))
        except (RunError, ClaimError) as error:
            problems.append(str(error))
    if not reports:
        why = f"the last: {problems[-1]}" if problems else "`fab results` lists them"
        raise RunError(f"{results}: no run is there that a page could show; {why}")
    for problem in problems:
        tell(problem)
    page = results / "report.html"
    missing = [name for name in names if name not in {each.run.manifest.experiment for each in reports}]
    shown = [(each.rendered, each.page.relative_to(results).as_posix()) for each in reports]
    try:
        write_atomically(page, render_overview(shown, missing))
    except OSError as error:
        raise RunError(f"{error.filename}: can't be written: {error.strerror}") from None
    return page


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
    """Returns the number of claims with each verdict, or why that is not known."""
    if run is None:
        return None, "no results"
    try:
        verdicts = read_verdicts(Path(run))
    except RunError as error:
        return None, str(error)
    if verdicts is None:
        return None, f"{run}: no report"
    return Counter(each.verdict for each in verdicts.values()), None


def _results_of(text: str) -> Path | None:
    """Returns the results directory of the document's runs; None if it has no run."""
    runs = [Path(entry["run"]) for entry in read_document(text)["experiments"] if entry["run"]]
    return next((run.parents[2] for run in runs if run.is_dir()), None)


@errors_as_lines(1)
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report.overview", description="One page over all experiments.")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument(
        "--outcomes", action="store_true", help="of a rehearsal, read from standard input: a table, too"
    )
    options = parser.parse_args(arguments)
    if options.outcomes:
        text, out = sys.stdin.read(), console()
        print_table(out, outcomes_table(text), rehearsal=True)
        if results := _results_of(text):
            out.print(f"All of them in one page: {from_here(build_overview(results))}", soft_wrap=True)
        return 0
    page = build_overview(options.results, lambda words: print(f"report: {words}", file=sys.stderr, flush=True))
    print(f"report: {page}")
    return 0


if __name__ == "__main__":
    exit_with(main)
