"""What was proved of the tunnel, and how attaching and detaching went."""

from __future__ import annotations

from collections.abc import Sequence

from report.iscsi_tunnel.schema import Attaching, OnlySsh
from report.runs import Record, Run, number_or_none, quietly, whole_or_none


def read_only_ssh(run: Run) -> OnlySsh:
    """From raw/proofs.ndjson; of each kind the newest of each source counts."""
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
    """A try that reached nothing and failed all the same is one whose control did not answer."""
    if not closed:
        return None
    return all(record.get("passed") is True or bool(record.get("reached")) for record in closed)


def _last_batch(records: Sequence[Record], kind: str) -> list[Record]:
    """By source and detail's beginning, the last record: proofs may have been run more than once."""
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
        expected_bytes=quietly(whole_or_none, newest, "expected_bytes"),
        seen_bytes=quietly(whole_or_none, newest, "size_bytes"),
        block_bytes=quietly(whole_or_none, newest, "block_bytes"),
        size_differences=sum(seen != expected or seen is None for seen, expected in sizes) if sizes else None,
        mtu_bytes=quietly(whole_or_none, newest, "mtu_bytes"),
        attach_seconds_max=_longest(attached),
        detach_seconds_max=_longest(detached),
        left_behind=sum(record.get("gone") is not True for record in detached) if detached else None,
    )


def _longest(records: Sequence[Record]) -> float | None:
    """Of those that had something to do."""
    seconds = [quietly(number_or_none, record, "seconds") for record in records if record.get("changed")]
    return max((each for each in seconds if each is not None), default=None)


def _sum(records: Sequence[Record], key: str) -> int | None:
    """None when a record lacks it: a count with a part missing is not known."""
    values = [quietly(whole_or_none, record, key) for record in records]
    return None if not values or None in values else sum(value for value in values if value is not None)
