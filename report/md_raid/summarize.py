"""From the raw records of a run to its summary."""

from __future__ import annotations

from report.md_raid.cells import read_cells, scaling, volume_figures
from report.md_raid.drill import PHASES, configured_arrays, read_array_records, read_drill
from report.md_raid.hosts import read_hosts
from report.md_raid.schema import SCHEMA, Summary
from report.proofs import read_proofs
from report.runs import Run
from report.summary import run_fields
from report.worker import read_worker


def summarize(run: Run) -> Summary:
    """From raw alone; the same run gives the same summary whenever it is asked."""
    hosts = read_hosts(run)
    workers = read_worker(run, keep_histograms="drill-")
    cells = read_cells(run, workers, hosts)
    for name in workers.keys() - {cell.cell for cell in cells} - set(PHASES):
        run.problem(f"raw/worker.ndjson: cell {name} is not in raw/cells.ndjson, left out")
    array_records = read_array_records(run)
    drill = read_drill(run, workers, array_records)
    proofs = read_proofs(run)
    return Summary(
        **run_fields(run, SCHEMA),
        cells=cells,
        volume=volume_figures(cells),
        scaling=scaling(cells),
        ceilings=hosts.ceilings(),
        drill=drill,
        arrays=configured_arrays(array_records),
        proofs=proofs,
        problems=list(run.problems),
    )
