"""`python -m report.compare BASE NEW [NEW …]`: is a run better or worse than another?

A run is given as its directory, its name in the list of `fab results`, or a stack, which means its newest run. Compares
operations a second, cell by cell, of each NEW with BASE. The exit code is the verdict, the gravest of several:

    0  same                 2  the runs can't be compared; one line says why
    3  better               5  too noisy to tell: longer cells, or more of them, would tell
    4  worse, in a cell or in all of them together
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from report.comparison import BETTER, SAME, TOO_NOISY, WORSE, Comparison, compare, gravest
from report.format import figure
from report.mean_rate import Ratio
from report.runs import Run, RunError, list_runs, newest_readable, open_run
from report.samples import Series, read_series
from report.table import Cell, Column, Table, console, exit_with, print_table

EXIT_BAD_INPUT = 2
EXIT_CODES = {SAME: 0, BETTER: 3, WORSE: 4, TOO_NOISY: 5}
_TONES = {BETTER: "good", WORSE: "bad", TOO_NOISY: "muted"}


def find_run(name: str, results: Path) -> Run:
    """Raises RunError if there is none."""
    for path in (Path(name), results / name):
        try:
            found = (path / "manifest.json").is_file()
        except OSError as error:  # a name that no file can have, a folder that may not be looked at
            raise RunError(f"{name[:100]}: {error.strerror}; give a run's directory or a stack") from None
        if found:
            return open_run(path)
    stacks = [item for item in list_runs(results) if name and item.path.parent.name == name]
    otherwise = "neither a run's directory nor a stack with a run; `fab results` lists them"
    return newest_readable(stacks, name, otherwise)


def comparison_table(base: Run, new: Run, found: Comparison, confidence: float, margin: float) -> Table:
    rows: list[tuple[Cell | str, ...]] = [
        (
            cell.cell,
            figure(cell.base.mean),
            figure(cell.new.mean),
            _percent(cell.ratio.value),
            _interval(cell.ratio),
            f"{cell.base.samples}, {cell.new.samples}",
            f"{figure(cell.base.independent_samples)}, {figure(cell.new.independent_samples)}",
            Cell(cell.verdict, _TONES.get(cell.verdict, "")),
        )
        for cell in found.cells
    ]
    if found.all_cells and found.all_cells_verdict:
        last = Cell(found.all_cells_verdict, _TONES.get(found.all_cells_verdict, ""))
        mean, interval = _percent(found.all_cells.value), _interval(found.all_cells)
        rows.append((f"all {len(found.cells)} cells", "", "", mean, interval, "", "", last))
    columns = [
        Column("cell"),
        Column("base op/s", numeric=True),
        Column("new op/s", numeric=True),
        Column("difference", numeric=True),
        Column("interval", numeric=True),
        Column("seconds", numeric=True),
        Column("independent", numeric=True),
        Column("verdict"),
    ]
    note = (
        f"All intervals hold with a confidence of {confidence * 100:g} %. Same: within {margin * 100:g} %. "
        "Independent: the number of independent seconds that would tell as much."
    )
    return Table(f"{_run_text(new)} against {_run_text(base)}", columns, rows, note, name="comparison")


def _run_text(run: Run) -> str:
    return f"{run.name} ({'rehearsal' if run.manifest.rehearsal else run.manifest.region})"


def _percent(ratio: float) -> str:
    percent = (ratio - 1) * 100
    return f"{percent:+.1f} %" if percent < 1000 else f"\u00d7 {figure(ratio)}"


def _interval(ratio: Ratio) -> str:
    return f"{_percent(ratio.low)} to {_percent(ratio.high)}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report.compare", description="Is a run better or worse?")
    parser.add_argument("base", metavar="BASE", help="a run's directory, or a stack: its newest run")
    parser.add_argument("new", metavar="NEW", nargs="+", help="the same, each compared with BASE")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--confidence", type=_percentage, default=95.0, metavar="PERCENT", help="of all the intervals")
    parser.add_argument(
        "--margin", type=_percentage, default=5.0, metavar="PERCENT", help="a smaller difference does not matter"
    )
    options = parser.parse_args(arguments)
    confidence, margin = options.confidence / 100, options.margin / 100
    try:
        base = find_run(options.base, options.results)
        base_series = _series(base)
        runs = [find_run(name, options.results) for name in options.new]
        compared = [(run, _compare(base, base_series, run, confidence, margin)) for run in runs]
    except RunError as error:
        print(f"report: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    out = console()
    for run, found in compared:
        print_table(out, comparison_table(base, run, found, confidence, margin), rehearsal=False)
        for reason in found.left_out:
            out.print(f"not compared: {reason}", markup=False, soft_wrap=True)
        if base.manifest.rehearsal != run.manifest.rehearsal:
            out.print("note: one is a rehearsal, whose rates say nothing of AWS", markup=False, soft_wrap=True)
        out.print(f"{run.name}: {found.verdict}", markup=False, soft_wrap=True)
    return EXIT_CODES[gravest([found.verdict for _, found in compared])]


def _compare(base: Run, base_series: dict[str, Series], new: Run, confidence: float, margin: float) -> Comparison:
    if new.path.resolve() == base.path.resolve():
        raise RunError(f"{new.path}: compared with itself; name two runs, or a stack and an older run's directory")
    if new.manifest.experiment != base.manifest.experiment:
        raise RunError(f"{new.name} is of another experiment than {base.name}: runs of the same one can be compared")
    found = compare(base_series, _series(new), confidence=confidence, margin=margin)
    if found is None:
        raise RunError(f"{base.name} and {new.name} have no whole cell with the same name and enough seconds in common")
    return found


def _series(run: Run) -> dict[str, Series]:
    """RunError where there is nothing that could be compared."""
    found = read_series(run) if run.has_stream("worker") else {}
    if not any(series.rates for series in found.values()):
        raise RunError(f"{run.path}: has no per-second records of a worker")
    return found


def _percentage(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 100:
        raise argparse.ArgumentTypeError(f"{text}: give a number above 0 and below 100")
    return value


if __name__ == "__main__":
    exit_with(main)
