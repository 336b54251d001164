"""raw/proofs.ndjson: what was proved about the hosts before anything was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from report.format import MISSING
from report.records import Record, boolean, text
from report.runs import Run
from report.table import Cell, Column, Missing, Table


@dataclass(frozen=True)
class Proof:
    proof: str
    source: str | None
    target: str | None
    detail: str | None
    passed: bool


@dataclass(frozen=True)
class Proofs:
    passed: int
    failed: int
    records: list[Proof]


def read_proofs(run: Run) -> Proofs | None:
    if not run.has_stream("proofs", "nothing was proved before measuring"):
        return None
    records = run.read("proofs", _proof)
    passed = sum(record.passed for record in records)
    return Proofs(passed, len(records) - passed, records)


def _proof(record: Record) -> Proof:
    source, target, detail = (None if record.get(key) is None else str(record[key]) for key in ("from", "to", "detail"))
    return Proof(text(record, "proof"), source, target, detail, boolean(record, "passed"))


def proofs_table(
    proofs: Proofs | None, meanings: Mapping[str, str], title: str = "Proofs, before anything was measured"
) -> Table | Missing:
    """Returns a table with a row for each kind of proof; `meanings` says what each kind shows."""
    if proofs is None or not proofs.records:
        return Missing("No proof was recorded.")
    rows = []
    for name in dict.fromkeys(record.proof for record in proofs.records):
        records = [record for record in proofs.records if record.proof == name]
        failed = [record for record in records if not record.passed]
        shown = failed[0] if failed else records[0]
        between = " \u2192 ".join(end for end in (shown.source, shown.target) if end)
        passed = Cell(f"{len(records) - len(failed)} of {len(records)}", "bad" if failed else "good")
        rows.append((name, meanings.get(name, MISSING), passed, f"{between}: {shown.detail or MISSING}"))
    columns = [
        Column("proof"),
        Column("what it shows"),
        Column("passed", True),
        Column("first failure, or an example"),
    ]
    return Table(title, columns, rows, name="proofs")
