"""iscsi-tunnel: its summary, and its page in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence

from report.claims import Claim
from report.format import figure, latency_us, ratio, seconds
from report.iscsi_tunnel.cells import prices, read_cells
from report.iscsi_tunnel.connection import read_attaching, read_losses, read_only_ssh
from report.iscsi_tunnel.figures import losses_plot, rates_plot
from report.iscsi_tunnel.schema import SCHEMA, Summary
from report.iscsi_tunnel.tables import PROOFS, attaching_table, cells_table, losses_table, prices_table
from report.missing import known
from report.page import Block, KeyFigure, Page, Section
from report.proofs import proofs_table, read_proofs
from report.runs import Manifest, Run
from report.summary import run_fields
from report.table import Missing
from report.topology import hosts_table, tunnel_topology
from report.worker import read_worker

QUESTION = "Is a volume reached through the SSH tunnel and by no other way, and what does the tunnel cost?"


def summarize(run: Run) -> Summary:
    workers = read_worker(run)
    cells = read_cells(run, workers)
    losses, seconds_of_losses = read_losses(run, workers)
    return Summary(
        **run_fields(run, SCHEMA),
        cells=cells,
        prices=prices(cells),
        only_ssh=read_only_ssh(run),
        attaching=read_attaching(run),
        losses=losses,
        timeline=seconds_of_losses,
        proofs=read_proofs(run),
        problems=list(run.problems),
    )


def page(manifest: Manifest, summary: Summary, _: Sequence[Claim] = ()) -> Page:
    where: list[Block] = [
        tunnel_topology(
            manifest.inventory,
            client="initiator, has the disk",
            disk="block device",
            third_host="tries the target's port",
        ),
        hosts_table(manifest.inventory, "The limits are set at boot."),
    ]
    rates: list[Block] = [rates_plot(summary) or Missing("No cell was recorded.")]
    rates += [prices_table(summary.prices)] if summary.prices else []
    rates += [cells_table(summary.cells)] if summary.cells else []
    losses: list[Block] = [Missing("The connection was not lost on purpose.")]
    if summary.losses:
        losses = [losses_plot(summary) or Missing("No second was recorded."), losses_table(summary.losses)]
    proofs = [attaching_table(summary.attaching, summary.only_ssh), proofs_table(summary.proofs, PROOFS)]
    sections = [
        Section("hosts", "What ran where", where),
        Section("proofs", "Reached through the tunnel alone", proofs),
        Section("rates", "What the tunnel costs", rates),
        Section("losses", "A lost connection", losses),
    ]
    return Page(QUESTION, _key_figures(summary), sections, summary.problems)


def _key_figures(summary: Summary) -> list[KeyFigure]:
    sequential = {price.op: price for price in reversed(summary.prices) if price.pattern == "sequential"}
    reads, writes = sequential.get("read"), sequential.get("write")
    single = (cell for cell in summary.cells if (cell.path, cell.op, cell.pattern) == ("tunnel", "read", "single"))
    single_us = next((cell.latency_p50_us for cell in single), None)
    stalls = known(loss.longest_stall_s for loss in summary.losses)
    return [
        KeyFigure("sequential reads through the tunnel", figure(reads.tunnel_mib_per_s if reads else None), "MiB/s"),
        KeyFigure("of what ssh alone moves, reading", ratio(reads.tunnel_to_ssh_ratio if reads else None)),
        KeyFigure("of what ssh alone moves, writing", ratio(writes.tunnel_to_ssh_ratio if writes else None)),
        KeyFigure("median of single reads through the tunnel", latency_us(single_us)),
        KeyFigure("of the same disk without the tunnel", ratio(reads.tunnel_to_direct_ratio if reads else None)),
        KeyFigure("places where the target was reached beside it", figure(summary.only_ssh.ports_reached)),
        KeyFigure("longest read while the connection was lost", seconds(max(stalls, default=None))),
    ]
