"""`python -m report.ledger [--results results]`: every claim, with its newest verdict.

A verdict of *holds* or *differs* counts before a newer one that does not judge the claim. Verdicts are read from the
verdicts.json of each run (report/verdicts.py): a run without a report has none.

To read and check all claims takes 0.4 s of the processor, most of it to import pydantic and to make the classes of all
summaries. So they are kept in a file until one of the files changes that they are made from.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

import report
from report.atomic_write import write_atomically
from report.claims import CLAIMS, Claim, load_claims
from report.experiments import experiment_names, summary_type
from report.format import MISSING
from report.runs import Manifest, RunError, damages, list_runs
from report.table import Table, TextColumn
from report.terminal import console, errors_as_lines, exit_with, print_table
from report.verdicts import DIFFERS, HOLDS, NOT_RUN, VERDICT_COLUMNS, StoredVerdict, Verdict, read_verdicts

NO_RUN = "no run with a report yet"


def ledger(claims: Sequence[Claim], stored: Sequence[tuple[Manifest, Mapping[str, StoredVerdict]]]) -> list[Verdict]:
    """Returns an experiment's claims, each with its newest verdict. `stored` are its runs' verdicts, oldest first."""
    newest = []
    for claim in claims:
        found = [(run, verdicts[claim.id]) for run, verdicts in stored if claim.id in verdicts]
        judged = [each for each in found if each[1].verdict in (HOLDS, DIFFERS)]
        if found:
            run, each = (judged or found)[-1]
            newest.append(Verdict(claim, each.verdict, each.detail, each.measured, run.rehearsal, run))
        else:
            newest.append(Verdict(claim, NOT_RUN, NO_RUN, None, rehearsal=False))
    return newest


def ledger_table(experiment: str, verdicts: Sequence[Verdict]) -> Table:
    """Returns the table of an experiment's claims. Facts that were documented later stand below: no run found them."""

    def name(verdict: Verdict) -> str:
        return verdict.claim.id.partition("/")[2]

    def run(verdict: Verdict) -> str:
        return MISSING if verdict.run is None else f"{verdict.run.stack} {verdict.run.started_at[:10]}"

    later = [
        f"{name(each)}: {fact.fact} ({fact.date}, {fact.source})." for each in verdicts for fact in each.claim.later
    ]
    note = "\n".join(["Since published:", *later]) if later else ""
    columns = [TextColumn("claim", name), *VERDICT_COLUMNS, TextColumn("run", run)]
    return Table.of(experiment, columns, verdicts, note, name=experiment)


def load_all_claims() -> dict[str, list[Claim]]:
    """Reads the claims of every experiment, from the kept file where it is up to date.

    Raises ClaimError as load_claims does.
    """
    kept = _cache_file()
    with contextlib.suppress(OSError, ValueError):
        if kept.stat().st_uid == os.geteuid():  # it may be another user's
            return msgspec.json.decode(kept.read_bytes(), type=dict[str, list[Claim]])
    claims = {name: load_claims(name, summary_type(name), CLAIMS) for name in experiment_names()}
    with contextlib.suppress(OSError):  # nowhere to keep it: they are read again the next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        for old in kept.parent.glob("claims-*"):
            old.unlink()
        write_atomically(kept, msgspec.json.encode(claims))
    return claims


def _cache_file() -> Path:
    """Returns the file whose name has a hash of all that the claims are made from."""
    code = Path(report.__file__).parent
    documents = code.parent / "documents"
    sources = [*CLAIMS.glob("*.yaml"), *code.glob("*.py"), *code.glob("*/schema.py"), *documents.glob("*.py")]
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(sources):
        digest.update(os.fsencode(path) + b"\n")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "tidemark" / f"claims-{digest.hexdigest()}.json"


@errors_as_lines(1)
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m report.ledger", description="Every claim, with its newest verdict."
    )
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    ledgers = load_all_claims()
    stored: dict[str, list[tuple[Manifest, Mapping[str, StoredVerdict]]]] = {name: [] for name in ledgers}
    out = console()
    listed = list_runs(options.results)
    problems = damages(listed)
    for run in [item.run for item in listed if item.run is not None]:
        try:
            verdicts = read_verdicts(run.path)
        except RunError as error:
            problems.append(str(error))
            continue
        if run.manifest.experiment in stored and verdicts:
            stored[run.manifest.experiment].append((run.manifest, verdicts))
    for name, claims in ledgers.items():
        print_table(out, ledger_table(name, ledger(claims, stored[name])), rehearsal=False)
    for problem in problems:
        print(f"report: {problem}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    exit_with(main)
