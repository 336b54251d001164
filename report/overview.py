"""`python -m report.overview [--results results]`: one page over the newest run of every experiment."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from report.atomic_write import write_atomically
from report.build import build_report
from report.claims import ClaimError
from report.experiments import experiment_names
from report.page import render_overview
from report.runs import RunError, list_runs
from report.terminal import errors_as_lines, exit_with


@dataclass(frozen=True)
class Overview:
    page: Path
    problems: list[str]  # why runs are not in it


def build_overview(results: Path, tell: Callable[[str], object] = lambda _: None) -> Overview:
    """Writes results/report.html and the reports of the runs in it; `tell` gets a line before each of them.

    Raises RunError where there is no run, or the page can't be written.
    """
    names = experiment_names()
    newest: dict[str, Path] = {}
    problems = []
    for item in list_runs(results):
        if item.run is None:
            problems.append(f"{item.path}: {item.damage}")
        elif item.run.manifest.experiment in names:
            newest[item.run.manifest.experiment] = item.path
    reports = []
    for number, (_, run) in enumerate(sorted(newest.items()), 1):
        tell(f"page {number} of {len(newest)}: {run}")
        try:
            reports.append(build_report(run))
        except (RunError, ClaimError) as error:
            problems.append(str(error))
    if not reports and problems:
        raise RunError(f"{results}: no run is there that a page could show; the last: {problems[-1]}")
    if not reports:
        raise RunError(f"{results}: no run is there that a page could show; `fab results` lists them")
    page = results / "report.html"
    missing = [name for name in names if name not in {each.run.manifest.experiment for each in reports}]
    shown = [
        (
            each.rendered,
            Counter(verdict.verdict for verdict in each.verdicts),
            each.page.relative_to(results).as_posix(),
        )
        for each in reports
    ]
    try:
        write_atomically(page, render_overview(shown, missing))
    except OSError as error:
        raise RunError(f"{error.filename}: can't be written: {error.strerror}") from None
    return Overview(page, problems)


@errors_as_lines(1)
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report.overview", description="One page over all experiments.")
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    overview = build_overview(options.results, lambda words: print(f"report: {words}", file=sys.stderr, flush=True))
    for problem in overview.problems:
        print(f"report: {problem}", file=sys.stderr)
    print(f"report: {overview.page}")
    return 0


if __name__ == "__main__":
    exit_with(main)
