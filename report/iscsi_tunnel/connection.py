"""What was proved about the tunnel, how attaching and detaching went, and what the reads met while it was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from report.iscsi_tunnel.schema import Attaching, Loss, OnlySsh, Second
from report.missing import known, total
from report.records import Record, known_as, number, or_none, whole
from report.runs import Run
from report.worker import Worker


def read_only_ssh(run: Run) -> OnlySsh:
    """From raw/proofs.ndjson: of each kind of proof, the newest of each source."""
    records = list(run.stream("proofs")) if run.has_stream("proofs") else []
    closed = _last_batch(records, "closed-port")
    captures = _last_batch(records, "ssh-only")
    listeners = _last_batch(records, "listeners")
    return OnlySsh(
        sources=len({str(record.get("from")) for record in closed}) or None,
        ports_tried=_sum(closed, "tried"),
        ports_reached=_sum(closed, "reached"),
        control_answered=_controls(closed),
        listens_elsewhere=not all(record.get("passed") is True for record in listeners) if listeners else None,
        captures=len(captures) or None,
        ssh_packets=_sum(captures, "ssh_packets"),
        other_packets=_sum(captures, "other_packets"),
        readable_packets=_sum(captures, "readable_packets"),
        unseen_packets=_sum(captures, "unseen_packets"),
    )


def _controls(closed: Sequence[Record]) -> bool | None:
    """Whether the control answered each attempt: a proof that failed although no port was reached is one whose control
    did not answer.
    """
    if not closed:
        return None
    return all(record.get("passed") is True or bool(record.get("reached")) for record in closed)


def _last_batch(records: Sequence[Record], kind: str) -> list[Record]:
    """The last record of each source and beginning of its detail: proofs may have been run more than once."""
    found: dict[tuple[str, str], Record] = {}
    for record in records:
        if record.get("proof") == kind:
            found[str(record.get("from")), str(record.get("detail", ""))[:12]] = record
    return list(found.values())


def read_attaching(run: Run) -> Attaching:
    """From raw/attachments.ndjson."""
    records = list(run.stream("attachments"))
    attached = [record for record in records if record.get("event") == "attached"]
    detached = [record for record in records if record.get("event") == "detached"]
    newest = attached[-1] if attached else None
    sizes = [(record.get("size_bytes"), record.get("expected_bytes")) for record in attached]
    device = newest.get("device") if newest else None
    return Attaching(
        attached=len(attached) or None,
        detached=len(detached) or None,
        device=device if isinstance(device, str) else None,
        expected_bytes=or_none(whole, newest, "expected_bytes"),
        seen_bytes=or_none(whole, newest, "size_bytes"),
        block_bytes=or_none(whole, newest, "block_bytes"),
        size_differences=sum(seen != expected or seen is None for seen, expected in sizes) if sizes else None,
        mtu_bytes=or_none(whole, newest, "mtu_bytes"),
        attach_seconds_max=_longest(attached),
        detach_seconds_max=_longest(detached),
        left_behind=sum(record.get("gone") is not True for record in detached) if detached else None,
    )


def _longest(records: Sequence[Record]) -> float | None:
    """Of those that changed something."""
    seconds = [or_none(number, record, "seconds") for record in records if record.get("changed")]
    return max(known(seconds), default=None)


def read_losses(run: Run, workers: Mapping[str, Worker]) -> tuple[list[Loss], list[Second]]:
    """The newest of each kind in raw/drill.ndjson, and each second of the reads, counted from the cut: both times are
    of the client's clock. `workers` are by the kind of loss.
    """
    records = {
        str(record["event"]): record
        for record in (run.stream("drill") if run.has_stream("drill") else ())
        if isinstance(record.get("event"), str)
    }
    seconds = []
    for how, worker in workers.items():
        began = or_none(number, records.get(how), "cut_at_unix_s")
        if began is None:
            continue
        for interval in worker.intervals:
            if interval.seconds > 0:
                middle = (interval.t_start_unix_s + interval.t_end_unix_s) / 2
                errors = sum(interval.errors.values())
                seconds.append(Second(how, middle - began, interval.ops / interval.seconds, errors))
    return [known_as(Loss, record, how=how) for how, record in records.items()], seconds


def _sum(records: Sequence[Record], key: str) -> int | None:
    return total(or_none(whole, record, key) for record in records)
