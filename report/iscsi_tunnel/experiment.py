"""iscsi-tunnel: its summary, and its page in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence

from report.claims import Claim
from report.format import figure, latency_us, ratio, seconds
from report.iscsi_tunnel.cells import prices, read_cells
from report.iscsi_tunnel.connection import read_attaching, read_losses, read_only_ssh
from report.iscsi_tunnel.figures import losses_plot, rates_plot
from report.iscsi_tunnel.schema import SCHEMA, Summary, TunnelCost
from report.iscsi_tunnel.tables import PROOFS, attaching_table, cells_table, losses_table, prices_table
from report.page import Block, KeyFigure, Page, Section
from report.proofs import proofs_table, read_proofs
from report.runs import Manifest, Run
from report.summary import run_fields
from report.table import Missing
from report.topology import hosts_table, tunnel_topology
from report.worker import read_worker

QUESTION = "Is a volume reached through the SSH tunnel and by no other way, and what does the tunnel cost?"
DRILL = "drill-"


def summarize(run: Run) -> Summary:
    workers = read_worker(run)
    cells = read_cells(run, workers)
    drilled = {name.removeprefix(DRILL): worker for name, worker in workers.items() if name.startswith(DRILL)}
    losses, timeline = read_losses(run, drilled)
    return Summary(
        **run_fields(run, SCHEMA),
        cells=cells,
        prices=prices(cells),
        only_ssh=read_only_ssh(run),
        attaching=read_attaching(run),
        losses=losses,
        timeline=timeline,
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
    found = (cell for cell in summary.cells if (cell.path, cell.op, cell.pattern) == ("tunnel", "read", "single"))
    return next((cell.latency_p50_us for cell in found), None)


def _price(summary: Summary, op: str) -> TunnelCost | None:
    return next((price for price in summary.prices if (price.op, price.pattern) == (op, "sequential")), None)
