"""`python -m report [RUN_DIR] [--results results]`: the report of a run, of the newest if none is named.

`--outcomes FILE` prints the table of a rehearsal of several experiments instead (report/outcomes.py); - is standard
input.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from report.build import build_report, newest_run
from report.claims import ClaimError
from report.outcomes import outcomes_table
from report.runs import RunError, list_runs
from report.table import console, print_table


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__)
    parser.add_argument("run_dir", nargs="?", type=Path, metavar="RUN_DIR")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--outcomes", metavar="FILE", help="print the table of a rehearsal of several experiments")
    options = parser.parse_args(arguments)
    out = console()
    try:
        if options.outcomes is not None:
            print_table(out, outcomes_table(_text(options.outcomes), options.outcomes), rehearsal=True)
            return 0
        path = options.run_dir or newest_run(options.results)
        if not path.is_dir():
            print(f"report: {path}: no such run directory", file=sys.stderr)
            return 2
        if options.run_dir is None:
            for item in list_runs(options.results):
                if item.run is None:
                    print(f"report: {item.path}: {item.damage}", file=sys.stderr)
        made = build_report(path)
    except (RunError, ClaimError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    manifest = made.run.manifest
    for table in made.tables:
        print_table(out, table, manifest.rehearsal)
    for problem in made.run.problems:
        out.print(f"note: {problem}", markup=False)
    if manifest.status != "complete":
        out.print(f"note: this run is {manifest.status}: {manifest.reason or 'no reason recorded'}", markup=False)
    out.print(f"report: {made.page}", markup=False, soft_wrap=True)
    return 0


def _text(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: can't be read: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
