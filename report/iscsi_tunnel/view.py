"""iscsi-tunnel's page: key figures and sections, in the order a reader asks for them."""

from __future__ import annotations

from report.format import figure, latency_us, ratio, seconds
from report.inventory_view import hosts_table
from report.iscsi_tunnel.figures import losses_plot, rates_plot
from report.iscsi_tunnel.schema import Price, Summary
from report.iscsi_tunnel.tables import attaching_table, cells_table, losses_table, prices_table, proofs_table
from report.iscsi_tunnel.topology import topology
from report.page import Block, KeyFigure, Missing, Page, Section
from report.runs import Manifest

QUESTION = "Is a volume reached through the SSH tunnel and by no other way, and what does the tunnel cost?"


def page(manifest: Manifest, summary: Summary) -> Page:
    return Page(QUESTION, _key_figures(summary), _sections(manifest, summary), summary.problems)


def _key_figures(summary: Summary) -> list[KeyFigure]:
    reads, writes = (_price(summary, op) for op in ("read", "write"))
    stalls = [loss.longest_stall_s for loss in summary.losses if loss.longest_stall_s is not None]
    return [
        KeyFigure("sequential reads through the tunnel", figure(reads.tunnel_mib_per_s if reads else None), "MiB/s"),
        KeyFigure("of what ssh alone moves, reading", ratio(reads.tunnel_to_ssh_ratio if reads else None)),
        KeyFigure("of what ssh alone moves, writing", ratio(writes.tunnel_to_ssh_ratio if writes else None)),
        KeyFigure("median of single reads through the tunnel", latency_us(_single_read_us(summary))),
        KeyFigure("of the same disk without the tunnel", ratio(reads.tunnel_to_direct_ratio if reads else None)),
        KeyFigure("places where the target was reached beside it", figure(summary.only_ssh.ports_reached)),
        KeyFigure("longest read while the connection was lost", seconds(max(stalls, default=None))),
    ]


def _single_read_us(summary: Summary) -> float | None:
    """Microseconds."""
    found = (cell for cell in summary.cells if (cell.path, cell.op, cell.pattern) == ("tunnel", "read", "single"))
    return next((cell.latency_p50_us for cell in found), None)


def _price(summary: Summary, op: str) -> Price | None:
    return next((price for price in summary.prices if (price.op, price.pattern) == (op, "sequential")), None)


def _sections(manifest: Manifest, summary: Summary) -> list[Section]:
    rates: list[Block] = [rates_plot(summary) or Missing("No cell was recorded.")]
    if summary.prices:
        rates.append(prices_table(summary.prices))
    if summary.cells:
        rates.append(cells_table(summary.cells))
    losses: list[Block] = [Missing("The connection was not lost on purpose.")]
    if summary.losses:
        losses = [losses_plot(summary) or Missing("No second was recorded."), losses_table(summary.losses)]
    proofs = summary.proofs
    drawing = topology(
        manifest.inventory, client="initiator, has the disk", disk="block device", kept_out="tries the target's port"
    )
    where = [drawing, hosts_table(manifest.inventory, "The limits are set at boot.")]
    return [
        Section("hosts", "What ran where", where),
        Section(
            "proofs",
            "Reached through the tunnel alone",
            [
                attaching_table(summary.attaching, summary.only_ssh),
                proofs_table(proofs) if proofs and proofs.records else Missing("No proof was recorded."),
            ],
        ),
        Section("rates", "What the tunnel costs", rates),
        Section("losses", "A lost connection", losses),
    ]
