"""`python -m report [RUN_DIR] [--results results]`: makes the report of a run, of the newest if none is named.

See also: `python -m report.ledger` shows all claims with their newest verdicts, `python -m report.overview` makes one
page of all experiments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from report.build import build_report, newest_run
from report.claims import ClaimError
from report.runs import RunError, list_runs
from report.table import console, print_table


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run_dir", nargs="?", type=Path, metavar="RUN_DIR")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--png", action="store_true", help="write the figures beside the page as PNG, too")
    parser.add_argument("--verbose", action="store_true", help="print all tables of the page, not the verdicts alone")
    options = parser.parse_args(arguments)
    out = console()
    try:
        path = options.run_dir or newest_run(options.results)
        if not path.is_dir():
            print(f"report: {path}: no such run directory", file=sys.stderr)
            return 2
        if options.run_dir is None:
            for item in list_runs(options.results):
                if item.run is None:
                    print(f"report: {item.path}: {item.damage}", file=sys.stderr)
        made = build_report(path, png=options.png)
    except (RunError, ClaimError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    manifest = made.run.manifest
    for table in [*(made.tables if options.verbose else ()), made.claims]:
        print_table(out, table, manifest.rehearsal)
    key_figures = made.rendered.page.key_figures
    width = max((len(each.name) for each in key_figures), default=0)
    for each in key_figures:
        out.print(f"{each.name:<{width}}  {each.value} {each.unit}".rstrip(), markup=False)
    for problem in made.run.problems:
        out.print(f"note: {problem}", markup=False)
    if manifest.status != "complete":
        out.print(f"note: this run is {manifest.status}: {manifest.reason or 'no reason recorded'}", markup=False)
    tables = "" if options.verbose else "all tables are in the page, and `fab report --verbose` prints them; "
    out.print(f"{tables}report: {made.page}", markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
