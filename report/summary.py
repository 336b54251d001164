"""What summaries of several experiments have in common."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from report.runs import Run

# Bytes; the units of the fields that end in _mb_per_s and _mib_per_s.
MB = 1_000_000
MIB = 1 << 20


@dataclass(frozen=True)
class RunSummary:
    """Says which run it is of. An experiment's summary begins with these fields; `schema` is the version of its own."""

    schema: int
    experiment: str
    stack: str
    region: str
    rehearsal: bool
    status: str
    started_at: str
    finished_at: str | None


@dataclass(frozen=True)
class LatencyPercentiles:
    """Of single operations; None where nothing was measured."""

    latency_p50_us: float | None
    latency_p95_us: float | None
    latency_p99_us: float | None
    latency_p99_9_us: float | None
    latency_max_us: float | None


@dataclass(frozen=True)
class LatencyStretch:
    """Latency percentiles of the operations that ended in a stretch of time; None where none ended."""

    t_s: float
    p50_us: float | None
    p99_us: float | None
    p99_9_us: float | None


def run_fields(run: Run, schema: int) -> dict[str, Any]:
    """Returns the fields of RunSummary."""
    return {"schema": schema, **shared_fields(RunSummary, run.manifest)}


def shared_fields(kind: type, source: object) -> dict[str, Any]:
    """Returns what a dataclass takes from an object whose fields have the same names and meanings."""
    return {
        field.name: getattr(source, field.name) for field in dataclasses.fields(kind) if hasattr(source, field.name)
    }
