"""What every summary.json begins with: which run it is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from report.runs import Run


@dataclass(frozen=True)
class RunSummary:
    """An experiment's summary has these fields first, then its own. `schema` is the version of its own."""

    schema: int
    experiment: str
    stack: str
    region: str
    rehearsal: bool
    status: str
    started_at: str
    finished_at: str | None


def run_fields(run: Run, schema: int) -> dict[str, Any]:
    """The values of those fields, by name."""
    manifest = run.manifest
    return {
        "schema": schema,
        "experiment": manifest.experiment,
        "stack": manifest.stack,
        "region": manifest.region,
        "rehearsal": manifest.rehearsal,
        "status": manifest.status,
        "started_at": manifest.started_at,
        "finished_at": manifest.finished_at,
    }
