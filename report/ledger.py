"""`python -m report.ledger [--results results]`: every claim, with its newest verdict.

A verdict of *holds* or *differs* counts before a newer one that does not judge the claim. Verdicts are read from the
verdicts.json of each run (report/verdicts.py): a run without a report has none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from report.claims import CLAIMS, Claim, ClaimError, load_claims
from report.experiments import experiment_names, summary_type
from report.format import MISSING
from report.runs import Manifest, RunError, list_runs
from report.table import Cell, Column, Table, console, measured_text, print_table, published_text, tone
from report.verdicts import DIFFERS, HOLDS, NOT_RUN, StoredVerdict, Verdict, read_verdicts

NO_RUN = "no run with a report yet"
COLUMNS = (
    Column("claim"),
    Column("published"),
    Column("measured"),
    Column("verdict"),
    Column("what was found, or why not"),
    Column("run"),
)


@dataclass(frozen=True)
class Entry:
    """A claim, its newest verdict and that verdict's run; None where no run has a verdict of it."""

    claim: Claim
    verdict: Verdict | None
    run: Manifest | None


def ledger(claims: Sequence[Claim], stored: Sequence[tuple[Manifest, Mapping[str, StoredVerdict]]]) -> Iterator[Entry]:
    """The claims of one experiment; `stored` are the verdicts of its runs, oldest first."""
    for claim in claims:
        found = [(run, verdicts[claim.id]) for run, verdicts in stored if claim.id in verdicts]
        judged = [each for each in found if each[1].verdict in (HOLDS, DIFFERS)]
        if not found:
            yield Entry(claim, None, None)
            continue
        run, newest = (judged or found)[-1]
        yield Entry(claim, Verdict(claim, newest.verdict, newest.detail, newest.measured, run.rehearsal), run)


def ledger_table(experiment: str, entries: Sequence[Entry]) -> Table:
    """The claims of one experiment; facts that were documented later stand below the table, since no run found them."""
    rows: list[Sequence[Cell | str]] = []
    for entry in entries:
        verdict = entry.verdict or Verdict(entry.claim, NOT_RUN, NO_RUN, None, rehearsal=False)
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
        ledgers = {name: load_claims(name, summary_type(name), CLAIMS) for name in experiment_names()}
    except ClaimError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    stored: dict[str, list[tuple[Manifest, Mapping[str, StoredVerdict]]]] = {name: [] for name in ledgers}
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
        if item.run.manifest.experiment in stored and verdicts:
            stored[item.run.manifest.experiment].append((item.run.manifest, verdicts))
    for name, claims in ledgers.items():
        print_table(out, ledger_table(name, list(ledger(claims, stored[name]))), rehearsal=False)
    for problem in problems:
        print(f"report: {problem}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
