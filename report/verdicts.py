"""Judges claims by a run's summary, and keeps the verdicts in verdicts.json.

What shows several runs reads verdicts.json instead of their records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from report.claims import Claim
from report.expressions import Expression, Part, Sentence, Value
from report.format import MISSING, figure
from report.records import number, read_document, shown
from report.runs import Manifest, RunError
from report.table import Cell, Table, TextColumn, marked

VERDICTS = "verdicts.json"
SCHEMA = 1

HOLDS = "holds"
DIFFERS = "differs"
NOT_JUDGED = "not judged"  # there is a figure, and a reason why it does not count
NOT_RUN = "not run"  # there is no figure
# What reports called both of the latter until 2026.
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Verdict:
    claim: Claim
    verdict: str
    detail: str  # what was found, by how much it differs, or why it is not judged
    measured: Value
    rehearsal: bool
    run: Manifest | None = None  # that it is of, where it stands among those of others


@dataclass(frozen=True)
class StoredVerdict:
    verdict: str
    detail: str
    measured: Value


def judge(claim: Claim, summary: object, rehearsal: bool) -> Verdict:

    def expression(formula: str) -> Expression:
        return claim.expression(formula, type(summary))

    def verdict(name: str, detail: str) -> Verdict:
        return Verdict(claim, name, detail, measured, rehearsal)

    measured = expression(claim.measured).evaluate(summary) if claim.measured else None
    without = NOT_RUN if measured is None else NOT_JUDGED
    if claim.applies.where not in ("either", "rehearsal" if rehearsal else "aws"):
        reason = Sentence(claim.applies.reason or "").fill(summary)
        return verdict(without, f"needs {'AWS' if rehearsal else 'a rehearsal'}: {reason}")
    if claim.when is not None and expression(claim.when).evaluate(summary) is not True:
        if claim.needs is not None:
            return verdict(without, f"needs {Sentence(claim.needs).fill(summary)}")
        unmet = [part for part in expression(claim.when).parts(summary) if part.value is not True]
        return verdict(without, "; ".join(f"needs {part.text}: {_figures(part.figures)}" for part in unmet))
    test = expression(claim.test)
    outcome = test.evaluate(summary)
    if outcome is None:
        return verdict(without, "no value for " + ", ".join(test.unknown(summary)))
    parts = [part for part in test.parts(summary) if outcome or part.value is False]
    detail = _finding(claim, summary, measured, parts)
    if outcome:
        return verdict(HOLDS, detail)
    for later in claim.later:
        if later.test is not None and expression(later.test).evaluate(summary) is True:
            detail += f"; as documented since ({later.date}): {later.fact}"
    return verdict(DIFFERS, detail)


def _finding(claim: Claim, summary: object, measured: Value, parts: Sequence[Part]) -> str:
    """Returns how the figure compares with the published one, and the claim's sentence, or the figures of its test."""
    compared = _against_published(claim, measured)
    if claim.finding is not None:
        sentence = Sentence(claim.finding).fill(summary)
        return f"{compared}; {sentence}" if compared else sentence
    return compared or "; ".join(_figures(part.figures) for part in parts)


def _against_published(claim: Claim, measured: Value) -> str:
    if not claim.published.value or isinstance(measured, bool) or not isinstance(measured, int | float):
        return ""
    percent = (measured / claim.published.value - 1) * 100
    allowed = "" if claim.tolerance is None else f" (tolerance {claim.tolerance.ratio * 100:.0f} %)"
    if abs(percent) < 0.5:
        return f"as published{allowed}"
    return f"{abs(percent):.0f} % {'above' if percent > 0 else 'below'} the published value{allowed}"


def _figures(figures: Mapping[str, Value]) -> str:
    """Writes each figure by the last two names of its path: drill.read_errors as "drill read errors 0"."""
    return ", ".join(
        f"{' '.join(path.split('.')[-2:]).replace('_', ' ')} {figure(value)}" for path, value in figures.items()
    )


def verdicts_json(verdicts: Sequence[Verdict]) -> str:
    """Returns by claim the verdict, why, and the figure that was measured (null: none)."""
    claims = [
        {"claim": each.claim.id, "verdict": each.verdict, "detail": each.detail, "measured": each.measured}
        for each in verdicts
    ]
    return json.dumps({"schema": SCHEMA, "verdicts": claims}, indent=1, allow_nan=False) + "\n"


def read_verdicts(run: Path) -> dict[str, StoredVerdict] | None:
    """Returns a run's verdicts by claim; None if it has no report. Raises RunError if the file can't be used."""
    path = run / VERDICTS
    try:
        document = read_document(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise RunError(f"{path}: schema is {shown(document['schema'])}, this report reads {SCHEMA}")
        found = {str(each["claim"]): _stored(each) for each in document["verdicts"]}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path}: damaged; `python -m report {run}` makes it again") from None
    unknown = sorted({each.verdict for each in found.values()} - {HOLDS, DIFFERS, NOT_JUDGED, NOT_RUN})
    if unknown:
        raise RunError(f"{path}: {unknown[0]!r} is no verdict; `python -m report {run}` makes it again")
    return found


def _stored(entry: dict[str, Value]) -> StoredVerdict:
    """Raises ValueError, KeyError or TypeError for what is no verdict."""
    verdict, measured = str(entry["verdict"]), entry["measured"]
    if not isinstance(measured, str | bool | None):
        measured = number(entry, "measured")
    if verdict == NOT_MEASURED:
        verdict = NOT_RUN if measured is None else NOT_JUDGED
    return StoredVerdict(verdict, str(entry["detail"]), measured)


def published_text(verdict: Verdict) -> str:
    published = verdict.claim.published
    return f"{figure(published.value)} {published.unit}" if published.value is not None else "open question"


def measured_text(verdict: Verdict) -> str:
    """Writes the measured figure, with the mark of the rehearsal if it was measured in one."""
    if verdict.measured is None:
        return MISSING
    return marked(f"{figure(verdict.measured)} {verdict.claim.published.unit}", verdict.rehearsal)


def tone(verdict: Verdict) -> str:
    return {HOLDS: "good", DIFFERS: "bad"}.get(verdict.verdict, "muted")


# Beside the claim's name.
VERDICT_COLUMNS: list[TextColumn[Verdict]] = [
    TextColumn("published", published_text),
    TextColumn("measured", measured_text),
    TextColumn("verdict", lambda verdict: Cell(verdict.verdict, tone(verdict))),
    TextColumn("what was found, or why not", lambda verdict: verdict.detail or MISSING),
]


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    claim: TextColumn[Verdict] = TextColumn("claim", lambda verdict: verdict.claim.id)
    return Table.of("Claims", [claim, *VERDICT_COLUMNS], verdicts, name="claims")
