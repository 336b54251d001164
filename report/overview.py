"""`python -m report.overview [--results results]`: one page over the newest run of every experiment."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from report.atomic_write import write_atomically
from report.build import build_report
from report.claims import ClaimError
from report.experiments import experiment_names
from report.page import render_overview
from report.runs import RunError, damages, list_runs
from report.terminal import errors_as_lines, exit_with


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


@errors_as_lines(1)
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report.overview", description="One page over all experiments.")
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    page = build_overview(options.results, lambda words: print(f"report: {words}", file=sys.stderr, flush=True))
    print(f"report: {page}")
    return 0


if __name__ == "__main__":
    exit_with(main)
