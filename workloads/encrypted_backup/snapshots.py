"""Snapshots by name, and which of them a prune keeps. Pure: no connections."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from workloads.errors import WorkloadError

NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z", re.ASCII)
_FORMAT = "%Y-%m-%dT%H%M%SZ"
LATEST = "latest"

T = TypeVar("T")


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

    @property
    def time(self) -> datetime:
        """The time at which it began."""
        return _time_of(self.name)


@dataclass(frozen=True)
class Keep:
    """How many snapshots are kept: of the newest, and of the last ones of each day, week and month."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def __post_init__(self) -> None:
        if min(self.last, self.daily, self.weekly, self.monthly) < 0:
            raise WorkloadError("a number of snapshots to keep is negative", "give 0 or more")
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
    found = []
    for fact in facts:
        name = fact.get("folder", fact.get("name"))
        if isinstance(name, str) and NAME.fullmatch(name):
            found.append(_snapshot(name, fact))
    return sorted(found, key=lambda snapshot: snapshot.name)


def _snapshot(name: str, record: Mapping[str, Any]) -> Snapshot:
    if "damaged" in record:
        return Snapshot(name, damaged=str(record["damaged"]))
    try:
        _time_of(name)
        if record["name"] != name:
            raise ValueError("its record is that of another snapshot")
        # Records of earlier versions lack two fields: they left nothing out, and failed where an entry was unreadable.
        return Snapshot(
            name=name,
            sources=_texts(record, "sources"),
            host=_of_type(record, "host", str),
            files=_count(record, "files"),
            total_bytes=_count(record, "total_bytes"),
            new_bytes=_count(record, "new_bytes"),
            seconds=_seconds(record),
            exclude=_texts(record, "exclude") if "exclude" in record else (),
            unread=_count(record, "unread") if "unread" in record else 0,
        )
    except KeyError as error:
        return Snapshot(name, damaged=f"its record has no {error.args[0]}")
    except ValueError as error:
        return Snapshot(name, damaged=str(error))


def _of_type(record: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = record[key]
    if type(value) is not kind:
        raise ValueError(f"its record has a wrong {key}")
    return value


def _count(record: Mapping[str, Any], key: str) -> int:
    value = _of_type(record, key, int)
    if not 0 <= value < 1 << 63:
        raise ValueError(f"its record has a wrong {key}")
    return value


def _seconds(record: Mapping[str, Any]) -> float:
    value = record["seconds"]
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise ValueError("its record has a wrong seconds")
    return float(value)


def _texts(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = _of_type(record, key, list)
    if not all(type(each) is str for each in values):
        raise ValueError(f"its record has a wrong {key}")
    return tuple(values)


def _time_of(name: str) -> datetime:
    try:
        return datetime.strptime(name, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("its name is no time") from None


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
        seen: set[object] = set()
        for name in newest_first:
            period = period_of(_time_of(name))
            if period not in seen and len(seen) < count:
                seen.add(period)
                stays.add(name)
    return stays
