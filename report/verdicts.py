"""verdicts.json: what became of each claim in a run, for whoever shows several runs and need not derive each anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report.claims import DIFFERS, HOLDS, NOT_MEASURED, Verdict
from report.expressions import Value
from report.runs import RunError

VERDICTS = "verdicts.json"
SCHEMA = 1


def verdicts_json(verdicts: Sequence[Verdict]) -> str:
    """The document, by claim: the verdict, why, and the figure that was measured (null: none)."""
    claims = [
        {"claim": each.claim.id, "verdict": each.verdict, "detail": each.detail, "measured": each.measured}
        for each in verdicts
    ]
    return json.dumps({"schema": SCHEMA, "verdicts": claims}, indent=1, allow_nan=False) + "\n"


@dataclass(frozen=True)
class Kept:
    """A verdict as it was written down."""

    verdict: str
    detail: str
    measured: Value


def read_verdicts(run: Path) -> dict[str, Kept] | None:
    """A run's verdicts by claim; None when it has no report. RunError where the file can't be used."""
    path = run / VERDICTS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise RunError(f"{path}: schema is {document['schema']!r}, this report reads {SCHEMA}")
        found = {
            str(each["claim"]): Kept(str(each["verdict"]), str(each["detail"]), each["measured"])
            for each in document["verdicts"]
        }
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path}: damaged; `python -m report {run}` makes it again") from None
    unknown = sorted({each.verdict for each in found.values()} - {HOLDS, DIFFERS, NOT_MEASURED})
    if unknown:
        raise RunError(f"{path}: {unknown[0]!r} is no verdict; `python -m report {run}` makes it again")
    return found
