"""`python -m report.ledger [--results results]`: every claim, with its newest verdict.

A verdict that was measured counts before one that says why not, however old; among equals the newest. Verdicts are
those that a run's report wrote down (report/verdicts.py): a run without a report has none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from report.claims import CLAIMS, NOT_MEASURED, Claim, ClaimError, Verdict, load_claims
from report.format import MISSING
from report.runs import Manifest, RunError, list_runs
from report.summary_types import SUMMARY_TYPES
from report.table import Cell, Column, Table, console, measured_text, print_table, published_text, tone
from report.verdicts import Kept, read_verdicts

NO_RUN = "no run with a report yet"
COLUMNS = (
    Column("claim"),
    Column("published"),
    Column("measured"),
    Column("verdict"),
    Column("by how much, or why"),
    Column("run"),
)


@dataclass(frozen=True)
class Entry:
    """A claim, its newest verdict, and the run that gave it; None: no run has told."""

    claim: Claim
    verdict: Verdict | None
    run: Manifest | None


def ledger(claims: Sequence[Claim], kept: Sequence[tuple[Manifest, Mapping[str, Kept]]]) -> Iterator[Entry]:
    """The claims of one experiment; `kept` are the verdicts of its runs, oldest first."""
    for claim in claims:
        told = [(run, verdicts[claim.id]) for run, verdicts in kept if claim.id in verdicts]
        measured = [each for each in told if each[1].verdict != NOT_MEASURED]
        if not told:
            yield Entry(claim, None, None)
            continue
        run, newest = (measured or told)[-1]
        yield Entry(claim, Verdict(claim, newest.verdict, newest.detail, newest.measured, run.rehearsal), run)


def ledger_table(experiment: str, entries: Sequence[Entry]) -> Table:
    """One experiment's claims. Later facts stand below the table, since they are of no run."""
    rows: list[Sequence[Cell | str]] = []
    for entry in entries:
        verdict = entry.verdict or Verdict(entry.claim, NOT_MEASURED, NO_RUN, None, rehearsal=False)
        rows.append(
            (
                entry.claim.id.partition("/")[2],
                published_text(verdict),
                measured_text(verdict),
                Cell(verdict.verdict, tone(verdict)),
                verdict.detail or MISSING,
                MISSING if entry.run is None else f"{entry.run.stack} {entry.run.started_at[:10]}",
            )
        )
    later = [
        f"{entry.claim.id.partition('/')[2]}: {fact.fact} ({fact.date}, {fact.source})."
        for entry in entries
        for fact in entry.claim.later
    ]
    return Table(experiment, COLUMNS, rows, "\n".join(["Since published:", *later]) if later else "", name=experiment)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m report.ledger", description="Every claim, with its newest verdict."
    )
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    try:
        ledgers = {name: load_claims(name, summary_type, CLAIMS) for name, summary_type in SUMMARY_TYPES.items()}
    except ClaimError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    kept: dict[str, list[tuple[Manifest, Mapping[str, Kept]]]] = {name: [] for name in SUMMARY_TYPES}
    out = console()
    problems = []
    for item in list_runs(options.results):
        if item.run is None:
            problems.append(f"{item.path}: {item.damage}")
            continue
        try:
            verdicts = read_verdicts(item.path)
        except RunError as error:
            problems.append(str(error))
            continue
        if item.run.manifest.experiment in kept and verdicts:
            kept[item.run.manifest.experiment].append((item.run.manifest, verdicts))
    for name, claims in ledgers.items():
        print_table(out, ledger_table(name, list(ledger(claims, kept[name]))), rehearsal=False)
    for problem in problems:
        print(f"report: {problem}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
