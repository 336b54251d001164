"""eip-region's page: key figures and sections, in the order a reader asks for them."""

from __future__ import annotations

from report.eip_region.figures import moves_plot
from report.eip_region.schema import Summary
from report.eip_region.tables import distribution_table, moves_table, proofs_table, refusal_table
from report.eip_region.topology import topology
from report.format import figure, seconds
from report.inventory_view import hosts_table
from report.page import Block, KeyFigure, Missing, Page, Section
from report.runs import Manifest
from report.table import Table

QUESTION = "Can an Elastic IP leave its region, and what does a client see when it moves across the zones of it?"


def page(manifest: Manifest, summary: Summary) -> Page:
    return Page(QUESTION, _key_figures(summary), _sections(manifest, summary), summary.problems)


def tables(summary: Summary) -> list[Table]:
    """What a terminal is shown before the claims."""
    found = []
    if summary.refusal.foreign is not None:
        found.append(refusal_table(summary.refusal))
    if summary.moves:
        found += [moves_table(summary.moves), distribution_table(summary.remap)]
    return found


def _key_figures(summary: Summary) -> list[KeyFigure]:
    remap = summary.remap
    return [
        KeyFigure("refused outside its region", figure(summary.refusal.refused)),
        KeyFigure("moves across zones", f"{remap.across_zones} of {remap.moves}"),
        KeyFigure("interruption for TCP, median", seconds(remap.tcp_interruption_s.median)),
        KeyFigure("interruption for SSH, median", seconds(remap.interruption_s.median)),
        KeyFigure("interruption for SSH, longest", seconds(remap.interruption_s.max)),
        KeyFigure("the API's answer, median", seconds(remap.api_answered_s.median)),
        KeyFigure("connections that nobody answered", figure(remap.unanswered)),
    ]


def _sections(manifest: Manifest, summary: Summary) -> list[Section]:
    not_moved = Missing("No move was recorded.")
    moves: list[Block] = [moves_plot(summary) or not_moved]
    moves += [distribution_table(summary.remap), moves_table(summary.moves)] if summary.moves else []
    refusal: list[Block] = [
        refusal_table(summary.refusal)
        if summary.refusal.foreign is not None
        else Missing("No address of another region was asked for.")
    ]
    if summary.proofs and summary.proofs.records:
        refusal.append(proofs_table(summary.proofs))
    where: list[Block] = [
        topology(manifest.inventory, manifest.region, summary.moves),
        hosts_table(manifest.inventory, "The limits are set at boot."),
    ]
    return [
        Section("topology", "What ran where", where),
        Section("refusal", "Outside its region", refusal),
        Section("moves", "Across zones", moves),
    ]
