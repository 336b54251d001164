"""`python -m report.compare BASE NEW [NEW …]`: is a run better or worse than another?

A run is given as its directory, its name in the list of `fab results`, or a stack, which means its newest run. Compares
operations a second of each NEW with BASE: each cell that both have, and all cells together. The exit code is the
verdict, the gravest of several:

    0  same                 2  the runs can't be compared; one line says why
    3  better               5  too noisy to tell: longer cells, or more of them, would tell
    4  worse, in a cell or in all of them together

A cell differs if its confidence interval excludes "no difference". The confidence is that of all intervals together
(Bonferroni): otherwise one of twenty equal cells would differ by chance. Where cells are short, all cells together tell
more than each alone: each is then one measurement of the difference.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from report.cells import read_cell_records
from report.format import figure
from report.intervals import INTERVAL_SECONDS_MIN
from report.mean_rate import SAMPLES_MIN, MeanRate, Ratio, mean_rate, mean_ratio, ratio_of_means
from report.records import Record, RecordError, number, text, whole
from report.runs import Run, RunError, list_runs, newest_readable, open_run
from report.table import Cell, Column, Table
from report.terminal import console, errors_as_lines, exit_with, print_table

SAME = "same"
BETTER = "better"
WORSE = "worse"
TOO_NOISY = "too noisy to tell"
# The first of these that occurs is the verdict of several comparisons: a gain never hides a loss.
GRAVEST_FIRST = (WORSE, BETTER, TOO_NOISY, SAME)
EXIT_BAD_INPUT = 2
EXIT_CODES = {SAME: 0, BETTER: 3, WORSE: 4, TOO_NOISY: 5}
_TONES = {BETTER: "good", WORSE: "bad", TOO_NOISY: "muted", SAME: ""}
# Fields that may differ between two measurements of the same cell.
_OF_THE_DAY = frozenset({"cell", "complete", "reason", "lost_hosts", "devices", "hosts", "seconds"})
_TIMES = ("unix_s", "_at")


@dataclass(frozen=True)
class Series:
    """A cell's operations a second, in order of time; `parameters` say what was measured, from raw/cells.ndjson."""

    rates: list[float]
    parameters: Record
    reason: str | None  # why it is incomplete


def read_series(run: Run) -> dict[str, Series]:
    """Returns the series by cell: the cells of raw/cells.ndjson, or those that workers name if there is none.

    Seconds of several hosts are matched by their number from the start, so that no clock is needed. Of a cell that was
    repeated the last attempt counts. Raises RunError where there is nothing that could be compared.
    """
    rates = {name: _rates(of_hosts) for name, of_hosts in _read_seconds(run).items()}
    if run.has_stream("cells"):
        found = {name: _series(cell.record, rates.get(name, [])) for name, cell in read_cell_records(run).items()}
    else:
        found = {name: Series(of_cell, {}, None) for name, of_cell in rates.items()}
    if not any(series.rates for series in found.values()):
        raise RunError(f"{run.path}: has no per-second records of a worker")
    return found


def _series(cell: Record, rates: list[float]) -> Series:
    complete = cell.get("complete") is True
    reason = None if complete else str(cell.get("reason") or "the cell was not completed")
    parameters = {key: value for key, value in cell.items() if key not in _OF_THE_DAY and not key.endswith(_TIMES)}
    return Series(rates, parameters, reason)


def _read_seconds(run: Run) -> dict[str, dict[str, dict[int, float]]]:
    """Operations a second by cell, host and second."""
    cells: dict[str, dict[str, dict[int, float]]] = {}
    for record in run.stream("worker"):
        try:
            cell, host = text(record, "cell"), text(record, "host")
            if text(record, "kind") != "interval":
                continue
            second = whole(record, "second")
            duration = number(record, "t_end_unix_s") - number(record, "t_start_unix_s")
            ops = whole(record, "ops")
        except RecordError as error:
            run.omit("worker", error, record)
            continue
        of_host = cells.setdefault(cell, {}).setdefault(host, {})
        if second <= next(reversed(of_host), -1):
            of_host.clear()  # the worker was restarted
        if duration >= INTERVAL_SECONDS_MIN:
            of_host[second] = ops / duration
    return cells


def _rates(of_hosts: dict[str, dict[int, float]]) -> list[float]:
    """Returns the rates of the seconds that every host has, all hosts added up."""
    common = set.intersection(*(set(seconds) for seconds in of_hosts.values()))
    return [sum(seconds[second] for seconds in of_hosts.values()) for second in sorted(common)]


@dataclass(frozen=True)
class CellComparison:
    cell: str
    base: MeanRate
    new: MeanRate
    ratio: Ratio
    verdict: str


@dataclass(frozen=True)
class Comparison:
    cells: list[CellComparison]
    all_cells: Ratio | None  # None: fewer than two
    all_cells_verdict: str | None
    verdict: str
    left_out: list[str]  # what was not compared, and why


