"""s3-throttle: its summary, and its page in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence

from report.claims import Claim
from report.format import MISSING, figure, percent
from report.page import Block, Html, KeyFigure, Page, Section
from report.proofs import proofs_table, read_proofs
from report.records import Record, mapping, or_none
from report.runs import Manifest, Run
from report.s3_throttle.cells import closed_loop, duty_cycle, free_rate, read_cells, transfers
from report.s3_throttle.figures import accuracy_plot, progress_plot, rates_plot
from report.s3_throttle.schema import SCHEMA, DutyCycle, Summary
from report.s3_throttle.tables import PROOFS, costs_table, duty_cycle_table, link_table, rates_table
from report.summary import run_fields
from report.table import Missing
from report.topology import NO_INVENTORY, Box, Layer, host_box, host_in, hosts_table, layers

QUESTION = "Can a running aws s3 sync be held to a bandwidth, and by which way does the cap hold best?"


def summarize(run: Run) -> Summary:
    proofs = read_proofs(run)
    cells = read_cells(run, proofs)
    return Summary(
        **run_fields(run, SCHEMA),
        cells=cells,
        free=free_rate(cells, run.manifest.inventory),
        duty_cycle=duty_cycle(cells),
        closed_loop=closed_loop(cells),
        transfers=transfers(cells),
        proofs=proofs,
        problems=list(run.problems),
    )


def page(manifest: Manifest, summary: Summary, _: Sequence[Claim] = ()) -> Page:
    nothing, cells = Missing("No sync was recorded."), summary.cells
    where: list[Block] = [
        topology(manifest.inventory),
        hosts_table(manifest.inventory, "The limits are set at boot."),
        link_table(summary.free),
    ]
    pairs: Block = Missing("No duty cycle was measured.")
    if summary.duty_cycle.pairs:
        pairs = duty_cycle_table(cells)
    costs: list[Block] = [costs_table(cells) if cells else nothing, proofs_table(summary.proofs, PROOFS, "Proofs")]
    sections = [
        Section("topology", "What ran where", where),
        Section(
            "held", "How well each way held", [accuracy_plot(summary) or nothing, rates_table(cells) if cells else None]
        ),
        Section("progress", "Rate and bytes over time", [rates_plot(summary) or nothing, progress_plot(summary)]),
        Section("duty-cycle", "The original's way", [pairs]),
        Section("costs", "Errors and costs", costs),
    ]
    return Page(QUESTION, _key_figures(summary), sections, summary.problems)


def _key_figures(summary: Summary) -> list[KeyFigure]:
    loop, duty, syncs = summary.closed_loop, summary.duty_cycle, summary.transfers
    error = loop.largest_error_ratio
    return [
        KeyFigure("free rate", figure(summary.free.mean_mb_per_s), "MB/s"),
        KeyFigure(
            f"closed loop, worst mean of {loop.rates} rates",
            figure(None if error is None else round(error * 100, 2)),
            f"% off its target, \u00b1 {percent(loop.largest_error_uncertainty_ratio)}",
        ),
        KeyFigure(
            f"duty cycle, mean of {duty.pairs} pairs", figure(duty.mean_to_promised_ratio), "of run / (run + stop)"
        ),
        *_small_buffer(duty),
        KeyFigure("syncs that failed", f"{syncs.failed} of {syncs.syncs}"),
        KeyFigure("requests tried again", figure(syncs.retries)),
        KeyFigure("syncs whose objects are identical", f"{syncs.identical} of {syncs.syncs}"),
    ]


def _small_buffer(duty: DutyCycle) -> list[KeyFigure]:
    if not duty.small_buffer_pairs:
        return []
    while_running = duty.small_buffer_while_running_to_promised_ratio
    return [
        KeyFigure(
            "duty cycle with a small send buffer",
            figure(duty.small_buffer_to_promised_ratio),
            f"of run / (run + stop); {figure(while_running)} of it while running",
        ),
        KeyFigure(
            "of the others, sent from buffers while stopped",
            figure(duty.while_stopped_to_promised_ratio),
            "of run / (run + stop)",
        ),
    ]


def topology(inventory: Record) -> Html | Missing:
    uploader = host_in(inventory, "uploader")
    if uploader is None:
        return NO_INVENTORY
    bucket = or_none(mapping, inventory, "bucket") or {}
    link = bucket.get("uplink_mbit_per_s")
    rate = f"a link of {figure(link)} Mbit/s" if isinstance(link, int | float) else "a link whose rate is not known"
    where = bucket.get("endpoint") or f"S3 of {inventory.get('region') or MISSING}"
    return layers(
        "The uploader, the link and the bucket",
        [
            Layer([host_box(uploader, "aws s3 sync, and what holds it", kind="server")], f"{rate}; HTTP to {where}"),
            Layer([Box(str(bucket.get("name") or MISSING), "bucket, written by the stack's role alone", "array")]),
        ],
    )
