"""Snapshots by name, and which of them are kept: pure, apart from what lists and removes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workloads.errors import WorkloadError

NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")
_FORMAT = "%Y-%m-%dT%H%M%SZ"
LATEST = "latest"


@dataclass(frozen=True)
class Snapshot:
    """One backup that is complete. `new_bytes` is what it holds that the one before it did not; times are UTC."""

    name: str
    sources: tuple[str, ...]
    host: str
    files: int
    total_bytes: int
    new_bytes: int
    seconds: float

    @property
    def time(self) -> datetime:
        """When it was begun."""
        return datetime.strptime(self.name, _FORMAT).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Keep:
    """How many of the newest are kept: of all, and of those that are the last of a day, a week, a month."""

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
    """The name of a snapshot that begins now."""
    return (now or datetime.now(UTC)).strftime(_FORMAT)


def listed(facts: Iterable[Mapping[str, Any]]) -> list[Snapshot]:
    """The snapshots that client_list.sh named, oldest first."""
    found = [
        Snapshot(
            name=str(fact["name"]),
            sources=tuple(map(str, fact["sources"])),
            host=str(fact["host"]),
            files=int(fact["files"]),
            total_bytes=int(fact["total_bytes"]),
            new_bytes=int(fact["new_bytes"]),
            seconds=float(fact["seconds"]),
        )
        for fact in facts
        if NAME.fullmatch(str(fact.get("name", "")))
    ]
    return sorted(found, key=lambda snapshot: snapshot.name)


def chosen(snapshots: Sequence[Snapshot], name: str) -> Snapshot:
    """The snapshot of that name, or the newest; WorkloadError with the names there are."""
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
    """The names that `keep` keeps; the rest may go. The newest of each day, ISO week and month stands for it."""
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
            period = period_of(datetime.strptime(name, _FORMAT).replace(tzinfo=UTC))
            if period not in seen and len(seen) < count:
                seen.add(period)
                stays.add(name)
    return stays
