"""raw/proofs.ndjson: what was proved before anything was measured, as figures and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from report.format import MISSING
from report.runs import RecordError, Run, text
from report.table import Cell, Column, Table


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
    if not run.has_stream("proofs"):
        run.problem("raw/proofs.ndjson is missing: nothing was proved before measuring")
        return None
    records = []
    for record in run.stream("proofs"):
        try:
            name = text(record, "proof")
        except RecordError as error:
            run.problem(f"raw/proofs.ndjson: a record left out: {error}")
            continue
        passed = record.get("passed")
        if not isinstance(passed, bool):
            run.problem(f"raw/proofs.ndjson: a {name} proof left out: passed is {passed!r}")
            continue
        source, target, detail = (_words(record.get(key)) for key in ("from", "to", "detail"))
        records.append(Proof(name, source, target, detail, passed))
    passed_count = sum(record.passed for record in records)
    return Proofs(passed_count, len(records) - passed_count, records)


def proofs_table(proofs: Proofs, meanings: Mapping[str, str]) -> Table:
    """A row for each kind of proof; `meanings` says what each kind shows."""
    names = list(dict.fromkeys(record.proof for record in proofs.records))
    rows = []
    for name in names:
        records = [record for record in proofs.records if record.proof == name]
        failed = [record for record in records if not record.passed]
        shown = failed[0] if failed else records[0]
        between = " → ".join(end for end in (shown.source, shown.target) if end)
        rows.append(
            (
                name,
                meanings.get(name, MISSING),
                Cell(f"{len(records) - len(failed)} of {len(records)}", "bad" if failed else "good"),
                f"{between}: {shown.detail or MISSING}",
            )
        )
    columns = [
        Column("proof"),
        Column("what it shows"),
        Column("passed", True),
        Column("first failure, or an example"),
    ]
    return Table("Proofs, before anything was measured", columns, rows, name="proofs")


def _words(value: object) -> str | None:
    return None if value is None else str(value)
