"""efs-iops: its summary, and its page in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from report.claims import Claim
from report.efs_iops.agreement import Sources, read_agreement
from report.efs_iops.cells import read_cells
from report.efs_iops.clocks import clock_figures, read_clocks
from report.efs_iops.cloudwatch import read_cloudwatch
from report.efs_iops.figures import iops_plot, latency_plot
from report.efs_iops.known_answers import read_known_answers
from report.efs_iops.labels import agreement_ratio
from report.efs_iops.limits import find_limits
from report.efs_iops.long_streams import clients_to_read, read_clients, read_workers
from report.efs_iops.metering import read_metering, read_write_only
from report.efs_iops.minutes import minutes_inside, worker_minutes
from report.efs_iops.schema import SCHEMA, Summary
from report.efs_iops.service import read_io_limit, read_storage, service_figures
from report.efs_iops.sweep_tables import latency_table, limits_table, sweep_tables
from report.efs_iops.tables import (
    PROOFS,
    agreement_tables,
    clocks_table,
    io_limit_table,
    metering_table,
    service_table,
)
from report.efs_iops.time_figures import agreement_plot, timeline_plot
from report.efs_iops.timeline import read_timeline
from report.format import MISSING, figure, unbreakable
from report.hosts import inventory_roles
from report.known_answers import known_answers_section
from report.long_streams import read_in_parallel
from report.page import Block, Html, KeyFigure, Page, Section
from report.proofs import proofs_table, read_proofs
from report.records import Record, mapping, objects, or_none
from report.runs import Manifest, Run
from report.summary import run_fields
from report.table import Missing
from report.topology import NO_INVENTORY, Box, Layer, host_box, hosts_table, joined, layers, mtu_text, named_hosts

QUESTION = (
    "How many operations and bytes a second does an EFS file system give, and does AWS count what its clients do?"
)
KNOWN_ANSWERS_NOTE = (
    "The run is not told the model: it finds these by measuring. Nothing else in this report depends on it."
)
_MODES = {"generalPurpose": "General Purpose", "maxIO": "Max I/O"}


def summarize(run: Run) -> Summary:
    manifest = run.manifest
    clock = read_clocks(run)
    with read_in_parallel(run, partial(read_clients, clock=clock), *clients_to_read(run)) as clients_read:
        workers, latencies = read_workers(run, clock)
        clients = clients_read()
    cloudwatch = read_cloudwatch(run)
    service = service_figures(cloudwatch)
    sweep = read_cells(run, workers, clients)
    roles = inventory_roles(manifest.inventory)
    cells, limits = find_limits(sweep, service, clients, roles, manifest.rehearsal)
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


def page(manifest: Manifest, summary: Summary, claims: Sequence[Claim]) -> Page:
    nothing_measured = Missing("No cell was recorded.")
    rates: list[Block] = [iops_plot(summary, claims) or nothing_measured]
    rates += [limits_table(summary.limits), *sweep_tables(summary)] if summary.cells else []
    latency: list[Block] = [latency_plot(summary) or nothing_measured]
    latency += [latency_table(summary.cells)] if summary.cells else []
    counted = [
        timeline_plot(summary) or Missing("No second of a worker was recorded."),
        agreement_plot(summary),
        *agreement_tables(summary.agreement),
    ]
    metering: Block = Missing("How requests are metered is not known: no minute of CloudWatch lies inside the run.")
    if summary.metering.minutes:
        metering = metering_table(summary.metering)
    io_limit = io_limit_table(summary.io_limit) if summary.io_limit.minutes else Missing("PercentIOLimit is not known.")
    where: list[Block] = [topology(manifest.inventory), hosts_table(manifest.inventory, "The limits are set at boot.")]
    sections = [
        Section("topology", "What ran where", where),
        *known_answers_section(summary.known_answers, KNOWN_ANSWERS_NOTE),
        Section("rates", "Rates and limits", rates),
        Section("latency", "Latency", latency),
        Section("agreement", "Counted in four places", counted),
        Section("service", "Metering and the service's own figures", [metering, io_limit, service_table(summary)]),
        Section("proofs", "Mounts and clocks", [proofs_table(summary.proofs, PROOFS), clocks_table(summary.clocks)]),
    ]
    return Page(QUESTION, _key_figures(summary), sections, summary.problems)


def _key_figures(summary: Summary) -> list[KeyFigure]:
    limits, agreement, known = summary.limits, summary.agreement, summary.known_answers
    ratios = [
        ratio
        for counted in (agreement.write, agreement.read)
        if counted and (ratio := counted.cloudwatch_to_worker_operations)
    ]
    farthest = max(ratios, key=lambda ratio: abs(ratio - 1), default=None)
    found = [
        KeyFigure("write limit found", figure(limits.write.limit_ops_per_s), "op/s"),
        KeyFigure("read limit found", figure(limits.read.limit_ops_per_s), "op/s"),
        KeyFigure("one writer, writing", figure(limits.write.one_writer_ops_per_s), "op/s"),
        KeyFigure("sequential", figure(limits.sequential_mb_per_s), "MB/s"),
        KeyFigure("operations, CloudWatch over the workers", agreement_ratio(farthest)),
        KeyFigure("least that an operation is metered as", figure(summary.metering.minimum_bytes), "bytes"),
    ]
    if known:
        found.append(KeyFigure("known answers found again", f"{known.within} of {len(known.rows)}"))
    return found


def topology(inventory: Record) -> Html | Missing:
    hosts = named_hosts(inventory)
    if not hosts:
        return NO_INVENTORY
    system = or_none(mapping, inventory, "file_system")
    targets = [
        Box(unbreakable(str(target.get("address") or MISSING)), joined("mount target", target.get("zone")), "server")
        for target in objects(system or {}, "mount_targets")
    ]
    file_system = [Box(unbreakable(str(system.get("id") or MISSING)), _modes(system), "array")] if system else []
    return layers(
        "Clients, mount targets and the file system",
        [
            Layer([host_box(host) for host in hosts], f"NFS 4.1 over TCP, port 2049, {mtu_text(inventory)}"),
            Layer(targets),
            Layer(file_system),
        ],
    )


def _modes(system: Record) -> str:
    mode, provisioned = system.get("throughput_mode"), system.get("provisioned_mib_per_s")
    performance, zone = system.get("performance_mode"), system.get("one_zone")
    return joined(
        "EFS",
        _MODES.get(str(performance), performance),
        f"{mode}, {figure(provisioned)} MiB/s" if isinstance(provisioned, int | float) else mode,
        f"One Zone, {zone}" if zone else "Regional",
    )
