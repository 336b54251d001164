"""From the raw records of a run to its summary."""

from __future__ import annotations

from report.proofs import read_proofs
from report.runs import Run
from report.s3_throttle.cells import read_cells
from report.s3_throttle.network import read_network
from report.s3_throttle.schema import SCHEMA, Summary
from report.s3_throttle.stops import read_stops
from report.s3_throttle.totals import closed_loop, duty_cycle, free_rate, transfers
from report.summary import run_fields


def summarize(run: Run) -> Summary:
    """From raw alone; the same run gives the same summary whenever it is asked."""
    proofs = read_proofs(run)
    cells = read_cells(run, read_network(run), read_stops(run), proofs)
    return Summary(
        **run_fields(run, SCHEMA),
        cells=cells,
        free=free_rate(cells, run.manifest.inventory),
        duty_cycle=duty_cycle(cells),
        closed_loop=closed_loop(cells),
        transfers=transfers(cells),
        proofs=proofs,
        problems=list(run.problems),
    )
