"""efs-iops' page: key figures and sections, in the order a reader asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from report.claims import Claim
from report.efs_iops.figures import agreement_plot, iops_plot, latency_plot, timeline_plot
from report.efs_iops.schema import Summary
from report.efs_iops.sweep_tables import latency_table, sweep_tables
from report.efs_iops.tables import (
    agreement_tables,
    clocks_table,
    io_limit_table,
    known_answers_table,
    limits_table,
    metering_table,
    proofs_table,
    service_table,
)
from report.efs_iops.topology import topology
from report.efs_iops.words import agreement_ratio
from report.format import figure
from report.inventory_view import hosts_table
from report.page import Block, KeyFigure, Missing, Page, Section
from report.runs import Manifest
from report.table import Table

QUESTION = (
    "How many operations and bytes a second does an EFS file system give, and does AWS count what its clients do?"
)


def page(manifest: Manifest, summary: Summary, claims: Sequence[Claim]) -> Page:
    return Page(QUESTION, _key_figures(summary), _sections(manifest, summary, claims), summary.problems)


def tables(summary: Summary) -> list[Table]:
    """What a terminal is shown before the claims."""
    found = sweep_tables(summary)
    if summary.cells:
        found += [latency_table(summary.cells), limits_table(summary.limits)]
    found += _service_tables(summary)
    if summary.known_answers:
        found.append(known_answers_table(summary.known_answers))
    if summary.clocks.hosts:
        found.append(clocks_table(summary.clocks))
    if summary.proofs and summary.proofs.records:
        found.append(proofs_table(summary.proofs))
    return found


def _service_tables(summary: Summary) -> list[Table]:
    found = agreement_tables(summary.agreement)
    if summary.metering.minutes:
        found.append(metering_table(summary.metering))
    if summary.io_limit.minutes:
        found.append(io_limit_table(summary.io_limit))
    return [*found, service_table(summary)]


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


def _sections(manifest: Manifest, summary: Summary, claims: Sequence[Claim]) -> list[Section]:
    nothing_measured = Missing("No cell was recorded.")
    rates: list[Block] = [iops_plot(summary, claims) or nothing_measured]
    rates += [limits_table(summary.limits), *sweep_tables(summary)] if summary.cells else []
    latency: list[Block] = [latency_plot(summary) or nothing_measured]
    latency += [latency_table(summary.cells)] if summary.cells else []
    counted: list[Block] = [timeline_plot(summary) or Missing("No second of a worker was recorded.")]
    counted += [plot] if (plot := agreement_plot(summary)) else []
    counted += agreement_tables(summary.agreement)
    service: list[Block] = [
        metering_table(summary.metering)
        if summary.metering.minutes
        else Missing("How requests are metered is not known: no minute of CloudWatch lies inside the run."),
        io_limit_table(summary.io_limit) if summary.io_limit.minutes else Missing("PercentIOLimit is not known."),
        service_table(summary),
    ]
    known = summary.known_answers
    proofs = summary.proofs
    return [
        Section(
            "topology",
            "What ran where",
            [topology(manifest.inventory), hosts_table(manifest.inventory, "The limits are set at boot.")],
        ),
        *([Section("known-answers", "Known answers", [known_answers_table(known)])] if known else []),
        Section("rates", "Rates and limits", rates),
        Section("latency", "Latency", latency),
        Section("agreement", "Counted in four places", counted),
        Section("service", "Metering and the service's own figures", service),
        Section(
            "proofs",
            "Mounts and clocks",
            [
                proofs_table(proofs) if proofs and proofs.records else Missing("No proof was recorded."),
                clocks_table(summary.clocks),
            ],
        ),
    ]
