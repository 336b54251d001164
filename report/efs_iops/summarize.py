"""From the raw records of a run to its summary."""

from __future__ import annotations

from functools import partial

from report.beside import reading_beside
from report.efs_iops.agreement import Sources, read_agreement
from report.efs_iops.cells import Clients, read_cells
from report.efs_iops.clocks import RunnerClock, clock_figures, read_clocks
from report.efs_iops.cloudwatch import read_cloudwatch, service_figures
from report.efs_iops.io_limit import read_io_limit
from report.efs_iops.known_answers import read_known_answers
from report.efs_iops.limited_by import with_limits, with_limits_seen
from report.efs_iops.limits import find_limits
from report.efs_iops.metering import read_metering
from report.efs_iops.minutes import minutes_inside, worker_minutes
from report.efs_iops.mountstats import read_mountstats
from report.efs_iops.schema import SCHEMA, Summary
from report.efs_iops.storage import read_storage
from report.efs_iops.timeline import read_timeline
from report.efs_iops.write_only import read_write_only
from report.hosts import inventory_roles, read_host_samples
from report.latency_seconds import LatencySeconds
from report.proofs import read_proofs
from report.runs import Run
from report.summary import run_fields
from report.worker import read_worker


def summarize(run: Run) -> Summary:
    """From raw alone; the same run gives the same summary whenever it is asked."""
    manifest = run.manifest
    clock = read_clocks(run)
    with reading_beside(run, partial(_read_clients, clock=clock), "mountstats", "host") as clients_read:
        latencies = LatencySeconds(lambda host, t_unix_s: clock.of(host).all_on_runner(t_unix_s))
        workers = clock.workers(read_worker(run, latencies=latencies))
        clients = clients_read()
    cloudwatch = read_cloudwatch(run)
    service = service_figures(cloudwatch)
    sweep = read_cells(run, workers, clients)
    limits = find_limits(sweep.cells)
    cells = with_limits(
        sweep, limits, service, clients, inventory_roles(manifest.inventory), rehearsal=manifest.rehearsal
    )
    limits = with_limits_seen(limits, cells, service)
    hosts = sorted({host for cell in cells for host in cell.hosts})
    minutes = minutes_inside(manifest, cloudwatch, workers.values())
    by_workers = worker_minutes(run, workers, cells, minutes)
    metering = read_metering(cloudwatch, by_workers)
    sources = Sources(clients, cloudwatch, hosts, metering.minimum_bytes, workers_seen=bool(workers))
    agreement = read_agreement(by_workers, sources, cells)
    io_limit = read_io_limit(cloudwatch, agreement.minutes, limits.read.limit_ops_per_s, limits.write.limit_ops_per_s)
    return Summary(
        **run_fields(run, SCHEMA),
        cells=cells,
        limits=limits,
        agreement=agreement,
        metering=metering,
        io_limit=io_limit,
        service=service,
        storage=read_storage(run),
        write_only=read_write_only(sweep, clients.mountstats, by_workers, cloudwatch),
        clocks=clock_figures(clock, hosts, [cell.start_skew_s for cell in cells]),
        timeline=read_timeline(workers, cells, clients, cloudwatch, hosts, latencies),
        known_answers=read_known_answers(run, limits, metering, io_limit),
        proofs=read_proofs(run),
        problems=list(run.problems),
    )


def _read_clients(run: Run, clock: RunnerClock) -> Clients:
    return Clients.of(read_mountstats(run, clock), clock.samples(read_host_samples(run)))
