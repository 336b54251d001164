"""Known answers: what a rehearsal's service model says, beside what the run found without being told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from report.format import figure
from report.table import Cell, NumberColumn, Table, TextColumn


@dataclass(frozen=True)
class KnownAnswer:
    answer: str
    unit: str
    model: float | str | None  # None: the model has no such limit
    found: float | str | None
    tolerance: str
    within: bool | None  # None: not found


@dataclass(frozen=True)
class KnownAnswers:
    """Of a rehearsal, and its service model."""

    model: str
    within: int
    outside: int
    not_found: int
    asked: int  # all of them
    all_within: bool
    rows: list[KnownAnswer]

    @classmethod
    def of(cls, model: str, rows: Sequence[KnownAnswer]) -> KnownAnswers:
        outcomes = [row.within for row in rows]
        within = outcomes.count(True)
        return cls(
            model,
            within,
            outcomes.count(False),
            outcomes.count(None),
            len(rows),
            within == len(rows),
            list(rows),
        )


def known_answers_table(answers: KnownAnswers, note: str) -> Table:
    """`note` says what else depends on the model."""
    outcomes = {True: Cell("within", "good"), False: Cell("outside", "bad"), None: Cell("not found", "muted")}
    columns: list[TextColumn[KnownAnswer]] = [
        TextColumn("answer", lambda row: row.answer),
        NumberColumn("model", lambda row: _shown(row.model)),
        NumberColumn("found", lambda row: _shown(row.found)),
        TextColumn("unit", lambda row: row.unit),
        TextColumn("tolerance", lambda row: row.tolerance),
        TextColumn("outcome", lambda row: outcomes[row.within]),
    ]
    title = f"Known answers: what the service model {answers.model} says, and what the run found"
    return Table.of(title, columns, answers.rows, note, name="known-answers")


def _shown(value: float | str | None) -> str:
    return value if isinstance(value, str) else figure(value, 4)
