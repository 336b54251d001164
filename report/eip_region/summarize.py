"""From the raw records of a run to its summary."""

from __future__ import annotations

from report.eip_region.moves import read_moves, remap_of
from report.eip_region.refusal import read_refusal
from report.eip_region.schema import SCHEMA, Summary
from report.proofs import read_proofs
from report.runs import Run
from report.summary import run_fields


def summarize(run: Run) -> Summary:
    """From raw alone; the same run gives the same summary whenever it is asked."""
    refusal = read_refusal(run)
    moves, connections = read_moves(run)
    return Summary(
        **run_fields(run, SCHEMA),
        refusal=refusal,
        remap=remap_of(moves),
        moves=moves,
        connections=connections,
        proofs=read_proofs(run),
        problems=list(run.problems),
    )
