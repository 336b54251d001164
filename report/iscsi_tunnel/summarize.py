"""From the raw records of a run to its summary."""

from __future__ import annotations

from report.iscsi_tunnel.attaching import read_attaching, read_only_ssh
from report.iscsi_tunnel.cells import prices, read_cells
from report.iscsi_tunnel.losses import read_losses, timeline
from report.iscsi_tunnel.schema import SCHEMA, Summary
from report.proofs import read_proofs
from report.runs import Run
from report.summary import run_fields
from report.worker import read_worker

DRILL = "drill-"


def summarize(run: Run) -> Summary:
    """From raw alone; the same run gives the same summary whenever it is asked."""
    workers = read_worker(run)
    cells = read_cells(run, workers)
    return Summary(
        **run_fields(run, SCHEMA),
        cells=cells,
        prices=prices(cells),
        only_ssh=read_only_ssh(run),
        attaching=read_attaching(run),
        losses=read_losses(run),
        timeline=timeline(run, {name.removeprefix(DRILL): w for name, w in workers.items() if name.startswith(DRILL)}),
        proofs=read_proofs(run),
        problems=list(run.problems),
    )
