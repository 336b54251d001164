"""encrypted-backup's page: key figures and sections, in the order a reader asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from report.encrypted_backup.figures import steps_plot
from report.encrypted_backup.schema import Summary
from report.encrypted_backup.tables import backups_table, blind_table, recovery_table, steps_table
from report.format import figure, seconds, size_bytes
from report.inventory_view import hosts_table
from report.iscsi_tunnel.topology import topology
from report.page import Block, KeyFigure, Missing, Page, Section
from report.runs import Manifest
from report.table import Table

QUESTION = "Is a backup on a server that can't read it restored whole by a blank machine and a page of paper?"


def page(manifest: Manifest, summary: Summary) -> Page:
    return Page(QUESTION, _key_figures(summary), _sections(manifest, summary), summary.problems, bool(summary.steps))


def tables(summary: Summary) -> list[Table]:
    """What a terminal is shown before the claims."""
    found = [backups_table(summary.backups)] if summary.backups else []
    if summary.blind:
        found.append(blind_table(summary.blind))
    if summary.recovery:
        found.append(recovery_table(summary.recovery))
    return found


def _key_figures(summary: Summary) -> list[KeyFigure]:
    backups = {backup.run: backup for backup in summary.backups}
    first, second, recovery = backups.get("first"), backups.get("second"), summary.recovery
    return [
        KeyFigure("first backup", seconds(first.whole_seconds if first else None)),
        KeyFigure("second backup, server started and stopped", seconds(second.whole_seconds if second else None)),
        KeyFigure("new in the second", size_bytes(second.new_bytes if second else None)),
        KeyFigure("known texts found on the server", figure(summary.blind.found if summary.blind else None)),
        KeyFigure("recovery from a blank machine", seconds(recovery.seconds if recovery else None)),
    ]


def _sections(manifest: Manifest, summary: Summary) -> list[Section]:
    backups: Sequence[Block] = [Missing("No snapshot was made.")]
    if summary.backups:
        backups = [backups_table(summary.backups)]
    steps: list[Block] = [steps_plot(summary) or Missing("No step was recorded.")]
    if summary.steps:
        steps.append(steps_table(summary.steps))
    blind: Block = blind_table(summary.blind) if summary.blind else Missing("The server was not searched.")
    recovery: Block = recovery_table(summary.recovery) if summary.recovery else Missing("The drill was not run.")
    drawing = topology(
        manifest.inventory,
        client="has the files and the passphrase",
        disk="ciphertext alone: LUKS is opened on the client",
        kept_out="the blank machine of the recovery",
    )
    where = [drawing, hosts_table(manifest.inventory, "Memory is what the kernel is told.")]
    return [
        Section("hosts", "What ran where", where),
        Section("backups", "Backups", backups),
        Section("stages", "What each run did, and undid", steps),
        Section("blind", "What the server could read", [blind]),
        Section("recovery", "Recovery", [recovery]),
    ]
