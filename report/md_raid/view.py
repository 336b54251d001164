"""md-raid's page: key figures and sections, in the order a reader asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from report.format import figure, ratio, seconds
from report.inventory_view import hosts_table
from report.md_raid.figures import drill_plot, latency_plot, scaling_plot
from report.md_raid.schema import Summary
from report.md_raid.tables import (
    drill_table,
    latency_tables,
    md_cost_table,
    outcome_table,
    proofs_table,
    sweep_tables,
)
from report.md_raid.topology import topology
from report.page import Block, KeyFigure, Missing, Page, Section
from report.runs import Manifest
from report.table import Table

_LIMITS_NOTE = "The limits are set at boot; the proofs say what each host has."
QUESTION = "Does Linux md RAID over iSCSI scale to 10\u00a0Gbit/s, and survive the loss of two servers?"


def page(manifest: Manifest, summary: Summary) -> Page:
    return Page(QUESTION, _key_figures(summary), _sections(manifest, summary), summary.problems)


def tables(summary: Summary) -> list[Table]:
    """What a terminal is shown before the claims."""
    found = [*sweep_tables(summary), *latency_tables(summary)]
    if summary.scaling.md_cost:
        found.append(md_cost_table(summary.scaling.md_cost))
    if summary.drill:
        found += [drill_table(summary.drill), outcome_table(summary.drill)]
    if summary.proofs and summary.proofs.records:
        found.append(proofs_table(summary.proofs))
    return found


def _key_figures(summary: Summary) -> list[KeyFigure]:
    stripe, drill = summary.scaling.stripe_sequential, summary.drill
    largest = stripe.points[-1] if stripe else None
    costs = [cost for cost in summary.scaling.md_cost if cost.pattern == "sequential"]
    widest = max(costs, key=lambda cost: cost.disks, default=None)
    over = f"sequential, stripe over {largest.mirrors} mirrors" if largest else "sequential, stripe"
    return [
        KeyFigure(over, figure(largest.mib_per_s if largest else None), "MiB/s"),
        KeyFigure(
            f"stripe over raw, {widest.disks} disks, sequential" if widest else "stripe over raw, sequential",
            ratio(widest.stripe_to_raw_ratio if widest else None),
        ),
        KeyFigure("longest stall with servers killed", seconds(drill.longest_stall_s if drill else None)),
        KeyFigure("reads failed during the drill", figure(drill.read_errors if drill else None)),
        KeyFigure("longest rebuild of a mirror", seconds(drill.rebuild_seconds_max if drill else None)),
    ]


def _sections(manifest: Manifest, summary: Summary) -> list[Section]:
    nothing_measured = Missing("No cell of the sweep was recorded.")
    scaling: list[Block] = [scaling_plot(summary) or nothing_measured, *sweep_tables(summary)]
    if summary.scaling.md_cost:
        scaling.append(md_cost_table(summary.scaling.md_cost))
    elif summary.cells:
        scaling.append(Missing("What md costs is not known: no stripe and raw cell have the same disks."))
    drill: Sequence[Block] = [Missing("The failure drill was not run.")]
    if summary.drill is not None:
        in_time = drill_plot(summary) or Missing("No event and no read of the drill was recorded.")
        drill = [in_time, drill_table(summary.drill), outcome_table(summary.drill)]
    proofs = summary.proofs
    where = [topology(manifest.inventory, summary.arrays), hosts_table(manifest.inventory, _LIMITS_NOTE)]
    return [
        Section("topology", "What ran where", where),
        Section("scaling", "Scaling", scaling),
        Section("latency", "Latency", [latency_plot(summary) or nothing_measured, *latency_tables(summary)]),
        Section("drill", "Failure drill", drill),
        Section(
            "proofs",
            "Proofs",
            [proofs_table(proofs) if proofs and proofs.records else Missing("No proof was recorded.")],
        ),
    ]
