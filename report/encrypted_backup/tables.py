"""encrypted-backup's tables: the backups, every step, what the server was searched for, the recovery."""

from __future__ import annotations

from collections.abc import Sequence

from report.encrypted_backup.schema import Backup, Blind, Recovery, Step
from report.format import MISSING, figure, seconds, size_bytes
from report.table import Cell, Column, Table

_NUMBERS = ("files", "size", "new", "changed meanwhile", "not read", "copy", "read back", "whole")
PLACES = {
    "disk": "the volume's raw disk, every byte",
    "memory": "files in memory (tmpfs) and swap",
    "network": "every packet of every interface during the first backup, the tunnel's inside included",
}


def backups_table(backups: Sequence[Backup]) -> Table:
    """A row for each snapshot that was made."""
    rows = [
        (
            backup.run,
            backup.snapshot,
            figure(backup.files),
            size_bytes(backup.total_bytes),
            size_bytes(backup.new_bytes),
            figure(backup.changed_meanwhile),
            Cell(figure(backup.unread), "bad" if backup.unread else ""),
            seconds(backup.copy_seconds),
            seconds(backup.verify_seconds),
            seconds(backup.whole_seconds),
        )
        for backup in backups
    ]
    columns = [Column("run"), Column("snapshot"), *(Column(name, True) for name in _NUMBERS)]
    note = "Whole: from the look at the sources to the last thing undone. New: what the snapshot before does not hold."
    return Table("Backups", columns, rows, note, name="backups")


def steps_table(steps: Sequence[Step]) -> Table:
    """What was done and undone, in the order in which it ended."""
    rows = [
        (
            step.run,
            step.name,
            "undone" if step.undoing else "done",
            seconds(step.seconds),
            Cell(step.fault, "bad") if step.fault else MISSING,
        )
        for step in steps
    ]
    columns = [Column("run"), Column("step"), Column("way"), Column("took", True), Column("fault")]
    return Table("Steps, in the order in which they ended", columns, rows, name="steps")


def blind_table(blind: Blind) -> Table:
    """Each place that was searched on the server."""
    rows = [
        (
            search.place,
            PLACES.get(search.place, MISSING),
            size_bytes(search.read_bytes),
            Cell(f"{figure(search.found)} of {figure(search.patterns)}", "bad" if search.found else "good"),
            Cell(figure(search.control_found), "good" if search.control_found else "bad"),
        )
        for search in blind.searches
    ]
    columns = [Column("place"), Column("what"), Column("searched", True), Column("known texts found", True)]
    columns.append(Column("control found", True))
    note = (
        "Known texts: a line that every made-up file holds, and a word in each of their names. Control: what must be "
        "there (LUKS' mark, a file written for it, SSH's greeting), found by the same search."
    )
    return Table("The server, searched", columns, rows, note, name="blind")


def recovery_table(recovery: Recovery) -> Table:
    """The drill."""
    rows: list[tuple[str, Cell | str]] = [
        ("time from a blank machine to compared files", seconds(recovery.seconds)),
        ("of it, the sheet's own commands", seconds(recovery.sheet_seconds)),
        ("files restored", figure(recovery.files)),
        ("entries compared", figure(recovery.entries)),
        ("the same as what was backed up", Cell(figure(recovery.same), "good" if recovery.same else "bad")),
    ]
    return Table("Recovery from the sheet alone", [Column("what"), Column("value", True)], rows, name="recovery")
