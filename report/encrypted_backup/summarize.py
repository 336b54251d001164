"""From the raw records of a run to its summary."""

from __future__ import annotations

from report.encrypted_backup.schema import SCHEMA, Backup, Blind, Recovery, Search, Step, Summary
from report.runs import Record, Run
from report.summary import run_fields

PLACES = ("disk", "memory", "network")


def summarize(run: Run) -> Summary:
    """From raw alone; the same run gives the same summary whenever it is asked."""
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


def _of(records: list[Record], event: str) -> list[Record]:
    return [record for record in records if record.get("event") == event]


def _number(record: Record, key: str) -> float | None:
    value = record.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _count(record: Record, key: str) -> int | None:
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(record: Record, key: str) -> bool | None:
    value = record.get(key)
    return value if isinstance(value, bool) else None


def _steps(records: list[Record]) -> list[Step]:
    times = [time for record in records if (time := _number(record, "t_unix_s")) is not None]
    first = min(times, default=None)
    found = []
    for record in _of(records, "step"):
        end, fault = _number(record, "t_unix_s"), record.get("fault")
        found.append(
            Step(
                run=str(record.get("run")),
                name=str(record.get("name")),
                undoing=bool(record.get("undoing")),
                end_s=None if end is None or first is None else end - first,
                seconds=_number(record, "seconds"),
                fault=None if fault is None else str(fault),
            )
        )
    return found


def _backups(records: list[Record], steps: list[Step]) -> list[Backup]:
    seconds = {(step.run, step.name): step.seconds for step in steps}
    verified = {str(record.get("run")): record for record in _of(records, "verified")}
    found = []
    for record in _of(records, "backed-up"):
        name = str(record.get("run"))
        found.append(
            Backup(
                run=name,
                snapshot=str(record.get("snapshot")),
                files=_count(record, "files"),
                total_bytes=_count(record, "total_bytes"),
                new_bytes=_count(record, "new_bytes"),
                changed_meanwhile=_count(verified.get(name, {}), "changed_meanwhile"),
                unread=_count(verified.get(name, {}), "unread"),
                copy_seconds=seconds.get((name, "copy")),
                verify_seconds=seconds.get((name, "verify")),
                whole_seconds=_number(record, "whole_seconds"),
            )
        )
    return found


def _blind(records: list[Record]) -> Blind | None:
    searches = [
        Search(
            place=str(record.get("place")),
            read_bytes=_count(record, "read_bytes"),
            patterns=_count(record, "patterns"),
            found=_count(record, "found"),
            control_found=_flag(record, "control"),
        )
        for record in _of(records, "searched")
    ]
    if not searches:
        return None
    counts = [search.found for search in searches if search.found is not None and search.control_found]
    whole = {search.place for search in searches} == set(PLACES) and len(counts) == len(searches)
    return Blind(searches, sum(counts) if whole else None, len(searches))


def _recovery(records: list[Record]) -> Recovery | None:
    found = _of(records, "recovered")
    if not found:
        return None
    last = found[-1]
    return Recovery(
        seconds=_number(last, "seconds"),
        sheet_seconds=_number(last, "sheet_seconds"),
        files=_count(last, "files"),
        entries=_count(last, "entries"),
        same=_flag(last, "same"),
    )
