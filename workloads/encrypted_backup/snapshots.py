"""Snapshots by name, and which of them a prune keeps. Pure: no connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from workloads.errors import WorkloadError

_FORMAT = "%Y-%m-%dT%H%M%SZ"
LATEST = "latest"


@dataclass(frozen=True)
class Snapshot:
    """A complete backup. `new_bytes` are those that the previous one does not have; times are UTC.

    `exclude` are the patterns of what was left out. `unread` is the number of entries that could not be read, or not be
    compared with their copy: the snapshot's file of that name lists them. `damaged` says what is wrong with the record;
    then only the name is known, although the files may be whole.
    """

    name: str
    sources: tuple[str, ...] = ()
    host: str | None = None
    files: int | None = None
    total_bytes: int | None = None
    new_bytes: int | None = None
    seconds: float | None = None
    exclude: tuple[str, ...] = ()
    unread: int | None = None
    damaged: str | None = None


@dataclass(frozen=True)
class Keep:
    """How many snapshots are kept: of the newest, and of the last ones of each day, week and month."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def __post_init__(self) -> None:
        if not self.last + self.daily + self.weekly + self.monthly:
            raise WorkloadError(
                "nothing says which snapshots to keep",
                "give --keep-last, --keep-daily, --keep-weekly or --keep-monthly",
            )


def name_now(now: datetime | None = None) -> str:
    """Returns the name of a snapshot that begins now."""
    return (now or datetime.now(UTC)).strftime(_FORMAT)


def listed(facts: Iterable[Mapping[str, Any]]) -> list[Snapshot]:
    """Returns the snapshots that snapshot_records.py found, oldest first, also those with a damaged record."""
    found = [_snapshot(str(fact["folder"]), fact) for fact in facts if "folder" in fact]
    return sorted(found, key=lambda snapshot: snapshot.name)


def _is_texts(value: object) -> bool:
    return type(value) is list and all(type(each) is str for each in value)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "sources": _is_texts,
    "host": lambda value: type(value) is str,
    "files": _is_count,
    "total_bytes": _is_count,
    "new_bytes": _is_count,
    "seconds": lambda value: type(value) in (int, float) and 0 <= value < float("inf"),
    "exclude": _is_texts,
    "unread": _is_count,
}
"""The fields of a record besides the name, and what each may be."""


def _snapshot(name: str, record: Mapping[str, Any]) -> Snapshot:
    if damage := record.get("damaged") or _damage(name, record):
        return Snapshot(name, damaged=str(damage))
    values: dict[str, Any] = {
        field: tuple(value) if type(value := record[field]) is list else value for field in _FIELDS
    }
    return Snapshot(name, **values)


def _damage(name: str, record: Mapping[str, Any]) -> str | None:
    """Returns what is wrong with a record; None: nothing."""
    try:
        _time_of(name)
    except ValueError:
        return "its name is no time"
    if missing := [field for field in ("name", *_FIELDS) if field not in record]:
        return f"its record has no {missing[0]}"
    if record["name"] != name:
        return "its record is that of another snapshot"
    wrong = [field for field, is_right in _FIELDS.items() if not is_right(record[field])]
    return f"its record has a wrong {wrong[0]}" if wrong else None


def _time_of(name: str) -> datetime:
    return datetime.strptime(name, _FORMAT).replace(tzinfo=UTC)


def chosen(snapshots: Sequence[Snapshot], name: str) -> Snapshot:
    """Returns the snapshot of that name, or the newest. Raises WorkloadError with the names that exist."""
    if not snapshots:
        raise WorkloadError("there is no snapshot on the volume yet", "run `fab encrypted-backup.run` first")
    if name == LATEST:
        return snapshots[-1]
    for snapshot in snapshots:
        if snapshot.name == name:
            return snapshot
    names = ", ".join(snapshot.name for snapshot in snapshots[-5:])
    raise WorkloadError(f"there is no snapshot {name}", f"the newest are {names}; {LATEST} is the last of them")


def kept(names: Iterable[str], keep: Keep) -> set[str]:
    """Returns the names that `keep` keeps. The newest of each day, ISO week and month stands for it."""
    newest_first = sorted(names, reverse=True)
    stays = set(newest_first[: keep.last])
    periods: tuple[tuple[int, Callable[[datetime], object]], ...] = (
        (keep.daily, lambda time: time.date()),
        (keep.weekly, lambda time: time.isocalendar()[:2]),
        (keep.monthly, lambda time: (time.year, time.month)),
    )
    for count, period_of in periods:
        newest_of: dict[object, str] = {}
        for name in newest_first:
            newest_of.setdefault(period_of(_time_of(name)), name)
        stays.update(islice(newest_of.values(), count))
    return stays
