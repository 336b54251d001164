"""The connection: what was proved about it, how attaching and detaching went, and what reads met while it was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from report.iscsi_tunnel.schema import Attaching, Loss, OnlySsh, Second
from report.missing import known, total
from report.records import Record, known_as, number, or_none, whole
from report.runs import Run
from report.worker import Worker

# The names of the cells that were read while the connection was lost, before the kind of loss.
DRILL = "drill-"


def read_only_ssh(run: Run) -> OnlySsh:
    """Reads raw/proofs.ndjson: of each kind of proof, the newest of each source."""
    records = list(run.stream("proofs")) if run.has_stream("proofs") else []
    closed, captures, listeners = (_last_batch(records, kind) for kind in ("closed-port", "ssh-only", "listeners"))
    # A proof that failed although no port was reached is one whose control did not answer.
    controls = [record.get("passed") is True or bool(record.get("reached")) for record in closed]
    return OnlySsh(
        sources=len({str(record.get("from")) for record in closed}) or None,
        ports_tried=_sum(closed, "tried"),
        ports_reached=_sum(closed, "reached"),
        control_answered=all(controls) if controls else None,
        listens_elsewhere=not all(record.get("passed") is True for record in listeners) if listeners else None,
        captures=len(captures) or None,
        ssh_packets=_sum(captures, "ssh_packets"),
        other_packets=_sum(captures, "other_packets"),
        readable_packets=_sum(captures, "readable_packets"),
        unseen_packets=_sum(captures, "unseen_packets"),
    )


def _last_batch(records: Sequence[Record], kind: str) -> list[Record]:
    """Returns the last record of each source and beginning of its detail: proofs may have been run more than once."""
    found = {
        (str(record.get("from")), str(record.get("detail", ""))[:12]): record
        for record in records
        if record.get("proof") == kind
    }
    return list(found.values())


def _sum(records: Sequence[Record], key: str) -> int | None:
    return total(or_none(whole, record, key) for record in records)


def read_attaching(run: Run) -> Attaching:
    """Reads raw/attachments.ndjson."""
    records = list(run.stream("attachments"))
    attached, detached = ([each for each in records if each.get("event") == kind] for kind in ("attached", "detached"))
    sizes = [(record.get("size_bytes"), record.get("expected_bytes")) for record in attached]
    newest = attached[-1] if attached else {}
    return known_as(
        Attaching,
        newest,
        attached=len(attached) or None,
        detached=len(detached) or None,
        seen_bytes=or_none(whole, newest, "size_bytes"),
        size_differences=sum(seen != expected or seen is None for seen, expected in sizes) if sizes else None,
        attach_seconds_max=_longest(attached),
        detach_seconds_max=_longest(detached),
        left_behind=sum(record.get("gone") is not True for record in detached) if detached else None,
    )


def _longest(records: Sequence[Record]) -> float | None:
    """Returns the longest time of those that changed something."""
    seconds = [or_none(number, record, "seconds") for record in records if record.get("changed")]
    return max(known(seconds), default=None)


def read_losses(run: Run, workers: Mapping[str, Worker]) -> tuple[list[Loss], list[Second]]:
    """Reads raw/drill.ndjson, the newest of each kind, and each second of the reads, counted from the cut: both times
    are of the client's clock.
    """
    records = run.stream("drill") if run.has_stream("drill") else ()
    newest = {record["event"]: record for record in records if isinstance(record.get("event"), str)}
    seconds = []
    for name, worker in workers.items():
        how = name.removeprefix(DRILL)
        cut_s = or_none(number, newest.get(how), "cut_at_unix_s")
        if how == name or cut_s is None:
            continue
        for interval in worker.intervals:
            if interval.seconds > 0:
                middle = (interval.t_start_unix_s + interval.t_end_unix_s) / 2
                errors = sum(interval.errors.values())
                seconds.append(Second(how, middle - cut_s, interval.ops / interval.seconds, errors))
    return [known_as(Loss, record, how=how) for how, record in newest.items()], seconds
