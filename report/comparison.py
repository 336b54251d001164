"""Compares two runs: each cell that both have, and all cells together.

A cell differs if its confidence interval excludes "no difference". The confidence is that of all intervals together
(Bonferroni): otherwise one of twenty equal cells would differ by chance. Where cells are short, all cells together tell
more than each alone: each is then one measurement of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from report.mean_rate import SAMPLES_MIN, MeanRate, Ratio, mean_rate, mean_ratio, ratio_of_means
from report.samples import Series

SAME = "same"
BETTER = "better"
WORSE = "worse"
TOO_NOISY = "too noisy to tell"
# The first of these that occurs is the verdict of several comparisons: a gain never hides a loss.
GRAVEST_FIRST = (WORSE, BETTER, TOO_NOISY, SAME)


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
    """`margin` is the relative difference that does not matter. Returns None where no cell is in both runs."""
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
    """Same if the interval lies within the margin; better or worse if all of it lies on one side of 1."""
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
    pairs = {}
    left_out = [f"{name}: in one run only" for name in [*base, *new] if (name in base) != (name in new)]
    for name in base:
        if name not in new:
            continue
        both = (base[name], new[name])
        reasons = [series.reason for series in both if series.reason]
        differing = _differing(both[0], both[1])
        rates = [mean_rate(series.rates) for series in both]
        if reasons:
            left_out.append(f"{name}: {reasons[0]}")
        elif differing:
            left_out.append(f"{name}: not the same measurement, {differing}")
        elif rates[0] is None or rates[1] is None:
            fewest = min(len(series.rates) for series in both)
            why = f"{fewest} whole seconds, {SAMPLES_MIN} are needed" if fewest < SAMPLES_MIN else "nothing was done"
            left_out.append(f"{name}: {why}")
        else:
            pairs[name] = (rates[0], rates[1])
    return pairs, left_out


def _differing(base: Series, new: Series) -> str:
    names = sorted(base.parameters.keys() & new.parameters.keys())
    return ", ".join(
        f"{name} {base.parameters[name]} and {new.parameters[name]}"
        for name in names
        if base.parameters[name] != new.parameters[name]
    )
