"""encrypted-backup's tables: the backups, every step, what the server was searched for, the recovery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from report.encrypted_backup.schema import Backup, PlaintextSearch, Recovery, Search, Step
from report.format import MISSING, figure, seconds, size_bytes
from report.table import Cell, Column, NumberColumn, Table, TextColumn, bad_if, judged

PLACES = {
    "disk": "the volume's raw disk, every byte",
    "memory": "files in memory (tmpfs) and swap",
    "network": "every packet of every interface during the first backup, the tunnel's inside included",
}


def backups_table(backups: Sequence[Backup]) -> Table:
    columns: list[TextColumn[Backup]] = [
        TextColumn("run", lambda backup: backup.run),
        TextColumn("snapshot", lambda backup: backup.snapshot),
        NumberColumn("files", lambda backup: figure(backup.files)),
        NumberColumn("size", lambda backup: size_bytes(backup.total_bytes)),
        NumberColumn("new", lambda backup: size_bytes(backup.new_bytes)),
        NumberColumn("changed meanwhile", lambda backup: figure(backup.changed_meanwhile)),
        NumberColumn("not read", lambda backup: bad_if(figure(backup.unread), backup.unread)),
        NumberColumn("copy", lambda backup: seconds(backup.copy_seconds)),
        NumberColumn("read back", lambda backup: seconds(backup.verify_seconds)),
        NumberColumn("whole", lambda backup: seconds(backup.whole_seconds)),
    ]
    note = "Whole: from the look at the sources to the last thing undone. New: what the snapshot before does not hold."
    return Table.of("Backups", columns, backups, note, name="backups")


def steps_table(steps: Sequence[Step]) -> Table:
    columns: list[TextColumn[Step]] = [
        TextColumn("run", lambda step: step.run),
        TextColumn("step", lambda step: step.name),
        TextColumn("way", lambda step: "undone" if step.undoing else "done"),
        NumberColumn("took", lambda step: seconds(step.seconds)),
        TextColumn("fault", lambda step: Cell(step.fault, "bad") if step.fault else MISSING),
    ]
    table = Table.of("Steps, in the order in which they ended", columns, steps, name="steps")
    return replace(table, page_only=True)


def blind_table(blind: PlaintextSearch) -> Table:
    columns: list[TextColumn[Search]] = [
        TextColumn("place", lambda search: search.place),
        TextColumn("what", lambda search: PLACES.get(search.place, MISSING)),
        NumberColumn("searched", lambda search: size_bytes(search.read_bytes)),
        NumberColumn("known texts found", _found),
        NumberColumn("control found", lambda search: judged(figure(search.control_found), bool(search.control_found))),
    ]
    note = (
        "Known texts: a line that every made-up file holds, and a word in each of their names. Control: what must be "
        "there (LUKS' mark, a file written for it, SSH's greeting), found by the same search."
    )
    return Table.of("The server, searched", columns, blind.searches, note, name="blind")


def _found(search: Search) -> Cell:
    return judged(f"{figure(search.found)} of {figure(search.patterns)}", not search.found)


def recovery_table(recovery: Recovery) -> Table:
    rows: list[tuple[str, Cell | str]] = [
        ("time from a blank machine to compared files", seconds(recovery.seconds)),
        ("of it, the sheet's own commands", seconds(recovery.sheet_seconds)),
        ("files restored", figure(recovery.files)),
        ("entries compared", figure(recovery.entries)),
        ("the same as what was backed up", judged(figure(recovery.same), bool(recovery.same))),
    ]
    return Table("Recovery from the sheet alone", [Column("what"), Column("value", True)], rows, name="recovery")
