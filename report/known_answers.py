"""Known answers: what a rehearsal's service model says, beside what the run found without being told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from report.format import figure
from report.page import Section
from report.records import Record, RecordError, number_or_none, read_document
from report.runs import Run
from report.table import Cell, NumberColumn, Table, TextColumn

FILE = "service-model.json"

T = TypeVar("T")


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
        within, outside, not_found = (outcomes.count(outcome) for outcome in (True, False, None))
        return cls(model, within, outside, not_found, len(rows), within == len(rows), list(rows))


def near(
    answer: str, unit: str, model: float | None, found: float | None, ratio: float, *, not_found: str | None = None
) -> KnownAnswer:
    """Returns an answer that is right within `ratio` of the model. `not_found` is shown instead of a missing figure."""
    within = None if model is None or found is None else abs(found / model - 1) <= ratio
    return KnownAnswer(answer, unit, model, not_found if found is None else found, f"{ratio * 100:.0f} %", within)


def read_model_file(run: Run, read: Callable[[Record], T], fault: str) -> T | None:
    """Returns what `read` makes of the rehearsal's service-model.json; None if there is none, or it cannot be read,
    which is a problem of the run: `fault` says in words what that means.
    """
    try:
        document = read_document((run.path / FILE).read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise RecordError("not an object")
        return read(document)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        # RecordError is a ValueError; so is JSON that is not whole.
        run.problem(f"{FILE}{fault}: {error}")
        return None


def positive_or_none(document: Record, key: str) -> float | None:
    """Reads a limit of a model: absent or null is no limit. Raises RecordError."""
    value = number_or_none(document, key)
    if value is not None and value <= 0:
        raise RecordError(f"{key} must be above 0 or null, not {value!r}")
    return value


def known_answers_section(answers: KnownAnswers | None, note: str) -> list[Section]:
    """Returns the page's section; none without a service model. `note` says what else depends on the model."""
    if answers is None:
        return []
    outcomes = {True: Cell("within", "good"), False: Cell("outside", "bad"), None: Cell("not found", "muted")}
    columns: list[TextColumn[KnownAnswer]] = [
        TextColumn("answer", lambda row: row.answer),
        NumberColumn("model", lambda row: figure(row.model, 4)),
        NumberColumn("found", lambda row: figure(row.found, 4)),
        TextColumn("unit", lambda row: row.unit),
        TextColumn("tolerance", lambda row: row.tolerance),
        TextColumn("outcome", lambda row: outcomes[row.within]),
    ]
    title = f"Known answers: what the service model {answers.model} says, and what the run found"
    table = Table.of(title, columns, answers.rows, note, name="known-answers")
    return [Section("known-answers", "Known answers", [table])]
