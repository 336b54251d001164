"""`python -m report.overview [--results results]`: one page over the newest run of every experiment."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report.build import Report, build_report
from report.claims import ClaimError
from report.experiments import EXPERIMENTS
from report.page import Shown, render_overview
from report.runs import RunError, list_runs
from report.vega import drawing_beside
from report.whole_files import write_whole


@dataclass(frozen=True)
class Overview:
    page: Path
    problems: list[str]  # runs that are not in it, and why


def build_overview(results: Path) -> Overview:
    """Writes results/report.html, and the report of each run that is in it; RunError: there is none."""
    newest: dict[str, Path] = {}
    problems = []
    for item in list_runs(results):
        if item.run is None:
            problems.append(f"{item.path}: {item.damage}")
        elif item.run.manifest.experiment in EXPERIMENTS:
            newest[item.run.manifest.experiment] = item.path
    reports = []
    with drawing_beside():
        for name in EXPERIMENTS:
            if name not in newest:
                continue
            try:
                reports.append(build_report(newest[name]))
            except (RunError, ClaimError) as error:
                problems.append(str(error))
    if not reports:
        raise RunError(f"{results}: no run is there that a page could show; `fab results` lists them")
    page = results / "report.html"
    missing = [name for name in EXPERIMENTS if name not in {each.run.manifest.experiment for each in reports}]
    write_whole(page, render_overview([_shown(each, results) for each in reports], missing))
    return Overview(page, problems)


def _shown(report: Report, results: Path) -> tuple[Shown, Counter[str], str]:
    """The run, its verdicts counted, and the way to its own page."""
    counted = Counter(verdict.verdict for verdict in report.verdicts)
    return report.shown, counted, report.page.relative_to(results).as_posix()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report.overview", description="One page over all experiments.")
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    try:
        overview = build_overview(options.results)
    except (RunError, ClaimError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    for problem in overview.problems:
        print(f"report: {problem}", file=sys.stderr)
    print(f"report: {overview.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
