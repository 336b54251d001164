"""encrypted-backup: its summary from raw/backup.ndjson, and its page in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence

from report.claims import Claim
from report.encrypted_backup.figures import steps_plot
from report.encrypted_backup.schema import SCHEMA, Backup, PlaintextSearch, Recovery, Search, Step, Summary
from report.encrypted_backup.tables import PLACES, backups_table, blind_table, recovery_table, steps_table
from report.format import figure, seconds, size_bytes
from report.page import Block, KeyFigure, Page, Section
from report.records import Record, boolean, known_as, number, or_none, whole
from report.runs import Manifest, Run
from report.summary import run_fields
from report.table import Missing
from report.topology import hosts_table, tunnel_topology

QUESTION = "Is a backup on a server that can't read it restored whole by a blank machine and a page of paper?"


def summarize(run: Run) -> Summary:
    records = list(run.stream("backup"))
    steps = _steps(records)
    return Summary(
        **run_fields(run, SCHEMA),
        steps=steps,
        backups=_backups(records, steps),
        blind=_blind(records),
        recovery=_recovery(records),
        problems=list(run.problems),
    )


def _of(records: Sequence[Record], event: str) -> list[Record]:
    return [record for record in records if record.get("event") == event]


def _steps(records: Sequence[Record]) -> list[Step]:
    times = [time for record in records if (time := or_none(number, record, "t_unix_s")) is not None]
    first = min(times, default=None)
    found = []
    for record in _of(records, "step"):
        end, fault = or_none(number, record, "t_unix_s"), record.get("fault")
        found.append(
            known_as(
                Step,
                record,
                run=str(record.get("run")),
                name=str(record.get("name")),
                undoing=bool(record.get("undoing")),
                end_s=None if end is None or first is None else end - first,
                fault=None if fault is None else str(fault),
            )
        )
    return found


def _backups(records: Sequence[Record], steps: Sequence[Step]) -> list[Backup]:
    took_s = {(step.run, step.name): step.seconds for step in steps}
    verified = {str(record.get("run")): record for record in _of(records, "verified")}
    found = []
    for record in _of(records, "backed-up"):
        name = str(record.get("run"))
        found.append(
            known_as(
                Backup,
                record,
                run=name,
                snapshot=str(record.get("snapshot")),
                changed_meanwhile=or_none(whole, verified.get(name), "changed_meanwhile"),
                unread=or_none(whole, verified.get(name), "unread"),
                copy_seconds=took_s.get((name, "copy")),
                verify_seconds=took_s.get((name, "verify")),
            )
        )
    return found


def _blind(records: Sequence[Record]) -> PlaintextSearch | None:
    searches = [
        known_as(Search, record, place=str(record.get("place")), control_found=or_none(boolean, record, "control"))
        for record in _of(records, "searched")
    ]
    if not searches:
        return None
    counts = [search.found for search in searches if search.found is not None and search.control_found]
    complete = {search.place for search in searches} == set(PLACES) and len(counts) == len(searches)
    return PlaintextSearch(searches, sum(counts) if complete else None, len(searches))


def _recovery(records: Sequence[Record]) -> Recovery | None:
    found = _of(records, "recovered")
    return known_as(Recovery, found[-1]) if found else None


def page(manifest: Manifest, summary: Summary, _: Sequence[Claim] = ()) -> Page:
    where: list[Block] = [
        tunnel_topology(
            manifest.inventory,
            client="has the files and the passphrase",
            disk="ciphertext alone: LUKS is opened on the client",
            third_host="the blank machine of the recovery",
        ),
        hosts_table(manifest.inventory, "Memory is what the kernel is told."),
    ]
    backups = backups_table(summary.backups) if summary.backups else Missing("No snapshot was made.")
    blind = blind_table(summary.blind) if summary.blind else Missing("The server was not searched.")
    recovery = recovery_table(summary.recovery) if summary.recovery else Missing("The drill was not run.")
    steps: list[Block] = [steps_plot(summary) or Missing("No step was recorded.")]
    steps += [steps_table(summary.steps)] if summary.steps else []
    sections = [
        Section("hosts", "What ran where", where),
        Section("backups", "Backups", [backups]),
        Section("stages", "What each run did, and undid", steps),
        Section("blind", "What the server could read", [blind]),
        Section("recovery", "Recovery", [recovery]),
    ]
    return Page(QUESTION, _key_figures(summary), sections, summary.problems, bool(summary.steps))


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
