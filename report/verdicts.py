"""verdicts.json: what became of each claim in a run, for whoever shows several runs and need not derive each anew."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from report.claims import DIFFERS, HOLDS, NOT_MEASURED, Verdict
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


def count_verdicts(run: Path) -> Counter[str]:
    """How many claims of a run hold, differ and were not measured; RunError where that can't be read."""
    path = run / VERDICTS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise RunError(f"{path}: schema is {document['schema']!r}, this report reads {SCHEMA}")
        counted = Counter(str(each["verdict"]) for each in document["verdicts"])
    except OSError as error:
        raise RunError(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path}: damaged; `python -m report {run}` makes it again") from None
    unknown = sorted(set(counted) - {HOLDS, DIFFERS, NOT_MEASURED})
    if unknown:
        raise RunError(f"{path}: {unknown[0]!r} is no verdict; `python -m report {run}` makes it again")
    return counted