def compare(
    base: Mapping[str, Series], new: Mapping[str, Series], *, confidence: float = 0.95, margin: float = 0.05
) -> Comparison | None:
    """Compares two runs; None if no cell is in both. `margin` is the relative difference that does not matter."""
    pairs, left_out = _comparable(base, new)
    if not pairs:
        return None
    intervals = len(pairs) + (len(pairs) > 1)
    each_confidence = 1 - (1 - confidence) / intervals
    cells = []
    for name, (of_base, of_new) in pairs.items():
        ratio = ratio_of_means(of_base, of_new, each_confidence)
        cells.append(CellComparison(name, of_base, of_new, ratio, verdict_of(ratio, margin)))
    all_cells = mean_ratio([cell.ratio.value for cell in cells], each_confidence)
    all_verdict = verdict_of(all_cells, margin) if all_cells else None
    differing = [cell.verdict for cell in cells if cell.verdict in (WORSE, BETTER)]
    verdict = gravest([*differing, all_verdict or cells[0].verdict])
    return Comparison(cells, all_cells, all_verdict, verdict, left_out)


def verdict_of(ratio: Ratio, margin: float) -> str:
    """Returns "same" if the interval lies within the margin, "better" or "worse" if all of it lies on one side of 1."""
    if 1 - margin <= ratio.low and ratio.high <= 1 + margin:
        return SAME
    if ratio.low > 1:
        return BETTER
    return WORSE if ratio.high < 1 else TOO_NOISY


def gravest(verdicts: Sequence[str]) -> str:
    return next(verdict for verdict in GRAVEST_FIRST if verdict in verdicts)


def _comparable(
    base: Mapping[str, Series], new: Mapping[str, Series]
) -> tuple[dict[str, tuple[MeanRate, MeanRate]], list[str]]:
    """Returns the means of each cell that can be compared, and what can't be, with the reason."""
    pairs = {}
    left_out = [f"{name}: in one run only" for name in [*base, *new] if (name in base) != (name in new)]
    for name in [each for each in base if each in new]:
        both = (base[name], new[name])
        of_base, of_new = (mean_rate(series.rates) for series in both)
        if reason := both[0].reason or both[1].reason:
            left_out.append(f"{name}: {reason}")
        elif differing := _differing(base[name].parameters, new[name].parameters):
            left_out.append(f"{name}: not the same measurement, {differing}")
        elif of_base is None or of_new is None:
            fewest = min(len(series.rates) for series in both)
            why = f"{fewest} whole seconds, {SAMPLES_MIN} are needed" if fewest < SAMPLES_MIN else "nothing was done"
            left_out.append(f"{name}: {why}")
        else:
            pairs[name] = (of_base, of_new)
    return pairs, left_out


def _differing(base: Record, new: Record) -> str:
    names = sorted(base.keys() & new.keys())
    return ", ".join(f"{name} {base[name]} and {new[name]}" for name in names if base[name] != new[name])


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
            Cell(cell.verdict, _TONES[cell.verdict]),
        )
        for cell in found.cells
    ]
    if found.all_cells and found.all_cells_verdict:
        last = Cell(found.all_cells_verdict, _TONES[found.all_cells_verdict])
        mean, interval = _percent(found.all_cells.value), _interval(found.all_cells)
        rows.append((f"all {len(found.cells)} cells", "", "", mean, interval, "", "", last))
    figures = ("base op/s", "new op/s", "difference", "interval", "seconds", "independent")
    columns = [Column("cell"), *(Column(name, numeric=True) for name in figures), Column("verdict")]
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


@errors_as_lines(EXIT_BAD_INPUT)
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
    base = find_run(options.base, options.results)
    base_series = read_series(base)
    runs = [find_run(name, options.results) for name in options.new]
    compared = [(run, _compare(base, base_series, run, confidence, margin)) for run in runs]
    out = console()
    for run, found in compared:
        print_table(out, comparison_table(base, run, found, confidence, margin), rehearsal=False)
        for reason in found.left_out:
            out.print(f"not compared: {reason}", soft_wrap=True)
        if base.manifest.rehearsal != run.manifest.rehearsal:
            out.print("note: one is a rehearsal, whose rates say nothing of AWS", soft_wrap=True)
        out.print(f"{run.name}: {found.verdict}", soft_wrap=True)
    return EXIT_CODES[gravest([found.verdict for _, found in compared])]


def _compare(base: Run, base_series: dict[str, Series], new: Run, confidence: float, margin: float) -> Comparison:
    if new.path.resolve() == base.path.resolve():
        raise RunError(f"{new.path}: compared with itself; name two runs, or a stack and an older run's directory")
    if new.manifest.experiment != base.manifest.experiment:
        raise RunError(f"{new.name} is of another experiment than {base.name}: runs of the same one can be compared")
    found = compare(base_series, read_series(new), confidence=confidence, margin=margin)
    if found is None:
        raise RunError(f"{base.name} and {new.name} have no whole cell with the same name and enough seconds in common")
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
