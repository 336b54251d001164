"""summary.json of encrypted-backup, schema 1. Claims name these fields; None is "not known", never 0."""

from __future__ import annotations

from dataclasses import dataclass

from report.summary import RunSummary

SCHEMA = 1


@dataclass(frozen=True)
class Step:
    """A step of a run, or the undoing of one."""

    run: str
    name: str
    undoing: bool
    end_s: float | None  # after the first record
    seconds: float | None
    fault: str | None


@dataclass(frozen=True)
class Backup:
    run: str
    snapshot: str
    files: int | None
    total_bytes: int | None
    new_bytes: int | None  # what the snapshot before did not hold
    changed_meanwhile: int | None  # entries that were changed between the backup and the comparison
    unread: int | None  # entries of the sources that could not be read or compared
    copy_seconds: float | None
    verify_seconds: float | None
    whole_seconds: float | None  # from the first step to the last undone one


@dataclass(frozen=True)
class Search:
    """A place on the server that was searched for known plaintext."""

    place: str  # disk, memory or network
    read_bytes: int | None
    patterns: int | None
    found: int | None
    control_found: bool | None  # whether the same search found something that must be there


@dataclass(frozen=True)
class PlaintextSearch:
    searches: list[Search]
    found: int | None  # of all places; None unless all three were searched, each with its control found
    places: int


@dataclass(frozen=True)
class Recovery:
    seconds: float | None  # from a blank machine to the compared files, the password's switching on and off included
    sheet_seconds: float | None  # of the sheet's own commands
    files: int | None
    entries: int | None
    same: bool | None  # tar and getfattr show no difference between what was backed up and what was restored


@dataclass(frozen=True)
class Summary(RunSummary):
    steps: list[Step]
    backups: list[Backup]
    blind: PlaintextSearch | None
    recovery: Recovery | None
    problems: list[str]
