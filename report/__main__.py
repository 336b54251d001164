"""`python -m report [RUN_DIR] [--results results]`: makes the report of a run, of the newest if none is named.

See also: `python -m report.ledger` shows all claims with their newest verdicts, `python -m report.overview` makes one
page of all experiments.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

from rich.console import Console

from report.build import Report, build_report
from report.format import from_here
from report.runs import damages, list_runs, newest_readable
from report.table import marked
from report.terminal import console, errors_as_lines, exit_with, print_table
from report.verdicts import DIFFERS, HOLDS, NOT_JUDGED, NOT_RUN

# bench/page.py: two gigabytes of records took 13 to 23 s on two busy processors.
BYTES_PER_SECOND = 100_000_000
LONG_BYTES = 5 * BYTES_PER_SECOND
NAMES_WIDTH = 64  # so that a line has 79 columns with the verdict and the mark


@errors_as_lines(1)
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run_dir", nargs="?", metavar="RUN_DIR")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--png", action="store_true", help="write the figures beside the page as PNG, too")
    parser.add_argument("--verbose", action="store_true", help="print all tables of the page, not the verdicts alone")
    options = parser.parse_args(arguments)
    out = console()
    if options.run_dir is None:
        listed = list_runs(options.results)
        otherwise = "no run is there; `fab NAME.run` of an experiment makes one"
        path = newest_readable(listed, str(options.results), otherwise).path
        for damage in damages(listed):
            print(f"report: {damage}", file=sys.stderr)
    else:
        path = Path(options.run_dir)
        if fault := _fault_of(options.run_dir, path):
            print(f"report: {fault}", file=sys.stderr)
            return 2
    _announce(path)
    made = build_report(path, png=options.png)
    manifest = made.run.manifest
    if options.verbose:
        for table in made.tables:
            print_table(out, table, manifest.rehearsal)
    _print_key_figures(out, made)
    if not options.verbose:
        _print_verdicts(out, made)
    for problem in made.run.problems:
        out.print(f"note: {problem}")
    if manifest.status != "complete":
        out.print(f"note: this run is {manifest.status}: {manifest.reason or 'no reason recorded'}")
    if not options.verbose:
        out.print("The page says why, and has all tables; `fab report --verbose` prints them.")
    out.print(f"report: {from_here(made.page)}", soft_wrap=True)
    return 0


def _fault_of(given: str, path: Path) -> str | None:
    """Returns why the path is no run's directory. The name given may be empty: that of a variable that is not set."""
    if given == "":
        return "'' names no run directory"
    try:
        return None if path.is_dir() else f"{path}: no such run directory"
    except OSError as error:  # a name that no file can have, a folder that may not be looked at
        return f"{str(path)[:100]}: {error.strerror}; give a run's directory"


def _announce(run: Path) -> None:
    """Says how long a long run may take, since a report of it prints nothing else for that time."""
    try:
        size = sum(file.stat().st_size for file in run.glob("raw/*.ndjson"))
    except OSError:  # build_report names the file
        return
    if size >= LONG_BYTES:
        seconds = size / BYTES_PER_SECOND
        print(f"report: {size / 1e9:.1f} GB of records, about {seconds:.0f} s", file=sys.stderr, flush=True)


def _print_key_figures(out: Console, made: Report) -> None:
    key_figures = made.rendered.page.key_figures
    width = max((len(each.name) for each in key_figures), default=0)
    for each in key_figures:
        out.print(f"{each.name:<{width}}  {each.value} {each.unit}".rstrip(), soft_wrap=True)


def _print_verdicts(out: Console, made: Report) -> None:
    """Prints the claims' names by verdict; with what was found, where that differs from what was published."""
    out.print()
    for verdict in (HOLDS, DIFFERS, NOT_JUDGED, NOT_RUN):
        found = [each for each in made.verdicts if each.verdict == verdict]
        if found:
            names = ", ".join(each.claim.id.partition("/")[2] for each in found)
            lines = textwrap.wrap(names, NAMES_WIDTH, break_on_hyphens=False)
            lines[-1] = marked(lines[-1], made.run.manifest.rehearsal)
            for number, line in enumerate(lines):
                out.print(f"{'' if number else verdict:<10} {line}", soft_wrap=True)
        if verdict == DIFFERS:
            for each in found:
                out.print(f"{'':<10} {each.claim.id}: {each.detail}", soft_wrap=True)


if __name__ == "__main__":
    exit_with(main)
