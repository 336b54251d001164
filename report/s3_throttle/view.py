"""s3-throttle's page: key figures and sections, in the order a reader asks for them."""

from __future__ import annotations

from report.format import figure, percent
from report.inventory_view import hosts_table
from report.page import Block, KeyFigure, Missing, Page, Section
from report.runs import Manifest
from report.s3_throttle.figures import accuracy_plot, progress_plot, rates_plot
from report.s3_throttle.schema import DutyCycle, Summary
from report.s3_throttle.tables import costs_table, duty_cycle_table, link_table, proofs_table, rates_table
from report.s3_throttle.topology import topology
from report.table import Table

QUESTION = "Can a running aws s3 sync be held to a bandwidth, and by which way does the cap hold best?"


def page(manifest: Manifest, summary: Summary) -> Page:
    return Page(QUESTION, _key_figures(summary), _sections(manifest, summary), summary.problems)


def tables(summary: Summary) -> list[Table]:
    """What a terminal is shown before the claims."""
    if not summary.cells:
        return []
    found = [link_table(summary.free), rates_table(summary.cells), costs_table(summary.cells)]
    if summary.duty_cycle.pairs:
        found.append(duty_cycle_table(summary.cells))
    if summary.proofs and summary.proofs.records:
        found.append(proofs_table(summary.proofs))
    return found


def _key_figures(summary: Summary) -> list[KeyFigure]:
    loop, duty, all_ = summary.closed_loop, summary.duty_cycle, summary.transfers
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
        KeyFigure("syncs that failed", f"{all_.failed} of {all_.syncs}"),
        KeyFigure("requests tried again", figure(all_.retries)),
        KeyFigure("syncs whose objects are identical", f"{all_.identical} of {all_.syncs}"),
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


def _sections(manifest: Manifest, summary: Summary) -> list[Section]:
    nothing = Missing("No sync was recorded.")
    cells = summary.cells
    held: list[Block] = [accuracy_plot(summary) or nothing]
    over_time = [plot for plot in [progress_plot(summary)] if plot]
    held += [rates_table(cells)] if cells else []
    return [
        Section(
            "topology",
            "What ran where",
            [
                topology(manifest.inventory),
                hosts_table(manifest.inventory, "The limits are set at boot."),
                link_table(summary.free),
            ],
        ),
        Section("held", "How well each way held", held),
        Section("progress", "Rate and bytes over time", [rates_plot(summary) or nothing, *over_time]),
        Section(
            "duty-cycle",
            "The original's way",
            [duty_cycle_table(cells) if summary.duty_cycle.pairs else Missing("No duty cycle was measured.")],
        ),
        Section(
            "costs",
            "Errors and costs",
            [
                costs_table(cells) if cells else nothing,
                proofs_table(summary.proofs)
                if summary.proofs and summary.proofs.records
                else Missing("No proof was recorded."),
            ],
        ),
    ]
